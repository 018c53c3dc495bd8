import { type CliError, notFound } from '../cli-error.ts';
import { openCluster } from '../cluster.ts';
import { type Explanation, explain, type RunSummary } from '../explanation.ts';
import { renderExplanation } from '../explanation-page.ts';
import { checkSandbox, type PodName, parsePodName } from '../pod-name.ts';
import { type PodRow, podRows } from '../pod-table.ts';
import { readRunHistory } from '../run-history.ts';
import { openTemporal, type TemporalRuns } from '../temporal-runs.ts';
import { wallClock } from '../wall-clock.ts';
import { askForSandbox } from '../worker-socket.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface ExplainOptions {
  readonly kubeconfig?: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  /** Container ID or its beginning; absent: the newest run. */
  readonly sandbox?: string;
  readonly runDir: string;
  readonly output: OutputFormat;
}

/** `orb explain pod NAMESPACE/NAME`: what happened to a pod's network, why, and what to do. */
export async function explainPod(text: string, options: ExplainOptions, terminal: Terminal): Promise<void> {
  const pod = parsePodName(text);
  const sandbox = options.sandbox === undefined ? undefined : checkSandbox(options.sandbox);
  const claims = readClaims(pod, options.kubeconfig);
  const temporal = await openTemporal({ address: options.temporalAddress, namespace: options.temporalNamespace });
  try {
    const told = await gather(pod, sandbox, temporal, await claims);
    const explanation = { ...told, ...(await lookAtKernel(pod, told, options.runDir)) };
    if (options.output === 'json') return terminal.print(toJSON(explanation));
    terminal.print(renderExplanation(explanation, wallClock(Date.now()), terminal.paint, terminal.columns));
  } finally {
    await temporal.close();
  }
}

async function gather(
  pod: PodName,
  sandbox: string | undefined,
  temporal: TemporalRuns,
  read: ReadClaims,
): Promise<Explanation> {
  const runs = await temporal.runsOf(pod);
  const run = runs.find(({ containerID }) => containerID.startsWith(sandbox ?? ''));
  if (run === undefined && (sandbox !== undefined || !read.claims?.length)) throw nothingKnown(pod, sandbox, runs);
  const [history, live] =
    run === undefined
      ? []
      : await Promise.all([temporal.history(run), run.status === 'RUNNING' ? temporal.describe(run) : undefined]);
  return explain({
    ...pod,
    ...(run === undefined ? {} : { run }),
    ...(history === undefined ? {} : { history: readRunHistory(history) }),
    ...(live === undefined ? {} : { live }),
    others: runs.filter((other) => other !== run),
    ...read,
  });
}

/** What the pod's sandbox has in the kernel: known on its own node only, and from its worker. */
async function lookAtKernel(
  { namespace, name }: PodName,
  { run, interfaces }: Explanation,
  runDir: string,
): Promise<Pick<Explanation, 'onNode' | 'notOnNode'>> {
  if (run === undefined || interfaces.length === 0) return {};
  const { containerID, node } = run;
  try {
    const report = await askForSandbox(runDir, { namespace, name, containerID });
    if (report.node === node) return { onNode: report.attachments };
    return { notOnNode: `this is node ${report.node}, the pod is on ${node}: run it there` };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { notOnNode: `they are seen on node ${node}: run it there. Here: ${why}` };
  }
}

interface ReadClaims {
  readonly claims: readonly PodRow[] | undefined;
  readonly warnings: readonly string[];
}

/** The run tells the story; without the API server it is told without the claims. */
async function readClaims({ namespace, name }: PodName, kubeconfig: string | undefined): Promise<ReadClaims> {
  try {
    const cluster = await openCluster(kubeconfig);
    try {
      return { claims: podRows(await cluster.claims(), { namespace, pod: name }), warnings: [] };
    } finally {
      await cluster.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { claims: undefined, warnings: [`Claims are not shown. ${why}`] };
  }
}

function nothingKnown(
  { namespace, name }: PodName,
  sandbox: string | undefined,
  runs: readonly RunSummary[],
): CliError {
  const pod = `${namespace}/${name}`;
  if (sandbox !== undefined && runs.length > 0) {
    return notFound(`No run of ${pod} belongs to sandbox ${sandbox}`, `All its runs: orb explain pod ${pod}`);
  }
  return notFound(
    `Neither Temporal nor the API server knows anything about the network of ${pod}`,
    `See whether the pod was given to a node: kubectl -n ${namespace} get pod ${name} -o wide; there: orb node`,
  );
}
