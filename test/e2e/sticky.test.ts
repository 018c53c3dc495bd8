import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { SpiderEndpoint } from '../../contracts/crds/spiderendpoint.ts';
import { type IPAMClaim, ownerOf } from '../../contracts/ipam-claim.ts';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { keepOnScaleDownAnnotation } from '../../ipam/identity-end.ts';
import { hasStatus } from '../../kube/api-error.ts';
import { ipamClaim, ipamClaimKind } from '../testing/ipam-claim-kind.ts';
import { violationsOf } from './invariants.ts';
import { sleepingContainer } from './running-pods.ts';
import { TestCluster } from './test-cluster.ts';

let cluster: TestCluster;
let nodes: readonly [string, string];
beforeAll(async () => {
  cluster = await TestCluster.start({ logLevel: 'info' });
  nodes = cluster.nodes.map(({ node }) => node.name) as [string, string];
  await cluster.stack.apply(
    underlayPool('first', 4, ['10.70.8.1-10.70.8.99']),
    underlayPool('other', 4, ['10.70.8.100-10.70.8.199'], { default: false }),
    underlayPool('second', 4, ['10.70.9.1-10.70.9.99'], { default: false }),
    underlayPool('tiny', 4, ['10.70.10.1-10.70.10.5'], { default: false }),
    secondNetwork,
    ...foreignKinds,
    ipamClaimKind,
  );
  await cluster.stack.kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
}, 300_000);
afterAll(() => cluster?.stop(), 60_000);
afterEach(async () => {
  await eventually('Claims and interfaces agree', 30, async () => {
    const violations = violationsOf(await cluster.state());
    return violations.length === 0 ? { value: true } : { state: violations.join('\n') };
  });
}, 60_000);

const secondNetwork = {
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name: 'second', namespace: 'default' },
  spec: {
    config: JSON.stringify({
      cniVersion: '1.1.0',
      name: 'second',
      type: 'orbweaver',
      kind: 'macvlan',
      master: ['underlay0'],
      mode: 'bridge',
      default_ipv4_ippool: ['second'],
      clean_gateway: true,
    }),
  },
};
const twoNICs = { 'k8s.v1.cni.cncf.io/networks': 'default/second@net1' };
const poolsOf = (...pools: readonly string[]) => ({ 'ipam.spidernet.io/ippool': JSON.stringify({ ipv4: pools }) });
const poolsByNIC = (eth0: string, net1: string, named = true) => ({
  'ipam.spidernet.io/ippools': JSON.stringify([
    { ...(named ? { interface: 'eth0' } : {}), ipv4: [eth0] },
    { ...(named ? { interface: 'net1' } : {}), ipv4: [net1], cleangateway: true },
  ]),
});

/** What operators install that cannot be installed here: their kinds, without their controllers. */
const foreignKinds = [
  ['apps.kruise.io', 'v1beta1', 'StatefulSet', 'statefulsets'],
  ['kubevirt.io', 'v1', 'VirtualMachine', 'virtualmachines'],
  ['kubevirt.io', 'v1', 'VirtualMachineInstance', 'virtualmachineinstances'],
].map(([group, name, kind = '', plural = '']) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { kind, plural, singular: kind.toLowerCase() },
    versions: [
      {
        name,
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
}));

const containers = [sleepingContainer('main')];

interface StatefulSetOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly start?: number;
  readonly keep?: boolean;
}

const statefulSet = (
  name: string,
  replicas: number,
  { annotations = {}, start, keep }: StatefulSetOptions = {},
): object => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: {
    name,
    namespace: 'default',
    ...(keep === undefined ? {} : { annotations: { [keepOnScaleDownAnnotation]: String(keep) } }),
  },
  spec: {
    replicas,
    serviceName: name,
    podManagementPolicy: 'Parallel',
    selector: { matchLabels: { app: name } },
    ...(start === undefined ? {} : { ordinals: { start } }),
    template: {
      metadata: { labels: { app: name }, annotations },
      spec: { terminationGracePeriodSeconds: 1, containers }, // with 0 the next pod would not wait for the end of this one
    },
  },
});

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

