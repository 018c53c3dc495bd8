import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ProvisionError } from '../../contracts/failures.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { type Stack, startStack } from '../../deploy/dev/stack.ts';
import { toolPath } from '../../deploy/toolchain/parts.ts';
import { fromTemporal } from '../../temporal-config/failure-conversion.ts';
import { nodeNamespace } from '../../temporal-config/queues.ts';
import { expectGolden } from '../testing/golden-file.ts';
import { bundleToday, installQuietRuntime, type Sandbox, SandboxStage } from '../testing/sandbox-stage.ts';
import { forkSandboxWorker } from '../testing/sandbox-worker.ts';

type HistoryEvent = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number];

let stack: Stack;
let bundle: Awaited<ReturnType<typeof bundleToday>>;
beforeAll(async () => {
  installQuietRuntime();
  [stack, bundle] = await Promise.all([
    startStack({ id: randomBytes(3).toString('hex'), nodes: [], kubernetes: false }),
    bundleToday(),
  ]);
}, 120_000);
afterAll(async () => {
  await bundle?.remove();
  await stack?.stop();
}, 60_000);

const statusOf = async ({ run }: Sandbox): Promise<string> => (await run.describe()).status.name;
const untilStatus = (sandbox: Sandbox, wanted: string) =>
  eventually(`run of ${sandbox.pod.name} ${wanted}`, 30, async () => {
    const status = await statusOf(sandbox);
    return status === wanted ? { value: status } : { state: status };
  });
const untilPhase = (sandbox: Sandbox, ifName: string, wanted: string) =>
  eventually(`${ifName} ${wanted}`, 30, async () => {
    const { interfaces } = await sandbox.describe();
    const found = interfaces.find((nic) => nic.ifName === ifName)?.phase ?? 'unknown';
    return found === wanted ? { value: found } : { state: found };
  });
const failureOf = async ({ run }: Sandbox) =>
  await run.result().then(
    () => undefined,
    (error: unknown) => {
      expect(error).toBeInstanceOf(WorkflowFailedError);
      return fromTemporal(error);
    },
  );
const refuse = (message: string): never => {
  throw new ProvisionError({ type: 'InterfaceExists', message, remedy: 'ip link show' });
};

