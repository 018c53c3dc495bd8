import { describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { SpiderEndpoint } from '../contracts/crds/spiderendpoint.ts';
import type { SpiderIPPool, SpiderIPPoolSpec } from '../contracts/crds/spiderippool.ts';
import { importedContainer } from '../contracts/imported-claim.ts';
import { viewOf } from '../kube/pod-view.ts';
import { toJSON } from './commands/terminal.ts';
import { dryRunOf, renderImport } from './import-page.ts';
import { type ImportEvidence, planImport } from './import-plan.ts';
import { plain } from './paint.ts';
import { claimOf } from './testing/claims.ts';
import { golden } from './testing/golden.ts';

type Records = Readonly<Record<string, readonly [pod: string, uid: string]>>;

/** As Spiderpool writes it: JSON text, one entry for each address. */
function pool(name: string, records: Records, spec: Partial<SpiderIPPoolSpec> = {}): SpiderIPPool {
  const entries = Object.entries(records).map(([address, [pod, podUid]]) => [address, { pod, podUid }]);
  return {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderIPPool',
    metadata: { name, finalizers: ['spiderpool.spidernet.io'] },
    spec: { subnet: '10.70.8.0/22', ips: ['10.70.8.20-10.70.8.90'], ...spec },
    status: { allocatedIPs: JSON.stringify(Object.fromEntries(entries)), allocatedIPCount: entries.length },
  };
}

function endpoint(
  name: string,
  uid: string,
  addresses: Readonly<Record<string, string>>,
  owner: readonly [kind: string, name: string] = ['Deployment', 'api'],
): SpiderEndpoint {
  return {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderEndpoint',
    metadata: { namespace: 'pay', name, finalizers: ['spiderpool.spidernet.io'] },
    status: {
      current: {
        uid,
        node: 'r7-n1',
        ips: Object.entries(addresses).map(([nic, address]) =>
          address.includes(':')
            ? { interface: nic, ipv6: `${address}/64`, ipv6Pool: 'rack7-v6' }
            : { interface: nic, ipv4: `${address}/22`, ipv4Pool: 'rack7-v4' },
        ),
      },
      ownerControllerType: owner[0],
      ownerControllerName: owner[1],
    },
  };
}

interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}
const pod = (name: string, uid: string, owner?: Owner, status: { phase?: string } = {}) => ({
  ...viewOf({
    metadata: {
      namespace: 'pay',
      name,
      uid,
      ...(owner === undefined ? {} : { ownerReferences: [{ ...owner, uid: 'o', controller: true }] }),
    },
    spec: { nodeName: 'r7-n1', restartPolicy: 'Never' },
    status,
  }),
  objectUID: uid,
});
const statefulSet: Owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db' };

const plan = (some: Partial<ImportEvidence>) =>
  planImport({
    pools: [],
    endpoints: [],
    pods: [],
    claims: [],
    stickiness: { stickyStatefulSets: true, stickyVirtualMachines: true },
    ...some,
  });
/** What is planned, a line each. */
const told = (some: Partial<ImportEvidence>): readonly string[] => {
  const { create, present, withdraw, misfits } = plan(some);
  return [
    ...create.map(
      ({ name, spec }) => `create ${name} ${spec.phase} ${spec.holders[0]?.interface} ${spec.identity ?? '-'}`,
    ),
    ...present.map((address) => `present ${address}`),
    ...withdraw.map(({ name }) => `withdraw ${name}`),
    ...misfits.map(({ address, reason }) => `misfit ${address} ${reason}`),
  ];
};

const one = {
  pools: [pool('rack7-v4', { '10.70.8.20': ['pay/api-0', 'u0'] })],
  endpoints: [endpoint('api-0', 'u0', { eth0: '10.70.8.20' })],
  pods: [pod('api-0', 'u0')],
};
const asClaim = (some: Partial<ImportEvidence>): IPClaim[] =>
  plan(some).create.map(({ name, spec }) => ({
    apiVersion: 'orbweaver.io/v1alpha1',
    kind: 'IPClaim',
    metadata: { name, uid: `uid-${name}`, resourceVersion: '7' },
    spec,
  }));

