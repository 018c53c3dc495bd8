import { beforeEach, describe, expect, it } from '@jest/globals';
import type { AddRequest, DetachRequest } from '../contracts/pod-network.ts';
import { type NodeProcess, NodeWorld } from '../workers/node/testing/node-world.ts';
import { addRequest, detachRequest } from '../workflows/testing/node-model.ts';

const ordinal = 'StatefulSet/pay/api/0';
const machine = 'VirtualMachineInstance/pay/vm-1';
const otherMachine = 'VirtualMachineInstance/pay/vm-2';
const owners = {
  [ordinal]: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'api', uid: 'sts', controller: true },
  [machine]: {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    name: 'vm-1',
    uid: 'vmi',
    controller: true,
  },
  [otherMachine]: {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    name: 'vm-2',
    uid: 'vmi-2',
    controller: true,
  },
} as const;
/** A pod without an owner. */
const bare = 'bare';
type StickyTo = keyof typeof owners | typeof bare;

let one: NodeWorld;
let two: NodeWorld;
beforeEach(() => {
  one = new NodeWorld();
  two = new NodeWorld({ api: one.api, node: { name: 'r7-n2', machineID: 'm2', bootID: 'b2' } });
  for (const world of [one, two]) {
    world.pools.set('v4', pool('v4', '10.70.8.0/24', '10.70.8.20-10.70.8.29'));
    world.pools.set('spare', pool('spare', '10.70.9.0/24', '10.70.9.20-10.70.9.29'));
    world.pools.set('v6', pool('v6', 'fd70::/64', 'fd70::10-fd70::1f'));
  }
});
const pool = (name: string, subnet: string, ips: string) => ({ metadata: { name }, spec: { subnet, ips: [ips] } });

/** A pod in its sandbox, on a node; the node's worker has just started and knows what the API server lists. */
class Sandbox {
  readonly world: NodeWorld;
  readonly request: AddRequest;
  #worker: NodeProcess | undefined;

  constructor(
    world: NodeWorld,
    to: StickyTo,
    containerID: string,
    { pools = ['v4'], v6 = [] as string[], ifName = 'eth0', uid = `uid-${containerID}`, annotations = {} } = {},
  ) {
    const base = addRequest(ifName, containerID.padEnd(32, '0'), containerID);
    const name =
      to === ordinal ? 'api-0' : to === bare ? `bare-${uid}` : `virt-launcher-${owners[to].name}-${containerID}`;
    const ownerReferences = to === bare ? [] : [owners[to]];
    this.world = world;
    this.request = {
      ...base,
      pod: { namespace: 'pay', name, uid },
      node: world.node.name,
      netns: `/run/netns/${containerID}`,
      netnsCookie: `of ${containerID}`,
      network: { ...base.network, defaultIPv4Pools: pools, defaultIPv6Pools: v6 },
    };
    for (const each of [one, two]) each.pods.set(`pay/${name}`, { uid, annotations, isAlive: true, ownerReferences });
    world.namespaces.set(this.request.netns, { cookie: this.request.netnsCookie, links: new Map() });
  }

  async add(): Promise<readonly string[]> {
    const worker = await this.worker();
    worker.calls.open(this.request.nonce, 'ADD', this.request.attachment);
    return (await worker.activities.claimAddresses(this.request)).map(({ address }) => address);
  }

  async undo(): Promise<void> {
    const { attachment, pod, nonce } = this.request;
    await (await this.worker()).activities.releaseAddresses({ attachment, pod, nonce, reason: 'failed-add' });
  }

  /** The pod is gone. */
  endPod(): void {
    const { namespace, name, uid } = this.request.pod;
    for (const { pods } of [one, two])
      if (pods.get(`${namespace}/${name}`)?.uid === uid) pods.delete(`${namespace}/${name}`);
  }

  /** The pod is gone, and its sandbox is taken down. */
  async del(reason: DetachRequest['reason'] = 'detach'): Promise<void> {
    this.endPod();
    await this.endSandbox(reason);
  }

