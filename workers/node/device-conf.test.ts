import { describe, expect, it } from '@jest/globals';
import type { DeviceConf } from '../../contracts/device.ts';
import { deviceInfoDirectory } from './device-info.ts';
import { parseConf, parseNetworkConf } from './network-conf.ts';
import { refusal } from './testing/calls-to-cni.ts';

const parsed = (conf: object) =>
  parseNetworkConf(
    'orbweaver',
    parseConf(
      new TextEncoder().encode(JSON.stringify({ cniVersion: '1.1.0', name: 'rail0', type: 'orbweaver', ...conf })),
    ),
  );
const deviceOf = (conf: object): DeviceConf | undefined => parsed(conf).device;
const infoFile = `${deviceInfoDirectory}/rail0-c1_net1`;
/** As device plugins write it. Device Information Specification 1.1.0, 4.3. */
const info = (device: object): string => JSON.stringify({ version: '1.1.0', ...device });
const handed = (text: string | undefined, conf: object) => {
  const stdin = { cniVersion: '1.1.0', name: 'rail0', type: 'orbweaver', kind: 'sriov', ...conf };
  const read = (path: string) => (path === infoFile ? text : undefined);
  return parseNetworkConf('orbweaver', parseConf(new TextEncoder().encode(JSON.stringify(stdin))), read).device;
};
const sriov = (conf: object) => deviceOf({ kind: 'sriov', deviceID: '0000:3b:02.1', ...conf });
const host = (conf: object) => deviceOf({ kind: 'host-device', ...conf });
const plainVf = { kind: 'sriov', pciAddress: '0000:3b:02.1', settings: {}, movesRdma: false };

