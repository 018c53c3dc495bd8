import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Log } from '../../activities/node-ports.ts';
import type { AddressSpace } from '../../contracts/crds/addressspace.ts';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { parseAddress, toClaimName } from '../../ipam/address.ts';
import { applicationAffinityKeys, automaticPoolLabels } from '../../ipam/automatic-pool.ts';
import { contains, intersect } from '../../ipam/interval-set.ts';
import { isMalformed, offers, readPool } from '../../ipam/pool-snapshot.ts';
import { openApiClient } from '../../kube/api-client.ts';
import { ClaimStore } from '../../kube/claim-store.ts';
import { labelHash } from '../../kube/label-hash.ts';
import { PoolReader } from '../../kube/pool-reader.ts';
import { collection as claimCollection, holderOf, silent } from '../../kube/testing/claim-fixtures.ts';
import { asPoolPort } from '../../workers/node/node-cluster.ts';
import { AdmissionStack, collections, type Kind, objectOf } from './admission-stack.ts';

const pools = collections.SpiderIPPool;
const nothingReserved = { 4: { intervals: [], size: 0n }, 6: { intervals: [], size: 0n } };
const nodeLog: Log = { ...silent, error() {}, child: () => nodeLog };
const v4 = { subnet: '10.70.8.0/22', ips: ['10.70.8.20-10.70.8.90'] };

let stack: AdmissionStack;
beforeAll(async () => {
  stack = await AdmissionStack.start();
  await stack.serve();
}, 120_000);
afterAll(() => stack?.stop(), 60_000);
afterEach(async () => {
  await stack.clean();
  await eventually('Everything is gone', 60, async () => {
    const left = await Promise.all(
      [collections.SpiderSubnet, pools].map(async (path) => (await list<SpiderIPPool>(path)).map(nameOf)),
    );
    return left.flat().length === 0 ? { value: true } : { state: left.flat().join() };
  });
});

const nameOf = ({ metadata }: { metadata: { name: string } }): string => metadata.name;
const list = async <Item>(path: string): Promise<readonly Item[]> =>
  (await stack.request<{ items: readonly Item[] }>('GET', path)).items;
const pool = (name: string): Promise<SpiderIPPool> => stack.request('GET', `${pools}/${name}`);

async function claim(address: string, poolName: string, phase = 'Bound'): Promise<void> {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(address);
  const until = { ...(phase === 'Suspect' && { until: '2036-01-01T00:00:00Z' }) };
  await stack.request('POST', claimCollection, {
    apiVersion: 'orbweaver.io/v1alpha1',
    kind: 'IPClaim',
    metadata: { name: toClaimName(parsed), labels: { 'orbweaver.io/pool': labelHash(poolName) } },
    spec: { address: `${address}/22`, pool: poolName, phase, ...until, holders: [holderOf()] },
  });
}