describe.each([
  ['with its cache', 600],
  ['replaying the whole run in every task', 0],
])('a podNetwork run %s', (_, maxCachedWorkflows) => {
  let stage: SandboxStage;
  const nodeName = `r7-n${maxCachedWorkflows}`;
  beforeAll(async () => {
    stage = await SandboxStage.open({
      temporalAddress: stack.temporalAddress,
      codePath: bundle.codePath,
      nodeName,
      maxCachedWorkflows,
    });
  }, 30_000);
  afterAll(() => stage?.close(), 30_000);
  afterEach(() => {
    stage.world.onMoment = undefined;
    stage.world.holdAfter = undefined;
    const violations = stage.world.violations.splice(0);
    if (violations.length > 0) throw new Error(violations.join('\n'));
  });
  const failOnce = (call: string, at: 'before' | 'after', message: string) => {
    stage.world.onMoment = (moment) => {
      if (moment.call !== call || moment.at !== at) return;
      stage.world.onMoment = undefined;
      refuse(message);
    };
  };

  it('starts eagerly with the first ADD, which is answered in the process', async () => {
    const sandbox = stage.sandbox();
    const before = stage.notEager;
    const result = await sandbox.add();
    expect(stage.notEager).toBe(before);
    expect(result.ips).toEqual([{ address: expect.stringMatching(/^10\.70\./), gateway: '10.70.8.1', interface: 0 }]);
    expect(sandbox.holds).toHaveLength(3);
    await untilPhase(sandbox, 'eth0', 'Attached');
    expect(await statusOf(sandbox)).toBe('RUNNING');
  });

  it('takes a second NIC as an update, and ends when both are gone', async () => {
    const sandbox = stage.sandbox();
    const [eth0, net1] = [await sandbox.add(), await sandbox.add(sandbox.addRequest('net1'))];
    expect(net1.ips).not.toEqual(eth0.ips);
    await untilPhase(sandbox, 'net1', 'Attached');
    expect((await sandbox.describe()).interfaces).toMatchObject([
      { ifName: 'eth0', phase: 'Attached' },
      { ifName: 'net1', phase: 'Attached' },
    ]);
    sandbox.podGone();
    await sandbox.detach(sandbox.detachRequest('net1'));
    expect(await statusOf(sandbox)).toBe('RUNNING');
    expect(await sandbox.detach()).toBe('undone');
    await untilStatus(sandbox, 'COMPLETED');
    expect(sandbox.holds).toEqual([]);
  });

  it('gives a repeated ADD the same answer and does nothing again', async () => {
    const sandbox = stage.sandbox();
    const request = sandbox.addRequest();
    const first = await sandbox.add(request);
    const plumbed = () => stage.world.trace.filter((call) => call === 'kernel.plumb').length;
    const before = plumbed();
    expect(await sandbox.add(sandbox.addRequest())).toEqual(first);
    expect(await sandbox.add(request)).toEqual(first);
    expect(plumbed()).toBe(before);
  });

  it('answers two ADDs of one sandbox that come at once', async () => {
    const sandbox = stage.sandbox();
    const results = await Promise.all([sandbox.add(), sandbox.add(sandbox.addRequest('net1'))]);
    expect(new Set(results.flatMap(({ ips }) => ips.map(({ address }) => address))).size).toBe(2);
    expect((await sandbox.describe()).interfaces).toHaveLength(2);
  });

  it.each([
    ['claims.take', 'before'],
    ['claims.take', 'after'],
    ['kernel.plumb', 'before'],
    ['kernel.plumb', 'after'],
  ] as const)('ends Failed with our failure and leaves nothing when %s fails %s it took effect', async (call, at) => {
    const sandbox = stage.sandbox();
    failOnce(call, at, `${call} refused`);
    await expect(sandbox.add()).rejects.toMatchObject({ type: 'InterfaceExists', message: `${call} refused` });
    expect(await failureOf(sandbox)).toEqual({
      type: 'InterfaceExists',
      message: `${call} refused`,
      remedy: 'ip link show',
    });
    expect(await statusOf(sandbox)).toBe('FAILED');
    expect(sandbox.holds).toEqual([]);
  });

  it('keeps its first NIC when the second fails', async () => {
    const sandbox = stage.sandbox();
    await sandbox.add();
    failOnce('kernel.plumb', 'before', 'no room');
    await expect(sandbox.add(sandbox.addRequest('net1'))).rejects.toThrow('no room');
    await untilPhase(sandbox, 'net1', 'Failed');
    expect((await sandbox.describe()).interfaces).toMatchObject([
      { ifName: 'eth0', phase: 'Attached' },
      { ifName: 'net1', phase: 'Failed', failure: { type: 'InterfaceExists' } },
    ]);
    expect(sandbox.holds).toHaveLength(3);
    sandbox.podGone();
    await sandbox.detach();
    await untilStatus(sandbox, 'COMPLETED');
  });

  it('repeats an undo until the world lets it happen, and tells the caller meanwhile', async () => {
    const sandbox = stage.sandbox();
    let undos = 0;
    stage.world.onMoment = ({ call, at }) => {
      if (call === 'kernel.plumb' && at === 'after') refuse('no room');
      if (call !== 'kernel.unplumb' || at === 'after' || (undos += 1) > 2) return;
      throw new ProvisionError({ type: 'KernelRefused', message: 'busy' });
    };
    await expect(sandbox.add()).rejects.toThrow('no room');
    expect(await failureOf(sandbox)).toMatchObject({ type: 'InterfaceExists', message: 'no room' });
    expect(undos).toBeGreaterThan(2);
    expect(sandbox.holds).toEqual([]);
  });

  it('shows an undo that cannot succeed as UnwindStuck, and keeps the address of its link', async () => {
    const sandbox = stage.sandbox();
    stage.world.onMoment = ({ call, at }) => {
      if (call === 'kernel.plumb' && at === 'after') refuse('no room');
      if (call === 'kernel.unplumb' && at === 'before') refuse('it is not ours any more');
    };
    await expect(sandbox.add()).rejects.toThrow('no room');
    expect(await failureOf(sandbox)).toMatchObject({
      type: 'UnwindStuck',
      message: expect.stringContaining(
        'Cannot undo step "link" (it is not ours any more) after the attachment failed: no room',
      ),
    });
    expect(sandbox.holds).toContain(`link ${sandbox.netns} eth0 of ${sandbox.containerID} with ${addressOf(sandbox)}`);
    await untilFound(sandbox, `NetPhase = "UnwindStuck" AND PodName = "${sandbox.pod.name}"`);
    stage.world.onMoment = undefined;
    sandbox.podGone();
    expect(await sandbox.detach()).toBe('undone');
    expect(sandbox.holds).toEqual([]);
  });

  /** A message is seen in the next workflow task; while local activities run that is the next heartbeat of this one. */
  const untilSeen = (sandbox: Sandbox, isMessage: (event: HistoryEvent) => boolean) =>
    eventually('the run to see the message', 20, async () => {
      const { events = [] } = await sandbox.run.fetchHistory();
      const at = (events ?? []).findIndex(isMessage);
      const later = (events ?? []).slice(at).some((event) => event.workflowTaskStartedEventAttributes != null);
      return at >= 0 && later
        ? { value: true }
        : { state: `${events?.length} events, message ${at < 0 ? 'not there' : 'not seen'}` };
    });

  it('unwinds when it is cancelled while it attaches', async () => {
    const sandbox = stage.sandbox();
    const { reached, release } = stage.holdUp('claims.take');
    const added = sandbox.add();
    added.catch(() => undefined);
    await reached;
    await sandbox.run.cancel();
    await untilSeen(sandbox, (event) => event.workflowExecutionCancelRequestedEventAttributes != null);
    release();
    await expect(added).rejects.toMatchObject({ type: 'Cancelled' });
    await untilStatus(sandbox, 'FAILED');
    expect(sandbox.holds).toEqual([]);
  });

  it('stops an ADD that still runs when it is told to detach, and answers both', async () => {
    const sandbox = stage.sandbox();
    const { reached, release } = stage.holdUp('claims.take');
    const added = sandbox.add();
    added.catch(() => undefined);
    await reached;
    const detached = stage.runs.detach(sandbox.detachRequest());
    await untilSeen(sandbox, (event) => event.workflowExecutionUpdateAcceptedEventAttributes != null);
    release();
    await expect(added).rejects.toMatchObject({ type: 'Cancelled' });
    await expect(detached).resolves.toBe('detached');
    await untilStatus(sandbox, 'FAILED');
    expect(sandbox.holds).toEqual([]);
  });

  it('keeps the network of a living pod when it is cancelled', async () => {
    const sandbox = stage.sandbox();
    await sandbox.add();
    await sandbox.run.cancel();
    await untilPhase(sandbox, 'eth0', 'Attached');
    expect(await statusOf(sandbox)).toBe('RUNNING');
    expect(sandbox.holds).toHaveLength(3);
    sandbox.podGone();
    expect(await sandbox.detach()).toBe('undone');
    await untilStatus(sandbox, 'COMPLETED');
    expect(sandbox.holds).toEqual([]);
  });

  it('lets a DEL stop the ADD that still runs', async () => {
    const sandbox = stage.sandbox();
    const { reached, release } = stage.holdUp('claims.take');
    const added = sandbox.add();
    added.catch(() => undefined);
    await reached;
    sandbox.podGone();
    const detached = sandbox.detach();
    expect(stage.node.calls.isDetachWanted(sandbox.addRequest().attachment)).toBe(true);
    release();
    await expect(added).rejects.toMatchObject({ type: 'Cancelled' });
    await detached;
    await eventually('its run to be closed', 20, async () => {
      const status = await statusOf(sandbox);
      return status === 'RUNNING' ? { state: status } : { value: status };
    });
    expect(sandbox.holds).toEqual([]);
  });

  it('takes a DEL of an attachment that it does not know', async () => {
    const sandbox = stage.sandbox();
    await sandbox.add();
    expect(await sandbox.detach(sandbox.detachRequest('net7'))).toBe('undone');
    await untilPhase(sandbox, 'eth0', 'Attached');
    expect((await sandbox.describe()).interfaces).toMatchObject([{ ifName: 'eth0', phase: 'Attached' }]);
  });

  it('forgets an attachment that the node worker took over, and ends', async () => {
    const sandbox = stage.sandbox();
    await sandbox.add();
    const request = sandbox.detachRequest();
    const call = stage.node.calls.open(request.nonce, 'DEL', request.attachment);
    call.takeOver();
    await expect(stage.runs.detach(request)).rejects.toMatchObject({ type: 'Superseded' });
    call.close();
    await untilStatus(sandbox, 'COMPLETED');
    expect(sandbox.holds).toHaveLength(3); // the one who took it over undoes it
    sandbox.podGone();
    expect(await sandbox.detach()).toBe('undone');
    expect(sandbox.holds).toEqual([]);
  });

  it('is not needed by a DEL: terminated by hand, unknown, or long closed', async () => {
    const terminated = stage.sandbox();
    await terminated.add();
    await terminated.run.terminate('by hand');
    terminated.podGone();
    expect(await terminated.detach()).toBe('undone');
    expect(terminated.holds).toEqual([]);
    expect(await terminated.detach()).toBe('undone');
    const unknown = stage.sandbox();
    expect(await unknown.detach()).toBe('undone');
  });

  it('is started anew when a sandbox attaches again after its last DEL', async () => {
    const sandbox = stage.sandbox();
    const first = await sandbox.add();
    expect(await sandbox.detach()).toBe('undone'); // the pod lives: the address is held for it
    await untilStatus(sandbox, 'COMPLETED');
    expect((await sandbox.add()).ips).toEqual(first.ips);
    expect(await statusOf(sandbox)).toBe('RUNNING');
  });

  it('does nothing for a caller who gave up before the run began', async () => {
    const sandbox = stage.sandbox();
    const request = sandbox.addRequest();
    const call = stage.node.calls.open(request.nonce, 'ADD', request.attachment);
    call.close();
    await stage.runs.add(request, call);
    expect(await failureOf(sandbox)).toMatchObject({ type: 'CallerGone' });
    expect(sandbox.holds).toEqual([]);
  });

  it('is found by the address that it holds', async () => {
    const sandbox = stage.sandbox();
    const { ips } = await sandbox.add();
    const [address = ''] = ips[0]?.address.split('/') ?? [];
    await untilFound(sandbox, `IpAddress = "${address}"`);
    await untilFound(sandbox, `PoolName = "rack7-v4" AND NodeName = "${nodeName}" AND NetPhase = "Attached"`);
  });

  const addressOf = (sandbox: Sandbox): string => {
    const claim = stage.world.api
      .all()
      .find(({ spec }) => spec.holders.some(({ containerID }) => containerID === sandbox.containerID));
    return claim?.spec.address ?? 'no claim';
  };
  /** Visibility follows a write a moment later, also where the query finds runs of other sandboxes at once. */
  const untilFound = async ({ run }: Sandbox, query: string): Promise<true> =>
    await eventually(query, 30, async () => {
      const ids = await Array.fromAsync(stage.client.workflow.list({ query }), ({ workflowId }) => workflowId);
      return ids.includes(run.workflowId) ? { value: true } : { state: ids.join() || 'no run' };
    });
});

