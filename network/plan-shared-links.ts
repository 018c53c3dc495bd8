import type { Failure } from '../contracts/failures.ts';
import {
  type BondConf,
  type BondOptionName,
  type BondOptions,
  bondOptionNames,
  type SharedLinkConf,
  type SharedVlanConf,
} from '../contracts/shared-link.ts';
import { asIpType, type ReversibleOperation } from './link-operation.ts';
import type { ObservedBond, ObservedLink, ObservedNamespace } from './observed-namespace.ts';
import { isOurShared, linkGroup, maxAliasBytes, sharedAliasOf } from './ownership-mark.ts';

/** Links and addresses of the node's namespace. */
export type ObservedNode = Pick<ObservedNamespace, 'links' | 'addresses'>;

export type SharedLinksPlan =
  | { readonly outcome: 'plan'; readonly operations: readonly ReversibleOperation[] }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/**
 * Plans what is missing on the node of the links that pods share, each on those before it: nothing when all are there.
 *
 * A link of that name is used as it is, whoever made it, when it is what is asked for; otherwise it is refused with the
 * difference. What carries other things already (addresses, another bond) is never taken for a port.
 */
export function planSharedLinks(observed: ObservedNode, wanted: readonly SharedLinkConf[]): SharedLinksPlan {
  const operations: ReversibleOperation[] = [];
  const links = new Map(observed.links.map((link) => [link.ifName, link]));
  for (const conf of wanted) {
    const node = { links: [...links.values()], addresses: observed.addresses };
    const step = conf.kind === 'bond' ? planBond(node, conf) : planVlan(node, conf);
    if ('failure' in step) return { outcome: 'refused', failure: step.failure };
    operations.push(...step.operations);
    links.set(conf.name, step.link);
  }
  return { outcome: 'plan', operations };
}

/** A step of the plan, with the link as it will be. */
type Step =
  | { readonly operations: readonly ReversibleOperation[]; readonly link: ObservedLink }
  | { readonly failure: Failure };

const refusal = (type: Failure['type'], message: string, remedy: string): Step => ({
  failure: { type, message, remedy },
});

const byName = ({ links }: ObservedNode, name: string): ObservedLink | undefined =>
  links.find(({ ifName }) => ifName === name);

function planBond(node: ObservedNode, conf: BondConf): Step {
  const { name } = conf;
  const ports = conf.ports.map((port) => byName(node, port));
  const missing = conf.ports.find((_, at) => ports[at] === undefined);
  if (missing !== undefined) return parentMissing(`bond "${name}" over`, missing);
  const there = byName(node, name);
  const found = ports.filter((port) => port !== undefined);
  if (there === undefined) return makeBond(node, conf, found);
  const differences = bondDifferences(node, conf, there);
  if (differences.length > 0) return differs(there, differences);
  const lost = found.filter(({ controllerIndex }) => controllerIndex !== there.ifIndex);
  const unfit = unfitPort(node, conf, lost);
  if (unfit !== undefined) return unfit;
  const alias = there.alias === '' && isOurShared(there) ? aliasFor(conf, found) : there.alias;
  return {
    operations: [
      ...(alias === there.alias ? [] : [{ op: 'set-alias' as const, ifName: name, alias, was: there.alias }]),
      ...lost.flatMap((port) => joining(port, name)),
      ...(there.isUp ? [] : [{ op: 'set-up' as const, ifName: name }]),
    ],
    link: { ...there, alias, isUp: true },
  };
}

