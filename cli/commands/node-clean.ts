import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { takeBack } from '../../activities/lent-devices.ts';
import type { AttachmentRecord } from '../../activities/node-ports.ts';
import { linksUsedBy } from '../../activities/shared-links.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import { createAttachmentRecords } from '../../kernel/attachment-records.ts';
import { acquireFileLock } from '../../kernel/file-lock.ts';
import { type Kernel, openKernel } from '../../kernel/kernel.ts';
import { asCleanCommand } from '../../network/clean-operation.ts';
import { asCommands } from '../../network/coordination/coordination-commands.ts';
import { endOf, inverseOf } from '../../network/coordination/coordination-operation.ts';
import { type CleanItem, type FoundRecord, planClean } from '../../network/plan-clean.ts';
import { type CleanReport, type CleanReportItem, renderClean } from '../clean-page.ts';
import { CliError, exitCodes } from '../cli-error.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface NodeCleanOptions {
  readonly runDir: string;
  readonly dryRun?: boolean;
  /** Also what living sandboxes use, and while a node worker runs. */
  readonly force?: boolean;
  readonly output: OutputFormat;
}

/** `orb node clean`: everything of ours on this node, found by its marks, and taken away unless a living pod uses it. */
export async function nodeClean(options: NodeCleanOptions, terminal: Terminal): Promise<void> {
  const kernel = openKernel({ threads: 1 });
  try {
    const report = await cleanNode(options, kernel);
    terminal.print(options.output === 'json' ? toJSON(report) : renderClean(report, terminal.paint, terminal.columns));
    const failed = report.items.filter(({ outcome }) => outcome === 'failed').length;
    if (failed > 0) {
      throw new CliError(`${failed} could not be removed`, {
        remedy: 'See why in the list above; it may be repeated',
        exitCode: exitCodes.error,
      });
    }
  } finally {
    await kernel.close();
  }
}

/** Looks, plans, and carries out unless it is a dry run. No node worker begins anything meanwhile. */
export async function cleanNode(
  { runDir, dryRun = false, force = false }: Omit<NodeCleanOptions, 'output'>,
  kernel: Pick<Kernel, 'surveyNode' | 'clean' | 'uncoordinate' | 'returnDevice' | 'canSeeNamespaceMounts'>,
): Promise<CleanReport> {
  const lock = existsSync(runDir) ? acquireFileLock(join(runDir, 'lock')) : 'absent';
  try {
    if (lock === undefined && !dryRun && !force) throw workerRuns(runDir);
    const files = createAttachmentRecords(runDir);
    const { records, unreadable } = await files.list();
    const blind = await whyBlind(kernel, records);
    if (blind !== undefined && !dryRun && !force) throw unsighted(blind);
    const noted = records.map(asFound);
    const { node, sandboxes } = await rootOnly(kernel.surveyNode(records));
    const plan = planClean({ node, sandboxes, records: noted, isForced: force });
    const items: CleanReportItem[] = [];
    for (const item of plan) items.push(dryRun ? foretold(item) : await carriedOut(item, kernel, files));
    if (!dryRun && lock !== undefined) await files.removeDrafts();
    return {
      isDryRun: dryRun,
      items: [
        ...items,
        ...unreadable.map(({ path, reason }) => left(`record ${path}`, `it cannot be read: ${reason}`)),
      ],
      warnings: [
        ...(lock === undefined
          ? [`A node worker runs here (${join(runDir, 'lock')}): what it does meanwhile is not seen`]
          : []),
        ...(lock === 'absent'
          ? [
              `There is no ${runDir}: whether a node worker runs, and what it has written down, is not known (--run-dir)`,
            ]
          : []),
        ...(blind === undefined ? [] : [`Living sandboxes may be taken for gone: ${blind}`]),
      ],
    };
  } finally {
    if (lock !== undefined && lock !== 'absent') lock.release();
  }
}

/** An attachment's record, as far as cleaning goes by it. */
type Noted = FoundRecord & { readonly record: AttachmentRecord };

