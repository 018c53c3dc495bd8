import { describe, expect, it } from '@jest/globals';
import type { OwnerReference } from '../../contracts/crds/object-meta.ts';
import { ProvisionError, toFailure } from '../../contracts/failures.ts';
import type { AddRequest } from '../../contracts/pod-network.ts';
import { addRequest, detachRequest } from '../../workflows/testing/node-model.ts';
import { DetachService } from './detach-service.ts';
import { type Moment, type NodeProcess, NodeWorld, node, silent } from './testing/node-world.ts';
import { runAdd, runDetach, twice } from './testing/run-in-process.ts';

/**
 * The real steps over a world in memory: every call that a step makes through a port fails before and after it took effect,
 * meets a DEL, loses its caller, or kills the worker. A first run without any fault lists the moments.
 */
interface Scenario {
  readonly title: string;
  readonly request: AddRequest;
  readonly prepare?: (world: NodeWorld) => Promise<void>;
  readonly owner?: OwnerReference;
  /** What a failed ADD leaves of the claims that were there before it. */
  readonly keeps?: RegExp;
}

const whole = withPools(addRequest(), ['v4'], ['v6']);
const { link: _, ...withoutLink } = whole.network;
const addressesOnly: AddRequest = { ...whole, network: { ...withoutLink, provides: 'addresses' } };
const onlyV4 = withPools(addRequest(), ['v4'], []);
const earlier = {
  namespace: 'pay',
  pod: 'api-0',
  podUID: whole.pod.uid,
  interface: 'eth0',
  network: 'underlay',
  ...placeOf('c0'),
};

const scenarios: readonly Scenario[] = [
  { title: 'a whole interface with both families', request: whole },
  { title: 'addresses for another plugin', request: addressesOnly },
  { title: 'links of the node for another plugin', request: onlyLinks(whole) },
  { title: 'an interface on a VLAN of a bond that are made for it', request: onSharedLinks(onlyV4) },
  { title: 'a VF of the node', request: onDevice(whole), prepare: hasDevice },
  { title: 'the RDMA device of a VF for another plugin', request: onlyRdma(whole), prepare: hasDevice },
  { title: 'a VF of the node that is tied to it', request: tied(onDevice(onlyV4)), prepare: hasDevice },
  {
    title: 'a VF of the node whose network is asked first',
    request: asking(onDevice(onlyV4)),
    prepare: async (world) => {
      await hasDevice(world);
      await gatewaysAnswer(world);
    },
  },
  { title: 'a whole interface that is tied to its node', request: tied(onlyV4) },
  { title: 'what ties the interface of another plugin to the node', request: onlyTied(whole) },
  {
    title: 'an address that is held for the pod',
    request: whole,
    prepare: (world) => world.putClaim('10.70.8.30', 'Held', { ...node4, ...earlier }),
    keeps: /^claim 10.70.8.30 Held$/,
  },
  {
    title: 'an address of an earlier sandbox that is gone',
    request: whole,
    prepare: (world) => world.putClaim('10.70.8.30', 'Bound', { ...node4, ...earlier }),
    keeps: /^claim 10.70.8.30 (Held|Bound c0)$/, // taken over, it is the pod's; before that, of its earlier sandbox
  },
  {
    title: 'the address of an ordinal that another node had last',
    request: onlyV4,
    owner: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'api', uid: 'sts', controller: true },
    prepare: (world) =>
      world.putClaim(
        '10.70.8.30',
        'Held',
        { ...earlier, podUID: 'uid-of-its-predecessor', node: 'r7-n2', machineID: 'm2', bootID: 'b2' },
        { identity: 'StatefulSet/pay/api/0' },
      ),
    keeps: /^claim 10.70.8.30 Held$/,
  },
  { title: 'a whole interface whose network is asked first', request: asking(whole), prepare: gatewaysAnswer },
  { title: 'addresses whose network is asked first', request: asking(addressesOnly), prepare: gatewaysAnswer },
  {
    title: 'an address that is Suspect, and nothing else is left',
    request: onlyV4,
    prepare: async (world) => {
      for (let last = 20; last < 59; last += 1) {
        await world.putClaim(`10.70.8.${last}`, 'Bound', { ...node4, ...stranger(last) });
      }
      const gone = { ...node4, ...stranger(59), node: 'r7-n9', machineID: 'm9' };
      await world.putClaim('10.70.8.59', 'Suspect', gone, { until: '9999-12-31T23:59:59Z' });
    },
    // Nobody answered for it, so once it was taken it is the pod's.
    keeps: /^claim 10.70.8.(\d+ Bound s\d+|59 Suspect|59 Held)$/,
  },
  {
    title: 'a pool whose first addresses are taken',
    request: onlyV4,
    prepare: async (world) => {
      for (let last = 20; last < 59; last += 1) {
        await world.putClaim(`10.70.8.${last}`, 'Bound', { ...node4, ...stranger(last) });
      }
    },
    keeps: /^claim 10.70.8.\d+ Bound s\d+$/,
  },
];