describe('a VF', () => {
  it.each<[object, object]>([
    [{}, {}],
    [{ vlanID: 0 }, { vlan: { id: 0, qos: 0, protocol: '802.1Q' } }],
    [{ vlanID: 100, vlanQoS: 5, vlanProto: '802.1ad' }, { vlan: { id: 100, qos: 5, protocol: '802.1ad' } }],
    [{ minTxRateMbps: 10, maxTxRateMbps: 200 }, { rate: { minMbps: 10, maxMbps: 200 } }],
    [{ maxTxRateMbps: 200 }, { rate: { minMbps: 0, maxMbps: 200 } }],
    [{ minTxRateMbps: 10, maxTxRateMbps: 0 }, { rate: { minMbps: 10, maxMbps: 0 } }],
    [
      { spoofchk: 'off', trust: 'on' },
      { spoofCheck: false, trust: true },
    ],
    [{ spoofchk: '', trust: '', link_state: '', mac: '' }, {}],
    [{ link_state: 'disable' }, { linkState: 'disable' }],
    [{ mac: '02:00:00:00:00:0A' }, { mac: '02:00:00:00:00:0a' }],
    [{ mac: '02:00:00:00:00:0a', runtimeConfig: { mac: '02:00:00:00:00:0b' } }, { mac: '02:00:00:00:00:0b' }],
  ])('with %j is told %j', (conf, settings) => {
    expect(sriov(conf)).toEqual({ ...plainVf, settings });
  });

  it('has an MTU and takes its RDMA with it where that is asked for', () => {
    expect(sriov({ mtu: 9000, rdmaIsolation: true })).toEqual({ ...plainVf, mtuBytes: 9000, movesRdma: true });
  });

  it('is the one that the runtime names, before the one of Multus and of the configuration', () => {
    const deviceID = '0000:3B:02.7';
    expect(sriov({ runtimeConfig: { deviceID } })).toMatchObject({ pciAddress: '0000:3b:02.7' });
    expect(sriov({ deviceID: undefined, pciBusID: deviceID })).toMatchObject({ pciAddress: '0000:3b:02.7' });
  });

  it.each<[object, string, string]>([
    [{ deviceID: '' }, 'InvalidConfig', 'kind sriov got no device'],
    [{ deviceID: '3b:02.1' }, 'InvalidConfig', 'Key "deviceID" of the network configuration is "3b:02.1"'],
    [{ deviceID: '../../etc' }, 'InvalidConfig', 'Key "deviceID" of the network configuration is "../../etc"'],
    [{ deviceID: 7 }, 'InvalidConfig', 'Key "deviceID" of the network configuration is 7'],
    [{ deviceID: 'mlx5_core.sf.4' }, 'NotImplemented', 'Auxiliary device "mlx5_core.sf.4"'],
    [{ vlanID: 4095 }, 'InvalidConfig', 'Key "vlanID" of the network configuration is 4095'],
    [{ vlanID: '100' }, 'InvalidConfig', 'Key "vlanID" of the network configuration is "100"'],
    [{ vlanQoS: 1 }, 'InvalidConfig', 'Key "vlanQoS" of the network configuration is 1'],
    [{ vlanID: 0, vlanQoS: 1 }, 'InvalidConfig', 'Key "vlanQoS" of the network configuration is 1'],
    [{ vlanID: 1, vlanQoS: 8 }, 'InvalidConfig', 'Key "vlanQoS" of the network configuration is 8'],
    [{ vlanID: 1, vlanProto: '802.3' }, 'InvalidConfig', 'Key "vlanProto" of the network configuration is "802.3"'],
    [
      { minTxRateMbps: 20, maxTxRateMbps: 10 },
      'InvalidConfig',
      'Key "minTxRateMbps" of the network configuration is 20',
    ],
    [{ maxTxRateMbps: -1 }, 'InvalidConfig', 'Key "maxTxRateMbps" of the network configuration is -1'],
    [{ spoofchk: true }, 'InvalidConfig', 'Key "spoofchk" of the network configuration is true'],
    [{ trust: 'yes' }, 'InvalidConfig', 'Key "trust" of the network configuration is "yes"'],
    [{ link_state: 'up' }, 'InvalidConfig', 'Key "link_state" of the network configuration is "up"'],
    [{ mac: '01:00:5e:00:00:01' }, 'InvalidConfig', 'Key "mac" of the network configuration is "01:00:5e:00:00:01"'],
    [{ mac: '00:00:00:00:00:00' }, 'InvalidConfig', 'Key "mac" of the network configuration is "00:00:00:00:00:00"'],
    [{ rdmaIsolation: 'on' }, 'InvalidConfig', 'Key "rdmaIsolation" of the network configuration is "on"'],
    [{ mtu: 67 }, 'InvalidConfig', 'Key "mtu" of the network configuration is 67'],
    [{ master: ['eno1'] }, 'InvalidConfig', 'Key "master" is unknown to type orbweaver'],
    [{ mode: 'bridge' }, 'InvalidConfig', 'Key "mode" is unknown to type orbweaver'],
  ])('with %j is refused', (conf, type, message) => {
    const refused = refusal(() => sriov(conf));
    expect(refused).toMatchObject({ type, message: expect.stringContaining(message) });
    expect(refused.remedy).toBeTruthy();
  });
});

