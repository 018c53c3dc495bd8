import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client, Connection, type ScheduleDescription, ScheduleOverlapPolicy } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { podNetworkId } from '../../contracts/attachment.ts';
import type { IPClaimSpec } from '../../contracts/crds/ipclaim.ts';
import { type NodeCheckActivities, type NodeCheckRequest, nodeCheckId } from '../../contracts/node-check.ts';
import { reclaimId, type SweepReport, zombieSweepSchedule, zombieSweepWorkflow } from '../../contracts/sweep.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { type Stack, startStack } from '../../deploy/dev/stack.ts';
import { type ApiClient, openApiClient } from '../../kube/api-client.ts';
import { hasStatus } from '../../kube/api-error.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import { SubnetBook } from '../../kube/subnet-book.ts';
import { holderOf } from '../../kube/testing/claim-fixtures.ts';
import { controlNamespace, nodeNamespace, nodeQueue } from '../../temporal-config/queues.ts';
import { type ControlTemporal, startControlTemporal } from '../../workers/control/temporal/control-temporal.ts';
import { openNodeNamespace } from '../../workers/control/temporal/node-namespace.ts';
import { ensureSweepSchedule, sweepAction } from '../../workers/control/temporal/sweep-schedule.ts';
import { silent } from '../../workers/node/testing/node-world.ts';
import { bundleToday, installQuietRuntime } from '../testing/sandbox-stage.ts';

let stack: Stack;
let api: ApiClient;
let bundle: Awaited<ReturnType<typeof bundleToday>>;
let connection: Connection;
let native: NativeConnection;
let control: Client;
let nodes: Client;
const replicas: ControlTemporal[] = [];
let nodeWorker: Worker;
let nodeWorking: Promise<void>;

beforeAll(async () => {
  installQuietRuntime();
  [stack, bundle] = await Promise.all([startStack({ nodes: [] }), bundleToday()]);
  api = openApiClient(await endpointOf(stack.kubeconfigs.admin));
  connection = await Connection.connect({ address: stack.temporalAddress });
  native = await NativeConnection.connect({ address: stack.temporalAddress });
  control = new Client({ connection, namespace: controlNamespace });
  nodes = new Client({ connection, namespace: nodeNamespace });
  await write('POST', '/api/v1/nodes', { metadata: { name: 'r7-n1' } });
  await write('POST', '/api/v1/namespaces', { metadata: { name: 'pay' } });
  await write('POST', '/api/v1/namespaces/pay/serviceaccounts', { metadata: { name: 'default' } });
  nodeWorker = await startNodeWorker('r7-n1');
  nodeWorking = nodeWorker.run();
  // Sweeps come when a test asks, and by the schedule only where it says so.
  await ensureSweepSchedule(control);
  await schedule().pause('by the test');
  replicas.push(replica('a'), replica('b'));
  await eventually('Both replicas poll', 30, () => {
    const states = replicas.map(({ isConnected }) => isConnected);
    return states.every(Boolean) ? { value: true } : { state: states.join() };
  });
}, 120_000);
afterAll(async () => {
  await Promise.all(replicas.map((one) => one.stop()));
  nodeWorker?.shutdown();
  await nodeWorking;
  await native?.close();
  await connection?.close();
  await api?.close();
  await bundle?.remove();
  await stack?.stop();
}, 60_000);
beforeEach(() => {
  asked.length = 0;
});
afterEach(async () => {
  await write('DELETE', claimsPath);
  await write('DELETE', '/api/v1/namespaces/pay/pods', { gracePeriodSeconds: 0 });
});

const schedule = () => control.schedule.getHandle(zombieSweepSchedule);
const replica = (name: string): ControlTemporal =>
  startControlTemporal({
    address: stack.temporalAddress,
    controlNamespace,
    nodeNamespace,
    workflowBundle: bundle.codePath,
    identity: name,
    api,
    subnets: new SubnetBook({ api }),
    poolSurplus: 1,
    log: silent,
    answerMs: 5000,
  });

