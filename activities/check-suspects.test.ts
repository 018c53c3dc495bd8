import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Attachment } from '../contracts/attachment.ts';
import type { NodeCheckVerdict, SuspectRun } from '../contracts/node-check.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { node } from '../workers/node/testing/node-world.ts';
import { ReclaimStage } from '../workers/node/testing/reclaim-stage.ts';
import { createCheckSuspects, type SuspectRuns } from './check-suspects.ts';

/** Open runs, by workflow ID: what each was started with, and whether it ends once its sandbox is undone. */
class MemoryRuns implements SuspectRuns {
  readonly open = new Map<string, { readonly first: AddRequest; readonly reacts: boolean }>();
  readonly terminated: string[] = [];
  knows: readonly Attachment[] = [];

  async firstRequest(workflowId: string) {
    return this.open.get(workflowId)?.first;
  }
  async attachments() {
    return this.knows;
  }
  async hasEnded(workflowId: string) {
    return this.open.get(workflowId)?.reacts !== false;
  }
  async terminate(workflowId: string, reason: string) {
    this.open.delete(workflowId);
    this.terminated.push(`${workflowId}: ${reason}`);
  }
}

let stage: ReclaimStage;
let runs: MemoryRuns;
let heartbeats: number;
beforeEach(async () => {
  stage = await ReclaimStage.open();
  runs = new MemoryRuns();
  heartbeats = 0;
});

async function check(suspects: {
  readonly claims?: readonly { readonly name: string; readonly uid: string }[];
  readonly runs?: readonly SuspectRun[];
}): Promise<readonly NodeCheckVerdict[]> {
  const { claims, locks, ports } = stage.worker;
  const checkSuspects = createCheckSuspects({
    node,
    claims,
    locks,
    records: stage.records,
    pods: { findLive: (pod) => ports.pods.find(pod) },
    kernel: ports.kernel,
    detach: stage.detach,
    runs,
    heartbeat: () => void (heartbeats += 1),
    log: ports.log,
  });
  return await checkSuspects({ reason: 'zombieSweep: the pod is gone', claims: [], runs: [], ...suspects });
}

const suspectClaims = () =>
  stage.world.api.all().map(({ metadata }) => ({ name: metadata.name, uid: metadata.uid ?? '' }));
const checkClaims = async () => await check({ claims: suspectClaims() });
const checkOne = async (): Promise<Omit<NodeCheckVerdict, 'subject'>> => {
  const [verdict, ...others] = await checkClaims();
  if (verdict === undefined || others.length > 0) throw new Error('There is not exactly one suspect');
  const { subject: _, ...rest } = verdict;
  return rest;
};
const holds = (): readonly string[] => stage.world.holds;

const holder = (more = {}) => ({
  namespace: 'pay',
  pod: 'api-0',
  podUID: 'uid-of-api-0',
  interface: 'eth0',
  network: 'underlay',
  containerID: 'c9',
  netns: '/run/netns/c9',
  netnsCookie: '9',
  node: node.name,
  machineID: node.machineID,
  bootID: node.bootID,
  ...more,
});

