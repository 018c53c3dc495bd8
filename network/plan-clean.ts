import type { CleanOperation } from './clean-operation.ts';
import type {
  CoordinationOperation,
  NeighbourEntry,
  PolicyRule,
  PolicyTableRoute,
} from './coordination/coordination-operation.ts';
import type { ObservedAddress, ObservedLink } from './observed-namespace.ts';
import { isOurShared, isOurs, markOf, routeProtocol } from './ownership-mark.ts';
import { upperOf } from './plan-shared-links.ts';
import { planSharedRemoval } from './plan-shared-removal.ts';

/** What may carry our marks in one namespace. */
export interface MarkedPlace {
  readonly links: readonly ObservedLink[];
  readonly addresses: readonly ObservedAddress[];
  /** Of every table but `local`. */
  readonly routes: readonly PolicyTableRoute[];
  readonly rules: readonly PolicyRule[];
  readonly neighbours: readonly NeighbourEntry[];
  readonly hasReplyMarks: boolean;
}

/** A namespace of a pod of this node. */
export interface FoundSandbox extends MarkedPlace {
  readonly netns: string;
  readonly netnsCookie: string;
  /** A process is in it. */
  readonly isInhabited: boolean;
  /** Indexes of the node's links that its links hang on. */
  readonly parents: readonly number[];
}

/** An attachment that is written down. */
export interface FoundRecord {
  readonly containerID: string;
  readonly ifName: string;
  /** "namespace/name" */
  readonly pod: string;
  readonly netnsCookie: string;
  /** Names of the node's links that it uses. */
  readonly uses: readonly string[];
  /** The device of the node that is lent for it. */
  readonly device?: string;
  /** What was planned to tie it to its node. */
  readonly coordination: readonly CoordinationOperation[];
}

export interface CleanEvidence<Noted extends FoundRecord> {
  readonly node: MarkedPlace;
  readonly sandboxes: readonly FoundSandbox[];
  readonly records: readonly Noted[];
  /** Also what a living sandbox uses. */
  readonly isForced: boolean;
}

/** One thing of ours, and what becomes of it. */
export interface CleanItem<Noted> {
  readonly what: string;
  /** Path of the namespace; absent on the node. */
  readonly netns?: string;
  /** Absent: it is kept. */
  readonly action?: CleanAction<Noted>;
  readonly why: string;
}

export type CleanAction<Noted> =
  | { readonly kind: 'operations'; readonly netnsCookie?: string; readonly operations: readonly CleanOperation[] }
  /** Puts back what another plugin had made, as far as it was changed. */
  | { readonly kind: 'undo'; readonly netnsCookie: string; readonly operations: readonly CoordinationOperation[] }
  | { readonly kind: 'record'; readonly record: Noted };

/**
 * Plans to take away what carries our marks: sandboxes first, then their records, then what the node has for them. What a sandbox
 * with a process in it uses stays, unless that is forced. What carries no mark is never looked at.
 */
export function planClean<Noted extends FoundRecord>(evidence: CleanEvidence<Noted>): readonly CleanItem<Noted>[] {
  const living = evidence.isForced ? [] : evidence.sandboxes.filter(({ isInhabited }) => isInhabited);
  const standing = standingOf(evidence, living);
  return [
    ...evidence.sandboxes.flatMap((sandbox) =>
      living.includes(sandbox) ? keptSandbox(sandbox, evidence.records) : sandboxItems(sandbox, evidence.records),
    ),
    ...evidence.records.map((record) => recordItem(record, evidence.sandboxes, living)),
    ...nodeItems(evidence.node, standing),
    ...sharedItems(evidence.node, standing),
  ];
}

/** What living sandboxes have a hold on. */
interface Standing {
  readonly containerIDs: ReadonlySet<string>;
  /** Of sandboxes that were found and are to go. */
  readonly dying: ReadonlySet<string>;
  readonly isForced: boolean;
  /** Without prefix length. */
  readonly addresses: ReadonlySet<string>;
  /** Who uses a link of the node, by its name. */
  readonly users: ReadonlyMap<string, string>;
}

function standingOf(
  { node, records, sandboxes, isForced }: CleanEvidence<FoundRecord>,
  living: readonly FoundSandbox[],
): Standing {
  const cookies = new Set(living.map(({ netnsCookie }) => netnsCookie));
  const theirs = records.filter(({ netnsCookie }) => cookies.has(netnsCookie));
  const users = new Map<string, string>();
  for (const sandbox of living) {
    for (const index of sandbox.parents) {
      const link = node.links.find(({ ifIndex }) => ifIndex === index);
      if (link !== undefined) users.set(link.ifName, nameOf(sandbox, records));
    }
  }
  for (const { uses, pod, ifName } of theirs) for (const name of uses) users.set(name, `${pod}, ${ifName}`);
  const marksIn = ({ links }: FoundSandbox): readonly string[] =>
    links.flatMap(({ alias }) => markOf(alias)?.containerID ?? []);
  return {
    containerIDs: new Set([...living.flatMap(marksIn), ...theirs.map(({ containerID }) => containerID)]),
    dying: new Set(sandboxes.filter((one) => !living.includes(one)).flatMap(marksIn)),
    isForced,
    addresses: new Set(living.flatMap(({ addresses }) => addresses.map(({ address }) => withoutLength(address)))),
    users,
  };
}

