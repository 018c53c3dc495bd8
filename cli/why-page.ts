import type { Failure } from '../contracts/failures.ts';
import type { ClaimPhase } from '../contracts/ip-claim.ts';
import { familyName } from '../ipam/address.ts';
import type { Application } from '../ipam/pool-request.ts';
import type { FamilyTrace, LevelTrace, PoolTrace, SelectionTrace } from '../ipam/select-pools.ts';
import type { Paint } from './paint.ts';
import { table } from './table.ts';

/** How the pools of one NIC would be chosen now: the JSON of `orb why`. Nothing was allocated for it. */
export interface WhyPage {
  readonly namespace: string;
  readonly pod: string;
  readonly interface: string;
  /** Empty: the pod has none yet. */
  readonly node: string;
  /** Name of the NetworkAttachmentDefinition, "namespace/name"; absent when nobody names one. */
  readonly network?: string;
  readonly application: Application;
  readonly outcome: 'selected' | 'refused' | 'awaited';
  /** The level that decided, when pools were selected. */
  readonly source?: string;
  /** Why none were. */
  readonly failure?: Failure;
  /** Addresses that it gets although its pools give no new one: they are kept for it. */
  readonly keeps?: readonly string[];
  readonly levels: readonly LevelTrace[];
  readonly families: readonly WhyFamily[];
  /** What the pod, or what it sticks to, has for this NIC: an ADD takes that first, while its pool is among the pools that are named. */
  readonly claims: readonly WhyClaim[];
  readonly warnings: readonly string[];
}

export interface WhyFamily {
  readonly family: 4 | 6;
  /** As named: in the order in which they are written. */
  readonly pools: readonly WhyPool[];
}

export interface WhyPool extends PoolTrace {
  /** 1 is tried first; absent for a pool that is skipped. */
  readonly place?: number;
  /** Absent for a pool that cannot be read. */
  readonly free?: bigint;
}

export interface WhyClaim {
  readonly address: string;
  readonly pool: string;
  readonly phase: ClaimPhase;
  /** What the address sticks to, "StatefulSet/pay/api/0"; absent when it is only this very pod's. */
  readonly keptFor?: string;
}

export interface WhyEvidence
  extends Pick<
    WhyPage,
    'namespace' | 'pod' | 'interface' | 'node' | 'network' | 'application' | 'claims' | 'warnings'
  > {
  readonly trace: SelectionTrace;
  /** Addresses that are free, by pool. */
  readonly free: ReadonlyMap<string, bigint>;
}

export function whyPage({ trace, free, warnings, ...pod }: WhyEvidence): WhyPage {
  const { levels, families, selection } = trace;
  const tried = selection.outcome === 'selected' ? selection.families : [];
  const poolsOf = ({ family, pools }: FamilyTrace): WhyFamily => {
    const order = tried.find((candidates) => candidates.family === family)?.pools.map(({ name }) => name) ?? [];
    return {
      family,
      pools: pools.map((pool) => {
        const place = order.indexOf(pool.name);
        const left = free.get(pool.name);
        return { ...pool, ...(place < 0 ? {} : { place: place + 1 }), ...(left === undefined ? {} : { free: left }) };
      }),
    };
  };
  const keeps = keptAnyway(selection, pod.claims);
  return {
    ...pod,
    outcome: selection.outcome,
    ...(keeps.length === 0 ? {} : { keeps }),
    ...(selection.outcome === 'selected' ? { source: selection.source } : { failure: selection.failure }),
    levels,
    families: families.map(poolsOf),
    warnings: [...warnings, ...(selection.outcome === 'selected' ? selection.warnings : [])],
  };
}

/** None unless there is one of each family: an ADD gets all or nothing. A StatefulSet gives up what is of a pool that is not named. */
function keptAnyway(selection: SelectionTrace['selection'], claims: readonly WhyClaim[]): readonly string[] {
  const named = selection.outcome === 'refused' ? (selection.named ?? []) : [];
  const kept = named.flatMap(({ family, pools, skipped }) => {
    const names = [...pools, ...skipped].map(({ name }) => name);
    const own = claims.filter(({ address }) => address.includes(':') === (family === 6));
    const isKept = ({ pool, keptFor = '' }: WhyClaim): boolean =>
      keptFor.startsWith('StatefulSet/') ? names.includes(pool) : keptFor !== '';
    return own.find(isKept)?.address ?? [];
  });
  return kept.length === named.length ? kept : [];
}