describe('a suspect claim', () => {
  it('is released when pod and sandbox are gone, with link and record', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    stage.namespaceGone(sandbox);
    expect(await checkOne()).toEqual({ outcome: 'released', reason: 'its network namespace is gone' });
    expect(holds()).toEqual([]);
    expect(heartbeats).toBe(1);
  });

  it('is kept while the pod lives, whatever its sandbox is', async () => {
    stage.namespaceGone(await stage.attach('c1'));
    expect(await checkOne()).toEqual({ outcome: 'kept', reason: 'pod pay/pod-of-c1 is alive' });
  });

  it('is kept while the sandbox lives, although its pod is gone', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    expect(await checkOne()).toEqual({ outcome: 'kept', reason: 'its network namespace lives: /run/netns/c1' });
    expect(holds()).toHaveLength(3);
  });

  it('is kept while this worker does not see all namespaces', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    stage.namespaceGone(sandbox);
    stage.world.unproven.add(sandbox.netns);
    expect(await checkOne()).toMatchObject({ outcome: 'kept', reason: expect.stringContaining('does not see') });
  });

  it('is absent when it was released and the address was claimed anew', async () => {
    await stage.world.putClaim('10.70.8.30', 'Bound', holder());
    const [claim] = await check({ claims: [{ name: '10.70.8.30', uid: 'an earlier one' }] });
    expect(claim).toMatchObject({ outcome: 'absent' });
    expect(holds()).toEqual(['claim 10.70.8.30 Bound c9']);
    expect(await check({ claims: [{ name: '10.70.8.31', uid: 'u' }] })).toMatchObject([{ outcome: 'absent' }]);
  });

  it('is absent when no pod of this node holds it', async () => {
    await stage.world.putClaim('10.70.8.30', 'Bound', holder({ node: 'r7-n2' }));
    expect(await checkOne()).toMatchObject({ outcome: 'absent' });
    expect(holds()).toHaveLength(1);
  });

  it("is kept when its holder is of another machine that had this node's name", async () => {
    await stage.world.putClaim('10.70.8.30', 'Bound', holder({ machineID: 'm0' }));
    expect(await checkOne()).toMatchObject({
      outcome: 'kept',
      reason: expect.stringContaining('another machine (m0)'),
    });
  });

  it.each(['Bound', 'Suspect'] as const)('that somebody wrote by hand, %s, is released', async (phase) => {
    await stage.world.putClaim('10.70.8.30', phase, holder());
    expect(await checkOne()).toMatchObject({ outcome: 'released' });
    expect(holds()).toEqual([]);
  });

  it.each(['Cooling', 'Conflicted'] as const)('that is %s is kept', async (phase) => {
    await stage.world.putClaim('10.70.8.30', phase, holder());
    expect(await checkOne()).toMatchObject({ outcome: 'kept', reason: expect.stringContaining(phase) });
  });

  it('that was written by hand and names a living sandbox takes nothing from it', async () => {
    await stage.attach('c1');
    const invented = holder({ containerID: 'c1', netns: '/run/netns/invented' });
    await stage.world.putClaim('10.70.8.59', 'Bound', invented);
    const before = holds();
    const [, verdict] = await checkClaims();
    expect(verdict).toMatchObject({ subject: '10.70.8.59', outcome: 'kept' });
    expect(holds()).toEqual(before);
  });

  it('that is held for a pod that is gone is released', async () => {
    await stage.world.putClaim('10.70.8.30', 'Held', holder());
    expect(await checkOne()).toEqual({ outcome: 'released', reason: 'it was held for a pod that is gone' });
    expect(holds()).toEqual([]);
  });

  it('that cannot be undone now is kept, with the reason', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    stage.namespaceGone(sandbox);
    stage.refusals.push(new Error('the disk is full'));
    expect(await checkOne()).toEqual({ outcome: 'kept', reason: 'it could not be checked: the disk is full' });
    expect(await checkOne()).toMatchObject({ outcome: 'released' });
  });

  it('is judged between two steps on its sandbox, never in the middle of one', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    const step = Promise.withResolvers<void>();
    const holding = stage.worker.locks.hold('c1', () => step.promise);
    const checking = checkOne();
    await Promise.resolve();
    expect(stage.world.trace).not.toContain('kernel.namespaceState');
    stage.namespaceGone(sandbox);
    step.resolve();
    await holding;
    expect(await checking).toMatchObject({ outcome: 'released' });
  });

  it("is absent when the pod's next sandbox took it over meanwhile", async () => {
    const old = await stage.attach('c1', 'api-0');
    stage.deletePod(old);
    stage.namespaceGone(old);
    let isDone = false;
    stage.world.holdAfter = async (call) => {
      if (call !== 'kernel.namespaceState' || isDone) return;
      isDone = true;
      await stage.attach('c2', 'api-0');
    };
    expect(await checkOne()).toEqual({ outcome: 'absent', reason: 'another sandbox took it over' });
    expect(holds()).toContainEqual(expect.stringMatching(/^claim .* Bound c2$/));
  });
});

