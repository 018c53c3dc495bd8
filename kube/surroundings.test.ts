import { describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest } from './api-client.ts';
import { ApiError, ApiUnreachable } from './api-error.ts';
import { Surroundings } from './surroundings.ts';

/** Metadata by path, and what was asked for. */
class MetadataServer implements ApiClient {
  readonly objects = new Map<string, object>();
  readonly asked: string[] = [];
  isAway = false;

  async request<Answer>({ path, accept }: ApiRequest): Promise<Answer> {
    this.asked.push(path);
    const isWhole = accept?.includes('as=PartialObjectMetadata') !== true;
    if (isWhole !== path.includes('ipamclaims')) throw new Error(`${path} was asked for as ${accept}`);
    if (this.isAway) throw new ApiUnreachable(path, 'connection refused');
    const metadata = this.objects.get(path);
    if (!metadata) throw new ApiError({ request: path, status: 404, reason: 'NotFound', detail: path });
    return (path.includes('ipamclaims') ? metadata : { metadata }) as Answer;
  }

  // oxlint-disable-next-line require-yield -- nothing of this is watched, and a reader that tries shall fail
  async *watch<Event>(): AsyncIterable<Event> {
    throw new Error('not watched');
  }

  async close(): Promise<void> {}
}

const open = () => {
  const api = new MetadataServer();
  const clock = { nowMs: 10_000 };
  const surroundings = new Surroundings({ api, node: 'r7-n1', now: () => clock.nowMs, deadlineMs: 100 });
  return { api, clock, surroundings };
};

describe('what stands around a pod', () => {
  it('is read once by everybody who asks within 2 s, and again after', async () => {
    const { api, clock, surroundings } = open();
    api.objects.set('/api/v1/namespaces/pay', { labels: { tier: 'one' } });
    const both = await Promise.all([surroundings.namespace('pay'), surroundings.namespace('pay')]);
    expect(both).toEqual([both[0], { labels: { tier: 'one' }, annotations: {} }]);
    clock.nowMs += 1999;
    await surroundings.namespace('pay');
    expect(api.asked).toHaveLength(1);
    clock.nowMs += 1;
    api.objects.set('/api/v1/namespaces/pay', { annotations: { 'ipam.spidernet.io/default-ipv4-ippool': '["a"]' } });
    expect(await surroundings.namespace('pay')).toEqual({
      labels: {},
      annotations: { 'ipam.spidernet.io/default-ipv4-ippool': '["a"]' },
    });
    expect(api.asked).toEqual(['/api/v1/namespaces/pay', '/api/v1/namespaces/pay']);
  });

  it('has no marks where it is not there, and is not asked for twice because of that', async () => {
    const { api, surroundings } = open();
    expect(await surroundings.namespace('gone')).toEqual({ labels: {}, annotations: {} });
    expect(await surroundings.nodeLabels()).toEqual({});
    expect(api.asked).toEqual(['/api/v1/namespaces/gone', '/api/v1/nodes/r7-n1']);
  });

  it('is not taken for unmarked while the API server is away', async () => {
    const { api, surroundings } = open();
    api.isAway = true;
    await expect(surroundings.namespace('pay')).rejects.toMatchObject({
      type: 'ApiServerUnavailable',
      message: expect.stringContaining('Cannot read namespace "pay"'),
    });
    api.isAway = false;
    api.objects.set('/api/v1/nodes/r7-n1', { labels: { rack: '7' } });
    expect(await surroundings.nodeLabels()).toEqual({ rack: '7' });
  });
});