describe('an InfiniBand VF', () => {
  const ib = (conf: object) => deviceOf({ kind: 'ib-sriov', deviceID: '0000:3b:02.1', ...conf });
  const plainIbVf = { ...plainVf, isInfiniBand: true, movesRdma: true };
  const [one, two, three] = [1, 2, 3].map((last) => `02:00:00:00:00:00:00:0${last}`);
  const told = (guid: string | undefined) => ({ nodeGuid: guid, portGuid: guid });
  const [runtimeConfig, args] = [{ infinibandGUID: three }, { cni: { guid: two } }];

  it.each<[object, object]>([
    [{}, {}],
    [{ pkey: '', ibKubernetesEnabled: false, guid: '', link_state: '' }, {}],
    [
      { guid: '02:00:00:00:00:00:00:0A', link_state: 'enable' },
      { ...told('02:00:00:00:00:00:00:0a'), linkState: 'enable' },
    ],
    [{ guid: one, args }, told(two)],
    [{ guid: one, args, runtimeConfig }, told(three)],
    [{ guid: one, args: { cni: null } }, told(one)],
  ])('with %j is told %j', (conf, settings) => {
    expect(ib(conf)).toEqual({ ...plainIbVf, settings });
  });

  it('leaves its RDMA device on the node where that is asked for, and has an MTU', () => {
    expect(ib({ rdmaIsolation: false, mtu: 2044 })).toEqual({
      ...plainIbVf,
      settings: {},
      movesRdma: false,
      mtuBytes: 2044,
    });
  });

  it.each<[object, string]>([
    [{ deviceID: '' }, 'kind ib-sriov got no device'],
    [{ guid: '02:00:00:00:00:0a' }, 'Key "guid" of the network configuration is "02:00:00:00:00:0a"'],
    [{ guid: '00:00:00:00:00:00:00:00' }, 'Key "guid"'],
    [{ args: { cni: { guid: 'FF:FF:FF:FF:FF:FF:FF:FF' } } }, 'Key "args.cni.guid"'],
    [{ runtimeConfig: { infinibandGUID: 7 } }, 'Key "runtimeConfig.infinibandGUID"'],
    [{ pkey: '0x2' }, 'Key "pkey" of the network configuration is for ib-kubernetes'],
    [{ ibKubernetesEnabled: true }, 'Key "ibKubernetesEnabled" of the network configuration is for ib-kubernetes'],
    [{ mac: '02:00:00:00:00:01' }, 'Key "mac" is unknown to type orbweaver'],
    [{ vlanID: 7 }, 'Key "vlanID" is unknown to type orbweaver'],
  ])('with %j is refused', (conf, message) => {
    const refused = refusal(() => ib(conf));
    expect(refused).toMatchObject({ type: 'InvalidConfig', message: expect.stringContaining(message) });
    expect(refused.remedy).toBeTruthy();
  });
});

describe('a VF of a device plugin that has IDs of its own', () => {
  const runtimeConfig = { CNIDeviceInfoFile: infoFile };
  const vf = info({ type: 'pci', pci: { 'pci-address': '0000:3B:02.1', 'pf-pci-address': '0000:3b:00.0' } });

  it.each<[string, object]>([
    ['the ID of Multus', { deviceID: 'rail0-1', pciBusID: 'rail0-1', runtimeConfig }],
    ['the ID of the runtime', { runtimeConfig: { ...runtimeConfig, deviceID: 'rail0-1' } }],
    ['no ID', { runtimeConfig }],
  ])('is the one that the device information file tells, with %s', (_, conf) => {
    expect(handed(vf, conf)).toEqual(plainVf);
  });

  it('is not looked up where its PCI address is known', () => {
    const conf = { deviceID: '0000:3b:02.7', runtimeConfig: { CNIDeviceInfoFile: '/etc/passwd' } };
    expect(handed('no JSON', conf)).toMatchObject({ pciAddress: '0000:3b:02.7' });
  });

  it.each<[string | undefined, string]>([
    [undefined, 'Key "deviceID" of the network configuration is "rail0-1"'],
    ['{', `Cannot tell the device from ${infoFile}, which runtimeConfig.CNIDeviceInfoFile names: it is no JSON`],
    ['null', 'its type is missing, and only "pci" can be lent to a pod'],
    [info({ type: 'vdpa', vdpa: { 'pci-address': '0000:3b:02.1' } }), 'its type is "vdpa"'],
    [info({ type: 'pci' }), 'its pci-address is missing'],
    [info({ type: 'pci', pci: null }), 'its pci-address is missing'],
    [info({ type: 'pci', pci: { 'pci-address': '../../etc' } }), 'its pci-address is "../../etc"'],
  ])('is refused when its file says %j', (text, message) => {
    const refused = refusal(() => handed(text, { deviceID: 'rail0-1', runtimeConfig }));
    expect(refused).toMatchObject({ type: 'InvalidConfig', message: expect.stringContaining(message) });
    expect(refused.remedy).toBeTruthy();
  });

  it('is refused when the file is no path, and when the device is an auxiliary one, whatever its file says', () => {
    const noPath = { deviceID: 'rail0-1', runtimeConfig: { CNIDeviceInfoFile: 7 } };
    expect(refusal(() => handed(vf, noPath)).message).toContain('"runtimeConfig.CNIDeviceInfoFile"');
    expect(refusal(() => handed(vf, { deviceID: 'mlx5_core.sf.4', runtimeConfig })).type).toBe('NotImplemented');
  });
});