async function podsOf(app: string): Promise<readonly Pod[]> {
  const path = '/api/v1/namespaces/default/pods';
  const query = { labelSelector: `app=${app}` };
  return (await cluster.api.request<{ items: readonly Pod[] }>({ method: 'GET', path, query, timeoutMs: 5000 })).items;
}

/** Waits until exactly so many pods run, none of them one of `before`. */
async function untilRunning(app: string, count: number, before: readonly Pod[] = []): Promise<readonly Pod[]> {
  const old = new Set(before.map(({ metadata }) => metadata.uid));
  return await eventually(`${count} pods of ${app} Running`, 120, async () => {
    const pods = await podsOf(app);
    const isUp = ({ metadata, status }: Pod): boolean =>
      !old.has(metadata.uid) && metadata.deletionTimestamp === undefined && status.phase === 'Running';
    if (pods.length === count && pods.every(isUp)) return { value: pods };
    return { state: pods.map(({ metadata, status }) => `${metadata.name} ${status.phase}`).join() };
  });
}

const ipsOf = (pods: readonly Pod[]): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(pods.map(({ metadata, status }) => [metadata.name, status.podIPs?.[0]?.ip]));

/** Every claim of an application, a line each: "0 eth0 10.70.8.1 Bound". */
async function keptFor(identity: string): Promise<readonly string[]> {
  const found = (await cluster.claims()).filter(({ spec }) => spec.identity?.startsWith(`${identity}/`) === true);
  return found
    .map(({ metadata, spec }) => {
      const rest = spec.identity?.slice(identity.length + 1);
      return `${rest} ${spec.holders[0]?.interface} ${metadata.name} ${spec.phase}`;
    })
    .toSorted();
}

async function untilKept(identity: string, wanted: readonly string[], seconds = 30): Promise<void> {
  await eventually(`Claims of ${identity} are ${wanted.join('; ') || 'gone'}`, seconds, async () => {
    const found = (await keptFor(identity)).join('; ');
    return found === wanted.join('; ') ? { value: true } : { state: found };
  });
}

async function endpointOf(name: string): Promise<SpiderEndpoint | undefined> {
  const path = `/apis/spiderpool.spidernet.io/v2beta1/namespaces/default/spiderendpoints/${name}`;
  return await cluster.api.request<SpiderEndpoint>({ method: 'GET', path, timeoutMs: 5000 }).catch((error: unknown) => {
    if (!hasStatus(error, 404)) throw error;
    return undefined;
  });
}

async function untilEndpoint(name: string, wanted: string | undefined): Promise<void> {
  await eventually(`Endpoint ${name} is ${wanted}`, 60, async () => {
    const { status } = (await endpointOf(name)) ?? {};
    const ips = status?.current.ips.map(({ interface: nic, ipv4 }) => `${nic} ${ipv4}`).join(', ');
    const found = status && `${status.ownerControllerType} ${status.ownerControllerName} ${status.current.uid}: ${ips}`;
    return found === wanted ? { value: true } : { state: String(found) };
  });
}

const kubectl = (...args: readonly string[]): Promise<string> => cluster.stack.kubectl(...args);
const scale = (name: string, replicas: number): Promise<string> =>
  kubectl('scale', 'statefulset.apps', name, `--replicas=${replicas}`);
const restart = (app: string): Promise<string> => kubectl('delete', 'pod', '-l', `app=${app}`, '--wait=false');
const remove = (name: string): Promise<string> => kubectl('delete', 'statefulset.apps', name, '--wait=true');
const annotate = (name: string, annotations: object): Promise<string> =>
  kubectl(
    'patch',
    'statefulset.apps',
    name,
    '--type=merge',
    '-p',
    JSON.stringify({ spec: { template: { metadata: { annotations } } } }),
  );