function asking(request: AddRequest): AddRequest {
  return { ...request, network: { ...request.network, probes: { conflicts: true, gateways: true } } };
}

function onDevice(request: AddRequest): AddRequest {
  const { link: _, ...network } = request.network;
  const device = { kind: 'sriov', pciAddress: '0000:01:10.0', settings: { trust: true }, movesRdma: false } as const;
  return { ...request, network: { ...network, device } };
}

async function hasDevice(world: NodeWorld): Promise<void> {
  world.devices.set('0000:01:10.0', { owner: '', settings: {} });
}

async function gatewaysAnswer(world: NodeWorld): Promise<void> {
  for (const gateway of ['10.70.8.1', 'fd70::1']) world.strangers.set(gateway, '02:00:00:00:00:aa');
}

describe.each(scenarios)('an ADD for $title', ({ request, prepare, owner, keeps }) => {
  const familiesAsked = /links|rdma|coordination/.test(request.network.provides)
    ? 0
    : request.network.defaultIPv6Pools.length + 1;
  const open = async () => {
    const world = new NodeWorld();
    world.pools.set('v4', {
      metadata: { name: 'v4' },
      spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.59'], gateway: '10.70.8.1' },
    });
    world.pools.set('v6', {
      metadata: { name: 'v6' },
      spec: { subnet: 'fd70::/64', ips: ['fd70::10-fd70::ffff'], gateway: 'fd70::1' },
    });
    const ownerReferences = owner === undefined ? [] : [owner];
    world.pods.set('pay/api-0', { uid: request.pod.uid, annotations: {}, isAlive: true, ownerReferences });
    world.namespaces.set(request.netns, { cookie: request.netnsCookie, links: new Map() });
    if (/addresses|coordination/.test(request.network.provides)) otherPluginMakesLink(world, request);
    await prepare?.(world);
    world.claimsBefore = world.api.all().length;
    return { world, worker: await world.start() };
  };
  const add = (worker: NodeProcess, { activities = worker.activities } = {}) => {
    const call = worker.calls.open(request.nonce, 'ADD', request.attachment);
    return { call, done: runAdd(activities, request).finally(() => call.close()) };
  };
  /** How often the record is written: before each kind of effect, and with the answer. */
  const writesOf = async (): Promise<number> => {
    const { world, worker } = await open();
    await add(worker).done;
    return world.trace.filter((call) => call === 'records.write').length;
  };
  const nothingLeft = (world: NodeWorld) => {
    expect(world.holds.filter((line) => !line.includes(' eth0 of  with ') && keeps?.test(line) !== true)).toEqual([]);
    expect(world.api.all().length).toBe(world.claimsBefore);
  };
  const attached = (world: NodeWorld) => {
    const { containerID } = request.attachment;
    const families = world.holds.filter((line) => line.startsWith('claim') && line.endsWith(`Bound ${containerID}`));
    expect(families).toHaveLength(familiesAsked);
    expect(world.holds).toContain(`record ${containerID} underlay/eth0/${request.attachment.kind} done`);
    const links = world.holds.filter((line) => line.startsWith('link') && line.includes(`of ${containerID} with`));
    expect(links).toHaveLength(request.network.provides === 'interface' ? 1 : 0);
    expect(world.sharedLinks.size).toBe(request.network.shared?.length ?? 0);
    expect(world.ties.size).toBe(request.network.coordination === undefined ? 0 : 2);
    expect(world.violations).toEqual([]);
  };
  const everyMoment = async (visit: (at: Moment) => Promise<void>) => {
    const { world, worker } = await open();
    const moments: Moment[] = [];
    world.onMoment = (moment) => void moments.push(moment);
    await add(worker).done;
    expect(moments.length).toBeGreaterThan(6);
    for (const moment of moments.filter(({ call }) => call !== 'kernel.announce')) await visit(moment);
  };
  /** A list that fails is done without while there is an address to try. */
  const everyNeededCall = (visit: (at: Moment) => Promise<void>) =>
    everyMoment(async (moment) => (moment.call === 'claims.takenNames' ? undefined : await visit(moment)));
  const once = (world: NodeWorld, { at, moment }: Moment, act: () => void) => {
    world.onMoment = (now) => {
      if (now.at !== at || now.moment !== moment) return;
      world.onMoment = undefined;
      act();
    };
  };
  const told = (moment: Moment) => `${moment.at} ${moment.call} (${moment.moment})`;

  it('gives the pod its network and answers', async () => {
    const { world, worker } = await open();
    const { call, done } = add(worker);
    expect(await done).toEqual(await call.outcome);
    attached(world);
  });

  it('ends the same when every step runs twice', async () => {
    const { world, worker } = await open();
    const { call, done } = add(worker, { activities: twice(worker.activities) });
    expect(await done).toEqual(await call.outcome);
    attached(world);
  });

  it('leaves the node as it was when any call fails, and tells the caller why', async () => {
    await everyNeededCall(async (moment) => {
      const { world, worker } = await open();
      once(world, moment, () => fail(told(moment)));
      const { call, done } = add(worker);
      await expect(done).rejects.toThrow(told(moment));
      await expect(call.outcome).rejects.toThrow(told(moment));
      nothingLeft(world);
      expect(world.violations).toEqual([]);
    });
  });

  it('leaves the node as it was when any call fails and every undo runs twice', async () => {
    await everyNeededCall(async (moment) => {
      const { world, worker } = await open();
      once(world, moment, () => fail(told(moment)));
      await expect(add(worker, { activities: twice(worker.activities) }).done).rejects.toThrow(told(moment));
      nothingLeft(world);
      expect(world.violations).toEqual([]);
    });
  });

  it('leaves the node as it was when its undo fails too, before or after any call, and is repeated', async () => {
    const { world, worker } = await open();
    const undoing: Moment[] = [];
    const writes = await writesOf();
    failAtTheEnd(world, writes, (moment) => void undoing.push(moment));
    await expect(add(worker).done).rejects.toThrow('last step');
    expect(undoing.length).toBeGreaterThan(5);
    for (const moment of undoing) {
      const { world, worker } = await open();
      let hasFailed = false;
      failAtTheEnd(world, writes, (now) => {
        if (hasFailed || now.moment !== moment.moment || now.at !== moment.at) return;
        hasFailed = true;
        fail(told(moment));
      });
      const { call, done } = add(worker);
      await expect(done).rejects.toThrow('last step');
      await expect(call.outcome).rejects.toThrow('last step');
      expect(hasFailed).toBe(true);
      nothingLeft(world);
      expect(world.violations).toEqual([]);
    }
  });

  it('stops or completes, and nothing between, when its caller leaves at any call', async () => {
    await everyMoment(async (moment) => {
      const { world, worker } = await open();
      const { call, done } = add(worker);
      once(world, moment, () => call.close());
      const outcome = await done.then(
        () => 'attached',
        (error: unknown) => toFailure(error).message,
      );
      if (outcome === 'attached') return attached(world);
      expect(outcome).toContain('its caller is no longer connected');
      nothingLeft(world);
    });
  });

  it('ends detached when a DEL arrives at any call, and nobody else waits for its run', async () => {
    await everyMoment(async (moment) => {
      const { world, worker } = await open();
      const request = detachRequestOf();
      let detached: Promise<void> | undefined;
      once(world, moment, () => {
        worker.calls.open(request.nonce, 'DEL', request.attachment);
        detached = runDetach(worker.activities, request); // waits for the lock of its sandbox
      });
      await add(worker).done.catch(() => undefined);
      await detached;
      expect(detached).toBeDefined();
      nobodyServed(world);
    });
  });

  it('ends detached when a DEL arrives at any call and this process does it, because no run answers', async () => {
    await everyMoment(async (moment) => {
      const { world, worker } = await open();
      const { calls, locks, steps } = worker;
      const runs = { detach: () => Promise.resolve('no-run' as const), terminate: () => Promise.resolve() };
      const detaches = new DetachService({ runs, calls, locks, steps, untold: { note: () => undefined }, log: silent });
      let detached: Promise<string> | undefined;
      once(world, moment, () => {
        detached = detaches.detach(detachRequestOf());
      });
      await add(worker).done.catch(() => undefined);
      expect(await detached).toBe('undone');
      nobodyServed(world);
    });
  });

  it('starts nothing for a caller who gave up before its run began', async () => {
    const { world, worker } = await open();
    const before = world.holds;
    await expect(runAdd(worker.activities, request)).rejects.toThrow('its caller is no longer connected');
    expect(world.holds).toEqual(before);
    const undoing = ['records.read', 'kernel.unplumb', 'claims.release', 'records.remove'];
    expect(world.trace.filter((call) => !undoing.includes(call))).toEqual([]);
  });

  it('is complete or undone after the worker was killed at any call, if nobody asks again', async () => {
    await everyMoment(async (moment) => {
      const { world, worker } = await open();
      once(world, moment, () => worker.die());
      await add(worker).done.catch(() => undefined);
      const restarted = await world.start();
      const outcome = await runAdd(restarted.activities, request).then(
        () => 'attached',
        () => 'undone',
      );
      if (outcome === 'attached') attached(world);
      else nothingLeft(world);
    });
  });

  it('is answered once and the same after the worker was killed at any call, when the caller reconnects', async () => {
    await everyMoment(async (moment) => {
      const { world, worker } = await open();
      once(world, moment, () => worker.die());
      const first = add(worker);
      const firstAnswer = first.call.outcome;
      await first.done.catch(() => undefined);
      const restarted = await world.start();
      const second = add(restarted);
      const result = await second.done;
      expect(await second.call.outcome).toEqual(result);
      attached(world);
      const known = await Promise.race([firstAnswer, Promise.resolve('unanswered' as const)]).catch(
        () => 'unanswered' as const,
      );
      if (known !== 'unanswered') expect(known).toEqual(result);
    });
  });

  const detachRequestOf = () => detachRequest(request);
  const nobodyServed = (world: NodeWorld) => {
    expect(world.holds.filter((line) => line.endsWith(`Bound ${request.attachment.containerID}`))).toEqual([]);
    expect(world.holds.filter((line) => /^(record|shared|device|tie)/.test(line))).toEqual([]);
    expect(world.holds.filter((line) => line.includes(`of ${request.attachment.containerID} with`))).toEqual([]);
    expect(world.violations).toEqual([]);
  };
  const detachMoments = async (visit: (at: Moment) => Promise<void>) => {
    const { world, worker } = await open();
    await add(worker).done;
    const moments: Moment[] = [];
    world.onMoment = (moment) => void moments.push(moment);
    await runDetach(worker.activities, detachRequestOf());
    expect(moments.length).toBeGreaterThanOrEqual(/rdma|coordinate/.test(request.attachment.kind) ? 6 : 10);
    for (const moment of moments) await visit(moment);
  };

  it('is taken away by its DEL, which keeps its addresses for the pod', async () => {
    const { world, worker } = await open();
    await add(worker).done;
    await runDetach(twice(worker.activities), detachRequestOf());
    nobodyServed(world);
    const held = world.holds.filter((line) => line.endsWith('Held'));
    expect(held).toHaveLength(familiesAsked);
  });

  it('is taken away when any call of its DEL fails and is repeated', async () => {
    await detachMoments(async (moment) => {
      const { world, worker } = await open();
      await add(worker).done;
      once(world, moment, () => fail(told(moment)));
      await runDetach(worker.activities, detachRequestOf());
      nobodyServed(world);
    });
  });

  it('is taken away when the worker is killed at any call of its DEL and another one does it again', async () => {
    await detachMoments(async (moment) => {
      const { world, worker } = await open();
      await add(worker).done;
      once(world, moment, () => worker.die());
      await runDetach(worker.activities, detachRequestOf()).catch(() => undefined);
      const restarted = await world.start();
      await runDetach(restarted.activities, detachRequestOf());
      nobodyServed(world);
    });
  });
});

