import { routeProtocol } from '../ownership-mark.ts';
import type {
  CoordinationOperation,
  NeighbourEntry,
  Place,
  PolicyRule,
  PolicyTableRoute,
  RouteRank,
} from './coordination-operation.ts';
import type { ObservedCoordination, ObservedTableRoute } from './observed-coordination.ts';

/** A route as a plan asks for it: ours, with the metric that the kernel gives where none is named. */
export type AskedRoute = Omit<PolicyTableRoute, 'protocol' | 'metric'>;

/**
 * A plan while it is made: the operations so far, and the pod's routes and rules as they will be after them. What is there
 * already is asked for without effect.
 */
export class PlanDraft {
  readonly operations: CoordinationOperation[] = [];
  readonly notes: string[] = [];
  readonly #observed: ObservedCoordination;
  #routes: readonly ObservedTableRoute[];
  #rules: readonly PolicyRule[];

  constructor(observed: ObservedCoordination) {
    this.#observed = observed;
    this.#routes = observed.pod.routes;
    this.#rules = observed.pod.rules;
  }

  /** The pod's routes after what is planned. */
  get routes(): readonly ObservedTableRoute[] {
    return this.#routes;
  }

  change(operation: CoordinationOperation): void {
    this.operations.push(operation);
  }

  note(sentence: string): void {
    this.notes.push(sentence);
  }

  /** A link that does not exist yet will begin with the namespace's default. Without the key (no IPv6) there is nothing to set. */
  sysctl(key: string, value: string): void {
    const { sysctls } = this.#observed.pod;
    const was = sysctls[key] ?? sysctls[key.replace(/\.conf\..+\.(?=[^.]+$)/, '.conf.default.')];
    if (was !== undefined && was !== value) this.change({ op: 'set-sysctl', key, value, was });
  }

  address(ifName: string, address: string): void {
    const link = this.#observed.pod.links.find((one) => one.ifName === ifName);
    const isThere = this.#observed.pod.addresses.some(
      (one) => one.ifIndex === link?.ifIndex && one.address === address,
    );
    if (!isThere) this.change({ op: 'add-address', ifName, address });
  }

  /** On the node, what any other link has learned of the address goes: it is from whoever had it before. */
  neighbour(at: Place, asked: Pick<NeighbourEntry, 'ifName' | 'address' | 'mac'>): void {
    const entry: NeighbourEntry = { ...asked, state: 'permanent', protocol: routeProtocol };
    const found = this.#observed[at].neighbours.filter(
      ({ address, ifName }) => address === asked.address && (at === 'node' || ifName === asked.ifName),
    );
    const isAsked = ({ ifName, mac, state }: NeighbourEntry): boolean =>
      ifName === entry.ifName && mac === entry.mac && state === entry.state;
    for (const stale of found.filter((one) => !isAsked(one))) this.change({ op: 'delete-neighbour', at, ...stale });
    if (!found.some(isAsked)) this.change({ op: 'add-neighbour', at, ...entry });
  }

  /** Takes the place of a route of ours that says otherwise; somebody else's stays, and is noted. */
  route(asked: AskedRoute): void {
    const route = ours(asked);
    const rivals = this.#routes.filter((one) => isRival(one, route));
    if (rivals.some((one) => isSame(one, route))) return;
    const foreign = rivals.find(({ protocol }) => protocol !== routeProtocol);
    if (foreign !== undefined) {
      this.note(`${route.dst} stays routed on "${foreign.ifName}" in table ${route.table}, where it was before`);
      return;
    }
    for (const rival of rivals) this.removeRoute(rival);
    this.addRoute(route);
  }

  addRoute(route: PolicyTableRoute, rank?: RouteRank): void {
    this.change({ op: 'add-route', at: 'pod', route, ...(rank === undefined ? {} : { rank }) });
    this.#routes = rank === 'first' ? [route, ...this.#routes] : [...this.#routes, route];
  }

  /** Its rank among its rivals is kept for the way back. */
  removeRoute(route: ObservedTableRoute): void {
    const rivals = this.#routes.filter((one) => isRival(one, route));
    const rank: RouteRank | undefined = rivals.length === 1 ? undefined : rivals[0] === route ? 'first' : 'last';
    const { isHop: _, ...plain } = route;
    this.change({ op: 'delete-route', at: 'pod', route: plain, ...(rank === undefined ? {} : { rank }) });
    this.#routes = this.#routes.filter((one) => one !== route);
  }

  /** A route of the node to its pod. One of the same address on another link is left from a pod that had it before. */
  podRoute(asked: AskedRoute): void {
    const route = ours(asked);
    const found = this.#observed.node.podRoutes.filter((one) => isRival(one, route));
    for (const stale of found.filter((one) => !isSame(one, route))) {
      this.change({ op: 'delete-route', at: 'node', route: stale });
    }
    if (!found.some((one) => isSame(one, route))) this.change({ op: 'add-route', at: 'node', route });
  }

  rule(rule: PolicyRule): void {
    if (this.#rules.some((one) => sameRule(one, rule))) return;
    this.change({ op: 'add-rule', rule });
    this.#rules = [...this.#rules, rule];
  }

  removeRule(rule: PolicyRule): void {
    const found = this.#rules.find((one) => sameRule(one, rule));
    if (found === undefined) return;
    this.change({ op: 'delete-rule', rule: found });
    this.#rules = this.#rules.filter((one) => one !== found);
  }

  /** Whether a rule sends traffic of an address into that table. */
  isLookedUp(family: 4 | 6, table: number): boolean {
    return this.#rules.some((rule) => rule.family === family && rule.table === table && rule.from !== undefined);
  }

  ensureNodeRule(rule: PolicyRule): void {
    const isPlanned = this.operations.some(
      (operation) => operation.op === 'ensure-rule' && sameRule(operation.rule, rule),
    );
    if (isPlanned || this.#observed.node.rules.some((one) => sameRule(one, rule))) return;
    this.change({ op: 'ensure-rule', rule });
  }

  replyMarks(): void {
    if (!this.#observed.pod.hasReplyMarks) this.change({ op: 'add-reply-marks' });
  }
}

/** Metric of an IPv6 route that names none: IP6_RT_PRIO_USER, include/uapi/linux/ipv6_route.h. IPv4's is 0. */
const plainMetric = (dst: string): number => (dst.includes(':') ? 1024 : 0);

const ours = (asked: AskedRoute): PolicyTableRoute => ({
  ...asked,
  protocol: routeProtocol,
  metric: plainMetric(asked.dst),
});

/** What the kernel regards as the same place in a table. */
export const isRival = (one: PolicyTableRoute, other: PolicyTableRoute): boolean =>
  one.table === other.table && one.dst === other.dst && one.metric === other.metric;

const isSame = (one: PolicyTableRoute, other: PolicyTableRoute): boolean =>
  one.ifName === other.ifName && one.gateway === other.gateway && (one.source ?? '') === (other.source ?? '');

const sameRule = (one: PolicyRule, other: PolicyRule): boolean =>
  one.family === other.family &&
  one.priority === other.priority &&
  one.table === other.table &&
  one.from === other.from &&
  one.mark === other.mark;
