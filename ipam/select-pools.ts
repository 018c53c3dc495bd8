import type { Failure } from '../contracts/failures.ts';
import type { Family } from './address.ts';
import { listFamilies, noFamilyEnabled, noPoolNamed, noPoolServes } from './failures.ts';
import { findPodNetwork } from './pod-networks.ts';
import { readPodRoutes } from './pod-routes.ts';
import type { PoolCatalogue } from './pool-catalogue.ts';
import { type FilterInput, type FilterVerdict, judgePool } from './pool-filters.ts';
import { type LevelReading, poolLevels } from './pool-levels.ts';
import { type Nominee, nominate } from './pool-nominees.ts';
import type { PoolRequest } from './pool-request.ts';
import type { RouteConf } from './pool-routes.ts';
import { isMalformed, type PoolSnapshot } from './pool-snapshot.ts';
import type { SkippedPool } from './skipped-pool.ts';
import { bySpecificity } from './specific-first.ts';
import { subnetAnnotation, subnetsAnnotation } from './subnet-annotation.ts';

export type PoolSelection =
  | {
      readonly outcome: 'selected';
      /** The level that decided, for a log line. */
      readonly source: string;
      /** Every family that was asked for and that the cluster uses, IPv4 first. The pod needs an address of each. */
      readonly families: readonly FamilyCandidates[];
      /** What is written and has no effect, in sentences, for the log. */
      readonly warnings: readonly string[];
    }
  | {
      readonly outcome: 'refused';
      readonly failure: Failure;
      /** There are such pools, and no filter lets one of each family serve. What a sticky pod has of them it keeps all the same. */
      readonly named?: readonly FamilyCandidates[];
    }
  /** An automatic pool is being made. Worth waiting for: then ask again, with pools that were read later. */
  | { readonly outcome: 'awaited' /** What to say when it does not come in time. */; readonly failure: Failure };

export interface FamilyCandidates {
  readonly family: Family;
  /** Tried in this order, at least one; later ones are backups. */
  readonly pools: readonly PoolSnapshot[];
  readonly skipped: readonly SkippedPool[];
  /** For `toClaimedAddress`. */
  readonly routes: RouteConf;
}

/** How a selection came about, for people: `orb why`. */
export interface SelectionTrace {
  /** Highest precedence first, down to the one that decided. */
  readonly levels: readonly LevelTrace[];
  /** What became of the pools that it names; empty when it refused or awaits. */
  readonly families: readonly FamilyTrace[];
  readonly selection: PoolSelection;
}

export interface LevelTrace {
  readonly source: string;
  readonly outcome: LevelReading['outcome'];
  /** What it names, why it does not count, what is wrong with it. */
  readonly says: string;
}

export interface FamilyTrace {
  readonly family: Family;
  /** In the order in which they are named; those that serve are tried in the order of the selection. */
  readonly pools: readonly PoolTrace[];
}

export interface PoolTrace {
  readonly name: string;
  /** The wildcard that matched it, or its own name. */
  readonly namedAs: string;
  /** In the order of the filters, up to the first that objects or accepts; none for a pool that cannot be asked. */
  readonly verdicts: readonly FilterVerdict[];
  /** Why it is skipped, as the rest of a sentence that begins with its name; absent for a pool that serves. */
  readonly objection?: string;
}

/**
 * Chooses the pools of one NIC: the first level that names any decides, for both families. A named pool that cannot serve is
 * skipped with its reason while its family has another one; a family that was asked for is never dropped, unless the cluster
 * does not use it. Specific pools come first, and otherwise those named first. Total and pure.
 */
export const selectPools = (request: PoolRequest, catalogue: PoolCatalogue): PoolSelection =>
  explainSelection(request, catalogue).selection;

/** The same choice, with every step of it. Nothing is allocated. */
export function explainSelection(request: PoolRequest, catalogue: PoolCatalogue): SelectionTrace {
  const levels: LevelTrace[] = [];
  for (const { source, read } of poolLevels) {
    const reading = read(request, catalogue);
    levels.push({ source, outcome: reading.outcome, says: sayingOf(reading) });
    if (reading.outcome === 'absent') continue;
    if (reading.outcome !== 'pools') return { levels, families: [], selection: reading };
    const families = familiesOf(reading, request, catalogue);
    return {
      levels,
      families: families.map(({ trace }) => trace),
      selection: conclude(source, reading, families, request),
    };
  }
  const sources = poolLevels.map(({ source }) => source);
  const failure = noPoolNamed(sources, catalogue.unreadableDefaults, request.pod);
  return { levels, families: [], selection: { outcome: 'refused', failure } };
}

