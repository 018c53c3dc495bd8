import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { SpiderCoordinator, SpiderCoordinatorSpec } from '../../contracts/crds/spidercoordinator.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { unless } from '../../kube/api-error.ts';
import { AdmissionStack } from './admission-stack.ts';

const coordinators = '/apis/spiderpool.spidernet.io/v2beta1/spidercoordinators';
const calicoPools = '/apis/crd.projectcalico.org/v1/ippools';
const ciliumPools = '/apis/cilium.io/v2alpha1/ciliumpodippools';
const serviceCIDRs = '/apis/networking.k8s.io/v1/servicecidrs';
const systemMaps = '/api/v1/namespaces/kube-system/configmaps';
const systemPods = '/api/v1/namespaces/kube-system/pods';
/** What the API server of the stack was started with. */
const ofServices = '10.96.0.0/16';

let stack: AdmissionStack;
/** Its status as it was first published: it does not depend on anything else in the cluster. */
let fixed: SpiderCoordinator;
beforeAll(async () => {
  stack = await AdmissionStack.start();
  await stack.serve();
  await create('/api/v1/namespaces/kube-system/serviceaccounts', { metadata: { name: 'default' } });
  await create(coordinators, bodyOf({ overlayPodCIDR: [], serviceCIDR: [] }, { name: 'fixed' }));
  fixed = await untilKnown('none', 'none', 'fixed');
}, 120_000);
afterAll(() => stack?.stop(), 60_000);
afterEach(async () => {
  for (const path of [calicoPools, ciliumPools]) await stack.request('DELETE', path).catch(unless(404));
  await stack.request('DELETE', systemPods, undefined, { gracePeriodSeconds: '0' });
  for (const name of ['kubeadm-config', 'cilium-config', 'kube-flannel-cfg']) {
    await stack.request('DELETE', `${systemMaps}/${name}`).catch(unless(404));
  }
  await stack.request('DELETE', `${serviceCIDRs}/more`).catch(unless(404));
  await stack.request('DELETE', `${coordinators}/c`).catch(unless(404));
});

const create = (path: string, body: object): Promise<unknown> => stack.request('POST', path, body).catch(unless(409));

const bodyOf = (spec: Partial<SpiderCoordinatorSpec>, metadata: object = {}): object => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderCoordinator',
  metadata: { name: 'c', ...metadata },
  spec,
});
const coordinator = (spec: Partial<SpiderCoordinatorSpec>): Promise<unknown> =>
  stack.request('POST', coordinators, bodyOf(spec));
const find = (name = 'c'): Promise<SpiderCoordinator> => stack.request('GET', `${coordinators}/${name}`);

const listed = (cidrs: readonly string[] | undefined): string => (cidrs === undefined ? '?' : cidrs.join() || 'none');

/** Waits until the status says this of pods and, where not told, of Services what is always so. Gives the whole object. */
async function untilKnown(pods: string, services = ofServices, name = 'c'): Promise<SpiderCoordinator> {
  const phase = [pods, services].includes('?') ? 'NotReady' : 'Synced';
  const wanted = `${phase}, pods ${pods}, Services ${services}`;
  return await eventually(`Coordinator ${name} says: ${wanted}`, 30, async () => {
    const value = await find(name);
    const { status } = value;
    const state = `${status?.phase}, pods ${listed(status?.overlayPodCIDR)}, Services ${listed(status?.serviceCIDR)}`;
    return state === wanted ? { value } : { state: `${state} ${status?.reason ?? ''}` };
  });
}

const configMap = (name: string, data: object): Promise<unknown> => create(systemMaps, { metadata: { name }, data });
const kubeadm = (networking: string): Promise<unknown> =>
  configMap('kubeadm-config', {
    ClusterConfiguration: `apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n${networking}`,
  });
const controllerManager = (name: string, ...command: readonly string[]): Promise<unknown> =>
  create(systemPods, {
    metadata: { name, labels: { component: 'kube-controller-manager' } },
    spec: { automountServiceAccountToken: false, containers: [{ name: 'c', image: 'none', command }] },
  });

/** Creates the definition of another project's kind where it is missing, and an object of it once it is served. */
async function foreign(path: string, kind: string, name: string, spec: object): Promise<void> {
  const [, , group = '', version = '', plural = ''] = path.split('/');
  const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  await create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Cluster',
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  });
  const body = { apiVersion: `${group}/${version}`, kind, metadata: { name }, spec };
  await eventually(`${kind} is served`, 30, async () => {
    const made = await stack.request<object>('POST', path, body).catch(unless(404));
    return made ? { value: true } : { state: 'not yet' };
  });
}
const calicoPool = (name: string, spec: object): Promise<void> => foreign(calicoPools, 'IPPool', name, spec);
const ciliumPool = (name: string, spec: object): Promise<void> => foreign(ciliumPools, 'CiliumPodIPPool', name, spec);