describe('the pods of a StatefulSet', () => {
  const named = 'StatefulSet/default/web';
  let pods: readonly Pod[] = [];
  beforeAll(async () => {
    await cluster.stack.apply(statefulSet('web', 3));
    pods = await untilRunning('web', 3);
  }, 240_000);

  it('E00003: have neighbouring addresses when they start first, recorded as theirs', async () => {
    expect(ipsOf(pods)).toEqual({ 'web-0': '10.70.8.1', 'web-1': '10.70.8.2', 'web-2': '10.70.8.3' });
    await untilKept(named, ['0 eth0 10.70.8.1 Bound', '1 eth0 10.70.8.2 Bound', '2 eth0 10.70.8.3 Bound']);
    await untilEndpoint('web-0', `StatefulSet web ${pods.find(isNamed('web-0'))?.metadata.uid}: eth0 10.70.8.1/16`);
  });

  it('keep them when all of them are deleted at once', async () => {
    const before = pods;
    await restart('web');
    pods = await untilRunning('web', 3, before);
    expect(ipsOf(pods)).toEqual(ipsOf(before));
    await untilEndpoint('web-0', `StatefulSet web ${pods.find(isNamed('web-0'))?.metadata.uid}: eth0 10.70.8.1/16`);
  }, 240_000);

  it('keep them when the application is rebuilt', async () => {
    const before = pods;
    await annotate('web', { 'example.com/build': '2' });
    pods = await untilRunning('web', 3, before);
    expect(ipsOf(pods)).toEqual(ipsOf(before));
  }, 240_000);

  it('keep them on another node', async () => {
    const [moved] = pods;
    if (moved === undefined) throw new Error('There is no pod');
    const { nodeName = '' } = moved.spec;
    await kubectl('cordon', nodeName);
    try {
      const before = pods;
      await kubectl('delete', 'pod', moved.metadata.name, '--wait=true');
      pods = await untilRunning('web', 3, [moved]);
      expect(pods.find(isNamed(moved.metadata.name))?.spec.nodeName).toBe(nodes.find((node) => node !== nodeName));
      expect(ipsOf(pods)).toEqual(ipsOf(before));
    } finally {
      await kubectl('uncordon', nodeName);
    }
  }, 240_000);

  it('lose them when they are scaled down, and the others keep theirs', async () => {
    await scale('web', 1);
    await untilKept(named, ['0 eth0 10.70.8.1 Bound']);
    pods = await untilRunning('web', 1);
  }, 240_000);

  it('keep them over scaling down and up where the StatefulSet says so', async () => {
    await kubectl('annotate', 'statefulset.apps', 'web', `${keepOnScaleDownAnnotation}=true`);
    await scale('web', 3);
    pods = await untilRunning('web', 3);
    const before = pods;
    await scale('web', 0);
    const [a, b, c] = ['web-0', 'web-1', 'web-2'].map((name) => ipsOf(before)[name]);
    await untilKept(named, [`0 eth0 ${a} Held`, `1 eth0 ${b} Held`, `2 eth0 ${c} Held`]);
    await scale('web', 3);
    pods = await untilRunning('web', 3, before);
    expect(ipsOf(pods)).toEqual(ipsOf(before));
  }, 240_000);

  it('lose what is held for them within a minute when the StatefulSet says so no more', async () => {
    await scale('web', 1);
    await untilRunning('web', 1);
    expect(await keptFor(named)).toHaveLength(3);
    await kubectl('annotate', 'statefulset.apps', 'web', `${keepOnScaleDownAnnotation}-`);
    await untilKept(named, ['0 eth0 10.70.8.1 Bound'], 75);
  }, 240_000);

  it('lose them with the StatefulSet, and their endpoints go', async () => {
    await remove('web');
    await untilKept(named, []);
    await untilEndpoint('web-0', undefined);
  }, 240_000);
});