function asFound(record: AttachmentRecord): Noted {
  const { attachment, pod, netnsCookie, isLeaving, coordination, lease } = record;
  const device = lease?.pciAddress ?? lease?.link?.ifName;
  return {
    record,
    containerID: attachment.containerID,
    ifName: attachment.ifName,
    pod: `${pod.namespace}/${pod.name}`,
    netnsCookie,
    uses: isLeaving === true ? [] : linksUsedBy(record),
    ...(device === undefined ? {} : { device }),
    coordination: endOf(coordination?.operations ?? []),
  };
}

/** Why what this process does not see may be there all the same. */
async function whyBlind(
  kernel: Pick<Kernel, 'canSeeNamespaceMounts'>,
  records: readonly AttachmentRecord[],
): Promise<string | undefined> {
  const directories = records.length === 0 ? ['/run/netns'] : records.map(({ netns }) => dirname(netns));
  for (const directory of new Set(directories)) {
    const sight = await kernel.canSeeNamespaceMounts(directory);
    if (!sight.sees) return sight.reason;
  }
  return undefined;
}

function commandsOf({ action, netns }: CleanItem<Noted>): readonly string[] {
  switch (action?.kind) {
    case 'operations':
      return action.operations.map((operation) => asCleanCommand(operation, netns));
    case 'undo':
      return asCommands(
        action.operations.toReversed().flatMap((operation) => inverseOf(operation) ?? []),
        netns ?? '',
      );
    case 'record':
    case undefined:
      return [];
  }
}

const placeOf = ({ netns }: CleanItem<Noted>): { netns?: string } => (netns === undefined ? {} : { netns });
const left = (what: string, why: string): CleanReportItem => ({ what, why, outcome: 'kept', commands: [] });

function foretold(item: CleanItem<Noted>): CleanReportItem {
  const { what, why, action } = item;
  const outcome = action === undefined ? 'kept' : 'to be removed';
  return { what, ...placeOf(item), outcome, why, commands: commandsOf(item) };
}

async function carriedOut(
  item: CleanItem<Noted>,
  kernel: Pick<Kernel, 'clean' | 'uncoordinate' | 'returnDevice'>,
  files: ReturnType<typeof createAttachmentRecords>,
): Promise<CleanReportItem> {
  const { what, why, action, netns } = item;
  const told = { what, ...placeOf(item), why };
  try {
    switch (action?.kind) {
      case undefined:
        return { ...told, outcome: 'kept', commands: [] };
      case 'record': {
        const { record } = action.record;
        const commands: string[] = [];
        // Only the record knows how its device was.
        if (record.lease !== undefined) {
          await takeBack(record, record.lease, kernel, (done) => void commands.push(...done));
        }
        await files.remove(record.attachment);
        return { ...told, outcome: 'removed', commands };
      }
      case 'undo': {
        const { netnsCookie, operations } = action;
        const { commands } = await kernel.uncoordinate({ netns: netns ?? '', netnsCookie, operations });
        return { ...told, outcome: 'removed', commands };
      }
      case 'operations': {
        const { netnsCookie = '', operations } = action;
        const outcomes = await kernel.clean({ ...(netns === undefined ? {} : { netns, netnsCookie }), operations });
        const refused = outcomes.flatMap((one) => (one.outcome === 'refused' ? [`${one.command}: ${one.why}`] : []));
        const commands = outcomes.flatMap(({ outcome, command }) => (outcome === 'removed' ? [command] : []));
        if (refused.length === 0) return { ...told, outcome: 'removed', commands };
        return { ...told, outcome: 'failed', why: refused.join('; '), commands };
      }
    }
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    return { ...told, outcome: 'failed', why: error.message, commands: [] };
  }
}

async function rootOnly<Result>(survey: Promise<Result>): Promise<Result> {
  try {
    return await survey;
  } catch (cause) {
    if (!(cause instanceof ProvisionError)) throw cause;
    throw new CliError(`Cannot look at this node: ${cause.message}`, { remedy: 'Run it on the node, as root', cause });
  }
}

const workerRuns = (runDir: string): CliError =>
  new CliError(`A node worker runs here: it has the lock of ${runDir}, and would work against this`, {
    remedy: 'Take it off the node first; see what there is: orb node clean --dry-run; or go on all the same: --force',
  });

const unsighted = (reason: string): CliError =>
  new CliError(`Cannot tell which sandboxes live: ${reason}`, {
    remedy: 'Run it in the host’s namespaces, for example in the node worker’s pod; or go on all the same: --force',
  });
