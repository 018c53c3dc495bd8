import { describe, expect, it } from '@jest/globals';
import { readNetworkDefinition } from './network-definition.ts';

const ipam = { type: 'spiderpool', default_ipv4_ippool: ['vlan70-*'], clean_gateway: true };
const asked = { defaultIPv4Pools: ['vlan70-*'], defaultIPv6Pools: [], cleanGateway: true };

describe('a NetworkAttachmentDefinition', () => {
  it.each([
    ['one plugin', { cniVersion: '0.3.1', name: 'n', type: 'macvlan', master: 'eno1', ipam }],
    ['a list', { cniVersion: '1.0.0', name: 'n', plugins: [{ type: 'macvlan', ipam }, { type: 'coordinator' }] }],
    ['a list that begins with another plugin', { name: 'n', plugins: [{ type: 'ifacer' }, { type: 'ipvlan', ipam }] }],
    ['no name, which Multus gives it', { cniVersion: '0.3.1', type: 'macvlan', ipam }],
  ])('with %s tells its default pools', (_, config) => {
    expect(readNetworkDefinition(JSON.stringify(config), 'vlan70')).toMatchObject({
      outcome: 'network',
      network: asked,
    });
  });

  it('of type orbweaver tells its own', () => {
    const plugin = { type: 'orbweaver', kind: 'macvlan', master: ['eno1'], default_ipv4_ippool: ['rack7-v4'] };
    expect(readNetworkDefinition(JSON.stringify({ name: 'n', plugins: [plugin] }), 'n')).toMatchObject({
      outcome: 'network',
      network: { provides: 'interface', defaultIPv4Pools: ['rack7-v4'] },
    });
  });

  it.each([
    ['', 'its spec.config is no JSON object'],
    ['{"type":"bridge","ipam":{"type":"host-local"}}', 'it asks for no addresses'],
    ['{"type":"macvlan","ipam":{"type":"spiderpool","default_ipv4_ippool":"a"}}', '"ipam.default_ipv4_ippool"'],
  ])('that says %j is not understood, with the reason', (config, problem) => {
    expect(readNetworkDefinition(config, 'n')).toEqual({
      outcome: 'unreadable',
      problem: expect.stringContaining(problem),
    });
  });
});