describe('a suspect run', () => {
  const suspect = (first: AddRequest, reacts = true): SuspectRun => {
    const { pod, attachment } = first;
    const workflowId = `pod/${pod.namespace}/${pod.name}/${attachment.containerID}`;
    runs.open.set(workflowId, { first, reacts });
    return { workflowId, pod, containerID: attachment.containerID };
  };

  it('is absent when it has ended', async () => {
    const run = suspect(stage.requestOf('c1'));
    runs.open.clear();
    expect(await check({ runs: [run] })).toEqual([
      { subject: run.workflowId, outcome: 'absent', reason: 'it has ended' },
    ]);
  });

  it('is kept while its sandbox lives, although neither record nor claim is left', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    stage.world.records.clear();
    const run = suspect(sandbox);
    expect(await check({ runs: [run] })).toMatchObject([{ outcome: 'kept', reason: expect.stringContaining('lives') }]);
    expect(stage.detached).toEqual([]);
  });

  it('whose sandbox is gone loses every attachment that anybody knows of, and ends', async () => {
    const sandbox = await stage.attach('c1');
    stage.namespaceGone(sandbox);
    runs.knows = [sandbox.attachment, { ...sandbox.attachment, ifName: 'net1' }];
    const [verdict] = await check({ runs: [suspect(sandbox)] });
    expect(verdict).toMatchObject({ outcome: 'released', reason: 'its network namespace is gone' });
    expect(stage.detached.map(({ attachment }) => attachment.ifName)).toEqual(['eth0', 'net1']);
    expect(runs.terminated).toEqual([]);
    expect(holds()).toEqual([expect.stringMatching(/ Held$/)]); // its pod lives
  });

  it('that does not react is terminated once nothing of its sandbox is left, with a reason', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    stage.namespaceGone(sandbox);
    const run = suspect(sandbox, false);
    expect(await check({ runs: [run] })).toMatchObject([
      { outcome: 'released', reason: expect.stringContaining('terminated') },
    ]);
    expect(runs.terminated).toEqual([
      expect.stringMatching(/nodeCheck: its network namespace is gone, nothing of it is left/),
    ]);
    expect(holds()).toEqual([]);
  });

  it('that does not react stays open while something of its sandbox is left', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    stage.namespaceGone(sandbox);
    stage.detach = async () => undefined; // it waits on disk
    expect(await check({ runs: [suspect(sandbox, false)] })).toMatchObject([
      { outcome: 'kept', reason: expect.stringContaining('waits on disk') },
    ]);
    expect(runs.terminated).toEqual([]);
  });
});

it('goes on with the other suspects when one cannot be judged', async () => {
  const [first, second] = [await stage.attach('c1'), await stage.attach('c22')];
  for (const sandbox of [first, second]) {
    stage.deletePod(sandbox);
    stage.namespaceGone(sandbox);
  }
  stage.refusals.push(new Error('busy'));
  const asked = suspectClaims().map(({ name }) => name);
  const verdicts = await checkClaims();
  expect(verdicts.map(({ subject }) => subject)).toEqual(asked);
  expect(verdicts.map(({ outcome }) => outcome).toSorted()).toEqual(['kept', 'released']);
  expect(heartbeats).toBe(2);
});

it('released twice is absent the second time', async () => {
  const sandbox = await stage.attach('c1');
  stage.deletePod(sandbox);
  stage.namespaceGone(sandbox);
  const claims = suspectClaims();
  expect(await check({ claims })).toMatchObject([{ outcome: 'released' }]);
  expect(await check({ claims })).toMatchObject([{ outcome: 'absent' }]);
});