describe('the coordinator of a new cluster', () => {
  it('V00002: is called default, has what Spiderpool’s chart installs, and no pod CIDR where there is no network', async () => {
    const { spec, metadata } = await untilKnown('none', ofServices, 'default');
    expect(spec).toEqual({
      mode: 'auto',
      podCIDRType: 'auto',
      hijackCIDR: ['169.254.0.0/16'],
      tunePodRoutes: true,
      vethLinkAddress: '',
      vethMTU: 1500,
      txQueueLen: 0,
      hostRuleTable: 500,
      podRPFilter: 0,
    });
    expect(metadata.finalizers).toBeUndefined();
    const [header = '', row = ''] = (await stack.stack.kubectl('get', 'scc', 'default', '-o', 'wide')).split('\n');
    expect(header.split(/ {2,}/)).toEqual(['NAME', 'MODE', 'POD-CIDR-TYPE', 'PHASE', 'REASON']);
    expect(row.trim().split(/ {2,}/)).toEqual(['default', 'auto', 'auto', 'Synced']);
  });
});

describe('CIDRs of pods, on a real API server', () => {
  it('V00003, V00006: follow Calico, which may come and go, without a restart', async () => {
    await coordinator({ podCIDRType: 'calico' });
    const { status } = await untilKnown('?');
    expect(status).not.toHaveProperty('overlayPodCIDR');
    expect(status?.reason).toBe(
      'CIDRs of pods are not known: there is no IPPool of Calico (crd.projectcalico.org/v1). ' +
        'Write them into spec.overlayPodCIDR, or an empty list where there are none',
    );
    await calicoPool('default-ipv4', { cidr: '10.48.0.0/16' });
    await untilKnown('10.48.0.0/16');
    await calicoPool('off', { cidr: '10.49.0.0/16', disabled: true });
    await calicoPool('more', { cidr: 'fd00:48::/64' });
    await untilKnown('10.48.0.0/16,fd00:48::/64');
    await stack.request('DELETE', `${calicoPools}/default-ipv4`);
    await untilKnown('fd00:48::/64');
  });

  it('V00004: are those of Cilium in each of its modes, and of no other network', async () => {
    await calicoPool('default-ipv4', { cidr: '10.48.0.0/16' });
    await coordinator({ podCIDRType: 'cilium' });
    expect((await untilKnown('?')).status?.reason).toContain('there is no ConfigMap of Cilium');
    const lists = { 'cluster-pool-ipv4-cidr': '10.0.0.0/9', 'cluster-pool-ipv6-cidr': 'fd00:10::/104' };
    await configMap('cilium-config', { ipam: 'cluster-pool', ...lists });
    await untilKnown('10.0.0.0/9,fd00:10::/104');
    await stack.request('PUT', `${systemMaps}/cilium-config`, {
      metadata: { name: 'cilium-config' },
      data: { ipam: 'multi-pool' },
    });
    await ciliumPool('default', { ipv4: { cidrs: ['10.10.0.0/16'], maskSize: 27 } });
    await untilKnown('10.10.0.0/16');
    await stack.request('PUT', `${systemMaps}/cilium-config`, {
      metadata: { name: 'cilium-config' },
      data: { ipam: 'kubernetes' },
    });
    await kubeadm('networking: { podSubnet: 10.244.0.0/16 }');
    await untilKnown('10.244.0.0/16');
  });

  it('V00005: are none where podCIDRType is none', async () => {
    await calicoPool('default-ipv4', { cidr: '10.48.0.0/16' });
    await coordinator({ podCIDRType: 'none' });
    await untilKnown('none');
  });

  it('V00001: are those of the network that is there', async () => {
    await kubeadm('networking: { podSubnet: 10.244.0.0/16 }');
    await configMap('kube-flannel-cfg', {});
    await coordinator({ podCIDRType: 'auto' });
    expect((await untilKnown('10.244.0.0/16')).status).toEqual({
      phase: 'Synced',
      overlayPodCIDR: ['10.244.0.0/16'],
      podCIDRSource: 'networking.podSubnet of ConfigMap kube-system/kubeadm-config',
      serviceCIDR: [ofServices],
      serviceCIDRSource: 'ServiceCIDR objects',
    });
    await calicoPool('default-ipv4', { cidr: '10.48.0.0/16' });
    await untilKnown('10.48.0.0/16');
    await configMap('cilium-config', { ipam: 'cluster-pool', 'cluster-pool-ipv4-cidr': '10.0.0.0/9' });
    await untilKnown('10.0.0.0/9');
  });

  it('V00009, V00010, V00011: are what kubeadm recorded, else what kube-controller-manager was told, else not known', async () => {
    await coordinator({ podCIDRType: 'cluster' });
    expect((await untilKnown('?')).status?.reason).toContain(
      'there is no ConfigMap kube-system/kubeadm-config, and kube-controller-manager does not run as a pod',
    );
    await controllerManager('kcm-a', 'kube-controller-manager', '--v=2', '--cluster-cidr', '10.1.0.0/16,fd00:1::/48');
    await untilKnown('10.1.0.0/16,fd00:1::/48');
    await kubeadm(
      'networking:\n  dnsDomain: cluster.local\n  podSubnet: 10.244.0.0/16\n  serviceSubnet: 10.96.0.0/12\n',
    );
    await untilKnown('10.244.0.0/16');
  });
});

