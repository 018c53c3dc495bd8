import { beforeEach, describe, expect, it } from '@jest/globals';
import { toCniResult } from '../contracts/cni-result.ts';
import type { CoordinationConf } from '../contracts/coordination.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { type NodeProcess, NodeWorld, recordKey } from '../workers/node/testing/node-world.ts';
import { runAdd, runDetach } from '../workers/node/testing/run-in-process.ts';
import { addRequest, detachRequest } from '../workflows/testing/node-model.ts';

const base = addRequest();

const whole = (conf: CoordinationConf = {}): AddRequest => ({
  ...base,
  network: { ...base.network, defaultIPv4Pools: ['v4'], coordination: { conf, coordinator: 'default' } },
});
const chained = (conf: CoordinationConf = {}, nonce = 'b'.repeat(32)): AddRequest => ({
  ...base,
  nonce,
  attachment: { ...base.attachment, kind: 'coordinate' },
  network: {
    provides: 'coordination',
    coordination: { conf, coordinator: 'default' },
    defaultIPv4Pools: [],
    defaultIPv6Pools: [],
    cleanGateway: false,
  },
});

let world: NodeWorld;
let worker: NodeProcess;
beforeEach(async () => {
  world = new NodeWorld();
  world.pools.set('v4', {
    metadata: { name: 'v4' },
    spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.29'], gateway: '10.70.8.1' },
  });
  world.pods.set('pay/api-0', { uid: base.pod.uid, annotations: {}, isAlive: true });
  world.namespaces.set(base.netns, { cookie: base.netnsCookie, links: new Map() });
  worker = await world.start();
});

function run(request: AddRequest, by: NodeProcess = worker) {
  by.calls.open(request.nonce, 'ADD', request.attachment);
  return runAdd(by.activities, request);
}
const otherPluginMakesLink = () =>
  world.namespaces.get(base.netns)?.links.set('eth0', { owner: '', addresses: new Set(['10.70.8.21/24']) });
const recordOf = ({ attachment }: AddRequest) => world.records.get(recordKey(attachment));
const ties = () => world.holds.filter((line) => line.startsWith('tie'));

describe('an interface that is tied to its node', () => {
  it('has its plan in the record before the first change', async () => {
    otherPluginMakesLink();
    const seen: unknown[] = [];
    world.onMoment = ({ call, at }) => {
      if (call === 'kernel.applyCoordination' && at === 'before')
        seen.push(recordOf(chained())?.coordination?.operations.length, world.ties.size);
    };
    await run(chained());
    expect(seen).toEqual([1, 0]);
    expect(ties()).toHaveLength(1);
  });

  it('answers with the MAC that it has in the end, and tells the neighbours', async () => {
    const result = await run(whole({ podMACPrefix: '0a:1b' }));
    expect(result.interfaces).toMatchObject([{ name: 'eth0', mac: '0a:1b:00:00:00:01' }]);
    expect(world.trace.filter((call) => call === 'kernel.announce')).toHaveLength(2);
    expect(recordOf(whole())?.doneResult).toEqual(result);
  });

  it('answers of another plugin’s interface only what it has changed', async () => {
    otherPluginMakesLink();
    expect((await run(chained())).interfaces).toEqual([]);
    await runDetach(worker.activities, detachRequest(chained()));
    expect((await run(chained({ podMACPrefix: '0a:1b' }, 'c'.repeat(32)))).interfaces).toEqual([
      { name: 'eth0', mac: '0a:1b:00:00:00:01', sandbox: base.netns },
    ]);
  });

  it('is not tied where coordination is not asked for', async () => {
    const { coordination: _, ...network } = whole().network;
    await run({ ...whole(), network });
    expect(world.trace).not.toContain('kernel.planCoordination');
    expect(world.trace).not.toContain('coordinators.recent');
  });

  it('leaves its default route to coordination only where routes are tuned', async () => {
    const asked: unknown[] = [];
    const { plumb } = worker.ports.kernel;
    Object.assign(worker.ports.kernel, {
      plumb: (spec: { yieldsDefaultRoute?: boolean }) => (asked.push(spec.yieldsDefaultRoute), plumb(spec as never)),
    });
    await run(whole());
    await runDetach(worker.activities, detachRequest(whole()));
    await run({ ...whole({ tunePodRoutes: false }), nonce: 'c'.repeat(32) });
    expect(asked).toEqual([true, undefined]);
  });

  it('waits for a coordinator that is not ready, before anything is made, and nothing is left', async () => {
    world.coordinators.set('default', {
      apiVersion: 'spiderpool.spidernet.io/v2beta1',
      kind: 'SpiderCoordinator',
      metadata: { name: 'default' },
      spec: {},
      status: { phase: 'NotReady', reason: 'there is no IPPool' },
    });
    await expect(run(whole())).rejects.toThrow('there is no IPPool');
    expect(world.trace).not.toContain('kernel.plumb');
    expect(world.holds).toEqual([]);
  });

  it('is told which interfaces the pod’s networks still bring, and which one has the default route', async () => {
    otherPluginMakesLink();
    const annotations = {
      'k8s.v1.cni.cncf.io/networks': 'vlan-80, vlan-90@data',
      'ipam.spidernet.io/default-route-nic': 'data',
    };
    world.pods.set('pay/api-0', { uid: base.pod.uid, annotations, isAlive: true });
    await run(chained());
    expect(recordOf(chained())?.coordination).toMatchObject({
      awaitedNics: ['eth0', 'net1', 'data'],
      settings: { podDefaultRouteNic: 'data' },
    });
  });

  it('is untied as it was tied, whatever pod and cluster say by then', async () => {
    await run(whole());
    world.pods.clear();
    world.coordinators.clear();
    const before = world.trace.length;
    await runDetach(worker.activities, detachRequest(whole()));
    expect(world.holds.filter((line) => !line.startsWith('claim'))).toEqual([]);
    expect(world.trace.slice(before)).not.toContain('coordinators.recent');
  });
});