describe('an address that Spiderpool gave', () => {
  it('is claimed for the pod, on the interface that its endpoint names', () => {
    expect(plan(one).create).toEqual([
      {
        name: '10.70.8.20',
        spec: {
          address: '10.70.8.20/22',
          pool: 'rack7-v4',
          phase: 'Bound',
          kept: true,
          holders: [
            {
              namespace: 'pay',
              pod: 'api-0',
              podUID: 'u0',
              interface: 'eth0',
              network: 'imported',
              containerID: importedContainer('u0'),
              netns: '',
              netnsCookie: '',
              node: 'r7-n1',
              machineID: '',
              bootID: '',
            },
          ],
        },
      },
    ]);
  });

  it('is claimed on every interface, in both families', () => {
    const v6 = { subnet: 'fd00:70::/64', ips: ['fd00:70::10-fd00:70::ff'] };
    expect(
      told({
        pools: [
          pool('rack7-v4', { '10.70.8.20': ['pay/api-0', 'u0'], '10.70.8.21': ['pay/api-0', 'u0'] }),
          pool('rack7-v6', { 'fd00:70::14': ['pay/api-0', 'u0'] }, v6),
        ],
        endpoints: [endpoint('api-0', 'u0', { eth0: '10.70.8.20', net1: '10.70.8.21', net2: 'fd00:70::14' })],
        pods: one.pods,
      }),
    ).toEqual([
      'create 10.70.8.20 Bound eth0 -',
      'create 10.70.8.21 Bound net1 -',
      'create fd00-0070-0000-0000-0000-0000-0000-0014 Bound net2 -',
    ]);
  });

  it('is claimed although it is reserved, or the gateway: the pod has it', () => {
    expect(
      told({ ...one, pools: [pool('rack7-v4', { '10.70.8.20': ['pay/api-0', 'u0'] }, { gateway: '10.70.8.20' })] }),
    ).toEqual(['create 10.70.8.20 Bound eth0 -']);
  });

  it('of a pod that is being deleted is claimed: its sandbox may still answer', () => {
    const going = { ...pod('api-0', 'u0'), isAlive: false };
    expect(told({ ...one, pods: [going] })).toEqual(['create 10.70.8.20 Bound eth0 -']);
  });

  it('of a pod that has finished is claimed, and noted', () => {
    const { create } = plan({ ...one, pods: [pod('api-0', 'u0', undefined, { phase: 'Succeeded' })] });
    expect(create[0]?.note).toContain('The pod has finished');
  });
});

describe('a sticky address', () => {
  const endpoints = [endpoint('db-0', 'u0', { eth0: '10.70.8.20' }, ['StatefulSet', 'db'])];
  const pools = [pool('rack7-v4', { '10.70.8.20': ['pay/db-0', 'u0'] })];

  it('stays its StatefulSet’s', () => {
    expect(told({ pools, endpoints, pods: [pod('db-0', 'u0', statefulSet)] })).toEqual([
      'create 10.70.8.20 Bound eth0 StatefulSet/pay/db/0',
    ]);
  });

  it.each([
    ['whose pod is not there', []],
    ['whose next pod has no address yet', [pod('db-0', 'u1', statefulSet)]],
  ])('%s is held for it', (_, pods) => {
    expect(told({ pools, endpoints, pods })).toEqual(['create 10.70.8.20 Held eth0 StatefulSet/pay/db/0']);
  });

  it('of a machine is found by the machine’s name', () => {
    const owner: Owner = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance', name: 'vm-1' };
    const machine = {
      pools: [pool('rack7-v4', { '10.70.8.20': ['pay/vm-1', 'u0'] })],
      endpoints: [endpoint('vm-1', 'u0', { eth0: '10.70.8.20' }, ['VirtualMachineInstance', 'vm-1'])],
    };
    const { create } = plan({ ...machine, pods: [pod('virt-launcher-vm-1-x', 'u0', owner)] });
    expect(create[0]?.spec).toMatchObject({
      phase: 'Bound',
      identity: 'VirtualMachineInstance/pay/vm-1',
      holders: [{ pod: 'virt-launcher-vm-1-x' }],
    });
    expect(told(machine)).toEqual(['create 10.70.8.20 Held eth0 VirtualMachineInstance/pay/vm-1']);
  });

  it('is none where such pods keep nothing', () => {
    const stickiness = { stickyStatefulSets: false, stickyVirtualMachines: true };
    expect(told({ pools, endpoints, stickiness })).toEqual(['misfit 10.70.8.20 is of a pod that is gone']);
  });
});

describe('a second import', () => {
  it('makes nothing', () => {
    expect(told({ ...one, claims: asClaim(one) })).toEqual(['present 10.70.8.20']);
  });

  it('makes nothing for an address that the node’s worker knows by now', () => {
    const [claim] = asClaim(one);
    if (claim === undefined) throw new Error('No claim was planned');
    const [holder] = claim.spec.holders;
    const completed = { ...claim, spec: { ...claim.spec, holders: [{ ...holder, containerID: 'imported.u0.4711' }] } };
    expect(told({ ...one, claims: [completed as IPClaim] })).toEqual(['present 10.70.8.20']);
    expect(told({ ...one, pools: [pool('rack7-v4', {})], claims: [completed as IPClaim] })).toEqual([]);
  });

  it('takes back what Spiderpool has released since', () => {
    expect(told({ ...one, pools: [pool('rack7-v4', {})], claims: asClaim(one) })).toEqual(['withdraw 10.70.8.20']);
  });

  it('takes nothing back of a pool whose records are not complete: ours, with more than 500', () => {
    const ours = { ...pool('rack7-v4', {}), status: { allocatedIPCount: 700 } };
    expect(told({ ...one, pools: [ours], claims: asClaim(one) })).toEqual([]);
  });
});