/** What plugin ifacer asks for, first in its chain. */
function onlyLinks(request: AddRequest): AddRequest {
  const { shared = [] } = onSharedLinks(request).network;
  const { link: _, ...network } = request.network;
  const attachment = { ...request.attachment, kind: 'prepare' } as const;
  return { ...request, attachment, network: { ...network, provides: 'links', shared } };
}

function tied(request: AddRequest): AddRequest {
  const coordination = { conf: { podMACPrefix: '0a:1b' }, coordinator: 'default' };
  return { ...request, network: { ...request.network, coordination } };
}

/** What plugin coordinator asks for, last in its chain. */
function onlyTied(request: AddRequest): AddRequest {
  const { link: _, ...network } = tied(request).network;
  const attachment = { ...request.attachment, kind: 'coordinate' } as const;
  return { ...request, attachment, network: { ...network, provides: 'coordination' } };
}

function onlyRdma(request: AddRequest): AddRequest {
  const { link: _, ...network } = request.network;
  const attachment = { ...request.attachment, kind: 'rdma' } as const;
  const device = { kind: 'rdma', pciAddress: '0000:01:10.0' } as const;
  return { ...request, attachment, network: { ...network, provides: 'rdma', device } };
}

function onSharedLinks(request: AddRequest): AddRequest {
  const link = { kind: 'macvlan', master: 'bond0.120', mode: 'bridge' } as const;
  const shared = [
    { kind: 'bond', name: 'bond0', ports: ['eno1', 'eno2'], mode: '802.3ad', options: {} },
    { kind: 'vlan', name: 'bond0.120', parent: 'bond0', vlanID: 120 },
  ] as const;
  return { ...request, network: { ...request.network, link, shared } };
}