const isNamed =
  (name: string) =>
  ({ metadata }: Pod): boolean =>
    metadata.name === name;

it('a StatefulSet with a start ordinal: pods keep what ordinals from there on have, and lose what is below', async () => {
  const named = 'StatefulSet/default/late';
  await cluster.stack.apply(statefulSet('late', 2, { start: 5 }));
  const before = await untilRunning('late', 2);
  expect(ipsOf(before)).toEqual({ 'late-5': '10.70.8.6', 'late-6': '10.70.8.7' });
  await kubectl('patch', 'statefulset.apps', 'late', '--type=merge', '-p', '{"spec":{"ordinals":{"start":6}}}');
  await untilKept(named, ['6 eth0 10.70.8.7 Bound', '7 eth0 10.70.8.8 Bound'], 60);
  await remove('late');
  await untilKept(named, []);
}, 240_000);

describe('a StatefulSet whose pools change', () => {
  it('A00009, L00008: gets other addresses after its restart, and the old ones are free', async () => {
    const named = 'StatefulSet/default/moves';
    await cluster.stack.apply(statefulSet('moves', 1, { annotations: poolsOf('first') }));
    const before = await untilRunning('moves', 1);
    expect(ipsOf(before)).toEqual({ 'moves-0': '10.70.8.1' });
    await annotate('moves', poolsOf('other'));
    const [pod] = await untilRunning('moves', 1, before);
    await untilKept(named, ['0 eth0 10.70.8.100 Bound']);
    await untilEndpoint('moves-0', `StatefulSet moves ${pod?.metadata.uid}: eth0 10.70.8.100/16`);
    expect((await cluster.claims()).map(({ metadata }) => metadata.name)).toEqual(['10.70.8.100']);
    await remove('moves');
    await untilKept(named, []);
    await untilEndpoint('moves-0', undefined);
  }, 240_000);

  it.each([
    ['A00017', 'by name', true],
    ['A00018', 'by position', false],
  ])(
    '%s: with two NICs, named %s, keeps both over a restart and moves only the one whose pool changed',
    async (id, _, isNamed) => {
      const name = `two-${id.toLowerCase()}`;
      const named = `StatefulSet/default/${name}`;
      const annotations = (eth0: string, net1: string) => ({ ...twoNICs, ...poolsByNIC(eth0, net1, isNamed) });
      await cluster.stack.apply(statefulSet(name, 1, { annotations: annotations('first', 'second') }));
      const first = await untilRunning(name, 1);
      const both = ['0 eth0 10.70.8.1 Bound', '0 net1 10.70.9.1 Bound'];
      await untilKept(named, both);
      await restart(name);
      const second = await untilRunning(name, 1, first);
      await untilKept(named, both);
      await annotate(name, annotations('other', 'second'));
      const [pod] = await untilRunning(name, 1, second);
      await untilKept(named, ['0 eth0 10.70.8.100 Bound', '0 net1 10.70.9.1 Bound']);
      await untilEndpoint(
        `${name}-0`,
        `StatefulSet ${name} ${pod?.metadata.uid}: eth0 10.70.8.100/16, net1 10.70.9.1/16`,
      );
      await remove(name);
      await untilKept(named, []);
    },
    300_000,
  );

  it('G00010: that asks for no address of ours any more loses what it had within a minute', async () => {
    const named = 'StatefulSet/default/leaves';
    await cluster.stack.apply(statefulSet('leaves', 1, { annotations: twoNICs }));
    const before = await untilRunning('leaves', 1);
    expect(await keptFor(named)).toHaveLength(2);
    await annotate('leaves', { 'k8s.v1.cni.cncf.io/networks': null });
    const oneNIC = await untilRunning('leaves', 1, before);
    await kubectl('patch', 'statefulset.apps', 'leaves', '-p', '{"spec":{"template":{"spec":{"hostNetwork":true}}}}');
    await untilRunning('leaves', 1, oneNIC);
    await untilKept(named, [], 75);
    await remove('leaves');
  }, 300_000);
});