describe('a pool that is created', () => {
  it('is completed: finalizer, family, label of its subnet, merged ranges', async () => {
    const ips = ['10.70.8.30', '10.70.8.20-10.70.8.25', '10.70.8.26'];
    expect(await stack.create('SpiderIPPool', 'a', { subnet: '10.70.8.0/22', ips })).toBe('admitted');
    expect(await pool('a')).toMatchObject({
      metadata: {
        finalizers: ['spiderpool.spidernet.io'],
        labels: { 'ipam.spidernet.io/ippool-cidr': '10-70-8-0-22' },
      },
      spec: { ipVersion: 4, ips: ['10.70.8.20-10.70.8.26', '10.70.8.30'] },
    });
  });

  it('D00008: inherits gateway and routes of its Subnet, and belongs to it', async () => {
    const routes = [{ dst: '10.64.0.0/10', gw: '10.70.8.9' }];
    await stack.create('SpiderSubnet', 'rack7', { ...v4, gateway: '10.70.8.1', routes });
    expect(await stack.create('SpiderIPPool', 'a', { subnet: v4.subnet, ips: ['10.70.8.20'] })).toBe('admitted');
    expect(await pool('a')).toMatchObject({
      metadata: {
        labels: { 'ipam.spidernet.io/owner-spider-subnet': 'rack7' },
        ownerReferences: [{ kind: 'SpiderSubnet', name: 'rack7', controller: true }],
      },
      spec: { gateway: '10.70.8.1', routes },
    });
    expect(await stack.create('SpiderIPPool', 'b', { subnet: v4.subnet, ips: ['10.70.8.10'] })).toMatch(
      /spec\.ips "10\.70\.8\.10" is outside SpiderSubnet "rack7".*: add it to that one’s spec\.ips first/,
    );
  });

  const refused: readonly (readonly [string, Kind, object, RegExp])[] = [
    ['no subnet', 'SpiderIPPool', {}, /spec\.subnet is missing: write network/],
    ['a subnet that is none', 'SpiderIPPool', { subnet: '10.70.8' }, /spec\.subnet "10\.70\.8" is not a CIDR: write/],
    [
      'host bits',
      'SpiderIPPool',
      { subnet: '10.70.8.5/22' },
      /spec\.subnet "10\.70\.8\.5\/22" has host bits set: write "10\.70\.8\.0\/22"/,
    ],
    [
      'an IPv6 subnet in another spelling',
      'SpiderIPPool',
      { subnet: 'FD00:70:0::/64' },
      /spec\.subnet "FD00:70:0::\/64" is not in canonical form: write "fd00:70::\/64"/,
    ],
    ['the other family', 'SpiderIPPool', { ...v4, ipVersion: 6 }, /spec\.ipVersion 6 contradicts.*: leave it out/],
    ['version 5', 'SpiderIPPool', { ...v4, ipVersion: 5 }, /spec\.ipVersion 5 is no IP version: write 4 or 6/],
    ['a range that is none', 'SpiderIPPool', { ...v4, ips: ['10.70.8'] }, /spec\.ips\[0\].*: write an address/],
    ['a range outside', 'SpiderIPPool', { ...v4, ips: ['10.80.0.1'] }, /spec\.ips\[0\] "10\.80\.0\.1" is not inside/],
    [
      'a reversed range',
      'SpiderIPPool',
      { ...v4, ips: ['10.70.8.9-10.70.8.1'] },
      /spec\.ips\[0\].*: write "10\.70\.8\.1-/,
    ],
    [
      'a range of the other family',
      'SpiderIPPool',
      { ...v4, excludeIPs: ['fd00::1'] },
      /spec\.excludeIPs\[0\].*not inside/,
    ],
    [
      'a gateway outside',
      'SpiderIPPool',
      { ...v4, gateway: '10.80.0.1' },
      /spec\.gateway "10\.80\.0\.1" is not inside/,
    ],
    [
      'a gateway that a pod could get',
      'SpiderIPPool',
      { ...v4, gateway: '10.70.8.20' },
      /spec\.gateway "10\.70\.8\.20" is one of spec\.ips.*: take it out of spec\.ips, or add it to spec\.excludeIPs/,
    ],
    [
      'the default route',
      'SpiderIPPool',
      { ...v4, routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }] },
      /spec\.routes\[0\]\.dst "0\.0\.0\.0\/0" is the default route: name its next hop in spec\.gateway/,
    ],
    [
      'a route twice',
      'SpiderIPPool',
      {
        ...v4,
        routes: [
          { dst: '10.64.0.0/10', gw: '10.70.8.1' },
          { dst: '10.64.0.0/10', gw: '10.70.8.2' },
        ],
      },
      /spec\.routes\[1\]\.dst/,
    ],
    [
      'a next hop outside',
      'SpiderIPPool',
      { ...v4, routes: [{ dst: '10.64.0.0/10', gw: '10.80.0.1' }] },
      /routes\[0\]\.gw/,
    ],
    [
      'a podAffinity of nothing',
      'SpiderIPPool',
      { ...v4, podAffinity: {} },
      /spec\.podAffinity.* names no label: leave it out/,
    ],
    [
      'a Subnet with host bits',
      'SpiderSubnet',
      { subnet: '10.70.8.5/22' },
      /SpiderSubnet "x": spec\.subnet.*: write "10\.70/,
    ],
    [
      'a Subnet’s gateway outside',
      'SpiderSubnet',
      { ...v4, gateway: '10.80.0.1' },
      /spec\.gateway "10\.80\.0\.1" is not/,
    ],
    [
      'a reservation of nothing',
      'SpiderReservedIP',
      { ips: [] },
      /spec\.ipVersion is missing.*: write ipVersion 4 or 6/,
    ],
    ['a reservation of text', 'SpiderReservedIP', { ips: ['printers'] }, /spec\.ips\[0\].*: write an address/],
    [
      'a reservation of two families',
      'SpiderReservedIP',
      { ips: ['10.0.0.1', 'fd00::1'] },
      /spec\.ips\[1\] "fd00::1" is IPv6/,
    ],
  ];
  it.each(refused)('is refused with %s, by field, value and remedy', async (_, kind, spec, why) => {
    expect(await stack.create(kind, 'x', spec)).toMatch(why);
  });

  it('is compared with what exists: subnets that overlap, addresses of another pool, a taken name', async () => {
    await stack.create('SpiderIPPool', 'a', { ...v4, excludeIPs: ['10.70.8.30'] });
    const create = (name: string, spec: object) => stack.create('SpiderIPPool', name, spec);
    expect(await create('b', { subnet: '10.70.0.0/16' })).toMatch(
      /spec\.subnet "10\.70\.0\.0\/16" overlaps with 10\.70\.8\.0\/22 of SpiderIPPool "a": use a subnet that lies apart/,
    );
    expect(await create('b', { subnet: '10.70.8.0/24' })).toMatch(/overlaps with 10\.70\.8\.0\/22/);
    expect(await create('b', { ...v4, ips: ['10.70.8.90'] })).toMatch(
      /spec\.ips "10\.70\.8\.90" is given by SpiderIPPool "a"/,
    );
    expect(await create('a', { ...v4, ips: ['10.70.9.1'] })).toMatch(/409.*metadata\.name "a" is taken/);
    expect(await create('b', { ...v4, ips: ['10.70.8.30', '10.70.9.1'] })).toBe('admitted');
    expect(await stack.create('SpiderSubnet', 's', { subnet: '10.70.0.0/16' })).toMatch(/overlaps/);
  });

  it('leaves nothing behind when it is a dry run', async () => {
    const body = objectOf('SpiderIPPool', 'a', v4);
    expect(await stack.verdict('POST', pools, body, { dryRun: 'All' })).toBe('admitted');
    await stack.create('SpiderIPPool', 'b', { subnet: '10.80.0.0/24', ips: ['10.80.0.5-10.80.0.9'] });
    expect(await stack.edit('SpiderIPPool', 'b', { ips: ['10.80.0.5'] }, { dryRun: 'All' })).toBe('admitted');
    expect(await list('/apis/orbweaver.io/v1alpha1/pooledits')).toEqual([]);
    const { spec } = await stack.request<AddressSpace>('GET', '/apis/orbweaver.io/v1alpha1/addressspaces/ipv4');
    expect(spec.entries.map(({ name }) => name)).not.toContain('a');
    expect(await stack.create('SpiderIPPool', 'c', v4)).toBe('admitted');
  });
});

