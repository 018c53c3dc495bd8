import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { NodeCheckRequest, NodeCheckVerdict } from '../../contracts/node-check.ts';
import { nodeCheckId, nodeCheckWorkflow } from '../../contracts/node-check.ts';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { nodeQueue } from '../../temporal-config/queues.ts';
import { Fleet } from '../fleet/fleet.ts';
import type { FleetPod } from '../fleet/fleet-pod.ts';
import { violationsOf } from './invariants.ts';
import { ReclaimTimes } from './reclaim-times.ts';

const events = 5;
const perEvent = 10;

let fleet: Fleet;
beforeAll(async () => {
  // The node's own part: no sweep asks it meanwhile, and its worker starts as fast as on users' nodes.
  fleet = await Fleet.start({ nodes: ['n1'], controlWorkers: 0, faults: false });
  await fleet.stack.apply(underlayPool('v4', 4, ['10.70.8.1-10.70.8.250']));
}, 120_000);
afterAll(() => fleet?.stop(), 60_000);
afterEach(async () => {
  await fleet.removePods(made.splice(0)); // what a test that failed has left
  await eventually('No claim and no run is left, and nothing contradicts', 30, async () => {
    const state = await fleet.cluster.state();
    const claims = state.claims.map(({ metadata }) => metadata.name);
    const left = [...claims, ...(await fleet.cluster.openRuns()), ...violationsOf(state)];
    return left.length === 0 ? { value: true } : { state: left.join('\n') };
  });
}, 60_000);

const made: FleetPod[] = [];
/** What the last ADDs took, all at once: a busy machine takes so much longer to give addresses back, too. */
let usualSeconds = 0;

async function attached(count: number): Promise<[FleetPod, ...FleetPod[]]> {
  const [first, ...others] = await fleet.pods(count, fleet.node());
  if (first === undefined) throw new RangeError('No pod was asked for');
  const pods: [FleetPod, ...FleetPod[]] = [first, ...others];
  made.push(...pods);
  let left: readonly FleetPod[] = pods;
  await eventually(`${count} sandboxes attached`, 30, async () => {
    const startedAt = performance.now();
    const answers = await fleet.callAll('ADD', left, 10); // one that failed is repeated, as by kubelet
    usualSeconds = (performance.now() - startedAt) / 1000;
    left = left.filter((_, index) => answers[index]?.exitCode !== 0);
    const failed = answers.find(({ exitCode }) => exitCode !== 0);
    return failed === undefined ? { value: true } : { state: `${left.length} are not: ${JSON.stringify(failed.body)}` };
  });
  return pods;
}

const removeNamespaces = (pods: readonly FleetPod[]): Promise<void> => fleet.node().removeNamespaces(pods);

async function claimsOf(pods: readonly FleetPod[]): Promise<readonly string[]> {
  const containers = new Set(pods.map(({ containerID }) => containerID));
  return (await fleet.cluster.claims())
    .filter(({ spec }) => spec.holders.some(({ containerID }) => containers.has(containerID)))
    .map(({ metadata, spec }) => `${metadata.name} ${spec.phase}`);
}

/** Measures an event: how long each claim of these pods is still there, from now on. The limit is for a machine that is not busy. */
async function timeReclaim(times: ReclaimTimes, pods: readonly FleetPod[], limitSeconds: number): Promise<void> {
  await times.untilFreed(
    () => fleet.cluster.claims(),
    new Set(pods.map(({ containerID }) => containerID)),
    limitSeconds + usualSeconds,
  );
}

describe('addresses whose DEL never came', () => {
  it(`are back within 2 s after pod and sandbox are gone: ${events} events of ${perEvent}`, async () => {
    const times = new ReclaimTimes('missed DEL');
    for (let event = 0; event < events; event += 1) {
      const pods = await attached(perEvent);
      // Which of the two goes last is the other way round in every second event.
      const ends = [() => fleet.deletePods(pods), () => removeNamespaces(pods)];
      const [first, last] = event % 2 === 0 ? ends : ends.toReversed();
      await first?.();
      expect(await claimsOf(pods)).toHaveLength(perEvent);
      await last?.();
      await timeReclaim(times, pods, 2);
    }
    times.print();
    expect(times.count).toBe(events * perEvent);
  }, 180_000);

  it(`are back within 10 s after the start of a worker that was away: ${events} events of ${perEvent}`, async () => {
    const times = new ReclaimTimes('missed while the worker was away');
    for (let event = 0; event < events; event += 1) {
      const pods = await attached(perEvent);
      await fleet.node().worker.stop('SIGKILL');
      await fleet.deletePods(pods);
      await removeNamespaces(pods);
      fleet.node().worker.start();
      await timeReclaim(times, pods, 10);
    }
    times.print();
    expect(times.count).toBe(events * perEvent);
  }, 240_000);

  it(`are back within 10 s after the start of a machine that booted: ${events} events of ${perEvent}`, async () => {
    const times = new ReclaimTimes('reboot');
    const { worker, node } = fleet.node();
    for (let event = 0; event < events; event += 1) {
      const pods = await attached(perEvent);
      await worker.stop('SIGKILL');
      await fleet.deletePods(pods);
      await removeNamespaces(pods);
      for (const lost of ['attachments', 'alive']) await rm(join(node.paths.run, lost), { recursive: true }); // tmpfs
      await writeFile(node.paths.bootIdFile, `${crypto.randomUUID()}\n`);
      worker.start();
      await timeReclaim(times, pods, 10);
    }
    times.print();
    expect(times.count).toBe(events * perEvent);
  }, 240_000);
});

