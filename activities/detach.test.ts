import { beforeEach, describe, expect, it } from '@jest/globals';
import type { AddRequest, DetachRequest } from '../contracts/pod-network.ts';
import { type NodeProcess, NodeWorld } from '../workers/node/testing/node-world.ts';
import { runAdd, runDetach } from '../workers/node/testing/run-in-process.ts';
import { addRequest, detachRequest } from '../workflows/testing/node-model.ts';

const base = addRequest();
const request: AddRequest = { ...base, network: { ...base.network, defaultIPv4Pools: ['v4'] } };
const { link: _, ...withoutLink } = request.network;
const addressesOnly: AddRequest = { ...request, network: { ...withoutLink, provides: 'addresses' } };
const undo: DetachRequest = { ...detachRequest(request), nonce: request.nonce, reason: 'failed-add' };

let world: NodeWorld;
let worker: NodeProcess;
beforeEach(async () => {
  world = new NodeWorld();
  world.pools.set('v4', { metadata: { name: 'v4' }, spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.29'] } });
  world.pods.set('pay/api-0', { uid: request.pod.uid, annotations: {}, isAlive: true });
  world.namespaces.set(request.netns, { cookie: request.netnsCookie, links: new Map() });
  worker = await world.start();
});
const open = (add: AddRequest = request) => worker.calls.open(add.nonce, 'ADD', add.attachment);
const links = () => world.holds.filter((line) => line.startsWith('link'));
const claims = () => world.holds.filter((line) => line.startsWith('claim'));

describe('an interface whose sandbox is proven gone', () => {
  it.each<[string, AddRequest, readonly string[]]>([
    ['went with its namespace', request, []],
    [
      'may still be reached through the node’s end of its pair',
      { ...request, network: { ...request.network, link: { kind: 'veth', master: 'br0' } } },
      ['kernel.unplumb'],
    ],
  ])('%s', async (_, add, asked) => {
    open(add);
    await runAdd(worker.activities, add);
    world.namespaces.delete(add.netns);
    const before = world.trace.length;
    await runDetach(worker.activities, { ...detachRequest(add), reason: 'proven-gone' });
    expect(world.trace.slice(before).filter((call) => call === 'kernel.unplumb')).toEqual(asked);
    expect(links()).toEqual([]);
  });
});

describe('the undo of an ADD', () => {
  it('leaves an attachment alone that was complete and answered: its pod lives with it', async () => {
    open();
    await runAdd(worker.activities, request);
    const before = world.holds;
    await expect(worker.activities.removeLink(undo)).rejects.toMatchObject({ type: 'Superseded' });
    await expect(worker.activities.releaseAddresses(undo)).rejects.toMatchObject({ type: 'Superseded' });
    expect(world.holds).toEqual(before);
  });

  it('leaves one alone that was complete when a worker was killed: the answer may have left', async () => {
    open();
    await runAdd(worker.activities, request);
    const restarted = await world.start();
    await expect(restarted.activities.removeLink(undo)).rejects.toMatchObject({ type: 'Superseded' });
    expect(links()).toHaveLength(1);
  });

  it('removes what is not complete', async () => {
    open();
    const addresses = await worker.activities.claimAddresses(request);
    await worker.ports.kernel.plumb({
      containerID: request.attachment.containerID,
      ifName: 'eth0',
      netns: request.netns,
      netnsCookie: request.netnsCookie,
      link: { kind: 'macvlan', master: 'bond0', mode: 'bridge' },
      addresses,
    });
    await worker.activities.removeLink(undo);
    await worker.activities.releaseAddresses(undo);
    expect(world.holds).toEqual([]);
  });
});

describe('a DEL', () => {
  const attached = async (add: AddRequest = request) => {
    open(add);
    await runAdd(worker.activities, add);
    world.trace.length = 0;
  };

  it('holds the addresses for a pod that lives', async () => {
    await attached();
    await runDetach(worker.activities, detachRequest(request));
    expect(claims()).toEqual([expect.stringMatching(/^claim 10\.70\.8\.2\d Held$/)]);
    expect(links()).toEqual([]);
  });

  it.each([
    ['is gone', () => world.pods.clear()],
    ['is finished', () => world.pods.set('pay/api-0', { uid: request.pod.uid, annotations: {}, isAlive: false })],
    ['was made anew', () => world.pods.set('pay/api-0', { uid: 'another', annotations: {}, isAlive: true })],
  ])('frees the addresses of a pod that %s', async (_, change) => {
    await attached();
    change();
    await runDetach(worker.activities, detachRequest(request));
    expect(world.holds).toEqual([]);
  });

  it('frees them when the pod goes while they are being held for it', async () => {
    await attached();
    world.onMoment = ({ call, at }) => {
      if (call === 'claims.release' && at === 'after') world.pods.clear();
    };
    await runDetach(worker.activities, detachRequest(request));
    expect(world.holds).toEqual([]);
  });

  it('removes the addresses from an interface that another plugin made, before it releases them', async () => {
    await attached(addressesOnly);
    const address = claims().map((line) => `${line.split(' ')[1]}/24`);
    world.namespaces.get(request.netns)?.links.set('eth0', { owner: '', addresses: new Set(address) });
    await runDetach(worker.activities, detachRequest(addressesOnly));
    expect(links()).toEqual([`link ${request.netns} eth0 of  with `]);
    const removed = world.trace.indexOf('kernel.removeAddresses');
    expect(removed).toBeGreaterThanOrEqual(0);
    expect(world.trace.indexOf('claims.release')).toBeGreaterThan(removed);
  });

  it.each([
    ['was renamed', () => 'x0'],
    ['was renamed and has lost its record', () => (world.records.clear(), 'x0')],
    ['has lost its record', () => (world.records.clear(), 'eth0')],
  ])('removes the addresses from an interface of another plugin that %s', async (_, change) => {
    await attached(addressesOnly);
    const addresses = new Set(
      claims()
        .map((line) => `${line.split(' ')[1]}/24`)
        .concat('10.99.0.1/24'),
    );
    world.namespaces.get(request.netns)?.links.set(change(), { owner: '', addresses });
    await worker.activities.removeLink(detachRequest(addressesOnly));
    expect([...addresses]).toEqual(['10.99.0.1/24']);
    expect(claims()).toHaveLength(1);
  });

  it('touches no other sandbox whose namespace has the path of this one by now', async () => {
    await attached();
    const another = new Map([['eth0', { owner: request.attachment.containerID, addresses: new Set<string>() }]]);
    world.namespaces.set(request.netns, { cookie: 'another', links: another });
    await runDetach(worker.activities, detachRequest(request));
    expect(another.size).toBe(1);
  });

  it('touches no interface that carries another mark', async () => {
    await attached();
    const link = { owner: 'somebody else', addresses: new Set<string>() };
    world.namespaces.get(request.netns)?.links.set('eth0', link);
    await runDetach(worker.activities, detachRequest(request));
    expect(links()).toEqual([expect.stringContaining('of somebody else')]);
  });

  it.each([
    ['its namespace', async () => world.namespaces.clear()],
    ['its record', async () => world.records.clear()],
    ['its claim', async () => loseClaim()],
    ['namespace and record', async () => [world.namespaces.clear(), world.records.clear()]],
  ])('succeeds when %s is gone already', async (_, lose) => {
    await attached();
    await lose();
    world.pods.clear();
    await runDetach(worker.activities, detachRequest(request));
    expect(world.holds).toEqual([]);
  });

  it('of an attachment that never was succeeds, without namespace and pod too', async () => {
    const bare = { ...detachRequest(request), pod: { namespace: '', name: '', uid: '' } };
    await runDetach(worker.activities, { ...bare, netns: '' });
    await runDetach(worker.activities, bare);
    expect(world.holds).toEqual([]);
  });

  it('is answered when it is done, and an undo answers nobody', async () => {
    await attached();
    const del = detachRequest(request);
    const call = worker.calls.open(del.nonce, 'DEL', del.attachment);
    await worker.activities.removeLink(del);
    expect(worker.calls.isWaiting(del.nonce)).toBe(true);
    await worker.activities.releaseAddresses(del);
    await expect(call.outcome).resolves.toBeUndefined();
  });
});

async function loseClaim(): Promise<void> {
  const [name] = claims().map((line) => line.split(' ')[1]);
  await world.api.request({ method: 'DELETE', path: `/apis/orbweaver.io/v1alpha1/ipclaims/${name}`, timeoutMs: 1 });
}

describe('making the link', () => {
  it("stops when the attachment was undone meanwhile: its addresses may be somebody else's", async () => {
    open();
    const addresses = await worker.activities.claimAddresses(request);
    world.records.clear();
    await expect(worker.activities.plumbLink(request, addresses)).rejects.toMatchObject({ type: 'Cancelled' });
    expect(links()).toEqual([]);
  });

  it('does not begin for a caller who left meanwhile', async () => {
    const call = open();
    const addresses = await worker.activities.claimAddresses(request);
    call.close();
    await expect(worker.activities.plumbLink(request, addresses)).rejects.toMatchObject({ type: 'CallerGone' });
    expect(world.trace).not.toContain('kernel.plumb');
  });

  it('fails on an interface of that name, and leaves it', async () => {
    open();
    world.namespaces.get(request.netns)?.links.set('eth0', { owner: '', addresses: new Set() });
    await expect(runAdd(worker.activities, request)).rejects.toThrow('the sandbox has an interface of that name');
    expect(world.holds).toEqual([`link ${request.netns} eth0 of  with `]);
  });

  it('is done although nobody could be told where the address is now', async () => {
    open();
    world.onMoment = ({ call }) => {
      if (call === 'kernel.announce') throw new Error('no raw socket');
    };
    const { ips } = await runAdd(worker.activities, request);
    expect(ips).toHaveLength(1);
    expect(world.logged).toContainEqual(expect.objectContaining({ level: 'warn', message: 'addresses not announced' }));
  });
});
