import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { faultMoments, undoMoments } from '../../deploy/dev/faulty-node-worker.ts';
import { asLines } from './cluster-state.ts';
import { violationsOf } from './invariants.ts';
import { TestCluster } from './test-cluster.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['node-a'] });
  await cluster.stack.apply(
    underlayPool('v4', 4, ['10.70.8.1-10.70.8.250']),
    underlayPool('v6', 6, ['fd00:70::8:1-fd00:70::8:ff']),
    underlayPool('tiny', 4, ['10.70.9.1-10.70.9.3'], { default: false }),
    underlayPool('off', 4, ['10.70.9.10-10.70.9.20'], { default: false, disable: true }),
  );
}, 120_000);
afterAll(() => cluster?.stop(), 60_000);

let before: readonly string[] = [];
let runsBefore: readonly string[] = [];
beforeEach(async () => {
  before = asLines(await cluster.state());
  runsBefore = await cluster.openRuns();
});
afterEach(async () => {
  await cluster.removeSandboxes();
  await expectAsBefore();
}, 30_000);

/** Nothing that an ADD can leave is there, and every run has ended. */
async function expectAsBefore(): Promise<void> {
  expect(asLines(await cluster.state())).toEqual(before);
  await eventually('Open runs are those of before', 10, async () => {
    const runs = await cluster.openRuns();
    return runs.join() === runsBefore.join() ? { value: true } : { state: runs.join() };
  });
}

describe('an ADD', () => {
  it.each(faultMoments)('that fails %s says so, leaves everything as it was, and succeeds when it is repeated', async (moment) => {
    const sandbox = await cluster.sandbox('fault');
    const untouched = asLines(await cluster.state());
    await cluster.inject(moment);

    expect(await sandbox.add()).toEqual({
      exitCode: 1,
      body: { cniVersion: '1.1.0', code: 101, msg: `Injected failure ${moment}. None: it was asked for`, details: 'KernelRefused' },
    });
    expect(asLines(await cluster.state())).toEqual(untouched);
    await cluster.untilStatus(sandbox, 'FAILED');

    expect(await sandbox.add()).toMatchObject({ exitCode: 0 });
    expect(violationsOf(await cluster.state())).toEqual([]);
    await cluster.deletePod(sandbox);
    expect(await sandbox.del()).toEqual({ exitCode: 0, body: undefined });
    expect(asLines(await cluster.state())).toEqual(untouched);
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });
});