describe('a node that is asked what looks abandoned', () => {
  async function ask(request: Partial<NodeCheckRequest>): Promise<readonly NodeCheckVerdict[]> {
    return await fleet.temporal.workflow.execute<(request: NodeCheckRequest) => Promise<readonly NodeCheckVerdict[]>>(
      nodeCheckWorkflow,
      {
        taskQueue: nodeQueue(fleet.node().name),
        workflowId: nodeCheckId(fleet.node().name),
        args: [{ reason: 'test', claims: [], runs: [], ...request }],
        workflowExecutionTimeout: '1 minute',
      },
    );
  }
  const uidOf = async (name: string): Promise<string> =>
    (await fleet.cluster.claims()).find(({ metadata }) => metadata.name === name)?.metadata.uid ?? '';
  const runOf = ({ namespace, name, uid, containerID, workflowId }: FleetPod) => ({
    workflowId,
    containerID,
    pod: { namespace, name, uid },
  });

  it('releases a claim that somebody wrote by hand, and keeps that of a living pod', async () => {
    const [pod] = await attached(1);
    const [claim] = (await fleet.cluster.claims()).map(({ spec }) => spec);
    const name = '10.70.8.251';
    const body = {
      apiVersion: 'orbweaver.io/v1alpha1',
      kind: 'IPClaim',
      metadata: { name },
      spec: {
        ...claim,
        address: `${name}/16`,
        holders: claim?.holders.map((holder) => ({
          ...holder,
          pod: 'nobody',
          podUID: 'nobody',
          containerID: 'nowhere',
          netns: '/run/netns/nowhere',
          netnsCookie: '4711',
        })),
      },
    };
    const path = '/apis/orbweaver.io/v1alpha1/ipclaims';
    await fleet.api.request({ method: 'POST', path, body, timeoutMs: 5000 });
    const [own = ''] = (await claimsOf([pod])).map((line) => line.replace(/ .*/, ''));
    const claims = await Promise.all([name, own].map(async (one) => ({ name: one, uid: await uidOf(one) })));
    expect(await ask({ claims })).toEqual([
      { subject: name, outcome: 'released', reason: 'its network namespace is gone' },
      { subject: own, outcome: 'kept', reason: `pod default/${pod.name} is alive` },
    ]);
    expect(await claimsOf([pod])).toHaveLength(1);
  }, 60_000);

  it('keeps the run of a living sandbox, and ends it once the sandbox is gone', async () => {
    const [pod] = await attached(1);
    expect(await ask({ runs: [runOf(pod)] })).toMatchObject([{ outcome: 'kept' }]);
    await removeNamespaces([pod]);
    expect(await ask({ runs: [runOf(pod)] })).toMatchObject([{ outcome: 'released' }]);
    expect((await fleet.temporal.workflow.getHandle(pod.workflowId).describe()).status.name).toBe('COMPLETED');
    expect(await claimsOf([pod])).toEqual([expect.stringMatching(/ Held$/)]);
  }, 60_000);

  it('leaves a pod its address when its run was terminated by hand: its DEL works, and so does a reclaim', async () => {
    const pods = await attached(2);
    const [withDel, without] = pods;
    for (const { workflowId } of pods) await fleet.temporal.workflow.getHandle(workflowId).terminate('by hand');
    expect(await claimsOf(pods)).toHaveLength(2);
    expect(violationsOf(await fleet.cluster.state())).toEqual([]);

    await fleet.deletePods(pods);
    expect(await withDel?.del()).toMatchObject({ exitCode: 0 });
    expect(await claimsOf(pods)).toHaveLength(1);
    await removeNamespaces(pods);
    const times = new ReclaimTimes('run terminated by hand');
    await timeReclaim(times, without === undefined ? [] : [without], 2);
  }, 60_000);
});
