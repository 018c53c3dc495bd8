import { describe, expect, it } from '@jest/globals';
import { ApiError, ApiUnreachable } from './api-error.ts';
import type { LeaderRequest } from './leader-writes.ts';
import { readNetworkSources } from './network-sources.ts';

const absent = { outcome: 'absent' };

/** An API server that has this, answers with this status, and says 404 to everything else. */
function serving(objects: Readonly<Record<string, unknown>>, log: string[] = []): LeaderRequest {
  return async <Answer>({ path, query }: Parameters<LeaderRequest>[0]) => {
    log.push(query?.['labelSelector'] === undefined ? path : `${path}?${query['labelSelector']}`);
    const found = objects[path];
    if (found instanceof Error) throw found;
    const status = typeof found === 'number' ? found : 404;
    if (found === undefined || typeof found === 'number') {
      throw new ApiError({ request: `GET ${path}`, status, reason: 'Forbidden', detail: 'not for you' });
    }
    return found as Answer;
  };
}
const kubeadmPath = '/api/v1/namespaces/kube-system/configmaps/kubeadm-config';
const kubeadm = (ClusterConfiguration: string): object => ({ [kubeadmPath]: { data: { ClusterConfiguration } } });
const both = 'networking:\n  podSubnet: 10.244.0.0/16,fd00::/48 # both families\n  serviceSubnet: "10.96.0.0/12"\n';
const pods = '/api/v1/namespaces/kube-system/pods';
const read = (objects: object, log?: string[]) =>
  readNetworkSources(serving(objects as Readonly<Record<string, unknown>>, log), 'net/cilium-settings');

describe('the places that say which addresses there are', () => {
  it('are all absent in a cluster that has none of them', async () => {
    expect(await read({})).toEqual({
      serviceCIDRs: absent,
      kubeadm: absent,
      controllerManagers: absent,
      calicoPools: absent,
      ciliumConfig: absent,
      ciliumPools: absent,
      flannel: absent,
    });
  });

  it.each(['v1', 'v1beta1', 'v1alpha1'])('are read where Kubernetes serves ServiceCIDR as %s', async (version) => {
    const items = [{ metadata: { name: 'kubernetes' }, spec: { cidrs: ['10.96.0.0/16'] } }];
    const { serviceCIDRs } = await read({ [`/apis/networking.k8s.io/${version}/servicecidrs`]: { items } });
    expect(serviceCIDRs).toEqual({ outcome: 'read', content: items });
  });

  it.each(['v2', 'v2alpha1'])('are read where Cilium serves its pools as %s', async (version) => {
    const items = [{ metadata: { name: 'default' } }];
    const { ciliumPools } = await read({ [`/apis/cilium.io/${version}/ciliumpodippools`]: { items } });
    expect(ciliumPools).toEqual({ outcome: 'read', content: items });
  });

  it.each(['kube-flannel', 'kube-system'])('show Flannel in the namespace %s', async (namespace) => {
    const { flannel } = await read({ [`/api/v1/namespaces/${namespace}/configmaps/kube-flannel-cfg`]: {} });
    expect(flannel).toEqual({ outcome: 'read', content: true });
  });

  it('are Cilium’s ConfigMap by the name that it has here', async () => {
    const config = { data: { ipam: 'kubernetes' } };
    const { ciliumConfig } = await read({ '/api/v1/namespaces/net/configmaps/cilium-settings': config });
    expect(ciliumConfig).toEqual({ outcome: 'read', content: config.data });
  });

  it('are the record of kubeadm, and nobody else is asked where it says both', async () => {
    const log: string[] = [];
    const { kubeadm: record } = await read(kubeadm(both), log);
    expect(record).toEqual({
      outcome: 'read',
      content: { podSubnet: '10.244.0.0/16,fd00::/48', serviceSubnet: '10.96.0.0/12' },
    });
    expect(log.filter((path) => path.startsWith(pods))).toEqual([]);
  });

  it.each([
    ['says one list only', 'networking: { serviceSubnet: 10.96.0.0/12 }', { serviceSubnet: '10.96.0.0/12' }],
    ['says an empty one', 'networking:\n  podSubnet: ""\n', {}],
    ['says nothing about networks', 'clusterName: a', {}],
    ['is empty', '', {}],
    ['is no object', '- 1', {}],
  ])('are the command lines of kube-controller-manager where kubeadm’s record %s', async (_, text, content) => {
    const log: string[] = [];
    const container = { command: ['kube-controller-manager'], args: ['--cluster-cidr', '10.1.0.0/16'] };
    const items = [{ spec: { containers: [container, { args: ['-x'] }] } }, { spec: { containers: [{}] } }];
    const sources = await read({ ...kubeadm(text), [pods]: { items } }, log);
    expect(sources.kubeadm).toEqual({ outcome: 'read', content });
    expect(sources.controllerManagers).toEqual({
      outcome: 'read',
      content: [['kube-controller-manager', '--cluster-cidr', '10.1.0.0/16', '-x'], []],
    });
    expect(log).toContain(`${pods}?component=kube-controller-manager`);
  });

  it('are unreadable, with the reason, where we have no right to them or cannot read what is there', async () => {
    const forbidden = { outcome: 'unreadable', why: expect.stringContaining('403 Forbidden') };
    const sources = await read({
      ...kubeadm('{'),
      '/apis/crd.projectcalico.org/v1/ippools': 403,
      '/api/v1/namespaces/kube-system/configmaps/kube-flannel-cfg': 403,
      '/api/v1/namespaces/net/configmaps/cilium-settings': 403,
    });
    expect(sources).toMatchObject({ calicoPools: forbidden, flannel: forbidden, ciliumConfig: forbidden });
    expect(sources.kubeadm).toEqual({ outcome: 'unreadable', why: 'its ClusterConfiguration is not YAML' });
  });

  it.each([
    ['is not reached', new ApiUnreachable('GET', 'refused')],
    ['is too busy', 429],
    ['fails', 500],
  ])('are not known anew while the API server %s', async (_, answer) => {
    await expect(read({ [kubeadmPath]: answer })).rejects.toThrow();
  });
});
