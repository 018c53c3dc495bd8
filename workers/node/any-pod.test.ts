import { expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { OwnerReference } from '../../contracts/crds/object-meta.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import type { AddRequest } from '../../contracts/pod-network.ts';
import { poolAffinity, poolLabels } from '../../ipam/auto-pools/pool-identity.ts';
import { detectionKeys } from '../../ipam/detection-keys.ts';
import { defaultNetworkAnnotation, networksAnnotation } from '../../ipam/pod-networks.ts';
import { routesAnnotation } from '../../ipam/pod-routes.ts';
import { ippoolAnnotation, ippoolsAnnotation, namespacePoolAnnotations } from '../../ipam/pool-annotation.ts';
import { detectionAnnotation } from '../../ipam/pool-detection.ts';
import type { PoolObject } from '../../ipam/pool-snapshot.ts';
import { migrationAnnotation } from '../../ipam/sticky-identity.ts';
import {
  poolSizeAnnotation,
  reclaimAnnotation,
  subnetAnnotation,
  subnetsAnnotation,
} from '../../ipam/subnet-annotation.ts';
import { defaultRouteAnnotation } from '../../network/coordination/settings-for-pod.ts';
import { fromTemporal } from '../../temporal-config/failure-conversion.ts';
import { addRequest, detachRequest } from '../../workflows/testing/node-model.ts';
import { parseCniCall } from './cni-call.ts';
import { chainedConf, cniCall, wholeConf } from './testing/calls-to-cni.ts';
import { NodeWorld } from './testing/node-world.ts';
import { runAdd, runDetach } from './testing/run-in-process.ts';

/** What people write: nearly right, with words that mean something here, and nonsense. */
const words = fc.constantFrom(
  'v4',
  'v6',
  'one',
  'wide',
  'auto',
  'gone',
  'v*',
  '[a-',
  'rack7',
  'eth0',
  'net1',
  'netops/vlan-70',
  'vlan-70@net1',
  '10.70.8.21',
  '10.70.8.21/24',
  'fd70::11',
  '10.70.8.0/24',
  '10.70.8.20-10.70.8.22',
  '10.70.8.1',
  '0.0.0.0/0',
  '+1',
  '3+2',
  'false',
  '__proto__',
  '',
);
const texts = fc.oneof({ weight: 4, arbitrary: words }, { weight: 1, arbitrary: fc.string({ unit: 'binary' }) });
const values = fc.oneof(
  { weight: 4, arbitrary: fc.array(texts, { maxLength: 3 }) },
  { weight: 2, arbitrary: texts },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
);
const keys = fc.constantFrom(
  'interface',
  'ipv4',
  'ipv6',
  'IPv4',
  'cleangateway',
  'name',
  'namespace',
  'ips',
  'ipam-claim-reference',
  'dst',
  'gw',
  '__proto__',
);
const items = fc.dictionary(keys, values, { maxKeys: 4, noNullPrototype: true });
const json = fc.oneof(items, fc.array(items, { maxLength: 3 }), values);
const nonsense = fc.oneof(
  { weight: 4, arbitrary: json.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: texts },
);
/** Of each annotation what can be right, with the other annotations or not. */
const right: Readonly<Record<string, readonly string[]>> = {
  [ippoolAnnotation]: ['{"ipv4": ["v4"]}', '{"ipv4": ["gone", "v*"], "ipv6": ["v6"]}', '{"ipv4": ["w*", "one"]}'],
  [ippoolsAnnotation]: [
    '[{"interface": "eth0", "ipv4": ["v4"]}, {"interface": "net1", "ipv4": ["one"], "cleangateway": true}]',
    '[{"ipv4": ["v4"]}, {"ipv4": ["*"]}]',
  ],
  [subnetsAnnotation]: ['[{"interface": "eth0", "ipv4": ["rack7"]}, {"interface": "net1", "ipv4": ["storage"]}]'],
  [subnetAnnotation]: ['{"ipv4": ["rack7"]}', '{"ipv4": ["rack8"]}'],
  [poolSizeAnnotation]: ['+1', '3'],
  [reclaimAnnotation]: ['false'],
  [networksAnnotation]: [
    'netops/vlan-70',
    '[{"name": "vlan-70", "interface": "net1", "ips": ["10.70.8.22"], "ipam-claim-reference": "claimed"}]',
  ],
  [defaultNetworkAnnotation]: ['netops/vlan-70', '[{"name": "vlan-70", "ipam-claim-reference": "claimed"}]'],
  [routesAnnotation]: ['[{"dst": "10.64.0.0/10", "gw": "10.70.8.9"}]', '[{"dst": "0.0.0.0/0", "gw": "10.70.8.1"}]'],
  [migrationAnnotation]: ['migration-1'],
  [defaultRouteAnnotation]: ['eth0', 'net1'],
  [namespacePoolAnnotations[4]]: ['["v4"]', '["w*", "v?"]'],
  [namespacePoolAnnotations[6]]: ['["v6"]'],
};
const written = (key: string) =>
  fc.tuple(
    fc.constant(key),
    fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...(right[key] ?? [])) }, { weight: 1, arbitrary: nonsense }),
  );