function makeBond(node: ObservedNode, conf: BondConf, ports: readonly ObservedLink[]): Step {
  const { name: ifName, mode } = conf;
  const unfit = unfitPort(node, conf, ports);
  if (unfit !== undefined) return unfit;
  const alias = aliasFor(conf, ports);
  const mtuBytes = conf.mtuBytes ?? Math.min(...ports.map((port) => port.mtuBytes));
  const { active_slave: active, ...options } = { ...noticingFailures(conf.options), ...conf.options };
  return {
    operations: [
      { op: 'create-bond', ifName, mode, options, group: linkGroup },
      { op: 'set-alias', ifName, alias, was: '' },
      ...(mtuBytes === newBondMtuBytes ? [] : [{ op: 'set-mtu' as const, ifName, mtuBytes, was: newBondMtuBytes }]),
      ...ports.flatMap((port) => joining(port, ifName)),
      { op: 'set-up', ifName },
      ...(active === undefined ? [] : [{ op: 'set-active-port' as const, ifName, port: active }]),
    ],
    link: { ...notYetMade, ifName, kind: 'bond', mtuBytes, alias },
  };
}

/** ETH_DATA_LEN: bond_setup(), drivers/net/bonding/bond_main.c. Its ports take the bond's when they join. */
const newBondMtuBytes = 1500;

/** The kernel's default is to look at nothing: such a bond keeps sending through a port without carrier. */
const noticingFailures = ({ miimon, arp_interval }: BondOptions): BondOptions =>
  miimon === undefined && arp_interval === undefined ? { miimon: '100' } : {};

/** A bond takes no port that is up, and brings it up itself: bond_enslave(), drivers/net/bonding/bond_main.c. */
const joining = ({ ifName, isUp }: ObservedLink, bond: string): ReversibleOperation[] => [
  ...(isUp ? [{ op: 'set-down' as const, ifName }] : []),
  { op: 'add-port', ifName, controller: bond },
];

const aliasFor = ({ name }: BondConf, ports: readonly ObservedLink[]): string =>
  sharedAliasOf(
    name,
    ports.filter(({ isUp }) => isUp).map(({ ifName }) => ifName),
  );

function unfitPort(
  { links, addresses }: ObservedNode,
  conf: BondConf,
  ports: readonly ObservedLink[],
): Step | undefined {
  const refuse = (port: ObservedLink, found: string, remedy: string): Step =>
    refusal('InvalidConfig', `Cannot join "${port.ifName}" to bond "${conf.name}": ${found}`, remedy);
  for (const port of ports) {
    const { ifName, ifIndex, controllerIndex } = port;
    if (port.isLoopback || !port.isEthernet) return refuse(port, 'it carries no Ethernet', 'Name Ethernet interfaces');
    if (controllerIndex !== undefined) {
      const controller = links.find((link) => link.ifIndex === controllerIndex);
      const what = `${controller?.kind ?? 'link'} "${controller?.ifName ?? controllerIndex}"`;
      return refuse(port, `it is a port of ${what}`, `Take it out of that: ip link set dev ${ifName} nomaster`);
    }
    const address = addresses.find((one) => one.ifIndex === ifIndex && !one.isLinkLocal)?.address;
    if (address !== undefined) {
      return refuse(
        port,
        `it carries ${address}, which would be cut off`,
        `Name an interface that the node itself does not use, or move the address: ip addr del ${address} dev ${ifName}`,
      );
    }
    const upper = upperOf(links, port);
    if (upper !== undefined) {
      return refuse(port, `${upper.kind} "${upper.ifName}" hangs on it`, `Remove that, or put it on the bond`);
    }
  }
  if (new TextEncoder().encode(aliasFor(conf, ports)).length > maxAliasBytes) {
    return refusal(
      'InvalidConfig',
      `Cannot mark bond "${conf.name}" as ours: with the names of its ports the mark is longer than the ${maxAliasBytes} bytes that the kernel keeps`,
      'Join fewer interfaces, or make the bond on the node and name it as `master`',
    );
  }
  return undefined;
}

/** A link of this namespace that hangs on another one; a veth's other end is no such thing, and may have the same index elsewhere. */
export const upperOf = (links: readonly ObservedLink[], { ifIndex }: ObservedLink): ObservedLink | undefined =>
  links.find(({ kind = '', parentIndex }) => parentIndex === ifIndex && stackedKinds.includes(kind));
const stackedKinds = ['vlan', 'macvlan', 'macvtap', 'ipvlan', 'ipvtap'];