describe('an IPAMClaim', () => {
  const path = '/apis/k8s.cni.cncf.io/v1alpha1/namespaces/pay/ipamclaims/vm-1.eth0';
  const byUs = { type: 'IPsAllocated', reason: 'ClaimedByOrbweaver' };

  it.each([
    [{ status: { ips: ['10.70.8.20/22'] } }, ['10.70.8.20/22']],
    [{ spec: { ipRequests: ['10.70.8.21/22'] }, status: { ips: ['10.70.8.20/22'] } }, ['10.70.8.20/22']],
    [{ spec: { ipRequests: ['10.70.8.21/22', 'fd70::21/64'] } }, ['10.70.8.21/22', 'fd70::21/64']],
    [{ spec: { ipRequests: ['10.70.8.21/22'] }, status: { ips: [] } }, ['10.70.8.21/22']],
    [
      { spec: { ipRequests: ['10.70.8.21/22'] }, status: { ips: ['10.70.8.20/22'], conditions: [byUs] } },
      ['10.70.8.21/22'],
    ],
    [{ status: { ips: ['10.70.8.20/22'], conditions: [byUs] } }, []],
    [{ status: {} }, []],
    [{ status: { conditions: [byUs] }, spec: { ipRequests: ['10.70.8.21/22'] } }, ['10.70.8.21/22']],
    [{}, []],
  ])('%j has the addresses %j', async (claim, ips) => {
    const { api, surroundings } = open();
    api.objects.set(path, claim);
    expect(await surroundings.ipamClaimIPs('pay', 'vm-1.eth0')).toEqual(ips);
  });

  it('that is named and is not there keeps the pod from getting any other address', async () => {
    const { surroundings } = open();
    await expect(surroundings.ipamClaimIPs('pay', 'vm-1.eth0')).rejects.toMatchObject({
      type: 'InvalidAnnotation',
      message: expect.stringContaining('IPAMClaim "vm-1.eth0", and namespace "pay" has none'),
    });
  });
});

describe('the top controller of a pod', () => {
  const pod = { namespace: 'pay', name: 'api-5c7-x', uid: 'pod-1' };
  const ownedBy = (apiVersion: string, kind: string, name: string, uid: string) => [
    { apiVersion, kind, name, uid, controller: true },
  ];
  const replicaSet = ownedBy('apps/v1', 'ReplicaSet', 'api-5c7', 'rs-1');

  it('is the pod when nothing controls it, also when something else owns it', async () => {
    const { api, surroundings } = open();
    const others = [{ apiVersion: 'v1', kind: 'Node', name: 'r7-n1', uid: 'n' }];
    expect(await surroundings.controllerOf({ ...pod, ownerReferences: others })).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      ...pod,
    });
    expect(api.asked).toEqual([]);
  });

  it.each([
    ['apps/v1', 'StatefulSet'],
    ['apps/v1', 'DaemonSet'],
    ['apps.kruise.io/v1alpha1', 'CloneSet'],
  ])('of a %s %s is that one, without a request', async (apiVersion, kind) => {
    const { api, surroundings } = open();
    const ownerReferences = ownedBy(apiVersion, kind, 'api', 'uid-1');
    expect(await surroundings.controllerOf({ ...pod, ownerReferences })).toEqual({
      apiVersion,
      kind,
      namespace: 'pay',
      name: 'api',
      uid: 'uid-1',
    });
    expect(api.asked).toEqual([]);
  });

  it.each([
    ['Deployment', 'apps/v1', replicaSet, '/apis/apps/v1/namespaces/pay/replicasets/api-5c7'],
    [
      'CronJob',
      'batch/v1',
      ownedBy('batch/v1', 'Job', 'nightly-1', 'rs-1'),
      '/apis/batch/v1/namespaces/pay/jobs/nightly-1',
    ],
  ])('is the %s above, read once for all its pods', async (kind, apiVersion, ownerReferences, path) => {
    const { api, surroundings } = open();
    api.objects.set(path, { uid: 'rs-1', ownerReferences: ownedBy(apiVersion, kind, 'api', 'top-1') });
    const top = { apiVersion, kind, namespace: 'pay', name: 'api', uid: 'top-1' };
    expect(await surroundings.controllerOf({ ...pod, ownerReferences })).toEqual(top);
    expect(await surroundings.controllerOf({ ...pod, name: 'another', ownerReferences })).toEqual(top);
    expect(api.asked).toEqual([path]);
  });

  it.each([
    ['has no controller', { uid: 'rs-1' }],
    ['belongs to something else', { uid: 'rs-1', ownerReferences: ownedBy('x.io/v1', 'Rollout', 'api', 'r') }],
    ['was made anew under its name', { uid: 'rs-2', ownerReferences: ownedBy('apps/v1', 'Deployment', 'api', 'd') }],
    ['is gone', undefined],
  ])('is the ReplicaSet when that one %s', async (_, metadata) => {
    const { api, surroundings } = open();
    if (metadata) api.objects.set('/apis/apps/v1/namespaces/pay/replicasets/api-5c7', metadata);
    expect(await surroundings.controllerOf({ ...pod, ownerReferences: replicaSet })).toMatchObject({
      kind: 'ReplicaSet',
      uid: 'rs-1',
    });
  });
});