const claimsPath = '/apis/orbweaver.io/v1alpha1/ipclaims';
const write = <Answer>(method: 'POST' | 'DELETE', path: string, body?: object): Promise<Answer> =>
  api.request<Answer>({ method, path, body, timeoutMs: 10_000 });

/** A claim as a node worker writes it. */
const claim = (
  name: string,
  some: Parameters<typeof holderOf>[0] = {},
  more: Partial<IPClaimSpec> = {},
): Promise<unknown> =>
  write('POST', claimsPath, {
    apiVersion: 'orbweaver.io/v1alpha1',
    kind: 'IPClaim',
    metadata: { name },
    spec: { address: `${name}/22`, pool: 'rack7-v4', phase: 'Bound', holders: [holderOf(some)], ...more },
  });
const claimNames = async (): Promise<readonly string[]> => {
  const { items } = await api.request<{ items: { metadata: { name: string } }[] }>({
    method: 'GET',
    path: claimsPath,
    timeoutMs: 10_000,
  });
  return items.map(({ metadata }) => metadata.name).sort();
};
const pod = async (name: string): Promise<string> => {
  const body = {
    metadata: { name },
    spec: { nodeName: 'r7-n1', automountServiceAccountToken: false, containers: [{ name: 'c', image: 'none' }] },
  };
  return (await write<{ metadata: { uid: string } }>('POST', '/api/v1/namespaces/pay/pods', body)).metadata.uid;
};

function ifAbsent(error: unknown): void {
  if (!hasStatus(error, 404)) throw error;
}

/** Questions that node workers were asked since the test began. */
const asked: NodeCheckRequest[] = [];
/** As far as `nodeCheck` goes: it releases what it is asked about. */
const nodeActivities: NodeCheckActivities = {
  async checkSuspects(request) {
    asked.push(request);
    await Promise.all(request.claims.map(({ name }) => write('DELETE', `${claimsPath}/${name}`).catch(ifAbsent)));
    return request.claims.map(({ name }) => ({ subject: name, outcome: 'released', reason: 'no such sandbox' }));
  },
};

const startNodeWorker = (node: string): Promise<Worker> =>
  Worker.create({
    connection: native,
    namespace: nodeNamespace,
    taskQueue: nodeQueue(node),
    workflowBundle: { codePath: bundle.codePath },
    activities: nodeActivities,
  });

const { workflowType, ...start } = sweepAction;
const [plan] = start.args;
const sweep = async (workflowId: string = randomUUID(), pauseMs = 100): Promise<SweepReport> =>
  (await control.workflow.execute(workflowType, { ...start, args: [{ ...plan, pauseMs }], workflowId })) as SweepReport;
const verdictsOf = ({ verdicts }: SweepReport): readonly string[] =>
  verdicts.map(({ subject, node, outcome, reason }) => `${subject} on ${node} ${outcome}: ${reason}`).sort();

/** Visibility follows a write a moment later. */
const untilOpenRuns = (count: number): Promise<true> =>
  eventually(`Open runs: ${count}`, 30, async () => {
    const open = await openNodeNamespace(nodes).runs.listOpen();
    return open.length === count ? { value: true } : { state: `${open.length} runs` };
  });