describe('a worker that is killed with -9 in the middle of an ADD and started again', () => {
  it.each(['claims.take', 'kernel.plumb', 'records.write'])(
    'gives the same answer once: killed after %s',
    async (call) => {
      const nodeName = `killed-in-${call}`;
      const options = { temporalAddress: stack.temporalAddress, codePath: bundle.codePath, nodeName, hasWorker: false };
      const stage = await SandboxStage.open(options);
      let { node } = stage;
      const first = await forkSandboxWorker(options, () => node.activities);
      try {
        const sandbox = stage.sandbox();
        const request = sandbox.addRequest();
        const { reached, release } = stage.holdUp(call);
        const lost = stage.runs.add(request, node.calls.open(request.nonce, 'ADD', request.attachment));
        await reached;
        await first.kill();
        node.kill();
        release();

        node = await stage.world.start();
        const reconnected = node.calls.open(request.nonce, 'ADD', request.attachment); // the shim comes back with its nonce
        const second = await forkSandboxWorker(options, () => node.activities);
        try {
          const result = await reconnected.outcome;
          expect(result?.ips).toHaveLength(1);
          await lost;
          await untilPhase(sandbox, 'eth0', 'Attached');
          expect((await sandbox.describe()).interfaces[0]?.result).toEqual(result);
          expect(sandbox.holds).toHaveLength(3);
          expect(stage.world.violations).toEqual([]);
        } finally {
          await second.kill();
        }
      } finally {
        await first.kill();
        await stage.close();
      }
    },
    60_000,
  );
});

describe('what a person sees of a run', () => {
  it('is a page in the words of the field: temporal workflow metadata', async () => {
    const stage = await SandboxStage.open({
      temporalAddress: stack.temporalAddress,
      codePath: bundle.codePath,
      nodeName: 'r7-n1',
    });
    try {
      const sandbox = stage.sandbox('api-0');
      await sandbox.add();
      stage.world.onMoment = ({ call, at }) => {
        if (call === 'kernel.plumb' && at === 'before')
          refuse('Cannot make net1: the sandbox has an interface of that name');
      };
      await sandbox.add(sandbox.addRequest('net1')).catch(() => undefined);
      await untilPhase(sandbox, 'net1', 'Failed');
      const { stdout } = await promisify(execFile)(toolPath('temporal'), [
        'workflow',
        'metadata',
        '--workflow-id',
        sandbox.run.workflowId,
        '--namespace',
        nodeNamespace,
        '--address',
        stack.temporalAddress,
        '--color',
        'never',
      ]);
      expectGolden(new URL('testdata/workflow-metadata.txt', import.meta.url), stdout);
    } finally {
      await stage.close();
    }
  }, 30_000);
});