describe('a pool that is edited', () => {
  it('D00001: does not get an address of another pool', async () => {
    await stack.create('SpiderIPPool', 'a', v4);
    await stack.create('SpiderIPPool', 'b', { ...v4, ips: ['10.70.9.1'] });
    expect(await stack.edit('SpiderIPPool', 'b', { ips: ['10.70.9.1', '10.70.8.20'] })).toMatch(
      /Cannot change SpiderIPPool "b": spec\.ips "10\.70\.8\.20" is given by SpiderIPPool "a" too: take it out/,
    );
  });

  it('D00003: keeps its subnet, and gets no gateway or route that cannot be', async () => {
    await stack.create('SpiderIPPool', 'a', v4);
    const edit = (change: object) => stack.edit('SpiderIPPool', 'a', change);
    expect(await edit({ gateway: '10.80.0.1' })).toMatch(/spec\.gateway "10\.80\.0\.1" is not inside/);
    expect(await edit({ routes: [{ dst: '10.64.0.0/10', gw: '1.1.1.1' }] })).toMatch(
      /spec\.routes\[0\]\.gw "1\.1\.1\.1"/,
    );
    expect(await edit({ subnet: '10.70.12.0/22', ips: [] })).toMatch(
      /spec\.subnet "10\.70\.12\.0\/22" cannot be changed/,
    );
    expect(await edit({ gateway: '10.70.8.1' })).toBe('admitted');
  });

  it('S00003: keeps every address that is in use, and may lose the others', async () => {
    await stack.create('SpiderIPPool', 'a', v4);
    await claim('10.70.8.25', 'a');
    const inUse = /spec\.ips would no longer give "10\.70\.8\.25", which pod pay\/api-0 has: keep it/;
    expect(await stack.edit('SpiderIPPool', 'a', { excludeIPs: ['10.70.8.25'] })).toMatch(inUse);
    expect(await stack.edit('SpiderIPPool', 'a', { ips: ['10.70.8.30-10.70.8.90'] })).toMatch(inUse);
    expect(await stack.edit('SpiderIPPool', 'a', { ips: ['10.70.8.25'] })).toBe('admitted');
    const [edit] = await list<{ spec: object }>('/apis/orbweaver.io/v1alpha1/pooledits');
    expect(edit?.spec).toMatchObject({
      pool: 'a',
      generation: 1,
      ips: ['10.70.8.20-10.70.8.24', '10.70.8.26-10.70.8.90'],
    });
  });

  it('I00018: keeps its addresses when it is an automatic one, unless the control worker edits it', async () => {
    await stack.create('SpiderSubnet', 'rack7', v4);
    const application = { group: 'apps', version: 'v1', kind: 'Deployment', namespace: 'pay', name: 'api' };
    const matchLabels = Object.fromEntries(
      Object.entries(application).map(([part, value]) => [
        applicationAffinityKeys[part as keyof typeof applicationAffinityKeys],
        value,
      ]),
    );
    const labels = { [automaticPoolLabels.applicationName]: 'api', [automaticPoolLabels.subnet]: 'rack7' };
    const spec = { subnet: v4.subnet, podAffinity: { matchLabels } };
    expect(await stack.create('SpiderIPPool', 'auto4-api', spec, { labels })).toBe('admitted');
    expect(await stack.edit('SpiderIPPool', 'auto4-api', { ips: ['10.70.8.20'] })).toMatch(
      /spec\.ips "10\.70\.8\.20" are of an automatic pool, which only the control worker sets/,
    );
    const headers = {
      ...(await stack.endpoint.headers()),
      'impersonate-user': 'system:serviceaccount:orbweaver-system:orbweaver-control',
      'impersonate-group': 'system:masters',
    };
    const asControlWorker = openApiClient({ ...stack.endpoint, headers: async () => headers });
    try {
      await eventually('The control worker is refused for another reason', 30, async () => {
        const body = { ...(await pool('auto4-api')), spec: { ...spec, ips: ['10.70.8.20'] } };
        return await asControlWorker
          .request({ method: 'PUT', path: `${pools}/auto4-api`, body, timeoutMs: 10_000 })
          .then(() => ({ state: 'admitted' }))
          .catch((error: Error) =>
            error.message.includes('record it there first') ? { value: true } : { state: error.message },
          );
      });
    } finally {
      await asControlWorker.close();
    }
  });

  it('strands no address that a node gives at the same moment', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const first = 20;
    for (const [index, name] of names.entries())
      await stack.create('SpiderIPPool', name, {
        subnet: `10.7${index}.0.0/24`,
        ips: [`10.7${index}.0.${first}-10.7${index}.0.27`],
      });
    const store = new ClaimStore({ api: stack.api, node: 'n1', log: silent, deadlineMs: 10_000 });
    await store.loadOwn();
    const reader = asPoolPort(new PoolReader({ api: stack.api, deadlineMs: 10_000 }), nodeLog);
    const configured = new Map<string, string>();
    let isOver = false;
    let given = 0;
    /** One pod after another: an address is chosen, claimed, looked at again, used for a moment, and given back. */
    const node = async (nic: number): Promise<void> => {
      for (let pod = 0; !isOver; pod += 1) {
        await sleep(5);
        const name = names[(nic + pod) % names.length] ?? '';
        const known = (await reader.recent()).pools.get(name);
        const text = `10.7${names.indexOf(name)}.0.${first + ((nic * 3 + pod) % 8)}`;
        const address = parseAddress(text);
        if (address === undefined || known === undefined || !offers(known, address)) continue;
        const holder = holderOf({
          pod: `p-${nic}-${pod}`,
          podUID: `u-${nic}-${pod}`,
          containerID: `c-${nic}-${pod}`,
          node: 'n1',
        });
        if ((await store.take({ name: text, address: `${text}/24`, pool: name, holder })) === 'taken') continue;
        const now = await reader.fresh(name);
        if (now !== undefined && offers(now, address)) {
          configured.set(text, name);
          given += 1;
          await sleep(100 + (pod % 5) * 300);
          configured.delete(text);
        }
        await store.giveBack(text, holder.containerID);
      }
    };
    const stranded: string[] = [];
    /** Takes some addresses away, looks, and gives them back to the pool. */
    const edits = async (name: string, index: number): Promise<string[]> => {
      const outcomes: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        const from = first + ((round * 3 + index) % 7);
        const outcome = await stack.edit('SpiderIPPool', name, {
          excludeIPs: [`10.7${index}.0.${from}-10.7${index}.0.${from + 1}`],
        });
        outcomes.push(outcome);
        const read = readPool(await pool(name), nothingReserved);
        for (const [text, of] of configured) {
          const address = parseAddress(text);
          if (of === name && address && !isMalformed(read) && !contains(read.candidates, address.value))
            stranded.push(text);
        }
        await stack.edit('SpiderIPPool', name, { excludeIPs: [] });
      }
      return outcomes;
    };
    const nodes = Array.from({ length: 6 }, (_, nic) => node(nic));
    const outcomes = await Promise.all(names.map(edits)).finally(() => {
      isOver = true;
    });
    await Promise.all(nodes);
    expect(stranded).toEqual([]);
    expect(given).toBeGreaterThan(10);
    expect(outcomes.flat()).toContain('admitted');
  });
});

