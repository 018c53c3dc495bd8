import { describe, expect, it } from '@jest/globals';
import { bondModes, bondOptionNames } from '../../contracts/shared-link.ts';
import { parseCniCall } from './cni-call.ts';
import { parseConf, parseNetworkConf } from './network-conf.ts';
import { cniCall, ifacerConf, refusal, wholeConf } from './testing/calls-to-cni.ts';

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const whole = (conf: object) => parseNetworkConf('orbweaver', parseConf(bytes({ ...wholeConf, ...conf })));
const ifacer = (conf: object) => parseNetworkConf('ifacer', parseConf(bytes({ ...ifacerConf, ...conf })));
const bondOf = (options: string) => whole({ master: ['eno1', 'eno2'], bond: { name: 'bond0', mode: 1, options } });
const optionsOf = (options: string) => bondOf(options).shared?.[0];

describe('the kind of an interface', () => {
  it.each([
    [{ kind: 'ipvlan' }, { kind: 'ipvlan', mode: 'l2', master: 'bond0' }],
    [
      { kind: 'ipvlan', mode: 'l3s' },
      { kind: 'ipvlan', mode: 'l3s', master: 'bond0' },
    ],
    [
      { kind: 'vlan', vlanID: 4094, mtu: 1400 },
      { kind: 'vlan', vlanID: 4094, master: 'bond0', mtuBytes: 1400 },
    ],
    [
      { kind: 'macvlan', mode: 'passthru' },
      { kind: 'macvlan', mode: 'passthru', master: 'bond0' },
    ],
    [
      { kind: 'veth', master: ['br0'], vlanID: 0, bond: null },
      { kind: 'veth', master: 'br0' },
    ],
    [
      { kind: 'veth', master: 'br0', mtu: 1400 },
      { kind: 'veth', master: 'br0', mtuBytes: 1400 },
    ],
  ])('%j is read as %j, and nothing is shared', (conf, link) => {
    const network = whole(conf);
    expect(network.link).toEqual(link);
    expect(network).not.toHaveProperty('shared');
  });

  it.each([
    [{ kind: 'ipvlan', mode: 'bridge' }, 'Key "mode" of the network configuration is "bridge"', 'l2, l3, l3s'],
    [{ kind: 'macvlan', mode: 'l2' }, 'Key "mode" of the network configuration is "l2"', 'bridge, private'],
    [{ kind: 'vlan', vlanID: 7, mode: 'l2' }, 'Key "mode" of the network configuration is "l2"', 'has no mode'],
    [{ kind: 'vlan' }, 'Key "vlanID" of the network configuration is missing', 'Allowed: 1 to 4094'],
    [{ kind: 'vlan', vlanID: 0 }, 'Key "vlanID" of the network configuration is 0', 'Allowed: 1 to 4094'],
    [{ kind: 'vlan', vlanID: 4095 }, 'Key "vlanID" of the network configuration is 4095', '1 to 4094'],
    [{ kind: 'veth', mode: 'bridge' }, 'Key "mode" of the network configuration is "bridge"', 'kind veth has no mode'],
    [
      { kind: 'veth', vlanID: 120 },
      'Key "vlanID" of the network configuration is 120, and an interface of kind veth has no VLAN of its own',
      'ip link set dev eno1.120 master br120',
    ],
    [
      { kind: 'veth', vlanID: '7' },
      'Key "vlanID" of the network configuration is "7", and an interface of kind veth has no VLAN of its own',
      'Leave it out',
    ],
    [
      { kind: 'veth', bond: { name: 'bond0' } },
      'Key "bond" of the network configuration is {"name":"bond0"}, and with kind veth nothing is joined: the bridge is the node’s',
      'ip link set dev bond0 master br0',
    ],
    [
      { kind: 'veth', master: ['br0', 'br1'] },
      'Key "master" of the network configuration is ["br0","br1"]',
      'with kind veth one bridge',
    ],
    [{ kind: 'veth', master: 7 }, 'Key "master" of the network configuration is 7', 'one interface of the node'],
    [{ kind: 'veth', mtu: 67 }, 'Key "mtu" of the network configuration is 67', '68 to 65535'],
    [{ kind: 'bridge' }, 'Key "kind" of the network configuration is "bridge"', 'macvlan, ipvlan, vlan'],
  ])('%j is refused', (conf, message, remedy) => {
    const refused = refusal(() => whole(conf));
    expect(refused).toMatchObject({ type: 'InvalidConfig', message, remedy: expect.stringContaining(remedy) });
  });
});

