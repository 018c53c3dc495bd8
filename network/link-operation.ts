import type { LinkShape } from '../contracts/pod-network.ts';
import type { BondMode, BondOptions } from '../contracts/shared-link.ts';
import { asIpBondOptions } from './bond-options.ts';

/**
 * One change of the kernel, as data: it can be printed, compared, applied and undone. Links go by their name in the namespace
 * that the plan is for, the pod's or the node's; parents are the node's.
 */
export type LinkOperation = ReversibleOperation | DeleteLink;

export type ReversibleOperation =
  | CreateLink
  | CreatePair
  | CreateBond
  | (SomeEnd & { readonly op: 'set-alias'; readonly alias: string; readonly was: string })
  | (SomeEnd & { readonly op: 'set-mtu'; readonly mtuBytes: number; readonly was: number })
  | (SomeEnd & { readonly op: 'set-up' | 'set-down' })
  | (SomeEnd & { readonly op: 'add-port' | 'remove-port'; readonly controller: string })
  | SetActivePort
  | { readonly op: 'add-address' | 'delete-address'; readonly ifName: string; readonly address: string }
  | ({ readonly op: 'add-route' | 'delete-route' } & PlannedRoute);

interface SomeEnd {
  readonly ifName: string;
  /** The node's end of a pair, in a plan for a pod. Absent: where the plan's links are. */
  readonly at?: 'node';
}

export interface CreateLink {
  readonly op: 'create-link';
  readonly ifName: string;
  /** Name of the parent, in the node's namespace. */
  readonly master: string;
  readonly link: LinkShape;
  readonly group: number;
}

/** A link in the pod, and with it its other end: a port of a bridge of the node. */
export interface CreatePair {
  readonly op: 'create-pair';
  readonly ifName: string;
  readonly mtuBytes: number;
  readonly nodeEnd: { readonly ifName: string; readonly mac: string; readonly mtuBytes: number };
  /** Name of the bridge. */
  readonly master: string;
  /** Of both. */
  readonly group: number;
}

export interface CreateBond {
  readonly op: 'create-bond';
  readonly ifName: string;
  readonly mode: BondMode;
  /** Without `active_slave`: a bond that is being made has no port yet. */
  readonly options: BondOptions;
  readonly group: number;
}

/** Taken back with the bond that it was chosen for. */
export interface SetActivePort {
  readonly op: 'set-active-port';
  readonly ifName: string;
  readonly port: string;
}

/** The kernel takes the link's addresses and routes away with it, so there is no way back from here. */
export interface DeleteLink {
  readonly op: 'delete-link';
  readonly ifName: string;
}

export interface PlannedRoute {
  readonly ifName: string;
  readonly dst: string;
  readonly gateway: string;
  readonly protocol: number;
}

/** What takes an operation back, given that everything done after it was taken back before; undefined when nothing need be done. */
export function inverseOf(operation: ReversibleOperation): LinkOperation | undefined {
  switch (operation.op) {
    case 'create-link':
    case 'create-pair':
    case 'create-bond':
      return { op: 'delete-link', ifName: operation.ifName };
    case 'set-alias':
      return { ...operation, alias: operation.was, was: operation.alias };
    case 'set-mtu':
      return { ...operation, mtuBytes: operation.was, was: operation.mtuBytes };
    case 'set-up':
      return { ...operation, op: 'set-down' };
    case 'set-down':
      return { ...operation, op: 'set-up' };
    case 'add-port':
      return { ...operation, op: 'remove-port' };
    case 'remove-port':
      return { ...operation, op: 'add-port' };
    case 'set-active-port':
      return undefined;
    case 'add-address':
      return { ...operation, op: 'delete-address' };
    case 'delete-address':
      return { ...operation, op: 'add-address' };
    case 'add-route':
      return { ...operation, op: 'delete-route' };
    case 'delete-route':
      return { ...operation, op: 'add-route' };
    default:
      return operation satisfies never;
  }
}