describe('a pool that is deleted', () => {
  it('stays until its last claim is gone, and gives no address meanwhile', async () => {
    const reader = asPoolPort(new PoolReader({ api: stack.api, deadlineMs: 10_000 }), nodeLog);
    const givesAddress = async (): Promise<boolean> => {
      const [known, address] = [await reader.fresh('a'), parseAddress('10.70.8.30')];
      return known !== undefined && address !== undefined && offers(known, address);
    };
    await stack.create('SpiderIPPool', 'a', v4);
    await claim('10.70.8.25', 'a', 'Suspect');
    expect(await givesAddress()).toBe(true);
    expect(await stack.verdict('DELETE', `${pools}/a`)).toBe('admitted');
    expect(await givesAddress()).toBe(false);
    await sleep(1000);
    expect((await pool('a')).metadata.deletionTimestamp).toBeDefined();
    expect(await stack.edit('SpiderIPPool', 'a', { gateway: '10.70.8.1' })).toMatch(/being deleted/);
    await stack.request('DELETE', `${claimCollection}/10.70.8.25`);
    await eventually('The pool is gone', 30, async () => {
      const names = (await list<SpiderIPPool>(pools)).map(nameOf);
      return names.length === 0 ? { value: true } : { state: names.join() };
    });
    expect(await stack.create('SpiderIPPool', 'b', v4)).toBe('admitted');
  });

  it('goes with its Subnet, which stays until then', async () => {
    await stack.create('SpiderSubnet', 'rack7', v4);
    await stack.create('SpiderIPPool', 'a', v4);
    await claim('10.70.8.25', 'a');
    await stack.request('DELETE', `${collections.SpiderSubnet}/rack7`);
    await eventually('The pool is being deleted', 30, async () => {
      const { deletionTimestamp } = (await pool('a')).metadata;
      return deletionTimestamp === undefined ? { state: 'not yet' } : { value: true };
    });
    expect((await list(collections.SpiderSubnet)).length).toBe(1);
    await stack.request('DELETE', `${claimCollection}/10.70.8.25`);
    await eventually('Both are gone', 30, async () => {
      const left = [...(await list(collections.SpiderSubnet)), ...(await list(pools))];
      return left.length === 0 ? { value: true } : { state: `${left.length} left` };
    });
  });
});