const isMarked = ({ protocol }: { readonly protocol: number }): boolean => protocol === routeProtocol;
const withoutLength = (prefix: string): string => prefix.replace(/\/.*/, '');

/** The pod, where a record names it; else the sandbox by its container ID, or by its namespace. */
function nameOf({ netnsCookie, netns, links }: FoundSandbox, records: readonly FoundRecord[]): string {
  const record = records.find((one) => one.netnsCookie === netnsCookie);
  if (record !== undefined) return record.pod;
  const mark = links.map(({ alias }) => markOf(alias)).find((one) => one !== undefined);
  return `sandbox ${mark?.containerID.slice(0, 12) ?? netns}`;
}

/** Our links, and what of ours hangs on links of others: the rest goes with its link. */
function marksOf({ links, routes, rules, neighbours, hasReplyMarks }: MarkedPlace) {
  const own = links.filter(isOurs);
  const stays = ({ ifName }: { readonly ifName: string }): boolean => !own.some((link) => link.ifName === ifName);
  return {
    links: own,
    routes: routes.filter((route) => isMarked(route) && stays(route)),
    neighbours: neighbours.filter((one) => isMarked(one) && stays(one)),
    rules: rules.filter(isMarked),
    hasReplyMarks,
  };
}

function keptSandbox(sandbox: FoundSandbox, records: readonly FoundRecord[]): CleanItem<never>[] {
  const { links, rules, hasReplyMarks } = marksOf(sandbox);
  const routes = sandbox.routes.filter(isMarked);
  const parts = [
    ...links.map(({ ifName }) => `link ${ifName}`),
    ...count(routes.length, 'route'),
    ...count(rules.length, 'rule'),
    ...(hasReplyMarks ? ['reply marks'] : []),
  ];
  if (parts.length === 0) return [];
  const why = 'processes are in this sandbox';
  return [{ what: `${parts.join(', ')} of ${nameOf(sandbox, records)}`, netns: sandbox.netns, why }];
}

const count = (number: number, what: string): string[] =>
  number === 0 ? [] : [`${number} ${what}${number === 1 ? '' : 's'}`];

function sandboxItems(sandbox: FoundSandbox, records: readonly FoundRecord[]): CleanItem<never>[] {
  const { netns, netnsCookie, isInhabited } = sandbox;
  const owner = nameOf(sandbox, records);
  const why = isInhabited ? `of ${owner}, which is alive: forced` : `of ${owner}, in which no process is`;
  const remove = (what: string, operation: CleanOperation): CleanItem<never> => ({
    what,
    netns,
    why,
    action: { kind: 'operations', netnsCookie, operations: [operation] },
  });
  const marks = marksOf(sandbox);
  const undone = records.filter((one) => one.netnsCookie === netnsCookie && one.coordination.length > 0);
  return [
    ...undone.toReversed().map(
      ({ ifName, coordination }): CleanItem<never> => ({
        what: `what ties ${ifName} to the node`,
        netns,
        why,
        action: { kind: 'undo', netnsCookie, operations: coordination },
      }),
    ),
    ...removals(marks, remove),
    ...marks.rules.map((rule) => remove(`rule to table ${rule.table}`, { op: 'delete-rule', rule })),
    ...(marks.hasReplyMarks ? [remove('reply marks', { op: 'delete-reply-marks' })] : []),
    ...marks.links.map(({ ifName, kind = 'device' }) =>
      remove(`link ${ifName} (${kind})`, { op: 'delete-link', ifName }),
    ),
  ];
}

const removals = <Item>(
  { routes, neighbours }: Pick<MarkedPlace, 'routes' | 'neighbours'>,
  remove: (what: string, operation: CleanOperation) => Item,
): Item[] => [
  ...routes.map((route) => remove(routeName(route), { op: 'delete-route', route })),
  ...neighbours.map((neighbour) => remove(neighbourName(neighbour), { op: 'delete-neighbour', neighbour })),
];

const routeName = ({ dst, ifName, table }: PolicyTableRoute): string => `route to ${dst} on ${ifName}, table ${table}`;
const neighbourName = ({ address, ifName }: NeighbourEntry): string => `neighbour ${address} on ${ifName}`;