describe('an RDMA device behind another plugin', () => {
  const rdma = (conf: object) =>
    parseNetworkConf(
      'rdma',
      parseConf(
        new TextEncoder().encode(
          JSON.stringify({ cniVersion: '1.1.0', name: 'rail0', type: 'rdma', prevResult: {}, ...conf }),
        ),
      ),
    );

  it('is the one of the VF that Multus names', () => {
    expect(rdma({ deviceID: '0000:3b:02.1', pciBusID: '0000:3b:02.1' })).toEqual({
      provides: 'rdma',
      device: { kind: 'rdma', pciAddress: '0000:3b:02.1' },
      defaultIPv4Pools: [],
      defaultIPv6Pools: [],
      cleanGateway: false,
    });
  });

  it.each<[object, string]>([
    [{}, 'type rdma got no device: "deviceID" is missing'],
    [{ deviceID: '0000:3b:02.1', prevResult: undefined }, 'type rdma got no prevResult'],
    [{ deviceID: '0000:3b:02.1', kind: 'sriov' }, 'Key "kind" is unknown to type rdma'],
  ])('with %j is refused', (conf, message) => {
    expect(refusal(() => rdma(conf))).toMatchObject({ type: 'InvalidConfig', message });
  });
});

describe('a device of the node', () => {
  it.each<[object, object]>([
    [{ device: 'eno2' }, { select: { by: 'name', ifName: 'eno2' } }],
    [{ hwaddr: '02:00:00:00:00:0A' }, { select: { by: 'mac', mac: '02:00:00:00:00:0a' } }],
    [{ pciBusID: '0000:3b:00.1' }, { select: { by: 'pci', pciAddress: '0000:3b:00.1' } }],
    [
      { deviceID: '0000:3b:00.1', mtu: 9000 },
      { select: { by: 'pci', pciAddress: '0000:3b:00.1' }, mtuBytes: 9000 },
    ],
  ])('is found by %j', (conf, device) => {
    expect(host(conf)).toEqual({ kind: 'host-device', ...device });
  });

  it.each<[object, string]>([
    [{}, 'kind host-device names no device'],
    [{ device: 'eno2', hwaddr: '02:00:00:00:00:0a' }, 'kind host-device names more than one device'],
    [{ device: 'a/b' }, 'Key "device" of the network configuration is "a/b"'],
    [{ hwaddr: 'eno2' }, 'Key "hwaddr" of the network configuration is "eno2"'],
    [{ device: 'eno2', trust: 'on' }, 'Key "trust" is unknown to type orbweaver'],
  ])('with %j is refused', (conf, message) => {
    expect(refusal(() => host(conf)).message).toContain(message);
  });

  it('makes nothing on the node, and has pools like every interface', () => {
    expect(parsed({ kind: 'host-device', device: 'eno2', default_ipv4_ippool: ['v4'] })).toMatchObject({
      provides: 'interface',
      defaultIPv4Pools: ['v4'],
    });
    expect(parsed({ kind: 'host-device', device: 'eno2' })).not.toHaveProperty('link');
  });

  it('is named by keys that the other kinds do not know', () => {
    const refused = refusal(() => parsed({ kind: 'macvlan', master: ['eno1'], hwaddr: '02:00:00:00:00:0a' }));
    expect(refused.message).toContain('Key "hwaddr" is unknown to type orbweaver');
  });

  it('is nothing to the kinds that make an interface, though Multus names it to every plugin of the list', () => {
    const named = { deviceID: 'hca-shared-17', pciBusID: 'hca-shared-17' }; // as a shared RDMA device plugin calls them
    const macvlan = { kind: 'macvlan', master: ['eno1'] };
    expect(parsed({ ...macvlan, ...named })).toEqual(parsed(macvlan));
    const text = JSON.stringify({ cniVersion: '1.1.0', name: 'rail0', type: 'ifacer', interfaces: ['eno1'], ...named });
    const ifacer = parseNetworkConf('ifacer', parseConf(new TextEncoder().encode(text)));
    expect(ifacer).toMatchObject({ provides: 'links' });
  });
});