function bondDifferences(node: ObservedNode, conf: BondConf, there: ObservedLink): string[] {
  const { bond } = there;
  if (bond === undefined) return [`is ${there.kind ?? 'a device'} and no bond`];
  const joined = node.links.filter(({ controllerIndex }) => controllerIndex === there.ifIndex);
  const lacks = isOurShared(there) ? [] : conf.ports.filter((port) => !joined.some(({ ifName }) => ifName === port));
  const has = joined.filter(({ ifName }) => !conf.ports.includes(ifName));
  return [
    ...(bond.mode === conf.mode ? [] : [`has mode ${bond.mode}, not ${conf.mode}`]),
    ...lacks.map((port) => `lacks port "${port}"`),
    ...has.map(({ ifName }) => `has port "${ifName}"`),
    ...bondOptionNames.flatMap((name) => optionDifference(node, name, conf.options[name], bond)),
    ...mtuDifference(conf, there),
  ];
}

function optionDifference(
  { links }: ObservedNode,
  name: BondOptionName,
  asked: string | undefined,
  bond: ObservedBond,
): string[] {
  if (asked === undefined || name === 'active_slave') return []; // the port that sends changes with each failure
  const { primaryIndex, options } = bond;
  const found = name === 'primary' ? links.find(({ ifIndex }) => ifIndex === primaryIndex)?.ifName : options[name];
  return found === asKept(name, asked, bond) ? [] : [`has ${name} ${found ?? 'unset'}, not ${asked}`];
}

/** Delays are kept in whole turns of the monitor: bond_option_updelay_set(), drivers/net/bonding/bond_options.c */
function asKept(name: BondOptionName, asked: string, { options }: ObservedBond): string {
  const turnMs = Number(options.miimon ?? 0);
  const isDelay = name === 'updelay' || name === 'downdelay' || name === 'peer_notif_delay';
  return isDelay && turnMs > 0 ? `${Math.floor(Number(asked) / turnMs) * turnMs}` : asked;
}

function planVlan(node: ObservedNode, conf: SharedVlanConf): Step {
  const { name: ifName, vlanID } = conf;
  const parent = byName(node, conf.parent);
  if (parent === undefined) return parentMissing(`VLAN ${vlanID} on`, conf.parent);
  const raised: ReversibleOperation[] = parent.isUp ? [] : [{ op: 'set-up', ifName: parent.ifName }];
  const there = byName(node, ifName);
  if (there === undefined) return makeVlan(node, conf, parent, raised);
  const differences = vlanDifferences(node, conf, there, parent);
  if (differences.length > 0) return differs(there, differences);
  const alias = there.alias === '' && isOurShared(there) ? sharedAliasOf(ifName, []) : there.alias;
  return {
    operations: [
      ...raised,
      ...(alias === there.alias ? [] : [{ op: 'set-alias' as const, ifName, alias, was: there.alias }]),
      ...(there.isUp ? [] : [{ op: 'set-up' as const, ifName }]),
    ],
    link: { ...there, alias, isUp: true },
  };
}