describe('CIDRs of Services, on a real API server', () => {
  it('are those of ServiceCIDR objects, also of one that comes later and goes', async () => {
    await coordinator({ podCIDRType: 'none' });
    await untilKnown('none');
    await create(serviceCIDRs, { metadata: { name: 'more' }, spec: { cidrs: ['10.97.0.0/24'] } });
    await untilKnown('none', `${ofServices},10.97.0.0/24`);
    await stack.request('DELETE', `${serviceCIDRs}/more`);
    await untilKnown('none');
  });
});

describe('a coordinator that says the CIDRs itself', () => {
  it('needs nobody else to know them', async () => {
    await coordinator({ overlayPodCIDR: ['10.7.3.0/16'], serviceCIDR: ['10.8.0.0/16', 'fd00:8::/108'] });
    await untilKnown('10.7.0.0/16', '10.8.0.0/16,fd00:8::/108');
  });

  it('was written once, and not again while all of the above came and went', async () => {
    expect((await find('fixed')).metadata.resourceVersion).toBe(fixed.metadata.resourceVersion);
  });
});

describe('admission of coordinators, on a real API server', () => {
  it('completes what it admits', async () => {
    await coordinator({ podCIDRType: 'none', hijackCIDR: ['169.254.20.10', '10.64.1.0/10'] });
    expect((await find()).spec.hijackCIDR).toEqual(['169.254.20.10/32', '10.64.0.0/10']);
  });

  it.each([
    [
      'nothing that says where to look',
      {},
      'spec.podCIDRType is missing: write auto, cluster, calico, cilium, none, or',
    ],
    [
      'a mode that only the plugin knows',
      { podCIDRType: 'none', mode: 'disable' },
      'spec.mode "disable" is none of its values: write "disabled"',
    ],
    [
      'an MTU that no link can have',
      { podCIDRType: 'none', vethMTU: 0 },
      'spec.vethMTU 0 is out of range: write 68 to 65535, such as 1500',
    ],
    [
      'a route of two families',
      { podCIDRType: 'none', policyRoutes: [{ dst: '10.0.0.0/8', gw: 'fd00::1' }] },
      'spec.policyRoutes[0].gw "fd00::1" is IPv6 and dst is IPv4: write a next hop that is IPv4',
    ],
  ])('refuses %s', async (_, spec, message) => {
    const said = await stack.verdict('POST', coordinators, bodyOf(spec as Partial<SpiderCoordinatorSpec>));
    expect(said).toContain(
      `admission webhook "mutate.spidercoordinator.spiderpool.spidernet.io" denied the request: Cannot create SpiderCoordinator "c": ${message}`,
    );
  });

  it('refuses an edit that makes it wrong', async () => {
    await coordinator({ podCIDRType: 'none' });
    await eventually('The edit is judged', 30, async () => {
      const found = await find();
      const said = await stack.verdict('PUT', `${coordinators}/c`, {
        ...found,
        spec: { ...found.spec, podRPFilter: 3 },
      });
      const wanted =
        'Cannot change SpiderCoordinator "c": spec.podRPFilter 3 is out of range: write 0, 1 or 2, or a negative';
      return said.includes(wanted) ? { value: true } : { state: said };
    });
  });

  it('lets one go that has Spiderpool’s finalizer', async () => {
    await stack.request(
      'POST',
      coordinators,
      bodyOf({ podCIDRType: 'none' }, { finalizers: ['spiderpool.spidernet.io'] }),
    );
    await stack.request('DELETE', `${coordinators}/c`);
    await eventually('It is gone', 30, async () => {
      const found = await find().catch(unless(404));
      return found === undefined ? { value: true } : { state: JSON.stringify(found.metadata) };
    });
  });
});
