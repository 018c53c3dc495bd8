import { describe, expect, it } from '@jest/globals';
import { hostAddresses } from './host-addresses.ts';
import { CoordinationModel } from './testing/coordination-model.ts';
import { overlayPod, tie } from './testing/pod-shapes.ts';

const pod = ['10.70.8.20/22', 'fd00:70::14/64'];
const node = (model: CoordinationModel, changes: object = {}) => ({ ...model.observe('eth0').node, ...changes });

describe('addresses of a node as its pods see them', () => {
  it('are those of its own links, and neither of container networks nor for loops alone', () => {
    const model = new CoordinationModel();
    model.addLink('node', 'docker0', {});
    model.addAddress('node', 'docker0', '172.17.0.1/16');
    model.addLink('node', 'lo', { isLoopback: true });
    for (const address of ['127.0.0.1/8', '::1/128', '192.0.2.1/32']) model.addAddress('node', 'lo', address);
    expect(hostAddresses(node(model, { sourcesToPod: ['10.70.8.2'] }), 'veth5b1e0011223', pod)).toEqual([
      '10.70.8.2',
      'fd00:70::2',
      '192.0.2.1', // a router's, or a load balancer's: the kernel sends from it by a link without an address
    ]);
  });

  it('have what the node would use toward the pod, whatever link has it', () => {
    const model = new CoordinationModel();
    model.addLink('node', 'docker0', {});
    model.addAddress('node', 'docker0', '172.17.0.1/16');
    expect(hostAddresses(node(model, { sourcesToPod: ['172.17.0.1'] }), 'veth5b1e0011223', pod)).toContain(
      '172.17.0.1',
    );
  });

  it('have those of the link that leads to the pod: an overlay’s end of it may have its gateway', () => {
    const model = overlayPod();
    model.addAddress('node', 'cali5b1e', '10.244.1.1/32');
    model.addNic('net1', { addresses: pod, gateways: [] });
    tie(model, 'net1');
    expect(model.pod.routes.filter(({ dst, table }) => dst === '10.244.1.1/32' && table === 101)).toMatchObject([
      { ifName: 'eth0' },
    ]);
  });

  it('are the same once the pod is tied, when the node sends to it from another one', () => {
    const model = new CoordinationModel();
    model.addNic('eth0', { addresses: pod, gateways: [] });
    const { operations } = tie(model, 'eth0');
    expect(operations).not.toEqual([]);
    const route = { dst: '10.70.8.20/32', ifName: 'veth5b1e0011223', table: 500, protocol: 79, metric: 0 };
    const tied = node(model, { sourcesToPod: ['172.17.0.1'], podRoutes: [route] });
    expect(hostAddresses(tied, 'veth5b1e0011223', pod)).toEqual(['10.70.8.2', 'fd00:70::2']);
  });
});
