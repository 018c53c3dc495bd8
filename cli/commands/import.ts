import { sideBySide } from '../../activities/side-by-side.ts';
import { readClusterSettings } from '../../contracts/cluster-settings.ts';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { SpiderEndpoint } from '../../contracts/crds/spiderendpoint.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { hasStatus } from '../../kube/api-error.ts';
import { claimLabels } from '../../kube/claim-labels.ts';
import { listObjects } from '../../kube/list.ts';
import { deadlineIn } from '../../kube/persist.ts';
import { type PodObject, viewOf } from '../../kube/pod-view.ts';
import { usageError } from '../cli-error.ts';
import { type Cluster, openCluster } from '../cluster.ts';
import { dryRunOf, type ImportReport, renderImport } from '../import-page.ts';
import { type ImportPlan, type Misfit, type PlannedClaim, planImport, type WithdrawnClaim } from '../import-plan.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface ImportOptions {
  readonly kubeconfig?: string;
  readonly dryRun?: boolean;
  readonly output: OutputFormat;
}

const claimsPath = '/apis/orbweaver.io/v1alpha1/ipclaims';
const atOnce = 8;
const writeMs = 5000;
const listMs = 60_000;

/** `orb import`: claims for the addresses that a live Spiderpool has given. Restarts nothing; what it did is there the next time. */
export async function importSpiderpool(options: ImportOptions, terminal: Terminal): Promise<void> {
  const problems: string[] = [];
  const stickiness = readClusterSettings(process.env, problems);
  if (problems.length > 0) throw usageError(problems.join('; '), 'Set these variables as the workers have them');
  const cluster = await openCluster(options.kubeconfig);
  try {
    const plan = planImport({ ...(await readEvidence(cluster)), stickiness });
    const report =
      options.dryRun === true ? dryRunOf(plan) : await cluster.asking('ipclaims', (api) => carryOut(plan, api));
    terminal.print(options.output === 'json' ? toJSON(report) : renderImport(report, terminal.paint, terminal.columns));
  } finally {
    await cluster.close();
  }
}

/** Claims first, then what Spiderpool says, then the pods: a record is judged by pods that were there after it. */
async function readEvidence(cluster: Cluster) {
  const claims = await cluster.claims();
  const pools = await cluster.pools();
  const { endpoints, pods } = await cluster.asking('spiderendpoints and pods', async (api) => {
    const group = '/apis/spiderpool.spidernet.io/v2beta1';
    const found = await listObjects<SpiderEndpoint>(api, { path: `${group}/spiderendpoints` }, deadlineIn(listMs));
    const objects = await listObjects<PodObject>(api, { path: '/api/v1/pods' }, deadlineIn(listMs));
    const views = objects.items.map((pod) => ({ ...viewOf(pod), objectUID: pod.metadata.uid }));
    return { endpoints: found.items, pods: views };
  });
  return { claims, pools, endpoints, pods };
}

async function carryOut(plan: ImportPlan, api: ApiClient): Promise<ImportReport> {
  const withdrawn = await sideBySide(plan.withdraw, atOnce, async (claim) =>
    (await withdraw(claim, api)) ? [claim] : [],
  );
  const made = await sideBySide(plan.create, atOnce, async (claim) => ({ claim, isMade: await create(claim, api) }));
  const overtaken = made.filter(({ isMade }) => !isMade).map(({ claim }) => overtakenBy(claim));
  return {
    isDryRun: false,
    created: made.filter(({ isMade }) => isMade).map(({ claim }) => claim),
    present: plan.present.length,
    withdrawn: withdrawn.flat(),
    misfits: [...plan.misfits, ...overtaken],
  };
}

/** False when somebody claimed the address since it was looked at: the create decides, as for an ADD. */
async function create({ name, spec }: PlannedClaim, api: ApiClient): Promise<boolean> {
  const body: IPClaim = {
    apiVersion: 'orbweaver.io/v1alpha1',
    kind: 'IPClaim',
    metadata: { name, labels: claimLabels(spec) },
    spec,
  };
  try {
    await api.request({ method: 'POST', path: claimsPath, body, timeoutMs: writeMs });
    return true;
  } catch (error) {
    if (hasStatus(error, 409)) return false;
    throw error;
  }
}

/** False when it was changed since it was looked at: a node worker knows more of it than Spiderpool by now. */
async function withdraw({ name, uid, resourceVersion }: WithdrawnClaim, api: ApiClient): Promise<boolean> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } };
  try {
    await api.request({ method: 'DELETE', path: `${claimsPath}/${name}`, body, timeoutMs: writeMs });
    return true;
  } catch (error) {
    if (hasStatus(error, 404) || hasStatus(error, 409)) return false;
    throw error;
  }
}

const overtakenBy = ({ name, spec: { address, pool, holders } }: PlannedClaim): Misfit => ({
  pool,
  address: address.replace(/\/.*/, ''),
  pod: holders.map(({ namespace, pod }) => `${namespace}/${pod}`).join(' '),
  reason: `was claimed by somebody else a moment ago: orb ip ${name}`,
});