describe('pools that are created at the same moment', () => {
  it('I00010: of 100 equal ones exactly one passes', async () => {
    const verdicts = await Promise.all(
      Array.from({ length: 100 }, (_, at) => stack.create('SpiderIPPool', `p${at}`, v4)),
    );
    expect(verdicts.filter((verdict) => verdict === 'admitted')).toHaveLength(1);
    expect(await list(pools)).toHaveLength(1);
  });

  it('I00009: of 100 equal Subnets exactly one passes', async () => {
    const verdicts = await Promise.all(
      Array.from({ length: 100 }, (_, at) => stack.create('SpiderSubnet', `s${at}`, v4)),
    );
    expect(verdicts.filter((verdict) => verdict === 'admitted')).toHaveLength(1);
  });

  it('are free of overlap in the end, also through two replicas of which one is killed', async () => {
    await stack.serve(2);
    const wanted = Array.from({ length: 100 }, (_, at) => {
      const prefix = [20, 22, 23, 24][at % 4] ?? 24;
      const subnet =
        prefix === 20
          ? '10.70.0.0/20'
          : prefix === 22
            ? '10.70.8.0/22'
            : prefix === 23
              ? '10.70.8.0/23'
              : '10.70.9.0/24';
      const start = 1 + ((at * 7) % 200);
      return { subnet, ips: [`10.70.9.${start}-10.70.9.${Math.min(250, start + 5)}`] };
    });
    const creates = wanted.map(async (spec, at) => {
      for (let attempt = 0; ; attempt += 1) {
        const verdict = await stack.create('SpiderIPPool', `p${at}`, spec);
        if (!verdict.includes('failed calling webhook') || attempt > 20) return verdict;
        await sleep(200);
      }
    });
    await sleep(60);
    await stack.replicas[0]?.stop('SIGKILL');
    const verdicts = await Promise.all(creates);
    expect(verdicts.filter((verdict) => verdict.includes('failed calling webhook'))).toEqual([]);
    const made = (await list<SpiderIPPool>(pools)).map((one) => readPool(one, nothingReserved));
    expect(made.length).toBe(verdicts.filter((verdict) => verdict === 'admitted').length);
    expect(made.length).toBeGreaterThan(0);
    for (const [index, one] of made.entries()) {
      for (const other of made.slice(index + 1)) {
        if (isMalformed(one) || isMalformed(other)) throw new Error('malformed');
        expect(one.subnet).toEqual(other.subnet);
        expect(intersect(one.candidates, other.candidates).size).toBe(0n);
      }
    }
    await stack.serve();
  }, 120_000);
});

