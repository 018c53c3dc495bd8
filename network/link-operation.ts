import type { MacvlanMode } from '../contracts/pod-network.ts';

/**
 * One change of the kernel, as data: it can be printed, compared, applied and undone. Links go by their name in the pod's
 * namespace, where everything but the parent lives.
 */
export type LinkOperation = ReversibleOperation | DeleteLink;

export type ReversibleOperation =
  | CreateMacvlan
  | { readonly op: 'set-alias'; readonly ifName: string; readonly alias: string; readonly was: string }
  | { readonly op: 'set-mtu'; readonly ifName: string; readonly mtuBytes: number; readonly was: number }
  | { readonly op: 'set-up' | 'set-down'; readonly ifName: string }
  | { readonly op: 'add-address' | 'delete-address'; readonly ifName: string; readonly address: string }
  | ({ readonly op: 'add-route' | 'delete-route' } & PlannedRoute);

export interface CreateMacvlan {
  readonly op: 'create-macvlan';
  readonly ifName: string;
  /** Name of the parent, in the node's namespace. */
  readonly master: string;
  readonly mode: MacvlanMode;
  readonly group: number;
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

/** What takes an operation back, given that everything done after it was taken back before. */
export function inverseOf(operation: ReversibleOperation): LinkOperation {
  switch (operation.op) {
    case 'create-macvlan':
      return { op: 'delete-link', ifName: operation.ifName };
    case 'set-alias':
      return { ...operation, alias: operation.was, was: operation.alias };
    case 'set-mtu':
      return { ...operation, mtuBytes: operation.was, was: operation.mtuBytes };
    case 'set-up':
      return { ...operation, op: 'set-down' };
    case 'set-down':
      return { ...operation, op: 'set-up' };
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

/** The plan in the order and the form in which an operator would type it on the node. `netns` is the path of the pod's namespace. */
export const asIpCommands = (operations: readonly LinkOperation[], netns: string): string[] =>
  operations.map((operation) => asIpCommand(operation, netns));

export function asIpCommand(operation: LinkOperation, netns: string): string {
  const dev = operation.ifName;
  const inPod = ipInNamespace(netns);
  switch (operation.op) {
    case 'create-macvlan':
      return `ip link add link ${operation.master} name ${dev} netns ${shortName(netns) ?? netns} group ${operation.group} type macvlan mode ${operation.mode}`;
    case 'set-alias':
      return `${inPod} link set dev ${dev} alias ${operation.alias === '' ? "''" : operation.alias}`;
    case 'set-mtu':
      return `${inPod} link set dev ${dev} mtu ${operation.mtuBytes}`;
    case 'set-up':
      return `${inPod} link set dev ${dev} up`;
    case 'set-down':
      return `${inPod} link set dev ${dev} down`;
    case 'add-address':
      // Duplicates are looked for before an address is configured; the kernel's own search would hold it back for a second.
      return `${inPod} addr add ${operation.address} dev ${dev}${operation.address.includes(':') ? ' nodad' : ''}`;
    case 'delete-address':
      return `${inPod} addr del ${operation.address} dev ${dev}`;
    case 'add-route':
    case 'delete-route':
      return `${inPod} ${operation.dst.includes(':') ? '-6 ' : ''}route ${operation.op === 'add-route' ? 'add' : 'del'} ${asIpDestination(operation.dst)} via ${operation.gateway} dev ${dev} proto ${operation.protocol}`;
    case 'delete-link':
      return `${inPod} link del dev ${dev}`;
    default:
      return operation satisfies never;
  }
}

const asIpDestination = (dst: string): string => (dst === '0.0.0.0/0' || dst === '::/0' ? 'default' : dst);

/** ip(8) takes a name only for what lies in its own directory. */
const shortName = (netns: string): string | undefined => /^(?:\/var)?\/run\/netns\/([^/]+)$/.exec(netns)?.[1];

function ipInNamespace(netns: string): string {
  const name = shortName(netns);
  return name === undefined ? `nsenter --net=${netns} ip` : `ip -n ${name}`;
}