describe('a sweep', () => {
  it('takes garbage away with the word of its node, and leaves the claim of a living pod', async () => {
    const podUID = await pod('api-1');
    await claim('10.70.8.20');
    await claim('10.70.8.21', { pod: 'api-1', podUID });
    const report = await sweep();
    expect(report).toMatchObject({ seen: { claims: 2, openRuns: 0, pods: 1 }, left: [], postponed: 0 });
    expect(verdictsOf(report)).toEqual(['10.70.8.20 on r7-n1 released: no such sandbox']);
    expect(asked.map(({ claims }) => claims.map(({ name }) => name))).toEqual([['10.70.8.20']]);
    expect(await claimNames()).toEqual(['10.70.8.21']);
  });

  it('asks nobody about what has moved between its two looks', async () => {
    await claim('10.70.8.20');
    const sweeping = sweep('moved', 2000);
    await eventually('Its first look is over', 20, async () => {
      const { events } = await control.workflow.getHandle('moved').fetchHistory();
      const isOver = events?.some((event) => event.timerStartedEventAttributes != null);
      return isOver === true ? { value: true } : { state: `${events?.length} events` };
    });
    await write('DELETE', `${claimsPath}/10.70.8.20`);
    await claim('10.70.8.20');
    expect(verdictsOf(await sweeping)).toEqual(['10.70.8.20 on r7-n1 cleared: the claim was made anew']);
    expect(asked).toEqual([]);
    expect(await claimNames()).toEqual(['10.70.8.20']);
  });

  it('asks about an open run of a pod that does not exist, and shows what was said', async () => {
    const identity = { namespace: 'pay', name: 'api-9', uid: 'uid-9' };
    const workflowId = podNetworkId(identity, 'c9');
    await nodes.workflow.start('podNetwork', {
      workflowId,
      taskQueue: nodeQueue('a-queue-that-nobody-polls'),
      args: [],
      searchAttributes: { NodeName: ['r7-n1'], PodNamespace: ['pay'], PodName: ['api-9'], PodUID: ['uid-9'] },
    });
    try {
      await untilOpenRuns(1);
      const report = await sweep('open-run');
      expect(verdictsOf(report)).toEqual([
        `${workflowId} on r7-n1 unanswered: its worker answered, but not about this`,
      ]);
      expect(asked).toMatchObject([{ claims: [], runs: [{ workflowId, pod: identity, containerID: 'c9' }] }]);
      const details = await control.workflow
        .getHandle('open-run')
        .query<{ currentDetails?: string }>('__temporal_workflow_metadata');
      expect(details.currentDetails).toContain(`| \`${workflowId}\` | pay/api-9 | r7-n1 | unanswered |`);
    } finally {
      await nodes.workflow.getHandle(workflowId).terminate('the test is over');
      await untilOpenRuns(0); // the next sweep would ask about it
    }
  });

  it('leaves alone what names a node that does not exist, or is not Ready', async () => {
    await write('POST', '/api/v1/nodes', { metadata: { name: 'r7-n2' } });
    await stack.kubectl(
      'patch',
      'node',
      'r7-n2',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}',
    );
    await claim('10.70.8.20', { node: 'r7-n2' });
    await claim('10.70.8.21', { node: 'r7-n3' });
    const { left, verdicts } = await sweep();
    expect(verdicts).toEqual([]);
    expect(left.map(({ node, subjects }) => `${node} ${subjects.join()}`).sort()).toEqual([
      'r7-n2 10.70.8.20',
      'r7-n3 10.70.8.21',
    ]);
    expect(await claimNames()).toEqual(['10.70.8.20', '10.70.8.21']);
  });

  it('ends what is held for an identity that has ended, wherever its node is, and leaves what is wanted or not known', async () => {
    const selector = { matchLabels: { app: 'api' } };
    const template = { metadata: { labels: { app: 'api' } }, spec: { containers: [{ name: 'c', image: 'none' }] } };
    await write('POST', '/apis/apps/v1/namespaces/pay/statefulsets', {
      metadata: { name: 'api' },
      spec: { replicas: 1, serviceName: 'api', selector, template },
    });
    const held = (name: string, identity: string) => claim(name, { node: 'r7-n9' }, { phase: 'Held', identity });
    await held('10.70.8.20', 'StatefulSet/pay/api/0');
    await held('10.70.8.21', 'StatefulSet/pay/api/1');
    await held('10.70.8.22', 'VirtualMachineInstance/pay/vm-1'); // nobody serves kubevirt.io here
    try {
      expect(verdictsOf(await sweep())).toEqual([
        '10.70.8.21 on r7-n9 released: Held for StatefulSet/pay/api/1, and StatefulSet pay/api has the ordinals 0 to 0 only',
      ]);
      expect(asked).toEqual([]);
      expect(await claimNames()).toEqual(['10.70.8.20', '10.70.8.22']);
    } finally {
      await write('DELETE', '/apis/apps/v1/namespaces/pay/statefulsets/api');
    }
    expect(verdictsOf(await sweep())).toEqual([
      '10.70.8.20 on r7-n9 released: Held for StatefulSet/pay/api/0, and StatefulSet pay/api does not exist',
    ]);
  });

  it('releases nothing of a node whose worker says nothing, and does not wait for it twice', async () => {
    await write('POST', '/api/v1/nodes', { metadata: { name: 'r7-n4' } });
    await claim('10.70.8.20', { node: 'r7-n4' });
    expect(verdictsOf(await sweep())).toEqual(['10.70.8.20 on r7-n4 unanswered: its worker did not answer within 5 s']);
    expect(verdictsOf(await sweep())).toEqual([
      expect.stringMatching(/^10.70.8.20 on r7-n4 unanswered: its worker has not answered since /),
    ]);
    expect(await claimNames()).toEqual(['10.70.8.20']);
    // When it is back it does what it was asked.
    await (await startNodeWorker('r7-n4')).runUntil(nodes.workflow.getHandle(nodeCheckId('r7-n4')).result());
    expect(await claimNames()).toEqual([]);
  });
});