describe('an interface whose record is lost', () => {
  const loseRecord = ({ attachment }: AddRequest): void => void world.records.delete(recordKey(attachment));

  it.each([
    ['whole', whole()],
    ['chained', chained()],
  ])('is untied by marks (%s)', async (_, request) => {
    if (request.attachment.kind === 'coordinate') otherPluginMakesLink();
    await run(request);
    loseRecord(request);
    await runDetach(worker.activities, detachRequest(request));
    expect(ties()).toEqual([]);
  });

  it('leaves what the sandbox’s other interfaces are tied by', async () => {
    const [first, second] = [whole(), { ...whole(), attachment: { ...base.attachment, ifName: 'net1' } }];
    await run(first);
    await run({ ...second, nonce: 'c'.repeat(32) });
    loseRecord(second);
    await runDetach(worker.activities, detachRequest(second));
    expect(ties()).toEqual([expect.stringContaining('of eth0')]);
  });

  it('is not touched by the DEL of an earlier plugin of its chain', async () => {
    otherPluginMakesLink();
    await run(chained());
    await runDetach(worker.activities, detachRequest(base)); // no record: it never was
    expect(ties()).toHaveLength(1);
  });
});

it('what the node knew of an address before its pod stays forgotten, unless the ADD fails', async () => {
  const stale = { op: 'delete-neighbour', at: 'node', ifName: 'eth1', address: '10.70.8.21' } as const;
  const undone: unknown[] = [];
  const { planCoordination, uncoordinate } = worker.ports.kernel;
  Object.assign(worker.ports.kernel, {
    planCoordination: async (spec: never) => {
      const plan = await planCoordination(spec);
      return { ...plan, operations: [stale, ...plan.operations] };
    },
    uncoordinate: (work: { operations: readonly { op: string }[] }) => {
      undone.push(work.operations.map(({ op }) => op));
      return uncoordinate(work as never);
    },
  });
  await run(whole());
  await runDetach(worker.activities, detachRequest(whole()));
  const again = { ...whole(), nonce: 'c'.repeat(32) };
  world.onMoment = ({ call, at }) => {
    if (call !== 'kernel.applyCoordination' || at !== 'after') return;
    throw new ProvisionError({ type: 'KernelRefused', message: 'no room' });
  };
  await expect(run(again)).rejects.toThrow('no room');
  expect(undone[0]).toEqual(['add-address']);
  expect(undone[1]).toEqual(['delete-neighbour', 'add-address']);
});

describe('a repeated ADD after a crash', () => {
  it('keeps in the record what the first one was going to do', async () => {
    world.onMoment = ({ call, at }) => {
      if (call !== 'kernel.applyCoordination' || at !== 'after') return;
      world.onMoment = undefined;
      worker.die();
    };
    await run(whole({ podMACPrefix: '0a:1b' })).catch(() => undefined);
    expect(ties()).toHaveLength(2);
    const restarted = await world.start();
    const result = await run(whole({ podMACPrefix: '0a:1b' }), restarted);
    expect(result.interfaces).toMatchObject([{ mac: '0a:1b:00:00:00:01' }]);
    expect(recordOf(whole())?.coordination?.operations).toHaveLength(2); // nothing was missing any more
    await runDetach(restarted.activities, detachRequest(whole()));
    expect(ties()).toEqual([]);
  });

  it('does not act for a run whose record is gone: its interface was undone', async () => {
    worker.calls.open(base.nonce, 'ADD', base.attachment);
    await expect(worker.activities.coordinate(whole(), toCniResult([]))).rejects.toMatchObject({ type: 'Cancelled' });
    expect(world.ties.size).toBe(0);
  });
});

describe('the plugins of a chain', () => {
  it('each take away what they made, in any order, and nothing of each other', async () => {
    const { link: _, coordination: __, ...network } = whole().network;
    const ipam: AddRequest = { ...base, network: { ...network, provides: 'addresses' } };
    for (const order of [
      [chained(), ipam],
      [ipam, chained()],
    ]) {
      otherPluginMakesLink();
      world.records.clear();
      await run({ ...ipam, nonce: crypto.randomUUID() });
      await run(chained({}, crypto.randomUUID()));
      expect(ties()).toHaveLength(1);
      const [first = ipam, second = ipam] = order;
      await runDetach(worker.activities, detachRequest(first));
      expect(ties()).toHaveLength(first.attachment.kind === 'coordinate' ? 0 : 1);
      expect(world.records.size).toBe(1);
      await runDetach(worker.activities, detachRequest(second));
      expect(ties()).toEqual([]);
      expect(world.records.size).toBe(0);
    }
  });
});
