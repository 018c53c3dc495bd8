import type { ImportPlan, Misfit, PlannedClaim, WithdrawnClaim } from './import-plan.ts';
import type { Paint } from './paint.ts';
import { table } from './table.ts';

/** What an import did, or with `--dry-run` would do: the JSON of `orb import`. */
export interface ImportReport {
  readonly isDryRun: boolean;
  /** Claims that were made. */
  readonly created: readonly PlannedClaim[];
  /** Addresses that were claimed already for the pod that the record names. */
  readonly present: number;
  /** Claims of an earlier import, taken back: Spiderpool has released their addresses since. */
  readonly withdrawn: readonly WithdrawnClaim[];
  /** Records of which nothing was made, for a person to look at. */
  readonly misfits: readonly Misfit[];
}

export const dryRunOf = ({ create, present, withdraw, misfits }: ImportPlan): ImportReport => ({
  isDryRun: true,
  created: create,
  present: present.length,
  withdrawn: withdraw,
  misfits,
});

export function renderImport(report: ImportReport, paint: Paint, columns?: number): string {
  const { isDryRun, created, present, withdrawn, misfits } = report;
  const would = isDryRun ? 'would be ' : '';
  const counts = [
    `${created.length} claims ${would}made`,
    `${present} were there already`,
    ...(withdrawn.length === 0 ? [] : [`${withdrawn.length} ${would}taken back`]),
    ...(misfits.length === 0
      ? []
      : [paint('bad', `${misfits.length} ${misfits.length === 1 ? 'record does' : 'records do'} not fit`)]),
  ];
  const notes = created.filter(({ note }) => note !== undefined);
  return [
    counts.join(', '),
    ...(created.length === 0 || !isDryRun ? [] : [section('To be made', renderCreated(created, columns), paint)]),
    ...(withdrawn.length === 0
      ? []
      : [section('Released by Spiderpool since the last import', renderWithdrawn(withdrawn, columns), paint)]),
    ...(notes.length === 0 ? [] : [section('To be looked at', renderNotes(notes, columns), paint)]),
    ...(misfits.length === 0
      ? []
      : [section('What does not fit, and was left as it is', renderMisfits(misfits, columns), paint)]),
    ...(isDryRun ? ['Nothing was changed. To do it: orb import'] : []),
  ].join('\n\n');
}

const renderCreated = (created: readonly PlannedClaim[], columns?: number): string =>
  table(
    ['CLAIM', 'POOL', 'PHASE', 'POD', 'NIC', 'NODE', 'KEPT FOR'],
    created.flatMap(({ name, spec: { pool, phase, holders, identity = '–' } }) =>
      holders.map(({ namespace, pod, interface: nic, node }) => [
        name,
        pool,
        phase,
        `${namespace}/${pod}`,
        nic,
        node,
        identity,
      ]),
    ),
    columns,
  );

const renderNotes = (created: readonly PlannedClaim[], columns?: number): string =>
  table(
    ['CLAIM', 'POD', 'NOTE'],
    created.map(({ name, spec: { holders }, note = '' }) => [
      name,
      holders.map(({ namespace, pod }) => `${namespace}/${pod}`).join(' '),
      note,
    ]),
    columns,
  );

const renderWithdrawn = (withdrawn: readonly WithdrawnClaim[], columns?: number): string =>
  table(
    ['CLAIM', 'POD'],
    withdrawn.map(({ name, pod }) => [name, pod]),
    columns,
  );

const renderMisfits = (misfits: readonly Misfit[], columns?: number): string =>
  table(
    ['ADDRESS', 'POOL', 'POD', 'REASON'],
    misfits.map(({ address, pool, pod, reason }) => [address, pool, pod, reason]),
    columns,
  );

const section = (title: string, body: string, paint: Paint): string => `${paint('bold', title)}\n${body}`;