const someOf = (keys: readonly string[], maxLength: number): fc.Arbitrary<Readonly<Record<string, string>>> =>
  fc
    .uniqueArray(fc.oneof(...keys.map(written)), { selector: ([key]) => key, maxLength })
    .map((entries) => Object.fromEntries(entries));
const ofNamespace: readonly string[] = Object.values(namespacePoolAnnotations);
const podAnnotations = someOf(
  Object.keys(right).filter((key) => !ofNamespace.includes(key)),
  3,
);
const namespaceAnnotations = someOf(ofNamespace, 2);

/** As the API server stores them: fields have their types, and any text. */
const texts3 = fc.array(texts, { maxLength: 3 });
const selectors = fc.record(
  {
    matchLabels: fc.dictionary(texts, texts, { maxKeys: 2, noNullPrototype: true }),
    matchExpressions: fc.array(fc.record({ key: texts, operator: texts, values: texts3 }), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const poolSpecs = fc.record(
  {
    subnet: fc.oneof(fc.constantFrom('10.70.8.0/24', 'fd70::/64'), texts),
    ips: texts3,
    excludeIPs: texts3,
    gateway: texts,
    routes: fc.array(fc.record({ dst: texts, gw: texts }), { maxLength: 2 }),
    default: fc.boolean(),
    disable: fc.boolean(),
    nodeName: texts3,
    nodeAffinity: selectors,
    namespaceName: texts3,
    namespaceAffinity: selectors,
    podAffinity: selectors,
    multusName: texts3,
  },
  { requiredKeys: ['subnet'] },
);
const poolNames = fc.constantFrom('wide', 'gone', 'w2', 'vlan');
const detections = fc.record({
  [detectionAnnotation]: fc.oneof(fc.constantFrom('{"detectIPConflict": true}', '{"detectGateway": true}'), nonsense),
});
const anyPools: fc.Arbitrary<readonly PoolObject[]> = fc.array(
  fc.record({
    metadata: fc.record({ name: poolNames, annotations: detections }, { requiredKeys: ['name'] }),
    spec: poolSpecs,
  }),
  { maxLength: 2 },
);

const confs = fc.oneof(
  { weight: 9, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      fc.constantFrom('default_ipv4_ippool', 'default_ipv6_ippool', 'clean_gateway', 'match_master_subnet'),
      values,
      { maxKeys: 2, noNullPrototype: true },
    ),
  },
);
const coordinationKeys = [
  'mode',
  'tunePodRoutes',
  'podDefaultRouteNic',
  'hijackCIDR',
  'overlayPodCIDR',
  'serviceCIDR',
  'policyRoutes',
  'podMACPrefix',
  'vethLinkAddress',
  'vethMTU',
  'hostRuleTable',
  'podRPFilter',
  'spiderCoordinator',
];
/** Of whole mode: which interface, and on what. */
const shapes = fc.oneof(
  { weight: 9, arbitrary: fc.constant({}) },
  {
    weight: 6,
    arbitrary: fc.constantFrom<object>(
      { kind: 'ipvlan', mode: 'l3' },
      { kind: 'vlan', vlanID: 7 },
      { master: ['eno1', 'eno2'], bond: { mode: 4, options: 'miimon=50' }, vlanID: 120 },
      { kind: 'sriov', master: undefined, deviceID: '0000:01:10.0', trust: 'on' },
      { kind: 'host-device', master: undefined, device: 'eno9' },
      { detectIPConflict: true },
      { detectGateway: true },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.dictionary(
      fc.constantFrom('kind', 'master', 'vlanID', 'bond', 'mode', 'mtu', 'deviceID', 'runtimeConfig', ...detectionKeys),
      fc.oneof(values, fc.constantFrom<unknown>('vlan', 'sriov', 4095, 7, ['eno1', 'eno2'], { options: 'miimon=-1' })),
      { maxKeys: 2, noNullPrototype: true },
    ),
  },
);
const ties = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  {
    weight: 3,
    arbitrary: fc.constantFrom({ coordinator: { podMACPrefix: '0a:1b' } }, { coordinator: { mode: 'disabled' } }),
  },
  {
    weight: 1,
    arbitrary: fc
      .dictionary(fc.constantFrom(...coordinationKeys), values, { maxKeys: 2, noNullPrototype: true })
      .map((coordinator) => ({ coordinator })),
  },
);
const wishes = fc.oneof(
  { weight: 18, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.record({ args: fc.record({ cni: fc.record({ ips: values }) }) }) },
  { weight: 1, arbitrary: fc.record({ runtimeConfig: fc.record({ ips: values }) }) },
);
const owners = fc.oneof(
  { weight: 3, arbitrary: fc.constant<readonly OwnerReference[]>([]) },
  {
    weight: 1,
    arbitrary: fc.array(
      fc.record({
        apiVersion: fc.constantFrom('apps/v1', 'kubevirt.io/v1', ''),
        kind: fc.constantFrom('StatefulSet', 'VirtualMachineInstance', 'Job'),
        name: fc.constantFrom('api', 'vm-1', '../x'),
        uid: fc.constant('o-1'),
        controller: fc.boolean(),
      }),
      { maxLength: 2 },
    ),
  },
);
const cases = fc.record({
  isWhole: fc.boolean(),
  ifName: fc.constantFrom('eth0', 'net1'),
  conf: confs,
  shape: shapes,
  tie: ties,
  wishes,
  ip: fc.oneof({ weight: 9, arbitrary: fc.constant('') }, { weight: 1, arbitrary: texts }),
  annotations: podAnnotations,
  namespaceAnnotations,
  owners,
  pools: anyPools,
  hasApplication: fc.boolean(),
  ipamClaims: fc.oneof(fc.constant([]), fc.constant(['10.70.8.23/24']), texts3),
});
type Case = typeof cases extends fc.Arbitrary<infer One> ? One : never;

const goodPool = (name: string, subnet: string, ips: string, more: Partial<PoolObject['spec']> = {}): PoolObject => ({
  metadata: { name },
  spec: { subnet, ips: [ips], ...more },
});
const application = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'pay', name: 'api', uid: 'd-1' };
const goodPools: readonly PoolObject[] = [
  goodPool('v4', '10.70.8.0/24', '10.70.8.20-10.70.8.29', { gateway: '10.70.8.1', default: true }),
  goodPool('v6', 'fd70::/64', 'fd70::10-fd70::1f', { default: true }),
  goodPool('one', '10.70.8.0/24', '10.70.8.30'),
  {
    metadata: {
      name: 'auto',
      labels: poolLabels({ application, ifName: 'eth0', family: 4 }, { subnet: 'rack7', isReclaimed: true }),
    },
    spec: {
      ...goodPool('', '10.70.9.0/24', '10.70.9.20-10.70.9.29').spec,
      podAffinity: { matchLabels: poolAffinity(application) },
    },
  },
];

function worldOf({ annotations, namespaceAnnotations, owners, pools, hasApplication, ipamClaims }: Case): NodeWorld {
  const world = new NodeWorld();
  for (const pool of [...pools, ...goodPools]) world.pools.set(pool.metadata.name, pool);
  const { namespace, name, uid } = addRequest().pod;
  world.pods.set(`${namespace}/${name}`, { uid, annotations, ownerReferences: owners, isAlive: true });
  world.namespaceMarks.set(namespace, { annotations: namespaceAnnotations });
  if (hasApplication) world.controller = application;
  world.ipamClaims.set(`${namespace}/claimed`, ipamClaims);
  world.devices.set('0000:01:10.0', { owner: '', settings: {} });
  return world;
}

/** The frame as an executable sends it, read as the node worker reads it; undefined: refused. */
function requestOf({ isWhole, ifName, conf, shape, tie, wishes, ip }: Case): AddRequest | undefined {
  const stdin = isWhole
    ? { ...wholeConf, ...conf, ...shape, ...tie, ...wishes }
    : { ...chainedConf, ...wishes, ipam: { ...chainedConf.ipam, ...conf } };
  const { CNI_ARGS = '' } = Object.fromEntries(cniCall('ADD').environment);
  const environment = {
    CNI_IFNAME: ifName,
    ORBWEAVER_PLUGIN: isWhole ? 'orbweaver' : 'spiderpool',
    CNI_ARGS: ip === '' ? CNI_ARGS : `${CNI_ARGS};IP=${ip}`,
  };
  try {
    const call = parseCniCall(cniCall('ADD', { environment, stdin }));
    if (call.command !== 'ADD') throw new Error(`An ADD became ${call.command}`);
    const { attachment, pod, netns, network, wishes: asked } = call;
    return { ...addRequest(), attachment, pod, netns, network, wishes: asked };
  } catch (error) {
    if (error instanceof ProvisionError) return undefined;
    throw error;
  }
}

/** What nobody needs any more. What sticks to somebody who may come back is kept for him, by an ADD that fails too. */
function leftIn(world: NodeWorld): readonly string[] {
  const isSticky = world.api.all().some(({ spec }) => spec.identity !== undefined);
  return world.holds.filter((line) => !isSticky || !/^claim \S+ Held$/.test(line));
}

/** With the objects of any-object.test.ts, 10,000 cases and more in `make test-properties`. */
const numRuns = 2 * (fc.readConfigureGlobal().numRuns ?? 100);

it(
  'any pod, namespace, pool and configuration is served or refused with a type, and a refused ADD leaves nothing',
  async () => {
    const seen = { unread: 0, refused: new Set<string>(), served: 0, made: new Set<string>() };
    await fc.assert(
      fc.asyncProperty(cases, async (one) => {
        const request = requestOf(one);
        if (request === undefined) {
          seen.unread += 1;
          return;
        }
        const world = worldOf(one);
        world.namespaces.set(request.netns, { cookie: request.netnsCookie, links: new Map() });
        const { activities, calls } = await world.start();
        calls.open(request.nonce, 'ADD', request.attachment).outcome.catch(() => undefined);
        const failure = await runAdd(activities, request).then(() => undefined, fromTemporal);
        if (failure !== undefined) {
          seen.refused.add(failure.type);
          expect(failure).not.toMatchObject({ type: 'Internal' });
          expect(failure.message).not.toMatch(/\p{Cc}/u);
          expect(leftIn(world)).toEqual([]);
          return;
        }
        seen.served += 1;
        const { link, device, coordination, provides } = request.network;
        seen.made.add(link?.kind ?? device?.kind ?? provides);
        if (coordination !== undefined) seen.made.add('coordination');
        expect(world.holds).not.toEqual([]);
        world.pods.clear();
        const del = detachRequest(request);
        calls.open(del.nonce, 'DEL', del.attachment);
        await runDetach(activities, del);
        expect(leftIn(world)).toEqual([]);
        const isSticky = world.api.all().some(({ spec }) => spec.identity !== undefined);
        const namesClaim = Object.values(one.annotations).some((text) => text.includes('ipam-claim-reference'));
        if (one.owners.length === 0 && !namesClaim) expect(isSticky).toBe(false);
        expect(world.violations).toEqual([]);
      }),
      { numRuns },
    );
    expect(seen.served).toBeGreaterThan(numRuns / 10);
    expect(seen.unread).toBeGreaterThan(0);
    expect([...seen.refused]).toEqual(expect.arrayContaining(['InvalidAnnotation', 'NoPool']));
    const kinds = ['macvlan', 'ipvlan', 'vlan', 'sriov', 'addresses', 'coordination'];
    expect([...seen.made]).toEqual(expect.arrayContaining(kinds));
  },
  60_000 + 60 * numRuns,
);