  /** The sandbox is taken down, to be made anew for its pod if that lives. */
  async endSandbox(reason: DetachRequest['reason'] = 'detach'): Promise<void> {
    await (await this.worker()).activities.releaseAddresses({ ...detachRequest(this.request), reason });
    this.world.namespaces.delete(this.request.netns);
  }

  async worker(): Promise<NodeProcess> {
    return (this.#worker ??= await this.world.start());
  }
}

const claims = () =>
  one.api.all().map(({ metadata, spec }) => {
    const holders = spec.holders.map(({ containerID, node }) => `${containerID} on ${node}`);
    return `${metadata.name} ${spec.phase} ${spec.identity ?? ''}: ${holders.join(', ')}`;
  });
const addressOf = ([address = '']: readonly string[]) => address.replace(/\/.*/, '');

describe('the address of an ordinal', () => {
  it('is that of its place in the pool, and says from the create on what it sticks to', async () => {
    expect(await new Sandbox(one, ordinal, 'c1').add()).toEqual(['10.70.8.20/24']);
    expect(claims()).toEqual([`10.70.8.20 Bound ${ordinal}: c1 on r7-n1`]);
    expect(one.api.all()[0]?.spec.kept).toBeUndefined();
  });

  it('is held when its pod is gone, and taken over by the next one, on this node or another', async () => {
    const first = new Sandbox(one, ordinal, 'c1');
    const address = addressOf(await first.add());
    await first.del();
    expect(claims()).toEqual([`${address} Held ${ordinal}: c1 on r7-n1`]);
    const second = new Sandbox(one, ordinal, 'c2');
    expect(addressOf(await second.add())).toBe(address);
    await second.del();
    expect(addressOf(await new Sandbox(two, ordinal, 'c3').add())).toBe(address);
    expect(claims()).toEqual([`${address} Bound ${ordinal}: c3 on r7-n2`]);
  });

  it('costs a list only when the node has nothing of it', async () => {
    const first = new Sandbox(one, ordinal, 'c1', { v6: ['v6'] });
    const worker = await first.worker();
    const before = one.api.listCount;
    await first.add();
    expect(one.api.listCount - before).toBe(1); // for both families
    await first.del();
    const second = new Sandbox(one, ordinal, 'c2', { v6: ['v6'] });
    worker.calls.open(second.request.nonce, 'ADD', second.request.attachment);
    const afterFirst = one.api.listCount;
    expect(await worker.activities.claimAddresses(second.request)).toHaveLength(2);
    expect(one.api.listCount).toBe(afterFirst);
  });

  it('is not given out a second time while its sandbox lives on another node, and the error names that node', async () => {
    await new Sandbox(one, ordinal, 'c1').add();
    await expect(new Sandbox(two, ordinal, 'c2').add()).rejects.toMatchObject({
      type: 'StickyAddressInUse',
      message:
        'Cannot give pod pay/api-0 the address 10.70.8.20/24 of StatefulSet/pay/api/0 yet: it is in use by pod pay/api-0 on node "r7-n1" (sandbox c1)',
      remedy: expect.stringMatching(/orb reclaim --dry-run.*kubectl delete ipclaim 10\.70\.8\.20$/),
    });
    expect(claims()).toEqual([`10.70.8.20 Bound ${ordinal}: c1 on r7-n1`]);
  });

  it('is not given out a second time while its sandbox lives on this node, and is when that is gone', async () => {
    const first = new Sandbox(one, ordinal, 'c1');
    await first.add();
    const second = new Sandbox(one, ordinal, 'c2');
    await expect(second.add()).rejects.toThrow('its network namespace lives: /run/netns/c1');
    one.namespaces.delete(first.request.netns);
    expect(await second.add()).toEqual(['10.70.8.20/24']);
  });

  it('of a lost node stays where it is until somebody proves that it is silent', async () => {
    const first = new Sandbox(one, ordinal, 'c1');
    await first.add();
    const found = one.api.all()[0];
    if (found === undefined) throw new Error('There is no claim');
    const body = { ...found, spec: { ...found.spec, phase: 'Held', kept: true, unproven: true } };
    const path = `/apis/orbweaver.io/v1alpha1/ipclaims/${found.metadata.name}`;
    await one.api.request({ method: 'PUT', path, body, timeoutMs: 1000 });
    two.whyMute = 'nobody can be asked';
    await expect(new Sandbox(two, ordinal, 'c2').add()).rejects.toThrow(
      /nobody has said that it is silent since pod pay\/api-0 on node "r7-n1" .*; nobody can be asked$/,
    );
    two.whyMute = undefined;
    two.strangers.set('10.70.8.20', '02:00:00:00:00:01');
    await expect(new Sandbox(two, ordinal, 'c2').add()).rejects.toThrow('02:00:00:00:00:01 on the network answers');
    one.namespaces.delete(first.request.netns);
    expect(await new Sandbox(one, ordinal, 'c3').add()).toEqual(['10.70.8.20/24']);
    expect(one.api.all()[0]?.spec.unproven).toBeUndefined();
  });

  it('§12.3 #4: that nobody has a claim for any more is not used: another one is claimed', async () => {
    const first = new Sandbox(one, ordinal, 'c1');
    await first.add();
    await first.del();
    const worker = await first.worker();
    const path = '/apis/orbweaver.io/v1alpha1/ipclaims/10.70.8.20';
    await one.api.request({ method: 'DELETE', path, timeoutMs: 1000 });
    await one.putClaim('10.70.8.20', 'Bound', { ...stranger, node: 'r7-n2' });
    const second = new Sandbox(one, ordinal, 'c2');
    worker.calls.open(second.request.nonce, 'ADD', second.request.attachment);
    const claimed = await worker.activities.claimAddresses(second.request);
    expect(claimed.map(({ address }) => address)).toEqual(['10.70.8.21/24']);
  });

  it('§12.3 #23: outlives a failed ADD, also its first', async () => {
    const first = new Sandbox(one, ordinal, 'c1');
    await first.add();
    await first.undo();
    expect(claims()).toEqual([`10.70.8.20 Held ${ordinal}: c1 on r7-n1`]);
    const second = new Sandbox(two, ordinal, 'c2');
    await second.add();
    await second.undo();
    expect(claims()).toEqual([`10.70.8.20 Held ${ordinal}: c2 on r7-n2`]);
  });

  it('is freed with its pod when nobody will come back for it, and held when nobody can tell', async () => {
    for (const [at, state] of (['unknown', 'ended'] as const).entries()) {
      one.identities.set(ordinal, { state, why: 'by the test' });
      const sandbox = new Sandbox(one, ordinal, `c${at}`);
      await sandbox.add();
      await sandbox.del();
      expect(claims()).toEqual(state === 'ended' ? [] : [`10.70.8.20 Held ${ordinal}: c0 on r7-n1`]);
    }
  });

  it('is held for its pod while that lives, although nobody will come after it', async () => {
    one.identities.set(ordinal, { state: 'ended', why: 'by the test' });
    const sandbox = new Sandbox(one, ordinal, 'c1');
    await sandbox.add();
    await (await sandbox.worker()).activities.releaseAddresses(detachRequest(sandbox.request));
    expect(claims()).toEqual([`10.70.8.20 Held ${ordinal}: c1 on r7-n1`]);
  });

  it('is not kept where the cluster does not want it', async () => {
    one.cluster = { ...one.cluster, stickyStatefulSets: false };
    const sandbox = new Sandbox(one, ordinal, 'c1');
    await sandbox.add();
    expect(claims()).toEqual([expect.stringMatching(/ Bound : c1 on r7-n1$/)]);
    await sandbox.del();
    expect(claims()).toEqual([]);
  });
});

const stranger = {
  namespace: 'pay',
  pod: 'stranger',
  podUID: 'uid-of-the-stranger',
  interface: 'eth0',
  network: 'underlay',
  containerID: 's1',
  netns: '/run/netns/s1',
  netnsCookie: '7',
  machineID: 'm2',
  bootID: 'b2',
};

describe('an ordinal whose pools changed', () => {
  const hadV4 = async (options = {}): Promise<void> => {
    const first = new Sandbox(one, ordinal, 'c1', options);
    await first.add();
    await first.del();
  };

  it('gives its address up when its pool is not named any more, and gets one of a pool that is', async () => {
    await hadV4();
    expect(await new Sandbox(two, ordinal, 'c2', { pools: ['spare'] }).add()).toEqual(['10.70.9.20/24']);
    expect(claims()).toEqual([`10.70.9.20 Bound ${ordinal}: c2 on r7-n2`]);
  });

  it('keeps it when its pool is named among others, first or last', async () => {
    await hadV4();
    expect(await new Sandbox(one, ordinal, 'c2', { pools: ['spare', 'v4'] }).add()).toEqual(['10.70.8.20/24']);
  });

  it('gives up only what this interface has', async () => {
    const [eth0, net1] = [
      new Sandbox(one, ordinal, 'c1'),
      new Sandbox(one, ordinal, 'c2', { ifName: 'net1', uid: 'uid-c1' }),
    ];
    expect(await eth0.add()).toEqual(['10.70.8.20/24']);
    expect(await net1.add()).toEqual(['10.70.8.21/24']);
    await eth0.del();
    await net1.del();
    expect(await new Sandbox(one, ordinal, 'c3', { ifName: 'net1', pools: ['spare'] }).add()).toEqual([
      '10.70.9.20/24',
    ]);
    expect(claims()).toEqual([`10.70.8.20 Held ${ordinal}: c1 on r7-n1`, `10.70.9.20 Bound ${ordinal}: c3 on r7-n1`]);
  });

  it('gets an address of a family that is new', async () => {
    await hadV4();
    expect(await new Sandbox(one, ordinal, 'c2', { v6: ['v6'] }).add()).toEqual(['10.70.8.20/24', 'fd70::10/64']);
  });

  it.each([
    ['disabled', { disable: true }],
    ['only for other nodes', { nodeName: ['elsewhere'] }],
    ['without a free address', { ips: ['10.70.8.20'] }],
  ])('keeps it when its pool is %s by now', async (_, change) => {
    await hadV4();
    for (const { pools } of [one, two]) {
      const found = pools.get('v4');
      if (found !== undefined) pools.set('v4', { ...found, spec: { ...found.spec, ...change } });
    }
    expect(await new Sandbox(two, ordinal, 'c2').add()).toEqual(['10.70.8.20/24']);
  });

  it('is told the reason of the filters when it has no address yet', async () => {
    const found = one.pools.get('v4');
    if (found !== undefined) one.pools.set('v4', { ...found, spec: { ...found.spec, disable: true } });
    await expect(new Sandbox(one, ordinal, 'c1').add()).rejects.toThrow('"v4" is disabled');
    expect(claims()).toEqual([]);
  });

  it('waits for the end of its last sandbox before it moves', async () => {
    await new Sandbox(one, ordinal, 'c1').add();
    await expect(new Sandbox(two, ordinal, 'c2', { pools: ['spare'] }).add()).rejects.toThrow('it is in use by');
    expect(claims()).toEqual([`10.70.8.20 Bound ${ordinal}: c1 on r7-n1`]);
  });
});

describe('the address of a machine', () => {
  const migrating = { annotations: { 'kubevirt.io/migrationJobName': 'job-1' } };

  it('stays over its restart, whatever its next pod is called', async () => {
    const first = new Sandbox(one, machine, 'c1');
    const [address] = await first.add();
    await first.del();
    expect(await new Sandbox(two, machine, 'c2').add()).toEqual([address]);
  });

  it('is on both nodes while it migrates, and each leaves alone: source first', async () => {
    const source = new Sandbox(one, machine, 'c1');
    const [address] = await source.add();
    const target = new Sandbox(two, machine, 'c2', migrating);
    expect(await target.add()).toEqual([address]);
    expect(claims()).toEqual([`${addressOf([address ?? ''])} Bound ${machine}: c1 on r7-n1, c2 on r7-n2`]);
    await source.del();
    expect(claims()).toEqual([`${addressOf([address ?? ''])} Bound ${machine}: c2 on r7-n2`]);
    await target.del();
    expect(claims()).toEqual([`${addressOf([address ?? ''])} Held ${machine}: c2 on r7-n2`]);
  });

  it('stays with the source when the migration fails', async () => {
    const source = new Sandbox(one, machine, 'c1');
    await source.add();
    const target = new Sandbox(two, machine, 'c2', migrating);
    await target.add();
    await target.undo();
    expect(claims()).toEqual([expect.stringMatching(/ Bound .*: c1 on r7-n1$/)]);
    const again = new Sandbox(two, machine, 'c3', migrating);
    await again.add();
    two.identities.set(machine, { state: 'ended', why: 'by the test' });
    await again.del();
    expect(claims()).toEqual([expect.stringMatching(/ Bound .*: c1 on r7-n1$/)]);
  });

  it('is deleted with the last of both, when the machine is', async () => {
    const [source, target] = [new Sandbox(one, machine, 'c1'), new Sandbox(two, machine, 'c2', migrating)];
    await source.add();
    await target.add();
    for (const { identities } of [one, two]) identities.set(machine, { state: 'ended', why: 'by the test' });
    await target.del();
    expect(claims()).toHaveLength(1);
    await source.del();
    expect(claims()).toEqual([]);
  });

  it('is not shared without a migration', async () => {
    await new Sandbox(one, machine, 'c1').add();
    await expect(new Sandbox(two, machine, 'c2').add()).rejects.toMatchObject({ type: 'StickyAddressInUse' });
  });

  it('stays when its pool is not named any more, until the machine is deleted', async () => {
    const first = new Sandbox(one, machine, 'c1');
    const [address] = await first.add();
    await first.del();
    expect(await new Sandbox(one, machine, 'c2', { pools: ['spare'] }).add()).toEqual([address]);
  });
});

describe('the address of an IPAMClaim', () => {
  const claim = 'IPAMClaim/pay/first';
  const naming = (...claimNames: readonly string[]) => ({
    annotations: {
      'k8s.v1.cni.cncf.io/networks': JSON.stringify(
        claimNames.map((name) => ({ name: 'vlan', ...(name && { 'ipam-claim-reference': name }) })),
      ),
    },
    ifName: 'net1',
  });

  it('is kept between two pods that have nothing else in common, on whichever node', async () => {
    const first = new Sandbox(one, bare, 'c1', naming('first'));
    const [address = ''] = await first.add();
    await first.del();
    expect(claims()).toEqual([`${addressOf([address])} Held ${claim}: c1 on r7-n1`]);
    expect(await new Sandbox(two, bare, 'c2', naming('first')).add()).toEqual([address]);
    expect(claims()).toEqual([`${addressOf([address])} Bound ${claim}: c2 on r7-n2`]);
  });

  it('is kept whatever the next pod calls the interface', async () => {
    const first = new Sandbox(one, bare, 'c1', naming('first'));
    const address = await first.add();
    await first.del();
    const second = { ...naming('', 'first'), ifName: 'net2' };
    expect(await new Sandbox(two, bare, 'c2', second).add()).toEqual(address);
    expect(claims()).toHaveLength(1);
  });

  it('is one of each family, and survives a failed ADD, also the first', async () => {
    const first = new Sandbox(one, bare, 'c1', { ...naming('first'), v6: ['v6'] });
    const addresses = await first.add();
    await first.undo();
    expect(claims().map((text) => text.replace(/^\S+ /, ''))).toEqual(Array(2).fill(`Held ${claim}: c1 on r7-n1`));
    first.endPod();
    expect(await new Sandbox(two, bare, 'c2', { ...naming('first'), v6: ['v6'] }).add()).toEqual(addresses);
  });

  it('is another one for each NIC of a pod, and two NICs cannot have one', async () => {
    const both = naming('first', 'second');
    const [net1, net2] = [
      new Sandbox(one, bare, 'c1', { ...both, uid: 'same' }),
      new Sandbox(one, bare, 'c1', { ...both, uid: 'same', ifName: 'net2' }),
    ];
    const had = [await net1.add(), await net2.add()];
    expect(new Set(one.api.all().map(({ spec }) => spec.identity))).toEqual(new Set([claim, 'IPAMClaim/pay/second']));
    await net1.del();
    await net2.del();
    const turned = naming('second', 'first');
    const next = [
      await new Sandbox(two, bare, 'c2', { ...turned, uid: 'next' }).add(),
      await new Sandbox(two, bare, 'c2', { ...turned, uid: 'next', ifName: 'net2' }).add(),
    ];
    expect(next).toEqual(had.toReversed());
    await expect(new Sandbox(two, bare, 'c3', naming('third', 'third')).add()).rejects.toMatchObject({
      type: 'InvalidAnnotation',
      message:
        'Cannot give net1 the addresses of IPAMClaim "third": net2 of the pod names it too, and its addresses are of one interface',
    });
    expect(claims()).toHaveLength(2);
  });

  it('is not given to a second pod while the first has it', async () => {
    await new Sandbox(one, bare, 'c1', naming('first')).add();
    await expect(new Sandbox(two, bare, 'c2', naming('first')).add()).rejects.toMatchObject({
      type: 'StickyAddressInUse',
      message: expect.stringContaining(`of ${claim} yet: it is in use by pod pay/bare-uid-c1 on node "r7-n1"`),
    });
  });

  it.each(['one', 'two'])(
    'is the first pod’s while that lives, also between two of its sandboxes: node %s',
    async (at) => {
      const world = at === 'one' ? one : two;
      const first = new Sandbox(one, bare, 'c1', { ...naming('first'), uid: 'a' });
      const address = await first.add();
      await first.endSandbox();
      expect(claims()).toEqual([`${addressOf(address)} Held ${claim}: c1 on r7-n1`]);
      await expect(new Sandbox(world, bare, 'c2', naming('first')).add()).rejects.toMatchObject({
        type: 'StickyAddressInUse',
        message: expect.stringContaining('it is kept for pod pay/bare-a on node "r7-n1" (sandbox c1), which lives'),
        remedy: expect.stringMatching(/^None while node "r7-n1" works: the end of that pod frees it/),
      });
      const again = new Sandbox(one, bare, 'c3', { ...naming('first'), uid: 'a' });
      expect(await again.add()).toEqual(address);
      await again.del();
      expect(await new Sandbox(world, bare, 'c4', naming('first')).add()).toEqual(address);
    },
  );

  it('is the first pod’s while nobody can say that it has ended', async () => {
    const first = new Sandbox(one, bare, 'c1', naming('first'));
    const address = await first.add();
    await first.del();
    let isSecondRead = false;
    two.onMoment = ({ call, at }) => {
      if (call !== 'pods.find' || at === 'after') return;
      if (isSecondRead) throw new Error('no answer');
      isSecondRead = true; // the first is of the pod that asks
    };
    await expect(new Sandbox(two, bare, 'c2', naming('first')).add()).rejects.toMatchObject({
      type: 'StickyAddressInUse',
      message: expect.stringContaining('of which nobody can say whether it lives: no answer'),
    });
    two.onMoment = undefined;
    expect(await new Sandbox(two, bare, 'c3', naming('first')).add()).toEqual(address);
  });

  const migrating = (claimName: string) => {
    const { annotations, ifName } = naming(claimName);
    return { ifName, annotations: { ...annotations, 'kubevirt.io/migrationJobName': 'job-1' } };
  };

  it('is not shared by pods that only say that they migrate', async () => {
    await new Sandbox(one, machine, 'c1', naming('first')).add();
    for (const [to, containerID] of [
      [bare, 'c2'],
      [ordinal, 'c3'],
    ] as const) {
      await expect(new Sandbox(two, to, containerID, migrating('first')).add()).rejects.toMatchObject({
        type: 'StickyAddressInUse',
      });
    }
    expect(claims()).toEqual([expect.stringMatching(/ Bound IPAMClaim\/pay\/first: c1 on r7-n1$/)]);
  });

  it.each<StickyTo>([otherMachine, bare])('is not shared by a machine that migrates with %s', async (holder) => {
    await new Sandbox(one, holder, 'c1', naming('first')).add();
    await expect(new Sandbox(two, machine, 'c2', migrating('first')).add()).rejects.toMatchObject({
      type: 'StickyAddressInUse',
      message: expect.stringContaining(`which is not known to be of ${machine}`),
    });
    expect(claims()).toEqual([expect.stringMatching(/ Bound IPAMClaim\/pay\/first: c1 on r7-n1$/)]);
  });

  it('is on both nodes of a machine that migrates, also where machines keep no addresses of their own', async () => {
    for (const world of [one, two]) world.cluster = { ...world.cluster, stickyVirtualMachines: false };
    const address = await new Sandbox(one, machine, 'c1', naming('first')).add();
    expect(await new Sandbox(two, machine, 'c2', migrating('first')).add()).toEqual(address);
    expect(claims()).toEqual([`${addressOf(address)} Bound ${claim}: c1 on r7-n1, c2 on r7-n2`]);
  });

  it('stays when its pool is not named any more, and goes with the IPAMClaim', async () => {
    const first = new Sandbox(one, bare, 'c1', naming('first'));
    const address = await first.add();
    await first.del();
    const second = new Sandbox(one, bare, 'c2', { ...naming('first'), pools: ['spare'] });
    expect(await second.add()).toEqual(address);
    one.identities.set(claim, { state: 'ended', why: 'by the test' });
    await second.del();
    expect(claims()).toEqual([]);
  });

  it('is a machine’s over its restart, and on both nodes while it migrates', async () => {
    const first = new Sandbox(one, machine, 'c1', naming('first'));
    const address = await first.add();
    await first.del();
    const source = new Sandbox(one, machine, 'c2', naming('first'));
    expect(await source.add()).toEqual(address);
    const target = new Sandbox(two, machine, 'c3', migrating('first'));
    expect(await target.add()).toEqual(address);
    expect(claims()).toEqual([`${addressOf(address)} Bound ${claim}: c2 on r7-n1, c3 on r7-n2`]);
    await source.del();
    await target.del();
    expect(claims()).toEqual([`${addressOf(address)} Held ${claim}: c3 on r7-n2`]);
  });

  it('is what the machine had before it named one, for as long as the machine is there', async () => {
    const before = new Sandbox(one, machine, 'c1', { ifName: 'net1' });
    const address = await before.add();
    await before.del();
    const after = new Sandbox(two, machine, 'c2', naming('first'));
    expect(await after.add()).toEqual(address);
    expect(claims()).toEqual([`${addressOf(address)} Bound ${machine}: c2 on r7-n2`]);
  });

  it('is freed once all that its families stick to has ended', async () => {
    const before = new Sandbox(one, machine, 'c1', { ifName: 'net1' });
    await before.add();
    await before.del();
    const after = new Sandbox(one, machine, 'c2', { ...naming('first'), v6: ['v6'] });
    await after.add();
    one.identities.set(machine, { state: 'ended', why: 'by the test' });
    await after.del();
    expect(claims().map((text) => text.replace(/^\S+ /, ''))).toEqual([
      `Held ${machine}: c2 on r7-n1`,
      `Held ${claim}: c2 on r7-n1`,
    ]);
  });
});
