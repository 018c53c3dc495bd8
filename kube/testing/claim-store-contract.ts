import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest } from '../api-client.ts';
import { claimLabels } from '../claim-labels.ts';
import { ClaimStore, type Taker } from '../claim-store.ts';
import { labelHash } from '../label-hash.ts';
import { collection, holderOf, inspect, overwrite, request, silent } from './claim-fixtures.ts';

/** A client on whose requests others act in between: `before` it is sent, or `after` it was answered. */
const interrupted = (
  api: ApiClient,
  { before, after }: Partial<Record<'before' | 'after', (request: ApiRequest) => Promise<unknown> | undefined>>,
): ApiClient => ({
  request: async <Answer>(request: ApiRequest) => {
    await before?.(request);
    const answer = await api.request<Answer>(request);
    await after?.(request);
    return answer;
  },
  watch: (request) => api.watch(request),
  close: () => api.close(),
});

/**
 * What every API server, real or in memory, makes true of the claim store. `connect` gives a client of one that holds no
 * claims.
 */
export function claimStoreContract(world: string, connect: () => Promise<ApiClient>): void {
  describe(`claims on ${world}`, () => {
    let api: ApiClient;
    let store: ClaimStore;
    const loaded = async (node = 'r7-n1', by = api): Promise<ClaimStore> => {
      const opened = new ClaimStore({ api: by, node, log: silent, deadlineMs: 5000 });
      await opened.loadOwn();
      return opened;
    };
    beforeEach(async () => {
      api = await connect();
      store = await loaded();
    });
    /** Takes a claim over as it stands now. */
    const adopt = async (by: ClaimStore, name: string, taker: Taker): Promise<'ours' | 'lost'> => {
      const seen = await by.readWhole(name);
      return seen === undefined ? 'lost' : await by.adopt(seen, taker);
    };
    const address = '10.70.8.20';
    const attachment = { containerID: 'c1', interface: 'eth0', network: 'vlan70' };

    it('takes a free address for one sandbox, and for no other', async () => {
      expect(await store.take(request(address, holderOf()))).toBe('ours');
      expect(await store.take(request(address, holderOf({ podUID: 'uid-1', containerID: 'c2' })))).toBe('taken');
      expect((await inspect(api, address))?.spec).toEqual({
        address: '10.70.8.20/22',
        pool: 'rack7-v4',
        phase: 'Bound',
        holders: [holderOf()],
      });
      expect((await inspect(api, address))?.metadata.labels).toEqual({
        'orbweaver.io/pool': labelHash('rack7-v4'),
        'orbweaver.io/node': labelHash('r7-n1'),
      });
    });

    it('answers a repeated take of the same sandbox with ours, also from a store that knows nothing', async () => {
      await store.take(request(address, holderOf()));
      expect(await store.take(request(address, holderOf()))).toBe('ours');
      expect(await (await loaded()).take(request(address, holderOf()))).toBe('ours');
    });

    it('gives one address to one interface of a sandbox only', async () => {
      await store.take(request(address, holderOf()));
      expect(await store.take(request(address, holderOf({ interface: 'net1' })))).toBe('taken');
      expect(await store.take(request(address, holderOf({ network: 'vlan71' })))).toBe('taken');
    });

    it('takes an IPv6 address under its full name', async () => {
      const name = 'fd00-0070-0000-0000-0000-0000-0000-0020';
      expect(await store.take(request(name, holderOf()))).toBe('ours');
      expect(store.ownOf('uid-0', 'eth0', 6).map((claim) => claim.name)).toEqual([name]);
      expect(store.ownOf('uid-0', 'eth0', 4)).toEqual([]);
    });

    it('makes 20 concurrent takes of one interface into one claim', async () => {
      const outcomes = await Promise.all(Array.from({ length: 20 }, () => store.take(request(address, holderOf()))));
      expect(outcomes).toEqual(Array.from({ length: 20 }, () => 'ours'));
      expect(store.own().map(({ name }) => name)).toEqual([address]);
    });

    it('has one create in flight per interface and family, whatever the addresses', async () => {
      let [inFlight, most] = [0, 0];
      const count =
        (by: number) =>
        async ({ method }: ApiRequest): Promise<void> => {
          inFlight += method === 'POST' ? by : 0;
          most = Math.max(most, inFlight);
        };
      const watched = await loaded('r7-n1', interrupted(api, { before: count(1), after: count(-1) }));
      const names = ['10.70.8.1', '10.70.8.2', '10.70.8.3'];
      await Promise.all(names.map((name) => watched.take(request(name, holderOf()))));
      expect([most, watched.own().length]).toEqual([1, 3]);
      await Promise.all(
        names.map((name, at) => watched.take(request(`${name}0`, holderOf({ interface: `net${at}` })))),
      );
      expect(most).toBeGreaterThan(1);
    });

    it('gives each of 50 addresses to exactly one of 100 takers on two nodes', async () => {
      const stores = [store, await loaded('r7-n2')];
      const names = Array.from({ length: 50 }, (_, at) => `10.70.9.${at + 1}`);
      const wins = new Map<string, string[]>();
      await Promise.all(
        Array.from({ length: 100 }, async (_, taker) => {
          const node = taker % 2;
          const holder = holderOf({ node: `r7-n${node + 1}`, podUID: `uid-${taker}`, containerID: `c-${taker}` });
          for (let step = 0; step < names.length; step += 1) {
            const name = names[(taker * 7 + step) % names.length] ?? '';
            if ((await stores[node]?.take(request(name, holder))) !== 'ours') continue;
            wins.set(name, [...(wins.get(name) ?? []), holder.containerID]);
            return;
          }
        }),
      );
      expect([...wins.keys()].toSorted()).toEqual(names.toSorted());
      const owners = await Promise.all(
        names.map(async (name) => (await inspect(api, name))?.spec.holders[0]?.containerID),
      );
      expect(names.map((name) => wins.get(name))).toEqual(owners.map((owner) => [owner]));
    }, 60_000);

    it('does not use a claim that is bound to another sandbox of the pod, but shows it', async () => {
      await store.take(request(address, holderOf({ containerID: 'c0' })));
      const later = await loaded();
      expect(await later.take(request(address, holderOf()))).toBe('taken');
      expect(later.ownOf('uid-0', 'eth0')).toMatchObject([{ name: address, phase: 'Bound', containerID: 'c0' }]);
      expect((await inspect(api, address))?.spec.holders[0]?.containerID).toBe('c0');
    });

    it('takes over a claim that is held for the pod, also when it only met it by its name', async () => {
      await store.take(request(address, holderOf({ containerID: 'c0' })));
      await store.release({ ...attachment, containerID: 'c0', disposition: 'hold' });
      expect((await inspect(api, address))?.spec).toMatchObject({ phase: 'Held', kept: true });
      expect(await store.take(request(address, holderOf()))).toBe('ours');
      expect((await inspect(api, address))?.spec).toMatchObject({
        phase: 'Bound',
        kept: true,
        holders: [{ containerID: 'c1' }],
      });
      expect(store.ownOf('uid-0', 'eth0')).toMatchObject([{ name: address, phase: 'Bound', containerID: 'c1' }]);
    });

    it('takes a claim again that it held itself, and then it is bound', async () => {
      await store.take(request(address, holderOf()));
      await store.release({ ...attachment, disposition: 'hold' });
      expect(await store.take(request(address, holderOf()))).toBe('ours');
      expect((await inspect(api, address))?.spec).toMatchObject({ phase: 'Bound', kept: true });
    });

    it('takes over a claim only as it was seen', async () => {
      await store.take(request(address, holderOf({ containerID: 'c0' })));
      const seen = await store.readWhole(address);
      if (seen === undefined) throw new Error('It is not there');
      await overwrite(api, address, { kept: true });
      expect(await store.adopt(seen, { holder: holderOf() })).toBe('lost');
      expect((await inspect(api, address))?.spec.holders[0]?.containerID).toBe('c0');
      expect(await adopt(store, '10.70.8.21', { holder: holderOf() })).toBe('lost');
      expect(await adopt(store, address, { holder: holderOf() })).toBe('ours');
      expect(await adopt(store, address, { holder: holderOf() })).toBe('ours');
      expect((await inspect(api, address))?.spec).toMatchObject({
        phase: 'Bound',
        kept: true,
        holders: [{ containerID: 'c1' }],
      });
    });

    it('lets one of two sandboxes adopt a held claim', async () => {
      await store.take(request(address, holderOf({ containerID: 'c0' })));
      await store.release({ ...attachment, containerID: 'c0', disposition: 'hold' });
      const rivals = await Promise.all([loaded(), loaded()]);
      const outcomes = await Promise.all(
        rivals.map((rival, at) => adopt(rival, address, { holder: holderOf({ containerID: `rival-${at}` }) })),
      );
      expect(outcomes.toSorted()).toEqual(['lost', 'ours']);
      expect((await inspect(api, address))?.spec.holders[0]?.containerID).toBe(`rival-${outcomes.indexOf('ours')}`);
    });

    it('leaves a held claim alone whose next taker must probe first', async () => {
      await store.take(request(address, holderOf({ containerID: 'c0' })));
      await overwrite(api, address, { phase: 'Held', kept: true, identity: 'StatefulSet/pay/api/0', unproven: true });
      expect(await store.take(request(address, holderOf()))).toBe('taken');
      const sticky = { ...request(address, holderOf()), identity: 'StatefulSet/pay/api/0' };
      expect(await store.take(sticky)).toBe('taken');
    });

    it('leaves an address alone that is held for an IPAMClaim since another pod had it, which may live', async () => {
      const identity = 'IPAMClaim/pay/first';
      await store.take({ ...request(address, holderOf()), identity });
      await overwrite(api, address, { phase: 'Held', kept: true });
      const other = holderOf({ podUID: 'uid-1', containerID: 'c2' });
      expect(await store.take({ ...request(address, other), identity })).toBe('taken');
      expect(await store.take({ ...request(address, holderOf({ containerID: 'c3' })), identity })).toBe('ours');
    });

    it('finds what an identity has, here without asking and elsewhere by one list that both families share', async () => {
      const identity = 'StatefulSet/pay/api/0';
      const v6 = 'fd00-0070-0000-0000-0000-0000-0000-0020';
      for (const name of [address, v6]) await store.take({ ...request(name, holderOf()), identity });
      await store.take({ ...request('10.70.8.21', holderOf({ interface: 'net1' })), identity });
      await store.take({ ...request('10.70.8.22', holderOf({ podUID: 'uid-1' })), identity: 'StatefulSet/pay/api/1' });
      expect((await store.keptFor(identity, 'eth0')).toSorted()).toEqual([address, v6]);
      let lists = 0;
      const before = async ({ query }: ApiRequest): Promise<void> => {
        if (query?.['labelSelector'] !== undefined) lists += 1;
      };
      const other = await loaded('r7-n2', interrupted(api, { before }));
      lists = 0;
      expect(await other.keptFor(identity, 'eth0')).toEqual([]);
      const elsewhere = { notBeforeMs: Date.now() - 1 };
      expect((await other.keptFor(identity, 'eth0', elsewhere)).toSorted()).toEqual([address, v6]);
      expect(await other.keptFor(identity, 'net1', elsewhere)).toEqual(['10.70.8.21']);
      expect(lists).toBe(1);
    });

    it('finds the claims of an identity that is of one interface whatever that is called', async () => {
      const identity = 'IPAMClaim/pay/first';
      await store.take({ ...request(address, holderOf()), identity });
      const other = await loaded('r7-n2');
      expect(await store.keptFor(identity, 'net9')).toEqual([address]);
      expect(await other.keptFor(identity, 'net9', { notBeforeMs: Date.now() - 1 })).toEqual([address]);
    });

    it('takes an identity’s claim over on another node, with labels by which that node finds it', async () => {
      const identity = 'StatefulSet/pay/api/0';
      await store.take({ ...request(address, holderOf()), identity });
      await store.release({ ...attachment, disposition: 'delete' });
      expect(store.identitiesOf(attachment)).toEqual([identity]);
      const taker = { holder: holderOf({ node: 'r7-n2', podUID: 'uid-1', containerID: 'c2' }), identity };
      expect(await adopt(await loaded('r7-n2'), address, taker)).toBe('ours');
      const claim = await inspect(api, address);
      expect(claim?.spec).toMatchObject({ phase: 'Bound', kept: true, identity, holders: [taker.holder] });
      expect(claim?.metadata.labels).toEqual(claimLabels(claim?.spec ?? neverSpec));
      expect((await loaded('r7-n2')).own().map(({ name }) => name)).toEqual([address]);
      expect((await loaded()).own()).toEqual([]);
    });

    it('deletes a sticky claim with the end of its identity', async () => {
      await store.take({ ...request(address, holderOf()), identity: 'StatefulSet/pay/api/0' });
      expect(await store.release({ ...attachment, disposition: 'end' })).toEqual([address]);
      expect(await inspect(api, address)).toBeUndefined();
    });

    it('lets a second node join, find the claim again, and keep it when the first has gone', async () => {
      const identity = 'VirtualMachineInstance/pay/vm-1';
      await store.take({ ...request(address, holderOf()), identity });
      const target = holderOf({ node: 'r7-n2', podUID: 'uid-1', containerID: 'c2' });
      expect(await adopt(await loaded('r7-n2'), address, { holder: target, identity, isJoining: true })).toBe('ours');
      expect((await inspect(api, address))?.spec).toMatchObject({ phase: 'Bound', holders: [holderOf(), target] });
      const restarted = await loaded('r7-n2');
      expect(restarted.own()).toMatchObject([{ name: address, containerID: 'c2', podUID: 'uid-1' }]);
      expect(await (await loaded()).release({ ...attachment, disposition: 'delete' })).toEqual([address]);
      const left = await inspect(api, address);
      expect(left?.spec).toMatchObject({ phase: 'Bound', holders: [target], identity });
      expect(left?.metadata.labels).toEqual(claimLabels(left?.spec ?? neverSpec));
      expect(await restarted.release({ ...attachment, containerID: 'c2', disposition: 'delete' })).toEqual([address]);
      expect((await inspect(api, address))?.spec).toMatchObject({ phase: 'Held', identity, holders: [target] });
    });

    it('leaves labels of others where they are', async () => {
      await store.take(request(address, holderOf()));
      const found = await inspect(api, address);
      const labels = { ...found?.metadata.labels, 'example.com/team': 'pay' };
      const body = { ...found, metadata: { ...found?.metadata, labels } };
      await api.request({ method: 'PUT', path: `${collection}/${address}`, body, timeoutMs: 5000 });
      await store.release({ ...attachment, disposition: 'hold' });
      expect((await inspect(api, address))?.metadata.labels).toEqual(labels);
    });

    it('deletes what a sandbox held once its pod is gone, and then has nothing more to release', async () => {
      await store.take(request(address, holderOf()));
      expect(await store.release({ ...attachment, disposition: 'delete' })).toEqual([address]);
      expect(await inspect(api, address)).toBeUndefined();
      expect(await store.release({ ...attachment, disposition: 'delete' })).toEqual([]);
      expect(store.own()).toEqual([]);
    });

    it('releases both families of one interface and no other interface', async () => {
      const v6 = 'fd00-0070-0000-0000-0000-0000-0000-0020';
      await store.take(request(address, holderOf()));
      await store.take(request(v6, holderOf()));
      await store.take(request('10.70.8.21', holderOf({ interface: 'net1' })));
      expect((await store.release({ ...attachment, disposition: 'delete' })).toSorted()).toEqual([address, v6]);
      expect(store.own().map(({ name }) => name)).toEqual(['10.70.8.21']);
    });

    it('keeps a claim from a failed ADD when the pod had it before, and deletes it otherwise', async () => {
      await store.take(request(address, holderOf({ containerID: 'c0' })));
      await store.release({ ...attachment, containerID: 'c0', disposition: 'hold' });
      await store.take(request(address, holderOf()));
      await store.take(request('10.70.8.21', holderOf()));
      await store.release({ ...attachment, disposition: 'undo' });
      expect((await inspect(api, address))?.spec).toMatchObject({ phase: 'Held', kept: true });
      expect(await inspect(api, '10.70.8.21')).toBeUndefined();
    });

    it('never deletes a sticky claim when its sandbox goes', async () => {
      await store.take(request(address, holderOf()));
      await overwrite(api, address, { identity: 'StatefulSet/pay/api/0' });
      expect(await store.release({ ...attachment, disposition: 'delete' })).toEqual([address]);
      expect((await inspect(api, address))?.spec).toMatchObject({
        phase: 'Held',
        kept: true,
        identity: 'StatefulSet/pay/api/0',
      });
    });

    it("refuses to release a successor's claim", async () => {
      await store.take(request(address, holderOf()));
      await adopt(await loaded(), address, { holder: holderOf({ containerID: 'c2' }) });
      expect(await store.release({ ...attachment, disposition: 'delete' })).toEqual([]);
      expect((await inspect(api, address))?.spec.holders[0]?.containerID).toBe('c2');
    });

    it('frees nothing with a delayed old DEL after the address went to another pod', async () => {
      await store.take(request(address, holderOf()));
      const other = await loaded('r7-n2');
      await store.release({ ...attachment, disposition: 'delete' });
      await other.take(request(address, holderOf({ podUID: 'uid-1', containerID: 'c2', node: 'r7-n2' })));
      expect(await store.release({ ...attachment, disposition: 'delete', names: [address] })).toEqual([]);
      expect((await inspect(api, address))?.spec.holders[0]?.containerID).toBe('c2');
    });

    it('releases what only the record of the attachment still knows', async () => {
      const blind = await loaded();
      await store.take(request(address, holderOf()));
      expect(await blind.release({ ...attachment, disposition: 'delete', names: [address] })).toEqual([address]);
      expect(await inspect(api, address)).toBeUndefined();
    });

    it('deletes no claim that changed between its read and its delete', async () => {
      let successor: Promise<'ours' | 'lost'> | undefined;
      const before = ({ method }: ApiRequest): Promise<unknown> | undefined =>
        method === 'DELETE'
          ? (successor ??= adopt(store, address, { holder: holderOf({ containerID: 'c2' }) }))
          : undefined;
      const slow = await loaded('r7-n1', interrupted(api, { before }));
      await slow.take(request(address, holderOf()));
      expect(await slow.release({ ...attachment, disposition: 'delete' })).toEqual([]);
      expect(await successor).toBe('ours');
      expect((await inspect(api, address))?.spec.holders[0]?.containerID).toBe('c2');
    });

    it('deletes no claim that was removed and created anew between its read and its delete', async () => {
      let successor: Promise<unknown> | undefined;
      const replace = async (): Promise<void> => {
        await store.release({ ...attachment, disposition: 'delete', names: [address] });
        await store.take(request(address, holderOf({ podUID: 'uid-1', containerID: 'c2' })));
      };
      const before = ({ method }: ApiRequest): Promise<unknown> | undefined =>
        method === 'DELETE' ? (successor ??= replace()) : undefined;
      const slow = await loaded('r7-n1', interrupted(api, { before }));
      await slow.take(request(address, holderOf()));
      expect(await slow.release({ ...attachment, disposition: 'delete' })).toEqual([]);
      expect((await inspect(api, address))?.spec.holders[0]?.containerID).toBe('c2');
    });

    it('gives one claim back for the sandbox that took it, and for no other', async () => {
      await store.take(request(address, holderOf()));
      await store.take(request('10.70.8.21', holderOf()));
      await store.giveBack(address, 'c2');
      await store.giveBack('10.70.8.21', 'c1');
      await store.giveBack('10.70.8.22', 'c1');
      expect(store.own().map(({ name }) => name)).toEqual([address]);
      expect((await inspect(api, address))?.spec.phase).toBe('Bound');
      expect(await inspect(api, '10.70.8.21')).toBeUndefined();
    });

    it('lets one of two holders go while the other stands', async () => {
      await store.take(request(address, holderOf()));
      await overwrite(api, address, { holders: [holderOf(), holderOf({ containerID: 'c2', node: 'r7-n2' })] });
      await store.release({ ...attachment, disposition: 'delete' });
      expect((await inspect(api, address))?.spec).toMatchObject({ phase: 'Bound', holders: [{ containerID: 'c2' }] });
    });

    it('marks an address of this sandbox that something else answers for, and forgets what it was kept for', async () => {
      const until = '2026-11-21T12:00:00Z';
      await store.take({ ...request(address, holderOf()), identity: 'StatefulSet/pay/api/0' });
      await store.setConflicted(address, { containerID: 'c1', until });
      expect((await inspect(api, address))?.spec).toEqual({
        address: '10.70.8.20/22',
        pool: 'rack7-v4',
        phase: 'Conflicted',
        until,
        holders: [holderOf()],
      });
      expect((await inspect(api, address))?.metadata.labels).not.toHaveProperty('orbweaver.io/identity');
      expect(await store.release({ ...attachment, disposition: 'undo' })).toEqual([]);
      expect(await store.take(request(address, holderOf()))).toBe('taken');
    });

    it('marks no address of another sandbox, unless it is Suspect', async () => {
      const until = '2026-11-21T12:00:00Z';
      for (const name of [address, '10.70.8.21']) await store.take(request(name, holderOf({ containerID: 'c2' })));
      await overwrite(api, '10.70.8.21', { phase: 'Suspect', until: '9999-12-31T23:59:59Z' });
      for (const name of [address, '10.70.8.21', '10.70.8.22'])
        await store.setConflicted(name, { containerID: 'c1', until });
      expect((await inspect(api, address))?.spec.phase).toBe('Bound');
      expect((await inspect(api, '10.70.8.21'))?.spec).toMatchObject({ phase: 'Conflicted', until, unproven: true });
    });

    it('takes over an address that is Suspect as it was seen, and it is no longer', async () => {
      await store.take(request(address, holderOf({ containerID: 'c2', podUID: 'uid-2' })));
      await overwrite(api, address, { phase: 'Suspect', until: '9999-12-31T23:59:59Z' });
      expect(await adopt(store, address, { holder: holderOf() })).toBe('ours');
      const spec = (await inspect(api, address))?.spec;
      expect(spec).toMatchObject({ phase: 'Bound', holders: [{ containerID: 'c1' }] });
      expect(spec).not.toHaveProperty('until');
    });

    it('leaves an address alone that something else answers for', async () => {
      await store.take(request(address, holderOf()));
      await overwrite(api, address, { phase: 'Conflicted', until: '2026-11-21T12:00:00Z' });
      expect(await store.release({ ...attachment, disposition: 'delete' })).toEqual([]);
      expect((await inspect(api, address))?.spec.phase).toBe('Conflicted');
    });

    it('frees what is held for a pod that is gone, but nothing that is bound or sticky', async () => {
      const names = [address, '10.70.8.21', '10.70.8.22', '10.70.8.23'] as const;
      for (const [at, name] of names.entries()) await store.take(request(name, holderOf({ interface: `net${at}` })));
      const held = { phase: 'Held', kept: true } as const;
      await overwrite(api, names[1], { ...held });
      await overwrite(api, names[2], { ...held, identity: 'StatefulSet/pay/api/0' });
      await overwrite(api, names[3], { ...held, holders: [holderOf({ podUID: 'uid-1' })] });
      const fresh = await loaded();
      expect(await fresh.freeHeld('uid-0')).toEqual([names[1]]);
      await fresh.releaseHeld(names[3], 'uid-0');
      const left = await Promise.all(names.map(async (name) => (await inspect(api, name))?.spec.phase));
      expect(left).toEqual(['Bound', undefined, 'Held', 'Held']);
    });

    it('frees nothing that only seems to be held for the pod', async () => {
      const names = [address, '10.70.8.21'] as const;
      for (const [at, name] of names.entries()) await store.take(request(name, holderOf({ interface: `net${at}` })));
      for (const at of [0, 1]) await store.release({ ...attachment, interface: `net${at}`, disposition: 'hold' });
      await overwrite(api, names[0], { phase: 'Bound', holders: [holderOf({ containerID: 'c2' })] });
      await overwrite(api, names[1], { identity: 'StatefulSet/pay/api/0' });
      expect(await store.freeHeld('uid-0')).toEqual([]);
      expect((await inspect(api, names[0]))?.spec.phase).toBe('Bound');
      expect((await inspect(api, names[1]))?.spec.phase).toBe('Held');
    });

    it('believes its own write more than a list that was on its way', async () => {
      await store.take(request(address, holderOf({ containerID: 'c0' })));
      const after = ({ query }: ApiRequest): Promise<unknown> | undefined =>
        query?.['labelSelector'] === undefined ? undefined : adopt(slow, address, { holder: holderOf() });
      const slow = new ClaimStore({ api: interrupted(api, { after }), node: 'r7-n1', log: silent, deadlineMs: 5000 });
      await slow.loadOwn();
      expect(slow.own()).toMatchObject([{ name: address, containerID: 'c1' }]);
    });

    it('remembers the claims of its own node from a list, with everything a later decision asks', async () => {
      await store.take(request(address, holderOf()));
      await store.take(request('10.70.8.21', holderOf({ podUID: 'uid-1', containerID: 'c2' })));
      await overwrite(api, '10.70.8.21', { phase: 'Held', kept: true, identity: 'StatefulSet/pay/api/0' });
      await (await loaded('r7-n2')).take(
        request('10.70.8.22', holderOf({ node: 'r7-n2', podUID: 'uid-2', containerID: 'c3' })),
      );
      const common = {
        pool: 'rack7-v4',
        namespace: 'pay',
        pod: 'api-0',
        interface: 'eth0',
        network: 'vlan70',
        isDoubtful: false,
      };
      const fresh = await loaded();
      expect(fresh.own().toSorted((one, other) => one.name.localeCompare(other.name))).toEqual([
        { ...common, name: address, phase: 'Bound', podUID: 'uid-0', containerID: 'c1', identity: '' },
        {
          ...common,
          name: '10.70.8.21',
          phase: 'Held',
          podUID: 'uid-1',
          containerID: 'c2',
          identity: 'StatefulSet/pay/api/0',
        },
      ]);
      expect(fresh.ownByContainer('c2').map(({ name }) => name)).toEqual(['10.70.8.21']);
    });

    it('says nothing about own claims before they are listed', () => {
      const unlisted = new ClaimStore({ api, node: 'r7-n1', log: silent });
      expect(() => unlisted.ownOf('uid-0', 'eth0')).toThrow('not listed yet');
    });

    it('lists the taken addresses of one pool, suspects marked', async () => {
      await store.take(request(address, holderOf()));
      await store.take(request('10.70.8.21', holderOf({ podUID: 'uid-1' })));
      await store.take(request('10.71.0.1', holderOf({ podUID: 'uid-2' }), 'rack8-v4'));
      await overwrite(api, '10.70.8.21', { phase: 'Suspect', until: '2026-11-21T12:00:00Z' });
      const { names, suspects } = await store.takenNames('rack7-v4', { notBeforeMs: Date.now() });
      expect([...names].toSorted()).toEqual([address, '10.70.8.21']);
      expect([...suspects]).toEqual(['10.70.8.21']);
    });

    it('shows in a list every claim that was taken before the list was asked for', async () => {
      await store.take(request(address, holderOf()));
      await store.takenNames('rack7-v4', { notBeforeMs: Date.now() });
      await store.take(request('10.70.8.21', holderOf({ podUID: 'uid-1' })));
      const { names, beganAtMs } = await store.takenNames('rack7-v4', { notBeforeMs: Date.now() });
      expect(names.has('10.70.8.21')).toBe(true);
      expect(beganAtMs).toBeLessThanOrEqual(Date.now());
    });
  });
}

/** For a claim that is not there: its test fails by its labels. */
const neverSpec = { address: '', pool: '', phase: 'Bound', holders: [] } as const;