function makeVlan(
  node: ObservedNode,
  conf: SharedVlanConf,
  parent: ObservedLink,
  raised: readonly ReversibleOperation[],
): Step {
  const { name: ifName, vlanID } = conf;
  const rival = node.links.find(
    ({ shape, parentIndex }) => shape?.kind === 'vlan' && shape.vlanID === vlanID && parentIndex === parent.ifIndex,
  );
  if (rival !== undefined) {
    return refusal(
      'SharedLinkDiffers',
      `Cannot make "${ifName}": "${rival.ifName}" is VLAN ${vlanID} of "${parent.ifName}" already, and a link carries an id once`,
      `Name "${rival.ifName}" as the master, without vlanID, or remove it from the node: ip link del ${rival.ifName}`,
    );
  }
  const controller = node.links.find(({ ifIndex }) => ifIndex === parent.controllerIndex);
  if (controller?.kind === 'bond' || controller?.kind === 'team') {
    return refusal(
      'InvalidConfig',
      `Cannot make VLAN ${vlanID} on "${parent.ifName}": that is a port of ${controller.kind} "${controller.ifName}"`,
      `Name "${controller.ifName}" instead`,
    );
  }
  if (parent.isLoopback || !parent.isEthernet) {
    return refusal(
      'InvalidConfig',
      `Cannot make VLAN ${vlanID} on "${parent.ifName}": it carries no Ethernet`,
      'Name an Ethernet interface',
    );
  }
  const unfit = unfitMtu(conf, parent);
  if (unfit !== undefined) return unfit;
  const { mtuBytes = parent.mtuBytes } = conf;
  const link = { kind: 'vlan', vlanID } as const;
  return {
    operations: [
      ...raised,
      { op: 'create-link', ifName, master: parent.ifName, link, group: linkGroup },
      { op: 'set-alias', ifName, alias: sharedAliasOf(ifName, []), was: '' },
      ...(mtuBytes === parent.mtuBytes ? [] : [{ op: 'set-mtu' as const, ifName, mtuBytes, was: parent.mtuBytes }]),
      { op: 'set-up', ifName },
    ],
    link: { ...notYetMade, ifName, kind: 'vlan', mtuBytes, alias: sharedAliasOf(ifName, []), shape: link },
  };
}

function vlanDifferences(
  node: ObservedNode,
  conf: SharedVlanConf,
  there: ObservedLink,
  parent: ObservedLink,
): string[] {
  if (there.kind !== 'vlan') return [`is ${there.kind ?? 'a device'} and no VLAN`];
  const wanted = asIpType({ kind: 'vlan', vlanID: conf.vlanID });
  const found = there.shape === undefined ? 'a VLAN of another protocol' : asIpType(there.shape);
  const under = node.links.find(({ ifIndex }) => ifIndex === there.parentIndex);
  return [
    ...(found === wanted ? [] : [`is ${found}, not ${wanted}`]),
    ...(there.parentIndex === parent.ifIndex
      ? []
      : [`is on "${under?.ifName ?? there.parentIndex}", not "${parent.ifName}"`]),
    ...mtuDifference(conf, there),
  ];
}

/** More is no difference: the pods' interfaces set their own. */
const mtuDifference = ({ mtuBytes = 0 }: SharedLinkConf, there: ObservedLink): string[] =>
  there.mtuBytes < mtuBytes ? [`has an MTU of ${there.mtuBytes}, below ${mtuBytes}`] : [];

/** A bond sets its ports' MTU, and only they know how much they can: there the kernel refuses what is too much. */
function unfitMtu({ name, mtuBytes = 0 }: SharedVlanConf, parent: ObservedLink): Step | undefined {
  if (mtuBytes <= parent.mtuBytes) return undefined;
  return refusal(
    'InvalidConfig',
    `Cannot make "${name}" with an MTU of ${mtuBytes}: "${parent.ifName}" carries ${parent.mtuBytes} bytes`,
    `Set \`mtu\` to at most ${parent.mtuBytes}, or raise it on the node: ip link set dev ${parent.ifName} mtu ${mtuBytes}`,
  );
}

const differs = ({ ifName }: ObservedLink, differences: readonly string[]): Step =>
  refusal(
    'SharedLinkDiffers',
    `Cannot use "${ifName}" of this node: it ${differences.join(', it ')}. Nothing was changed`,
    `Ask for it as it is (ip -d link show ${ifName}), give the bond another name, or remove the link once no pod uses it`,
  );

const parentMissing = (what: string, name: string): Step =>
  refusal(
    'ParentLinkMissing',
    `Cannot make ${what} "${name}": the node has no such link`,
    'Correct the name in the network configuration, or make that link on the node: ip link show',
  );

/** What a link of the plan has before the kernel has seen it; no link has this index. */
const notYetMade = {
  ifIndex: -1,
  mac: '',
  isUp: true,
  isLoopback: false,
  isEthernet: true,
  group: linkGroup,
} as const;