it('G00011: two StatefulSets in a pool of five, scaled back and forth: exactly five pods run, each with its own address', async () => {
  const sets = ['left', 'right'];
  await cluster.stack.apply(...sets.map((name) => statefulSet(name, 0, { annotations: poolsOf('tiny') })));
  const running = async (): Promise<readonly Pod[]> => {
    const pods = (await Promise.all(sets.map(podsOf))).flat();
    return pods.filter(
      ({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === 'Running',
    );
  };
  for (const [left, right] of [
    [5, 0],
    [3, 4],
    [1, 5],
    [4, 4],
  ] as const) {
    await Promise.all([scale('left', left), scale('right', right)]);
    await eventually(`Five of ${left} and ${right} run`, 120, async () => {
      const [pods, all] = [await running(), (await Promise.all(sets.map(podsOf))).flat()];
      const isThere = all.length === left + right && pods.length === 5;
      return isThere ? { value: true } : { state: `${pods.length} of ${all.length} run` };
    });
    const ips = Object.values(ipsOf(await running())).map(String);
    expect(new Set(ips).size).toBe(5);
    const claims = (await cluster.claims()).filter(({ spec }) => spec.pool === 'tiny');
    expect(claims.map(({ metadata }) => metadata.name).toSorted()).toEqual(ips.toSorted());
  }
  await Promise.all(sets.map(remove));
  await Promise.all(sets.map((name) => untilKept(`StatefulSet/default/${name}`, [])));
}, 600_000);

/** An object of a kind whose controller is not here, and its UID. */
async function made(apiVersion: string, kind: string, plural: string, name: string, owner?: Owner): Promise<Owner> {
  const metadata = { name, namespace: 'default', ...(owner === undefined ? {} : { ownerReferences: [owner] }) };
  const { metadata: created } = await cluster.api.request<{ readonly metadata: { readonly uid: string } }>({
    method: 'POST',
    path: `/apis/${apiVersion}/namespaces/default/${plural}`,
    body: { apiVersion, kind, metadata },
    timeoutMs: 5000,
  });
  return { apiVersion, kind, name, uid: created.uid, controller: true, blockOwnerDeletion: false };
}

interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: boolean;
  readonly blockOwnerDeletion: boolean;
}

const ownedPod = (
  app: string,
  name: string,
  owner: Owner,
  { node, annotations = {} }: { readonly node?: string; readonly annotations?: object } = {},
): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', labels: { app }, annotations, ownerReferences: [owner] },
  spec: { terminationGracePeriodSeconds: 0, containers, ...(node === undefined ? {} : { nodeName: node }) },
});

it('T00003: pods of a third party’s StatefulSet keep nothing, and their endpoints go with it', async () => {
  const owner = await made('apps.kruise.io/v1beta1', 'StatefulSet', 'statefulsets', 'third');
  await cluster.stack.apply(ownedPod('third', 'third-0', owner));
  const [pod] = await untilRunning('third', 1);
  await untilEndpoint('third-0', `StatefulSet third ${pod?.metadata.uid}: eth0 ${ipsOf([pod as Pod])['third-0']}/16`);
  expect((await cluster.claims()).map(({ spec }) => spec.identity)).toEqual([undefined]);
  await kubectl('delete', 'statefulsets.apps.kruise.io', 'third', '--wait=true');
  await eventually('Its claims are gone', 60, async () => {
    const { length } = await cluster.claims();
    return length === 0 ? { value: true } : { state: `${length} claims` };
  });
  await untilEndpoint('third-0', undefined);
}, 240_000);