describe('links that pods share', () => {
  const vlan = { kind: 'vlan', name: 'eno1.120', parent: 'eno1', vlanID: 120 };
  const bond = { kind: 'bond', name: 'bond0', ports: ['eno1', 'eno2'], mode: 'balance-rr', options: {} };

  it('are a VLAN on an interface', () => {
    expect(whole({ master: 'eno1', vlanID: 120 })).toMatchObject({
      link: { kind: 'macvlan', master: 'eno1.120' },
      shared: [vlan],
    });
  });

  it('are a bond over several, of Spiderpool’s name when it has none', () => {
    expect(whole({ master: ['eno1', 'eno2'], bond: { name: 'bond0' } })).toMatchObject({
      link: { master: 'bond0' },
      shared: [bond],
    });
    expect(whole({ master: ['eno1', 'eno2'], bond: {} })).toMatchObject({ link: { master: 'sp_bond0' } });
  });

  it('are a VLAN on a bond, which both carry what the pod’s interface is to carry', () => {
    const conf = { kind: 'ipvlan', master: ['eno1', 'eno2'], bond: { name: 'bond0' }, vlanID: 120, mtu: 9000 };
    expect(whole(conf)).toMatchObject({
      link: { kind: 'ipvlan', master: 'bond0.120', mtuBytes: 9000 },
      shared: [
        { ...bond, mtuBytes: 9000 },
        { ...vlan, name: 'bond0.120', parent: 'bond0', mtuBytes: 9000 },
      ],
    });
  });

  it('are the bond alone beneath an interface that is a VLAN itself', () => {
    expect(whole({ kind: 'vlan', master: ['eno1', 'eno2'], bond: { name: 'bond0' }, vlanID: 120 })).toMatchObject({
      link: { kind: 'vlan', master: 'bond0', vlanID: 120 },
      shared: [bond],
    });
  });

  it.each(bondModes.map((mode, number) => [number, mode] as const))(
    'have mode %i, %s, by number or name',
    (number, mode) => {
      for (const asked of [number, mode]) {
        expect(whole({ master: ['eno1', 'eno2'], bond: { mode: asked } }).shared?.[0]).toMatchObject({ mode });
      }
    },
  );

  it('of ifacer are the same, and nothing else is asked for', () => {
    expect(ifacer({})).toMatchObject({
      provides: 'links',
      shared: [
        { ...bond, mode: '802.3ad', options: { miimon: '50', lacp_rate: 'fast' } },
        { ...vlan, name: 'bond0.120', parent: 'bond0' },
      ],
    });
    expect(ifacer({ interfaces: ['eno1'], bond: undefined }).shared).toEqual([vlan]);
  });

  it.each([
    ['one interface without a VLAN', { interfaces: ['eno1'], bond: undefined, vlanID: 0 }],
    ['several interfaces that nothing joins', { bond: undefined }],
    ['null, as generated configurations have it', { bond: null }],
  ])('of ifacer are none for %s', (_, conf) => {
    expect(ifacer(conf)).not.toHaveProperty('shared');
  });

  it('of ifacer belong to an attachment of their own kind: the chain shares network and interface', () => {
    const call = parseCniCall(cniCall('ADD', { environment: { ORBWEAVER_PLUGIN: 'ifacer' }, stdin: ifacerConf }));
    expect(call).toMatchObject({ attachment: { kind: 'prepare' }, network: { provides: 'links' } });
  });

  it.each<[object, string]>([
    [{ master: ['eno1'], bond: { name: 'bond0' } }, 'Key "master" of the network configuration is ["eno1"]'],
    [{ master: ['eno1', 'eno2'] }, 'Key "master" of the network configuration is ["eno1","eno2"]'],
    [{ master: ['eno1', 'eno1'], bond: {} }, 'Key "master" of the network configuration is ["eno1","eno1"]'],
    [{ master: ['eno1', 'eno2'], bond: { name: 'eno1' } }, 'Key "bond.name" of the network configuration is "eno1"'],
    [{ master: ['eno1', 'eno2'], bond: { name: 'x'.repeat(16) } }, 'Key "bond.name" of the network configuration is'],
    [{ master: ['eno1', 'eno2'], bond: { mode: 7 } }, 'Key "bond.mode" of the network configuration is 7'],
    [{ master: ['eno1', 'eno2'], bond: { mode: 1.5 } }, 'Key "bond.mode" of the network configuration is 1.5'],
    [{ master: ['eno1', 'eno2'], bond: { mode: 'lacp' } }, 'Key "bond.mode" of the network configuration is "lacp"'],
    [{ master: ['eno1', 'eno2'], bond: { mde: 1 } }, 'Key "bond.mde" is unknown'],
    [{ master: ['eno1', 'eno2'], bond: 'bond0' }, 'Key "bond" of the network configuration is "bond0"'],
    [{ master: ['eno1', 'eno2'], bond: { options: ['miimon=1'] } }, 'Key "bond.options" of the network'],
    [{ vlanID: 4095 }, 'Key "vlanID" of the network configuration is 4095'],
    [{ vlanID: -1 }, 'Key "vlanID" of the network configuration is -1'],
    [{ vlanID: '120' }, 'Key "vlanID" of the network configuration is "120"'],
    [{ master: 'eno12399np0', vlanID: 4094 }, 'VLAN 4094 on "eno12399np0" would be named "eno12399np0.4094"'],
  ])('with %j are refused', (conf, message) => {
    const refused = refusal(() => whole(conf));
    expect(refused.type).toBe('InvalidConfig');
    expect(refused.message).toContain(message);
    expect(refused.remedy).toBeTruthy();
  });
});