/** Whether `pod.controller` decides anything here: it costs reads of the pod's owners. */
export function needsController(request: PoolRequest, catalogue: PoolCatalogue): boolean {
  const { pod, cluster } = request;
  const asksForSubnet = [subnetsAnnotation, subnetAnnotation].some((key) => pod.annotations[key] !== undefined);
  if (asksForSubnet && cluster.automaticPools) return true;
  if (catalogue.automatic.size === 0) return false;
  const isAutomatic = ({ name }: PoolTrace): boolean => {
    const pool = catalogue.pools.get(name);
    return pool !== undefined && !isMalformed(pool) && pool.automatic !== undefined;
  };
  return explainSelection(request, catalogue).families.some(({ pools }) => pools.some(isAutomatic));
}

type NamedLevel = Extract<LevelReading, { readonly outcome: 'pools' }>;

/** One family on its way: what was found, and what a person is told of it. */
interface FamilyFinding {
  readonly family: Family;
  readonly pools: readonly PoolSnapshot[];
  readonly skipped: readonly SkippedPool[];
  readonly trace: FamilyTrace;
}

function familiesOf(reading: NamedLevel, request: PoolRequest, catalogue: PoolCatalogue): readonly FamilyFinding[] {
  const findNetwork = once(() => findPodNetwork(request.pod, request.cluster, request.ifName));
  return reading.families
    .filter((family) => request.cluster.families.includes(family))
    .map((family) => {
      const judged = nominate(reading.pools[family], family, catalogue).map((nominee) =>
        judge(nominee, { family, request, findNetwork }),
      );
      return {
        family,
        pools: judged.flatMap(({ serves }) => serves ?? []).toSorted(bySpecificity),
        skipped: judged.flatMap(({ skipped }) => skipped ?? []),
        trace: { family, pools: judged.map(({ trace }) => trace) },
      };
    });
}

interface Judged {
  readonly serves?: PoolSnapshot;
  readonly skipped?: SkippedPool;
  readonly trace: PoolTrace;
}

function judge({ name, namedAs, pool, problem }: Nominee, input: FilterInput): Judged {
  const skip = (reason: string, verdicts: readonly FilterVerdict[] = []): Judged => ({
    skipped: { name, reason, isMissing: pool === undefined },
    trace: { name, namedAs, verdicts, objection: reason },
  });
  if (pool === undefined) return skip(problem ?? 'does not exist');
  if (isMalformed(pool)) return skip(`is malformed (${pool.problem})`);
  const verdicts = judgePool(pool, input);
  const last = verdicts.at(-1);
  if (last?.outcome === 'objects') return skip(last.because, verdicts);
  return { serves: pool, trace: { name, namedAs, verdicts } };
}

function conclude(
  source: string,
  reading: NamedLevel,
  families: readonly FamilyFinding[],
  { pod, network, cluster }: PoolRequest,
): PoolSelection {
  if (families.length === 0) {
    return { outcome: 'refused', failure: noFamilyEnabled(reading.families, cluster.families, source) };
  }
  const podRoutes = readPodRoutes(pod.annotations);
  const routes = {
    cleanGateway: reading.cleanGateway ?? network.cleanGateway,
    podRoutes: podRoutes.outcome === 'routes' ? podRoutes.routes : [],
  };
  const candidates = families.map(({ family, pools, skipped }) => ({ family, pools, skipped, routes }));
  const unserved = families.filter(({ pools }) => pools.length === 0);
  if (unserved.length > 0) {
    const isThere = unserved.every(({ skipped }) => skipped.some(({ isMissing }) => !isMissing));
    const failure = noPoolServes(unserved, source, pod);
    return { outcome: 'refused', failure, ...(isThere && { named: candidates }) };
  }
  if (podRoutes.outcome === 'refused') return podRoutes;
  const dropped = reading.families.filter((family) => !cluster.families.includes(family));
  return {
    outcome: 'selected',
    source,
    families: candidates,
    warnings: [
      ...(reading.warnings ?? []),
      ...(dropped.length > 0
        ? [`${listFamilies(dropped)} of ${source} is left out: this cluster does not use it`]
        : []),
    ],
  };
}

function sayingOf(reading: LevelReading): string {
  switch (reading.outcome) {
    case 'absent':
      return reading.because ?? 'names no pool';
    case 'pools':
      return reading.families
        .map((family) => `${listFamilies([family])}: ${reading.pools[family].join(', ') || 'not used in this cluster'}`)
        .join('; ');
    case 'refused':
    case 'awaited':
      return reading.failure.message;
  }
}

function once<Value>(compute: () => Value): () => Value {
  let computed: { readonly value: Value } | undefined;
  return () => (computed ??= { value: compute() }).value;
}
