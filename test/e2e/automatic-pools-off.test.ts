import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { underlay } from '../../deploy/dev/layout.ts';
import { TestCluster } from './test-cluster.ts';

let cluster: TestCluster;
beforeAll(async () => {
  const clusterSettings = { ORBWEAVER_ENABLE_AUTO_POOL: 'false' };
  cluster = await TestCluster.start({ nodes: ['n1'], kubelets: false, clusterSettings });
}, 120_000);
afterAll(() => cluster?.stop(), 60_000);

it('I00024: with automatic pools switched off a pod that asks for one is told so, and none is made', async () => {
  await cluster.stack.apply({
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderSubnet',
    metadata: { name: 'underlay4' },
    spec: { subnet: underlay.v4.subnet, ips: ['10.70.20.1-10.70.20.9'] },
  });
  const sandbox = await cluster.sandbox('i24', { 'ipam.spidernet.io/subnet': '{"ipv4": ["underlay4"]}' });
  const { body } = await sandbox.add();
  expect(body?.msg).toContain('the Auto-Pool feature is disabled');
  await cluster.removeSandboxes();
  expect(await cluster.stack.kubectl('get', 'spiderippools', '-o', 'name')).toBe('');
});