describe('what does not fit', () => {
  const records = (some: Records, spec: Partial<SpiderIPPoolSpec> = {}) => [pool('rack7-v4', some, spec)];
  it.each([
    [
      'outside of its pool',
      { pools: records({ '10.70.9.20': ['pay/api-0', 'u0'] }) },
      'is outside of the ips of its pool',
    ],
    ['no address', { pools: records({ x: ['pay/api-0', 'u0'] }) }, 'is no address'],
    [
      'two pods’',
      { pools: [...one.pools, pool('rack7-b', { '10.70.8.20': ['pay/api-1', 'u1'] })] },
      'is two pods’: pay/api-0 by pool rack7-v4, pay/api-1 by pool rack7-b',
    ],
    ['a gone pod’s', { pods: [] }, 'is of a pod that is gone'],
    ['an earlier pod’s', { pods: [pod('api-0', 'u1')] }, 'is of a pod that is gone: another one has its name'],
    ['without an endpoint', { endpoints: [] }, 'no SpiderEndpoint pay/api-0 says on which interface it is'],
    [
      'not what the endpoint says',
      { endpoints: [endpoint('api-0', 'u0', { eth0: '10.70.8.29' })] },
      'is not what SpiderEndpoint pay/api-0 says of the pod',
    ],
    [
      'without an interface yet',
      { endpoints: [endpoint('api-0', 'u0', { '': '10.70.8.20' })] },
      'has no interface yet: the pod is just starting. Import again',
    ],
    ['another pod’s by now', { claims: [claimOf('10.70.8.20')] }, 'is claimed for pay/api-0 already'],
    [
      'of a malformed pool',
      { pools: records({ '10.70.8.20': ['pay/api-0', 'u0'] }, { subnet: 'x' }) },
      'is of a malformed pool',
    ],
    [
      'not readable',
      { pools: [{ ...one.pools[0], status: { allocatedIPs: '[]' } } as SpiderIPPool] },
      'cannot be told: status.allocatedIPs of the pool is not what Spiderpool writes',
    ],
  ] satisfies readonly (readonly [string, Partial<ImportEvidence>, string])[])('is told of: %s', (_, some, reason) => {
    const { create, misfits, withdraw } = plan({ ...one, ...some });
    expect({ create, withdraw }).toEqual({ create: [], withdraw: [] });
    expect(misfits[0]?.reason).toContain(reason);
  });

  it('hinders nothing else', () => {
    const both = records({ '10.70.8.20': ['pay/api-0', 'u0'], '10.70.8.21': ['pay/gone', 'u9'] });
    expect(told({ ...one, pools: both })).toEqual([
      'create 10.70.8.20 Bound eth0 -',
      'misfit 10.70.8.21 is of a pod that is gone, and no SpiderEndpoint pay/gone says on which interface it is',
    ]);
  });
});

describe('an import', () => {
  const mixed = {
    pools: [
      pool('rack7-v4', {
        '10.70.8.20': ['pay/api-0', 'u0'],
        '10.70.8.21': ['pay/gone', 'u9'],
        '10.70.8.22': ['pay/db-0', 'u2'],
      }),
    ],
    endpoints: [
      endpoint('api-0', 'u0', { eth0: '10.70.8.20' }),
      endpoint('db-0', 'u2', { eth0: '10.70.8.22' }, ['StatefulSet', 'db']),
    ],
    pods: [pod('api-0', 'u0', undefined, { phase: 'Succeeded' })],
    claims: asClaim({
      pools: [pool('rack7-v4', { '10.70.8.40': ['pay/old', 'u4'] })],
      endpoints: [endpoint('old', 'u4', { eth0: '10.70.8.40' })],
      pods: [pod('old', 'u4')],
    }),
  };

  it('tells beforehand what it would do', async () => {
    const printed = renderImport(dryRunOf(plan(mixed)), plain);
    expect(printed).toBe(await golden('import-dry-run.txt', printed));
  });

  it('tells what it did', async () => {
    const report = { ...dryRunOf(plan(mixed)), isDryRun: false };
    const printed = renderImport(report, plain);
    expect(printed).toBe(await golden('import.txt', printed));
  });

  it('is JSON for scripts', () => {
    expect(JSON.parse(toJSON(dryRunOf(plan(one))))).toMatchObject({
      isDryRun: true,
      created: [{ name: '10.70.8.20' }],
      present: 0,
      withdrawn: [],
      misfits: [],
    });
  });
});