describe('two questions to one node', () => {
  it('are asked one after the other', async () => {
    const { checks } = openNodeNamespace(nodes);
    const question = { reason: 'test', claims: [], runs: [] };
    const answers = await Promise.all([checks.ask('r7-n1', question), checks.ask('r7-n1', question)]);
    expect(answers).toEqual([
      { outcome: 'answered', verdicts: [] },
      { outcome: 'answered', verdicts: [] },
    ]);
    expect(asked).toHaveLength(2);
  });
});

describe('the schedule', () => {
  const intervalsOf = ({ spec }: ScheduleDescription): readonly number[] =>
    (spec.intervals ?? []).map(({ every }) => every);

  it('is one, whoever made it, and one that was paused stays so', async () => {
    await Promise.all([ensureSweepSchedule(control), ensureSweepSchedule(control)]);
    const found = await schedule().describe();
    expect(found.state).toMatchObject({ paused: true, note: 'by the test' });
    expect({ overlap: found.policies.overlap, every: intervalsOf(found) }).toEqual({
      overlap: 'SKIP',
      every: [30_000],
    });
    const all = await Array.fromAsync(control.schedule.list(), ({ scheduleId }) => scheduleId);
    expect(all).toEqual([zombieSweepSchedule]);
  });

  it('is given back its shape when somebody changed it', async () => {
    await schedule().update((found) => ({ ...found, spec: { intervals: [{ every: '7 days' }] } }));
    await ensureSweepSchedule(control);
    expect(intervalsOf(await schedule().describe())).toEqual([30_000]);
  });

  it('starts a sweep, and none beside one that is open', async () => {
    await claim('10.70.8.20'); // so that a sweep takes its pause
    const before = (await schedule().describe()).info;
    await schedule().trigger(ScheduleOverlapPolicy.SKIP);
    await eventually('It started one', 30, async () => {
      const { runningActions } = (await schedule().describe()).info;
      return runningActions.length === 1 ? { value: true } : { state: `${runningActions.length} running` };
    });
    await schedule().trigger(ScheduleOverlapPolicy.SKIP);
    await eventually('It skipped the second', 30, async () => {
      const { numActionsSkippedOverlap: skipped } = (await schedule().describe()).info;
      return skipped === before.numActionsSkippedOverlap + 1 ? { value: true } : { state: `${skipped} skipped` };
    });
    await eventually('It is over', 60, async () => {
      const { runningActions } = (await schedule().describe()).info;
      return runningActions.length === 0 ? { value: true } : { state: `${runningActions.length} running` };
    });
    expect(await claimNames()).toEqual([]);
    const query = `WorkflowType = '${zombieSweepWorkflow}' AND TemporalScheduledById = '${zombieSweepSchedule}'`;
    const runs = await Array.fromAsync(control.workflow.list({ query }), ({ workflowId }) => workflowId);
    expect(runs).toEqual([expect.stringMatching(/^zombie-sweep-\d{4}-/)]);
  });
});

it('goes on with one replica, when the other ends', async () => {
  await replicas[0]?.stop();
  await claim('10.70.8.20');
  expect(verdictsOf(await sweep(reclaimId))).toEqual(['10.70.8.20 on r7-n1 released: no such sandbox']);
});