describe('a KubeVirt machine', () => {
  const [virtual, instances] = ['virtualmachines', 'virtualmachineinstances'];
  const machine = (name: string): Promise<Owner> => made('kubevirt.io/v1', 'VirtualMachine', virtual, name);
  const instance = (name: string, owner: Owner): Promise<Owner> =>
    made('kubevirt.io/v1', 'VirtualMachineInstance', instances, name, owner);
  const claimsOf = async (name: string): Promise<readonly string[]> =>
    (await cluster.claims())
      .filter(({ spec }) => spec.identity === `VirtualMachineInstance/default/${name}`)
      .map(({ metadata, spec }) => {
        const holders = spec.holders.map(({ pod, node }) => `${pod} on ${node}`).join(', ');
        return `${spec.holders[0]?.interface} ${metadata.name} ${spec.phase}: ${holders}`;
      })
      .toSorted();
  const untilClaims = async (name: string, wanted: readonly string[]): Promise<void> => {
    await eventually(`Claims of ${name} are ${wanted.join('; ') || 'gone'}`, 60, async () => {
      const found = (await claimsOf(name)).join('; ');
      return found === wanted.join('; ') ? { value: true } : { state: found };
    });
  };

  it('F00001: keeps its address over its restart, and loses it when it is deleted', async () => {
    const vm = await machine('vm-1');
    await cluster.stack.apply(ownedPod('vm-1', 'virt-launcher-vm-1-aaaaa', await instance('vm-1', vm)));
    const [first] = await untilRunning('vm-1', 1);
    const { podIPs: [{ ip } = { ip: '' }] = [] } = first?.status ?? {};
    await untilEndpoint('vm-1', `VirtualMachineInstance vm-1 ${first?.metadata.uid}: eth0 ${ip}/16`);

    await kubectl('delete', instances, 'vm-1', '--wait=true'); // stopped
    await kubectl('wait', '--for=delete', 'pod/virt-launcher-vm-1-aaaaa', '--timeout=60s');
    await untilClaims('vm-1', [`eth0 ${ip} Held: virt-launcher-vm-1-aaaaa on ${first?.spec.nodeName}`]);
    await untilEndpoint('vm-1', `VirtualMachineInstance vm-1 ${first?.metadata.uid}: eth0 ${ip}/16`);

    const node = nodes.find((name) => name !== first?.spec.nodeName) ?? '';
    await cluster.stack.apply(ownedPod('vm-1', 'virt-launcher-vm-1-bbbbb', await instance('vm-1', vm), { node }));
    const [second] = await untilRunning('vm-1', 1);
    expect(second?.status.podIPs).toEqual([{ ip }]);
    await untilClaims('vm-1', [`eth0 ${ip} Bound: virt-launcher-vm-1-bbbbb on ${node}`]);

    await kubectl('delete', virtual, 'vm-1', '--wait=true');
    await untilClaims('vm-1', []);
    await untilEndpoint('vm-1', undefined);
  }, 240_000);

  it('F00002: has its address on two nodes while it migrates, and neither end of a pod frees it', async () => {
    const vmi = await instance('vm-2', await machine('vm-2'));
    const [source, target] = nodes;
    await cluster.stack.apply(ownedPod('vm-2', 'virt-launcher-vm-2-aaaaa', vmi, { node: source }));
    const [first] = await untilRunning('vm-2', 1);
    const { podIPs: [{ ip } = { ip: '' }] = [] } = first?.status ?? {};
    const annotations = { 'kubevirt.io/migrationJobName': 'kubevirt-migrate-vm-2' };
    const migrateTo = (name: string): Promise<void> =>
      cluster.stack.apply(ownedPod('vm-2', name, vmi, { node: target, annotations }));

    await migrateTo('virt-launcher-vm-2-fails');
    await untilRunning('vm-2', 2);
    await kubectl('delete', 'pod', 'virt-launcher-vm-2-fails', '--wait=true');
    await untilClaims('vm-2', [`eth0 ${ip} Bound: virt-launcher-vm-2-aaaaa on ${source}`]);

    await migrateTo('virt-launcher-vm-2-bbbbb');
    const both = await untilRunning('vm-2', 2);
    expect(both.map(({ status }) => status.podIPs?.[0]?.ip)).toEqual([ip, ip]);
    await untilClaims('vm-2', [
      `eth0 ${ip} Bound: virt-launcher-vm-2-aaaaa on ${source}, virt-launcher-vm-2-bbbbb on ${target}`,
    ]);
    expect(violationsOf(await cluster.state())).toEqual([]);
    const arrived = both.find(isNamed('virt-launcher-vm-2-bbbbb'));
    await untilEndpoint('vm-2', `VirtualMachineInstance vm-2 ${arrived?.metadata.uid}: eth0 ${ip}/16`);

    await kubectl('delete', 'pod', 'virt-launcher-vm-2-aaaaa', '--wait=true');
    await untilClaims('vm-2', [`eth0 ${ip} Bound: virt-launcher-vm-2-bbbbb on ${target}`]);
    await kubectl('delete', 'pod', 'virt-launcher-vm-2-bbbbb', '--wait=true');
    await untilClaims('vm-2', [`eth0 ${ip} Held: virt-launcher-vm-2-bbbbb on ${target}`]);
    await kubectl('delete', virtual, 'vm-2', '--wait=true');
    await untilClaims('vm-2', []);
  }, 300_000);

  it('F00003: with two NICs has one endpoint, named as itself, with both', async () => {
    const vmi = await instance('vm-3', await machine('vm-3'));
    await cluster.stack.apply(ownedPod('vm-3', 'virt-launcher-vm-3-aaaaa', vmi, { annotations: twoNICs }));
    const [pod] = await untilRunning('vm-3', 1);
    const { podIPs: [{ ip } = { ip: '' }] = [] } = pod?.status ?? {};
    const [, net1 = ''] = await claimsOf('vm-3');
    const second = net1.split(' ')[1];
    expect(second).toMatch(/^10\.70\.9\./);
    await untilEndpoint('vm-3', `VirtualMachineInstance vm-3 ${pod?.metadata.uid}: eth0 ${ip}/16, net1 ${second}/16`);
    expect(await endpointOf('virt-launcher-vm-3-aaaaa')).toBeUndefined();
    await kubectl('delete', virtual, 'vm-3', '--wait=true');
    await untilClaims('vm-3', []);
  }, 240_000);
});