export function renderWhy(page: WhyPage, paint: Paint, columns?: number): string {
  const { namespace, pod, interface: nic, node, network, application, claims, levels, families, warnings } = page;
  const { kind } = application;
  return [
    `${paint('bold', `${namespace}/${pod}, ${nic}`)}: ${verdictOn(page, paint)}`,
    [
      `Node         ${node || 'none yet'}`,
      `Network      ${network ?? 'not known'}`,
      `Application  ${kind === 'Pod' ? 'none: the pod stands alone' : `${kind} ${application.namespace}/${application.name}`}`,
      ...claims.map(
        ({ address, pool, phase, keptFor }) =>
          `Has already  ${address} of ${pool} (${phase}${keptFor === undefined ? '' : `, of ${keptFor}`})`,
      ),
    ].join('\n'),
    section('Levels, the first that names a pool decides', renderLevels(levels, columns), paint),
    ...families.map((family) => section(`${familyName(family.family)} pools`, renderPools(family, columns), paint)),
    ...warnings.map((warning) => `${paint('busy', 'Warning:')} ${warning}`),
  ].join('\n\n');
}

function verdictOn({ outcome, failure, keeps, families }: WhyPage, paint: Paint): string {
  const kept =
    keeps && paint('busy', `keeps ${keeps.join(' and ')}, and would get no new address. ${failure?.message ?? ''}`);
  if (kept !== undefined) return kept + remedyOf(failure, paint);
  if (outcome === 'awaited') return paint('busy', `waits. ${failure?.message ?? ''}`) + remedyOf(failure, paint);
  if (outcome === 'refused') return paint('bad', `no address. ${failure?.message ?? ''}`) + remedyOf(failure, paint);
  const choices = families.map(({ family, pools }) => {
    const inOrder = pools.filter(({ place }) => place !== undefined).sort((a, b) => (a.place ?? 0) - (b.place ?? 0));
    return `${familyName(family)} from ${inOrder.map(({ name }) => name).join(', else ')}`;
  });
  const hasNone = families.some(({ pools }) => pools.every(({ place, free }) => place === undefined || free === 0n));
  return paint(hasNone ? 'busy' : 'good', choices.join('; ')) + (hasNone ? ', where nothing is free' : '');
}

const remedyOf = (failure: Failure | undefined, paint: Paint): string =>
  failure?.remedy === undefined ? '' : `\n${paint('bold', 'Remedy:')} ${failure.remedy}`;

const renderLevels = (levels: readonly LevelTrace[], columns?: number): string =>
  table(
    ['LEVEL', 'OUTCOME', 'SAYS'],
    levels.map(({ source, outcome, says }) => [source, outcomes[outcome], says]),
    columns,
  );

const outcomes = {
  absent: '–',
  pools: 'decides',
  refused: 'refuses',
  awaited: 'waits',
} as const satisfies Record<LevelTrace['outcome'], string>;

/** Which filter decided stands in the table; what it said stands below, where no column cuts it. */
const renderPools = ({ pools }: WhyFamily, columns?: number): string =>
  [
    table(
      ['POOL', 'NAMED AS', 'TRIED', 'FREE', 'FILTERS'],
      pools.map(({ name, namedAs, place, free, verdicts }) => [
        name,
        namedAs === name ? '–' : namedAs,
        place === undefined ? 'no' : String(place),
        free?.toString() ?? '–',
        filtersText(verdicts),
      ]),
      columns,
    ),
    ...pools.flatMap(({ name, verdicts, objection }) => {
      const last = verdicts.at(-1);
      const said = objection ?? (last?.outcome === 'accepts' ? last.because : undefined);
      return said === undefined ? [] : [`${name} ${said}`];
    }),
  ].join('\n');

/** Every filter that was asked, and what the last one did. */
function filtersText(verdicts: PoolTrace['verdicts']): string {
  const last = verdicts.at(-1);
  if (last === undefined) return '–';
  const passed = verdicts.filter(({ outcome }) => outcome === 'passes').map(({ filter }) => filter);
  const decided = last.outcome === 'passes' ? [] : [`${last.filter} ${last.outcome}`];
  return [...(passed.length === 0 ? [] : [`passes ${passed.join(', ')}`]), ...decided].join('; ');
}

const section = (title: string, body: string, paint: Paint): string => `${paint('bold', title)}\n${body}`;