describe('admission while its own parts change', () => {
  /** Asks again and again until told to stop; every answer that is not a verdict is a failure. */
  function load() {
    let isOver = false;
    const failures: string[] = [];
    let asked = 0;
    const asking = Array.from({ length: 4 }, async (_, lane) => {
      while (!isOver) {
        const spec = { subnet: `10.9${lane}.0.0/24`, ips: [`10.9${lane}.0.7`] };
        const verdict = await stack.verdict('POST', pools, objectOf('SpiderIPPool', `load-${lane}`, spec), {
          dryRun: 'All',
        });
        if (verdict !== 'admitted') failures.push(verdict);
        asked += 1;
        await sleep(10);
      }
    });
    return {
      end: async () => {
        isOver = true;
        await Promise.all(asking);
        return { failures, asked };
      },
    };
  }
  const served = async (): Promise<string> => {
    const { data } = await stack.request<{ data: Record<string, string> }>(
      'GET',
      '/api/v1/namespaces/orbweaver-system/secrets/orbweaver-webhook',
    );
    return data['tls.crt'] ?? '';
  };

  it('fails no request while certificate and authority are replaced', async () => {
    await stack.serve(2);
    const before = await served();
    const asking = load();
    const secret = ['secret', 'orbweaver-webhook', '--namespace', 'orbweaver-system'] as const;
    await stack.stack.kubectl('annotate', ...secret, 'orbweaver.io/rotate=now');
    await eventually('Another certificate is served', 60, async () =>
      (await served()) === before ? { state: 'still the first' } : { value: true },
    );
    await sleep(7000); // every replica has looked since
    const { failures, asked } = await asking.end();
    expect(failures).toEqual([]);
    expect(asked).toBeGreaterThan(100);
    for (const replica of stack.replicas) expect(replica.tail(4000)).toContain('webhook certificate taken');
  }, 120_000);

  it('fails no request while replicas are replaced one after the other', async () => {
    await stack.serve(2);
    await eventually('Both serve', 60, () => {
      const serving = stack.replicas.filter((replica) => replica.tail(20_000).includes('"webhooks are served"'));
      return serving.length === 2 ? { value: true } : { state: `${serving.length} of 2` };
    });
    const asking = load();
    for (const replica of stack.replicas) {
      const lives = (): number => replica.tail(20_000).split('"webhooks are served"').length;
      const before = lives();
      await replica.stop('SIGTERM');
      replica.start();
      await eventually('It serves again', 60, () => (lives() > before ? { value: true } : { state: replica.tail(3) }));
    }
    expect((await asking.end()).failures).toEqual([]);
  }, 120_000);

  it('refuses everything, and says whom it cannot reach, while no replica is there; statuses can be published', async () => {
    await stack.create('SpiderIPPool', 'a', v4);
    await stack.silence();
    try {
      expect(await stack.create('SpiderIPPool', 'b', v4)).toMatch(
        /failed calling webhook "mutate\.spiderippool\.spiderpool\.spidernet\.io".*connection refused/,
      );
      const found = await pool('a');
      expect(await stack.verdict('PUT', `${pools}/a/status`, { ...found, status: { allocatedIPCount: 7 } })).toBe(
        'admitted',
      );
    } finally {
      await stack.serve();
    }
  });

  it('refuses to delete what is in use, where that is asked for', async () => {
    await stack.serve(1, { ORBWEAVER_ENABLE_DELETE_VALIDATION: 'true' });
    try {
      await stack.create('SpiderSubnet', 'rack7', v4);
      await stack.create('SpiderIPPool', 'a', v4);
      await claim('10.70.8.25', 'a');
      expect(await stack.verdict('DELETE', `${pools}/a`)).toMatch(
        /Cannot delete SpiderIPPool "a": metadata\.name "a" has 1 address in use: see who has them, orb pools a/,
      );
      expect(await stack.verdict('DELETE', `${collections.SpiderSubnet}/rack7`)).toMatch(/has addresses in a: delete/);
      await stack.request('DELETE', `${claimCollection}/10.70.8.25`);
      expect(await stack.verdict('DELETE', `${pools}/a`)).toBe('admitted');
    } finally {
      await stack.serve();
    }
  });
});