describe('an IPAMClaim', () => {
  const [virtual, instances] = ['virtualmachines', 'virtualmachineinstances'];
  const naming = (claim: string): object => ({
    'k8s.v1.cni.cncf.io/networks': JSON.stringify([
      { namespace: 'default', name: 'second', interface: 'net1', 'ipam-claim-reference': claim },
    ]),
  });
  /** "address owner, condition" as its status says. */
  const untilStatus = async (
    name: string,
    wanted: (ips: readonly string[], rest: string) => boolean,
  ): Promise<string> =>
    await eventually(`Status of IPAMClaim ${name}`, 60, async () => {
      const path = `/apis/k8s.cni.cncf.io/v1alpha1/namespaces/default/ipamclaims/${name}`;
      const { status } = await cluster.api.request<IPAMClaim>({ method: 'GET', path, timeoutMs: 5000 });
      const { ips = [], conditions = [] } = status ?? {};
      const owner = ownerOf(status ?? {});
      const rest = [owner, ...conditions.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`)].join(', ');
      return wanted(ips, rest) ? { value: ips[0] ?? '' } : { state: `${ips.join()} ${rest}` };
    });
  const claimed = (pod: string) => (ips: readonly string[], rest: string) =>
    ips.length === 1 && rest === `${pod}, IPsAllocated True ClaimedByOrbweaver`;
  const untilClaims = async (name: string, wanted: string): Promise<void> => {
    await eventually(`Claims of IPAMClaim ${name} are ${wanted || 'gone'}`, 60, async () => {
      const found = (await cluster.claims())
        .filter(({ spec }) => spec.identity === `IPAMClaim/default/${name}`)
        .map(({ spec }) => `${spec.address} ${spec.phase} ${spec.holders.map(({ pod }) => pod).join('+')}`)
        .join('; ');
      return found === wanted ? { value: true } : { state: found };
    });
  };

  it('says which address it has, keeps it for its next pod, and gives it back when it is deleted', async () => {
    await cluster.stack.apply(ipamClaim('plain', { network: 'second', interface: 'net1' }));
    const [one, two] = nodes;
    const pod = (name: string, node: string) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels: { app: 'plain' }, annotations: naming('plain') },
      spec: { terminationGracePeriodSeconds: 0, containers, nodeName: node },
    });
    await cluster.stack.apply(pod('plain-a', one));
    const address = await untilStatus('plain', claimed('plain-a'));
    expect(address).toMatch(/^10\.70\.9\.\d+\/16$/);
    await untilRunning('plain', 1);
    await kubectl('delete', 'pod', 'plain-a', '--wait=true');
    await untilClaims('plain', `${address} Held plain-a`);
    expect(await untilStatus('plain', claimed('plain-a'))).toBe(address);
    await untilEndpoint('plain-a', undefined);

    await cluster.stack.apply(pod('plain-b', two));
    expect(await untilStatus('plain', claimed('plain-b'))).toBe(address);
    await untilClaims('plain', `${address} Bound plain-b`);
    await untilRunning('plain', 1);
    await kubectl('delete', 'ipamclaim', 'plain', '--wait=true');
    await kubectl('delete', 'pod', 'plain-b', '--wait=true');
    await untilClaims('plain', '');
  }, 240_000);

  it('keeps the address of a machine’s NIC over restart and migration', async () => {
    const vm = await made('kubevirt.io/v1', 'VirtualMachine', virtual, 'vm-4');
    const vmi = await made('kubevirt.io/v1', 'VirtualMachineInstance', instances, 'vm-4', vm);
    await cluster.stack.apply(ipamClaim('vm-4.net1', { network: 'second', interface: 'net1' }));
    const [source, target] = nodes;
    const launcher = (suffix: string, node: string, annotations: object = {}): Promise<void> =>
      cluster.stack.apply(
        ownedPod('vm-4', `virt-launcher-vm-4-${suffix}`, vmi, {
          node,
          annotations: { ...naming('vm-4.net1'), ...annotations },
        }),
      );
    await launcher('a', source);
    const address = await untilStatus('vm-4.net1', claimed('virt-launcher-vm-4-a'));
    await untilRunning('vm-4', 1);
    await kubectl('delete', 'pod', 'virt-launcher-vm-4-a', '--wait=true');
    await launcher('b', source);
    expect(await untilStatus('vm-4.net1', claimed('virt-launcher-vm-4-b'))).toBe(address);
    await untilRunning('vm-4', 1);

    await launcher('c', target, { 'kubevirt.io/migrationJobName': 'migrate-vm-4' });
    expect(await untilStatus('vm-4.net1', claimed('virt-launcher-vm-4-c'))).toBe(address);
    await untilRunning('vm-4', 2);
    await untilClaims('vm-4.net1', `${address} Bound virt-launcher-vm-4-b+virt-launcher-vm-4-c`);
    await kubectl('delete', 'pod', 'virt-launcher-vm-4-b', '--wait=true');
    await untilClaims('vm-4.net1', `${address} Bound virt-launcher-vm-4-c`);

    await kubectl('delete', 'ipamclaim', 'vm-4.net1', '--wait=true');
    await kubectl('delete', virtual, 'vm-4', '--wait=true');
    await untilClaims('vm-4.net1', '');
  }, 300_000);
});