function recordItem<Noted extends FoundRecord>(
  record: Noted,
  sandboxes: readonly FoundSandbox[],
  living: readonly FoundSandbox[],
): CleanItem<Noted> {
  const { pod, ifName, device } = record;
  const what = `record of ${pod}, ${ifName}${device === undefined ? '' : `, which has ${device}`}`;
  const isIts = ({ netnsCookie }: FoundSandbox): boolean => netnsCookie === record.netnsCookie;
  if (living.some(isIts)) return { what, why: 'processes are in this sandbox' };
  const found = sandboxes.find(isIts);
  const why =
    found === undefined
      ? 'its namespace is gone'
      : found.isInhabited
        ? 'its pod is alive: forced'
        : 'no process is in it';
  return { what, why, action: { kind: 'record', record } };
}

function nodeItems(node: MarkedPlace, standing: Standing): CleanItem<never>[] {
  const remove = (what: string, operation: CleanOperation, why: string): CleanItem<never> => ({
    what,
    why,
    action: { kind: 'operations', operations: [operation] },
  });
  const isNeeded = (address: string): boolean => standing.addresses.has(withoutLength(address));
  const marks = marksOf(node);
  const ends = marks.links.filter((link) => !isOurShared(link)).map((link) => ({ link, why: whyKept(link, standing) }));
  const kept = new Set(ends.flatMap(({ link, why }) => (why === undefined ? [] : [link.ifName])));
  const routes = node.routes.filter(isMarked);
  const needed = routes.filter(({ dst, ifName }) => isNeeded(dst) || kept.has(ifName));
  const hangingOn = new Set(ends.map(({ link }) => link.ifName));
  return [
    ...ends.map(({ link: { ifName, kind = 'hardware' }, why }) => {
      const what = `link ${ifName} (${kind})`;
      return why === undefined ? remove(what, { op: 'delete-link', ifName }, 'its sandbox goes') : { what, why };
    }),
    ...routes
      .filter((route) => !hangingOn.has(route.ifName) || needed.includes(route))
      .map((route) => {
        const what = routeName(route);
        if (kept.has(route.ifName)) return { what, why: `${route.ifName} stays` };
        if (needed.includes(route)) return { what, why: 'a living pod has this address' };
        return remove(what, { op: 'delete-route', route }, 'no pod has this address');
      }),
    ...marks.neighbours.map((neighbour) =>
      isNeeded(neighbour.address)
        ? { what: neighbourName(neighbour), why: 'a living pod has this address' }
        : remove(neighbourName(neighbour), { op: 'delete-neighbour', neighbour }, 'no pod has this address'),
    ),
    ...marks.rules.map((rule) => {
      const what = `IPv${rule.family} rule to table ${rule.table}`;
      const left = needed.filter((route) => route.table === rule.table && isFamily(route.dst, rule.family)).length;
      return left > 0
        ? { what, why: `it leads to ${left === 1 ? 'a pod that stays' : `${left} pods that stay`}` }
        : remove(what, { op: 'delete-rule', rule }, 'it leads to no pod');
    }),
  ];
}

/** The end of a pair on the node: it is there, so the other end and its namespace are. */
function whyKept({ alias, kind }: ObservedLink, { containerIDs, dying, isForced }: Standing): string | undefined {
  const containerID = markOf(alias)?.containerID;
  if (kind === undefined) return 'it is hardware, which nobody can remove';
  if (containerID === undefined || isForced || dying.has(containerID)) return undefined;
  if (containerIDs.has(containerID)) return 'its sandbox is alive';
  return kind === 'veth' ? 'its other end is in a namespace that is not in sight' : undefined;
}

const isFamily = (address: string, family: 4 | 6): boolean => address.includes(':') === (family === 6);

/** From the top down: what hangs on another one of ours goes before it. */
function sharedItems(node: MarkedPlace, { users }: Standing): CleanItem<never>[] {
  const items: CleanItem<never>[] = [];
  let left = node.links;
  let pending = node.links.filter(isOurShared);
  while (pending.length > 0) {
    const carries = (link: ObservedLink): boolean => pending.some((other) => upperOf(left, link) === other);
    const top = pending.find((link) => !carries(link)) ?? pending[0];
    if (top === undefined) break;
    pending = pending.filter((link) => link !== top);
    const { ifName, kind = 'link' } = top;
    const what = `${kind} ${ifName}, which pods share`;
    const user = users.get(ifName);
    const removal = planSharedRemoval({ links: left, addresses: node.addresses }, ifName);
    if (user !== undefined) items.push({ what, why: `used by ${user}` });
    else if (removal.outcome === 'kept') items.push({ what, why: removal.why });
    else if (removal.outcome === 'remove') {
      const operations = removal.operations.flatMap(({ op, ifName }) =>
        op === 'delete-link' || op === 'set-up' || op === 'remove-port' ? [{ op, ifName }] : [],
      );
      items.push({ what, why: 'no pod uses it', action: { kind: 'operations', operations } });
      left = left.filter((link) => link !== top);
    }
  }
  return items;
}