/** What takes a list of operations back, the last first. */
export const inversesOf = (operations: readonly ReversibleOperation[]): LinkOperation[] =>
  operations.toReversed().flatMap((operation) => inverseOf(operation) ?? []);

/** Path of the pod's namespace; undefined: the plan is for the node's own. */
type Netns = string | undefined;

/** The plan in the order and the form in which an operator would type it on the node. */
export const asIpCommands = (operations: readonly LinkOperation[], netns: Netns): string[] =>
  operations.map((operation) => asIpCommand(operation, netns));

export function asIpCommand(operation: LinkOperation, netns: Netns): string {
  const dev = operation.ifName;
  const ip = ipInNamespace('at' in operation ? undefined : netns);
  const place = netns === undefined ? '' : `netns ${shortName(netns) ?? netns} `;
  switch (operation.op) {
    case 'create-link':
      return `ip link add link ${operation.master} name ${dev} ${place}group ${operation.group} type ${asIpType(operation.link)}`;
    case 'create-pair': {
      const { nodeEnd, master, group, mtuBytes } = operation;
      const there = `name ${nodeEnd.ifName} group ${group} address ${nodeEnd.mac} mtu ${nodeEnd.mtuBytes} master ${master}`;
      return `ip link add ${there} type veth peer name ${dev} group ${group} mtu ${mtuBytes} ${place}`.trimEnd();
    }
    case 'create-bond':
      return `${ip} link add name ${dev} group ${operation.group} type bond mode ${operation.mode}${asIpBondOptions(operation.options)}`;
    case 'set-alias':
      return `${ip} link set dev ${dev} alias ${operation.alias === '' ? "''" : operation.alias}`;
    case 'set-mtu':
      return `${ip} link set dev ${dev} mtu ${operation.mtuBytes}`;
    case 'set-up':
      return `${ip} link set dev ${dev} up`;
    case 'set-down':
      return `${ip} link set dev ${dev} down`;
    case 'add-port':
      return `${ip} link set dev ${dev} master ${operation.controller}`;
    case 'remove-port':
      return `${ip} link set dev ${dev} nomaster`;
    case 'set-active-port':
      return `${ip} link set dev ${dev} type bond active_slave ${operation.port}`;
    case 'add-address':
      // Duplicates are looked for before an address is configured; the kernel's own search would hold it back for a second.
      return `${ip} addr add ${operation.address} dev ${dev}${operation.address.includes(':') ? ' nodad' : ''}`;
    case 'delete-address':
      return `${ip} addr del ${operation.address} dev ${dev}`;
    case 'add-route':
    case 'delete-route':
      return `${ip} ${operation.dst.includes(':') ? '-6 ' : ''}route ${operation.op === 'add-route' ? 'add' : 'del'} ${asIpDestination(operation.dst)} via ${operation.gateway} dev ${dev} proto ${operation.protocol}`;
    case 'delete-link':
      return `${ip} link del dev ${dev}`;
    default:
      return operation satisfies never;
  }
}

/** "macvlan mode bridge", as ip(8) writes and shows it. */
export const asIpType = (link: LinkShape): string =>
  link.kind === 'vlan' ? `vlan id ${link.vlanID}` : `${link.kind} mode ${link.mode}`;

const asIpDestination = (dst: string): string => (dst === '0.0.0.0/0' || dst === '::/0' ? 'default' : dst);

/** ip(8) takes a name only for what lies in its own directory. */
export const shortName = (netns: string): string | undefined => /^(?:\/var)?\/run\/netns\/([^/]+)$/.exec(netns)?.[1];

/** ip(8) as it is called for a namespace. */
export function ipInNamespace(netns: Netns): string {
  if (netns === undefined) return 'ip';
  const name = shortName(netns);
  return name === undefined ? `nsenter --net=${netns} ip` : `ip -n ${name}`;
}
