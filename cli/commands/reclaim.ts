import { surveyZombies } from '../../activities/sweep.ts';
import { createSuspectReader } from '../../kube/suspect-reader.ts';
import { openCluster } from '../cluster.ts';
import { dryRunOf, renderDryRun, renderReport } from '../sweep-page.ts';
import { openTemporalSweeps, type TemporalSweeps } from '../temporal-sweeps.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface ReclaimOptions {
  readonly kubeconfig?: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly controlNamespace: string;
  readonly dryRun?: boolean;
  readonly output: OutputFormat;
}

/** `orb reclaim`: a sweep now, instead of within half a minute. With `--dry-run` its first look, made here. */
export async function reclaim(options: ReclaimOptions, terminal: Terminal): Promise<void> {
  const { temporalAddress: address, temporalNamespace: namespace, controlNamespace, output } = options;
  const sweeps = await openTemporalSweeps({ address, namespace, controlNamespace });
  try {
    if (options.dryRun === true) return await dryRun(sweeps, options, terminal);
    if (output === 'text') terminal.printError('Sweeping; suspects are looked at twice, with 10 s between.');
    const report = await sweeps.sweep();
    terminal.print(output === 'json' ? toJSON(report) : renderReport(report, terminal.paint, terminal.columns));
  } finally {
    await sweeps.close();
  }
}

async function dryRun(sweeps: TemporalSweeps, options: ReclaimOptions, terminal: Terminal): Promise<void> {
  const cluster = await openCluster(options.kubeconfig);
  try {
    const survey = await cluster.asking('claims, pods and nodes', async (api) => {
      // Lists are given time to be long: a server that is away is found out first.
      await api.request({ method: 'GET', path: '/version', timeoutMs: 3000 });
      return await surveyZombies(
        { ...createSuspectReader(api), runs: { listOpen: () => sweeps.openRuns() } },
        everything,
        0,
      );
    });
    const found = dryRunOf(survey);
    terminal.print(options.output === 'json' ? toJSON(found) : renderDryRun(found, terminal.paint, terminal.columns));
  } finally {
    await cluster.close();
  }
}

const everything = { suspects: Number.POSITIVE_INFINITY, suspectsPerNode: Number.POSITIVE_INFINITY };