describe('an option of a bond', () => {
  it.each([
    ['miimon=100;downdelay=200', { miimon: '100', downdelay: '200' }],
    [' miimon = 0100 ; ', { miimon: '100' }],
    ['use_carrier=0;all_slaves_active=0;miimon=0', { use_carrier: '0', all_slaves_active: '0', miimon: '0' }],
    ['up_delay=300', { updelay: '300' }],
    ['lacp_rate=1;xmit_hash_policy=layer3+4', { lacp_rate: 'fast', xmit_hash_policy: 'layer3+4' }],
    [
      'arp_ip_target=["10.6.0.1", "10.6.0.2"];arp_interval=100',
      { arp_ip_target: '10.6.0.1,10.6.0.2', arp_interval: '100' },
    ],
    ['ad_actor_system=02:AA:00:00:00:01', { ad_actor_system: '02:aa:00:00:00:01' }],
    ['primary=eno2;active_slave=eno1', { primary: 'eno2', active_slave: 'eno1' }],
    ['', {}],
  ])('"%s" is read as %j: an explicit 0 counts', (text, options) => {
    expect(optionsOf(text)).toMatchObject({ options });
    expect(Object.keys((optionsOf(text) as { options: object }).options)).toHaveLength(Object.keys(options).length);
  });

  it.each([
    ['miimon', 'option=value'],
    ['mimon=100', `Options: ${bondOptionNames.join(', ')}`],
    ['miimon=fast', '0 to 2147483647'],
    ['miimon=-1', '0 to'],
    ['ad_user_port_key=1024', '0 to 1023'],
    ['num_peer_notif=256', '0 to 255'],
    ['lacp_rate=2', '0 (slow), 1 (fast)'],
    ['primary=eno9', 'eno1, eno2'],
    ['arp_ip_target=10.6.0', 'IPv4 addresses'],
    ['arp_ip_target=fd00::1', 'IPv4 addresses'],
    ['ad_actor_system=02:00', 'a MAC address'],
    ['miimon=1;miimon=2', 'miimon once'],
    ['constructor=1', 'option=value'],
  ])('"%s" is refused with what is allowed', (text, allowed) => {
    const refused = refusal(() => bondOf(text));
    expect(refused.type).toBe('InvalidConfig');
    expect(refused.remedy).toContain(allowed);
  });
});
