import { routeText, ruleText } from './coordination/coordination-commands.ts';
import type { NeighbourEntry, Place, PolicyRule, PolicyTableRoute } from './coordination/coordination-operation.ts';
import type { ObservedCoordination } from './coordination/observed-coordination.ts';
import { vethInPod } from './coordination/pod-layout.ts';
import { asIpType } from './link-operation.ts';
import type { ObservedLink } from './observed-namespace.ts';
import { routeProtocol } from './ownership-mark.ts';

/** One thing that an attachment consists of, as ip(8) and its relatives show it. */
export interface AttachmentFact {
  readonly at: Place;
  readonly what: string;
  /** `missing`: it should be there. `surplus`: it should not, or not so. */
  readonly state: 'right' | 'missing' | 'surplus';
}

/** Which of a pod's and a node's things belong to an attachment. */
export interface FactScope {
  readonly ifName: string;
  /** It is tied to its node: what the pod has for that is its, too. */
  readonly isTied: boolean;
  /** Links of the node that it shares, and the node's end of a veth. */
  readonly onNode: readonly string[];
}

/** What an attachment is, compared with what it should be. */
export function attachmentFacts(
  found: ObservedCoordination,
  wanted: ObservedCoordination,
  scope: FactScope,
): readonly AttachmentFact[] {
  const [is, shouldBe] = [statementsOf(found, scope), statementsOf(wanted, scope)];
  const sections = [...new Set([...shouldBe, ...is].map(sectionOf))];
  const lines = (statements: readonly Statement[], section: string): readonly Statement[] =>
    statements.filter((one) => sectionOf(one) === section);
  return sections.flatMap((section) => {
    const [here, asked] = [lines(is, section), lines(shouldBe, section)];
    return [
      ...asked.map(({ at, what }): AttachmentFact => ({ at, what, state: has(here, what) ? 'right' : 'missing' })),
      ...here
        .filter(({ what }) => !has(asked, what))
        .map(({ at, what }): AttachmentFact => ({ at, what, state: 'surplus' })),
    ];
  });
}

interface Statement {
  readonly at: Place;
  readonly what: string;
}

/** Place and kind: a wrong thing stands beside the right one. */
const sectionOf = ({ at, what }: Statement): string => `${at} ${what.split(' ', 1)[0]}`;
const has = (statements: readonly Statement[], what: string): boolean => statements.some((one) => one.what === what);

function statementsOf({ pod, node }: ObservedCoordination, { ifName, isTied, onNode: named }: FactScope): Statement[] {
  const names = isTied ? [ifName, vethInPod] : [ifName];
  const isIts = (one: { readonly ifName: string }): boolean => names.includes(one.ifName);
  const links = pod.links.filter(isIts);
  const indexes = new Set(links.map(({ ifIndex }) => ifIndex));
  const addresses = pod.addresses.filter((one) => indexes.has(one.ifIndex) && !one.isLinkLocal);
  const hosts = new Set(addresses.map(({ address }) => address.replace(/\/.*/, '')));
  const routes = pod.routes.filter((route) => isIts(route) && !/^(fe80:|ff)/.test(route.dst));
  // Rules of a mark and of the node are shared, so they are ours when anybody's; the others belong to who has their source.
  const rules = pod.rules.filter(({ from, mark, protocol }) =>
    from === undefined
      ? isTied && mark !== undefined && protocol === routeProtocol
      : hosts.has(from.replace(/\/.*/, '')),
  );
  const veth = pod.links.find((link) => link.ifName === vethInPod);
  const peer = (link: ObservedLink): boolean => isTied && link.ifIndex === veth?.parentIndex && link.kind === 'veth';
  const podRoutes = node.podRoutes.filter(({ dst }) => hosts.has(dst.replace(/\/.*/, '')));
  const inPod = (what: string): Statement => ({ at: 'pod', what });
  const onNode = (what: string): Statement => ({ at: 'node', what });
  return [
    ...node.links.filter((link) => named.includes(link.ifName)).map((link) => onNode(linkText(link, node.links))),
    ...links.map((link) => inPod(linkText(link))),
    ...addresses.map(({ ifIndex, address }) => {
      const dev = links.find((link) => link.ifIndex === ifIndex)?.ifName;
      return inPod(`address ${address} dev ${dev}`);
    }),
    ...routes.map((route) => inPod(`route ${family(route)}${routeText(route)}`)),
    ...rules.map((rule) => inPod(shownRule(rule))),
    ...pod.neighbours.filter((one) => isIts(one) && one.state === 'permanent').map((one) => inPod(neighbourText(one))),
    ...Object.entries(pod.sysctls)
      .filter(([key]) => isTied && names.some((name) => key.includes(`.conf.${name}.`)))
      .map(([key, value]) => inPod(`sysctl ${key}=${value}`)),
    ...(isTied && pod.hasReplyMarks ? [inPod('nftables table inet orbweaver')] : []),
    ...(isTied
      ? [
          ...node.links.filter(peer).map((link) => onNode(linkText(link))),
          ...podRoutes.map((route) => onNode(`route ${family(route)}${routeText(route)}`)),
          ...node.rules.filter(({ protocol }) => protocol === routeProtocol).map((rule) => onNode(shownRule(rule))),
          ...node.neighbours.filter(({ state }) => state === 'permanent').map((one) => onNode(neighbourText(one))),
        ]
      : []),
  ];
}

/** The MAC is nobody's wish. */
function linkText(link: ObservedLink, beside: readonly ObservedLink[] = []): string {
  const { ifName, kind = 'device', shape, bond, mtuBytes, isUp, alias, controllerIndex } = link;
  const master = beside.find(({ ifIndex }) => ifIndex === controllerIndex)?.ifName;
  const type = shape === undefined ? (bond === undefined ? kind : `bond mode ${bond.mode}`) : asIpType(shape);
  return `link ${ifName} ${type} mtu ${mtuBytes} ${isUp ? 'up' : 'down'}${master === undefined ? '' : ` master ${master}`}${alias === '' ? '' : ` alias ${alias}`}`;
}

const family = ({ dst }: PolicyTableRoute): string => (dst.includes(':') ? '-6 ' : '');
const shownRule = (rule: PolicyRule): string => `rule ${ruleText(rule, 'show').replace('rule show ', '')}`;
const neighbourText = ({ address, mac, ifName }: NeighbourEntry): string =>
  `neighbour ${address} lladdr ${mac} dev ${ifName}`;