const node4 = { node: node.name, machineID: node.machineID, bootID: node.bootID };

function placeOf(containerID: string) {
  return { containerID, netns: `/run/netns/${containerID}`, netnsCookie: `of ${containerID}` };
}

function stranger(index: number) {
  return { ...earlier, pod: `other-${index}`, podUID: `uid-${index}`, ...placeOf(`s${index}`) };
}

function withPools(request: AddRequest, v4: readonly string[], v6: readonly string[]): AddRequest {
  return { ...request, network: { ...request.network, defaultIPv4Pools: v4, defaultIPv6Pools: v6 } };
}

/** The main plugin of the chain makes its interface in the sandbox; we only remove our addresses from it. */
function otherPluginMakesLink(world: NodeWorld, { netns }: AddRequest): void {
  world.namespaces.get(netns)?.links.set('eth0', { owner: '', addresses: new Set() });
}

function fail(where: string): never {
  throw new ProvisionError({ type: 'KernelRefused', message: where });
}

/** Fails the ADD when all but its last write has taken effect, and shows what follows to `watch`. */
function failAtTheEnd(world: NodeWorld, writes: number, watch: (moment: Moment) => void): void {
  let writesLeft = writes;
  world.onMoment = (moment) => {
    if (writesLeft === 0) return watch(moment);
    if (moment.call !== 'records.write' || moment.at === 'after') return;
    writesLeft -= 1;
    if (writesLeft === 0) fail('last step');
  };
}
