import { beforeEach, describe, expect, it } from '@jest/globals';
import type { AddRequest, LinkConf } from '../contracts/pod-network.ts';
import type { SharedLinkConf } from '../contracts/shared-link.ts';
import { type NodeProcess, NodeWorld } from '../workers/node/testing/node-world.ts';
import { runAdd, runDetach, twice } from '../workers/node/testing/run-in-process.ts';
import { addRequest, detachRequest } from '../workflows/testing/node-model.ts';

const bond: SharedLinkConf = { kind: 'bond', name: 'bond0', ports: ['eno1', 'eno2'], mode: '802.3ad', options: {} };
const vlan: SharedLinkConf = { kind: 'vlan', name: 'bond0.120', parent: 'bond0', vlanID: 120 };
const other: SharedLinkConf = { ...vlan, name: 'bond0.7', vlanID: 7 };

let world: NodeWorld;
let worker: NodeProcess;
let nonces: number;
beforeEach(async () => {
  nonces = 0;
  world = new NodeWorld();
  world.pools.set('v4', { metadata: { name: 'v4' }, spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.20-10.70.8.59'] } });
  world.pods.set('pay/api-0', { uid: addRequest().pod.uid, annotations: {}, isAlive: true });
  worker = await world.start();
});

const nonce = (): string => (nonces += 1).toString(16).padStart(32, '0');

/** An ADD of a sandbox of its own, in whole mode or as plugin ifacer. */
function request(containerID: string, network: Partial<AddRequest['network']>): AddRequest {
  const base = addRequest('eth0', nonce(), containerID);
  const netns = `/run/netns/${containerID}`;
  const netnsCookie = `of ${containerID}`;
  if (!world.namespaces.has(netns)) world.namespaces.set(netns, { cookie: netnsCookie, links: new Map() });
  const kind = network.provides === 'links' ? 'prepare' : 'attach';
  const attachment = { ...base.attachment, kind } as const;
  return {
    ...base,
    attachment,
    netns,
    netnsCookie,
    network: { ...base.network, defaultIPv4Pools: ['v4'], ...network },
  };
}
const whole = (containerID: string, ...shared: readonly SharedLinkConf[]): AddRequest =>
  request(containerID, {
    link: { kind: 'macvlan', mode: 'bridge', master: shared.at(-1)?.name ?? 'eno9' },
    ...(shared.length === 0 ? {} : { shared }),
  });
const ifacer = (containerID: string, ...shared: readonly SharedLinkConf[]): AddRequest => {
  const { link: _, ...network } = request(containerID, { provides: 'links', shared }).network;
  return { ...request(containerID, { provides: 'links' }), network };
};

const add = async (asked: AddRequest): Promise<AddRequest> => {
  const call = worker.calls.open(asked.nonce, 'ADD', asked.attachment);
  await runAdd(worker.activities, asked).finally(() => call.close());
  return asked;
};
const detach = async (asked: AddRequest): Promise<void> => {
  const gone = detachRequest(asked, nonce());
  const call = worker.calls.open(gone.nonce, 'DEL', gone.attachment);
  await runDetach(twice(worker.activities), gone).finally(() => call.close());
};
const links = (): readonly string[] => [...world.sharedLinks].sort();

describe('links that attachments share', () => {
  it('go with the last of their users', async () => {
    const [first, second] = [await add(whole('c1', bond, vlan)), await add(whole('c2', bond, vlan))];
    await detach(first);
    expect(links()).toEqual(['bond0', 'bond0.120']);
    await detach(second);
    expect(links()).toEqual([]);
  });

  it('go each with its own: a bond stays while another VLAN is on it', async () => {
    const [first, second] = [await add(whole('c1', bond, vlan)), await add(whole('c2', bond, other))];
    await detach(first);
    expect(links()).toEqual(['bond0', 'bond0.7']);
    await detach(second);
    expect(links()).toEqual([]);
  });

  it('stay for a network that names one as its master', async () => {
    const maker = await add(whole('c1', bond, vlan));
    const { shared: _, ...plain } = whole('c2', bond, vlan).network;
    await add({ ...whole('c2'), network: plain });
    await detach(maker);
    expect(links()).toEqual(['bond0', 'bond0.120']);
  });

  it('survive a restart of the worker with their users', async () => {
    const [first, second] = [await add(whole('c1', vlan)), await add(whole('c2', vlan))];
    worker.kill();
    worker = await world.start();
    await detach(first);
    expect(links()).toEqual(['bond0.120']);
    await detach(second);
    expect(links()).toEqual([]);
  });

  it('go when all of their users leave at once', async () => {
    const all = await Promise.all(['c1', 'c2', 'c3', 'c4'].map((id) => add(whole(id, bond, vlan))));
    await Promise.all(all.map(detach));
    expect(links()).toEqual([]);
    expect(world.records.size).toBe(0);
  });

  it('are made once for pods that come together, and are there for one that comes while the last leaves', async () => {
    const first = await add(whole('c1', bond, vlan));
    await Promise.all([detach(first), add(whole('c2', bond, vlan)), add(whole('c3', bond, vlan))]);
    expect(links()).toEqual(['bond0', 'bond0.120']);
  });

  it('are made again for the next pod when somebody deleted them (N00006)', async () => {
    const first = await add(whole('c1', bond, vlan));
    world.sharedLinks.clear();
    const second = await add(whole('c2', bond, vlan));
    expect(links()).toEqual(['bond0', 'bond0.120']);
    await detach(first);
    await detach(second);
    expect(links()).toEqual([]);
  });

  it('go with a sandbox that is gone without its DEL', async () => {
    const asked = await add(whole('c1', bond, vlan));
    world.namespaces.delete(asked.netns);
    await runDetach(worker.steps, { ...detachRequest(asked), reason: 'proven-gone' });
    expect(links()).toEqual([]);
  });

  it('are made before anything else, and taken away after the interface and before the addresses', async () => {
    const asked = whole('c1', vlan);
    await add(asked);
    await detach(asked);
    const order = world.trace.filter((call) =>
      /prepareShared|claims.take$|plumb|removeShared|claims.release$/.test(call),
    );
    expect([...new Set(order)]).toEqual([
      'kernel.prepareShared',
      'claims.take',
      'kernel.plumb',
      'kernel.unplumb',
      'kernel.removeShared',
      'claims.release',
    ]);
  });
});

describe('plugin ifacer', () => {
  it('makes links and answers with an empty result, also a call that is repeated', async () => {
    const asked = ifacer('c1', bond, vlan);
    const call = worker.calls.open(asked.nonce, 'ADD', asked.attachment);
    await runAdd(worker.activities, asked);
    expect(await call.outcome).toEqual({ interfaces: [], ips: [], routes: [], dns: {} });
    call.close();
    const again = { ...asked, nonce: nonce() };
    const second = worker.calls.open(again.nonce, 'ADD', again.attachment);
    await runAdd(worker.activities, again);
    expect(await second.outcome).toEqual({ interfaces: [], ips: [], routes: [], dns: {} });
  });

  it('touches neither interface nor address of the plugins after it in the chain', async () => {
    const prepared = await add(ifacer('c1', vlan));
    const { link: _, ...network } = request('c1', { provides: 'addresses' }).network;
    const attached = { ...request('c1', {}), network };
    world.namespaces.get(attached.netns)?.links.set('eth0', { owner: '', addresses: new Set() });
    await add(attached);
    const before = world.holds;
    await detach(prepared);
    const gone = ['record c1 underlay/eth0/prepare done', 'shared bond0.120'];
    expect(world.holds).toEqual(before.filter((line) => !gone.includes(line)));
    expect(before).toEqual(expect.arrayContaining([...gone, expect.stringMatching(/^claim \S+ Bound c1$/)]));
  });

  it('that asks for nothing makes nothing', async () => {
    const { link: _, ...network } = request('c1', { provides: 'links' }).network;
    await add({ ...request('c1', { provides: 'links' }), network });
    expect(world.trace).not.toContain('kernel.prepareShared');
  });
});

describe('an ipvlan', () => {
  const ipvlan = (containerID: string, mode: 'l2' | 'l3', master = 'eno1'): AddRequest =>
    request(containerID, { link: { kind: 'ipvlan', mode, master } satisfies LinkConf });

  it('is refused beside others of another mode on its parent: the kernel would change theirs', async () => {
    await add(ipvlan('c1', 'l2'));
    await expect(add(ipvlan('c2', 'l3'))).rejects.toThrow(
      'Cannot make an ipvlan in mode l3 on "eno1": interface eth0 of pod pay/api-0 is in mode l2 there',
    );
    expect(world.holds.filter((line) => line.includes('c2'))).toEqual([]);
  });

  it('is made beside others of its mode, and of any mode on another parent', async () => {
    await add(ipvlan('c1', 'l2'));
    await add(ipvlan('c2', 'l2'));
    await expect(add(ipvlan('c3', 'l3', 'eno2'))).resolves.toBeDefined();
  });

  it('of layer 3 has no neighbours to be announced to', async () => {
    await add(ipvlan('c1', 'l3'));
    expect(world.trace).not.toContain('kernel.announce');
    await add(ipvlan('c2', 'l2', 'eno2'));
    expect(world.trace).toContain('kernel.announce');
  });
});
