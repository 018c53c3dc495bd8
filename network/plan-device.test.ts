import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  type DeviceConf,
  type DeviceLease,
  noGuid,
  type VfSettings,
  type VirtualFunctionConf,
} from '../contracts/device.ts';
import { asDeviceCommands, type DeviceOperation } from './device-operation.ts';
import { identityOf } from './link-identity.ts';
import type { ObservedDevice } from './observed-device.ts';
import type { ObservedLink } from './observed-namespace.ts';
import { linkGroup } from './ownership-mark.ts';
import { planLease } from './plan-lease.ts';
import { planLoan } from './plan-loan.ts';
import { planReturn } from './plan-return.ts';
import { DeviceModel, infiniBandVf, type ModelState, pciAddress, plainLink } from './testing/device-model.ts';

const netns = '/run/netns/cni-1';
const mark = { containerID: '5b1e', ifName: 'net1' };
const vf = (settings: VfSettings = {}, rest: Partial<VirtualFunctionConf> = {}): VirtualFunctionConf => ({
  kind: 'sriov',
  pciAddress,
  settings,
  movesRdma: false,
  ...rest,
});

function leaseOf(model: DeviceModel, conf: DeviceConf): DeviceLease {
  const { device, nodeLinks } = model.observe();
  const plan = planLease(device, { links: nodeLinks, addresses: [] }, conf);
  if (plan.outcome === 'refused') throw new Error(plan.failure.message);
  return plan.lease;
}

/** As the kernel task does: look, plan, act, until the plan is whole. Stops after `most` operations, as a worker that is killed. */
function carryOut(
  model: DeviceModel,
  plan: (isRebound: boolean) => ReturnType<typeof planLoan | typeof planReturn>,
  most = Infinity,
): DeviceOperation[] {
  const done: DeviceOperation[] = [];
  for (let round = 0; round < 4; round += 1) {
    const next = plan(done.some(({ op }) => op === 'rebind'));
    if (next.outcome !== 'plan') throw new Error(JSON.stringify(next));
    const part = next.operations.slice(0, most - done.length);
    model.apply(part);
    done.push(...part);
    if (next.isWhole || done.length >= most) return done;
  }
  throw new Error('never whole');
}

const lend = (model: DeviceModel, device: DeviceConf, lease: DeviceLease, most?: number): DeviceOperation[] =>
  carryOut(model, (isRebound) => planLoan({ ...model.observe(), isRebound }, { ...mark, device, lease }), most);

const giveBack = (model: DeviceModel, lease: DeviceLease, most?: number): DeviceOperation[] =>
  carryOut(model, (isRebound) => planReturn({ ...model.observe(), isRebound }, lease), most);

describe('the way of a VF into a pod and back', () => {
  it('is three commands when nothing is asked of it', () => {
    const model = new DeviceModel();
    const lease = leaseOf(model, vf());
    expect(asDeviceCommands(lend(model, vf(), lease), netns)).toEqual([
      'ip link set dev enp1s0v0 alias orbweaver:lent/5b1e/net1',
      'ip link set dev enp1s0v0 netns cni-1 name net1',
    ]);
    expect(asDeviceCommands(giveBack(model, lease), netns)).toEqual([
      'ip -n cni-1 link set dev net1 netns 1 name enp1s0v0',
      "ip link set dev enp1s0v0 alias ''",
    ]);
  });

  it('tells its PF first, gives it back to its driver for the MAC, and is found under a new name then', () => {
    const model = new DeviceModel({ isUp: true });
    const conf = vf(
      {
        mac: '02:00:00:00:00:01',
        vlan: { id: 100, qos: 5, protocol: '802.1ad' },
        rate: { minMbps: 10, maxMbps: 200 },
        spoofCheck: false,
        trust: true,
        linkState: 'enable',
      },
      { mtuBytes: 9000, movesRdma: true },
    );
    const lease = leaseOf(model, conf);
    const rebind =
      'echo 0000:01:10.0 >/sys/bus/pci/drivers/igbvf/unbind && echo 0000:01:10.0 >/sys/bus/pci/drivers/igbvf/bind';
    expect(asDeviceCommands(lend(model, conf, lease), netns)).toEqual([
      'ip link set dev enp1s0 vf 0 vlan 100 qos 5 proto 802.1ad',
      'ip link set dev enp1s0 vf 0 max_tx_rate 200 min_tx_rate 10',
      'ip link set dev enp1s0 vf 0 state enable',
      'ip link set dev enp1s0 vf 0 spoofchk off',
      'ip link set dev enp1s0 vf 0 mac 02:00:00:00:00:01',
      'ip link set dev enp1s0 vf 0 trust on',
      rebind,
      'ip link set dev eth0 alias orbweaver:lent/5b1e/net1',
      'ip link set dev eth0 netns cni-1 name net1',
      'ip -n cni-1 link set dev net1 mtu 9000',
      'rdma dev set rdma0 netns cni-1',
    ]);
    expect(model.state).toMatchObject({ place: 'pod', rdma: 'pod', mac: '02:00:00:00:00:01', mtuBytes: 9000 });
    expect(asDeviceCommands(giveBack(model, lease), netns)).toEqual([
      'nsenter --net=/run/netns/cni-1 rdma dev set rdma0 netns /proc/1/ns/net',
      'ip -n cni-1 link set dev net1 netns 1 name enp1s0v0',
      'ip link set dev enp1s0 vf 0 trust off',
      'ip link set dev enp1s0 vf 0 mac 52:54:00:00:01:10',
      'ip link set dev enp1s0 vf 0 spoofchk on',
      'ip link set dev enp1s0 vf 0 state auto',
      'ip link set dev enp1s0 vf 0 max_tx_rate 0 min_tx_rate 0',
      'ip link set dev enp1s0 vf 0 vlan 0 qos 0',
      rebind,
      'ip link set dev eth0 name enp1s0v0',
      'ip link set dev enp1s0v0 up',
    ]);
    expect(model.state).toEqual(new DeviceModel({ isUp: true }).state);
  });

  const settings: fc.Arbitrary<VfSettings> = fc.record(
    {
      mac: fc.constantFrom('02:00:00:00:00:01', '52:54:00:00:01:10'),
      vlan: fc.record({ id: fc.constantFrom(0, 100), qos: fc.nat(1), protocol: fc.constantFrom('802.1Q', '802.1ad') }),
      rate: fc.record({ minMbps: fc.nat(1), maxMbps: fc.nat(1) }),
      spoofCheck: fc.boolean(),
      trust: fc.boolean(),
      linkState: fc.constantFrom('auto', 'enable', 'disable'),
    },
    { requiredKeys: [] },
  );
  const confs: fc.Arbitrary<DeviceConf> = fc.oneof(
    fc
      .record({ settings, movesRdma: fc.boolean(), mtuBytes: fc.constantFrom(undefined, 1500, 9000) })
      .map(({ mtuBytes, ...of }) =>
        vf(of.settings, { movesRdma: of.movesRdma, ...(mtuBytes === undefined ? {} : { mtuBytes }) }),
      ),
    fc.constant<DeviceConf>({ kind: 'host-device', select: { by: 'pci', pciAddress }, mtuBytes: 1400 }),
  );
  const { settings: untold } = new DeviceModel().state;
  const befores: fc.Arbitrary<Partial<ModelState>> = fc.record({
    isUp: fc.boolean(),
    alias: fc.constantFrom('', 'rack-7'),
    mtuBytes: fc.constantFrom(1500, 2000),
    settings: fc.constantFrom(untold, { ...untold, mac: '02:00:00:00:00:99' }),
  });
  /** A MAC that the PF had given, and that the link takes over with the first rebind or when it comes up, is as good as its own. */
  const asBefore = (state: Partial<ModelState>, before: Partial<ModelState>) => {
    const { state: wanted } = new DeviceModel(before);
    expect([wanted.mac, wanted.settings.mac]).toContain(state.mac);
    expect({ ...state, mac: wanted.mac }).toEqual(wanted);
  };
  const steps = fc.nat(16);

  it('ends where it began, wherever it was cut off, on either way, or by the end of the pod', () => {
    fc.assert(
      fc.property(befores, confs, steps, steps, fc.boolean(), (before, conf, lent, returned, hasEnded) => {
        const model = new DeviceModel(before);
        const lease = leaseOf(model, conf);
        lend(model, conf, lease, lent);
        model.run();
        giveBack(model, lease, returned);
        if (hasEnded) model.endPod();
        giveBack(model, lease);
        asBefore(model.state, before);
        expect(giveBack(model, lease)).toEqual([]);
      }),
    );
  });

  it('is completed from wherever it was cut off, and then nothing is left to do', () => {
    fc.assert(
      fc.property(befores, confs, steps, (before, conf, cut) => {
        const [whole, resumed] = [new DeviceModel(before), new DeviceModel(before)];
        const lease = leaseOf(whole, conf);
        lend(whole, conf, lease);
        lend(resumed, conf, lease, cut);
        lend(resumed, conf, lease);
        expect({ ...resumed.state, isUp: false }).toEqual({ ...whole.state, isUp: false });
        expect(lend(resumed, conf, lease)).toEqual([]);
      }),
    );
  });

  it('keeps a MAC that its PF had given it, and that its link has taken over only in the pod', () => {
    const model = new DeviceModel({ settings: { ...untold, mac: '02:00:00:00:00:99' } });
    const lease = leaseOf(model, vf());
    lend(model, vf(), lease);
    model.run();
    expect(asDeviceCommands(giveBack(model, lease), netns)).toEqual([
      'ip -n cni-1 link set dev net1 netns 1 name enp1s0v0',
      "ip link set dev enp1s0v0 alias ''",
    ]);
  });

  it('goes on after a worker was killed between taking the VF from its driver and giving it back', () => {
    const model = new DeviceModel();
    const conf = vf({ mac: '02:00:00:00:00:01' });
    const lease = leaseOf(model, conf);
    const killed = new DeviceModel({ driver: undefined });
    lend(killed, conf, lease);
    expect(killed.state).toMatchObject({ place: 'pod', mac: '02:00:00:00:00:01', driver: 'igbvf' });
    giveBack(killed, lease);
    expect(killed.state).toEqual(model.state);
  });

  it('waits for the link of a VF whose namespace has just ended', () => {
    const model = new DeviceModel();
    const lease = leaseOf(model, vf());
    const { link: _, ...device } = model.observe().device;
    const plan = planReturn({ device, nodeLinks: [], isRebound: false }, lease);
    expect(plan).toEqual({ outcome: 'wait', why: 'the link of 0000:01:10.0 is not back on the node' });
  });

  it('waits, there and back, while its PF has no link that could be told', () => {
    const model = new DeviceModel();
    const conf = vf({ trust: true });
    const lease = leaseOf(model, conf);
    const untold = () => {
      const { vf: _, ...device } = model.observe().device;
      return { ...model.observe(), device, isRebound: false };
    };
    const why = 'its PF 0000:01:00.0 has no link on the node';
    expect(planLoan(untold(), { ...mark, device: conf, lease })).toEqual({ outcome: 'wait', why });
    lend(model, conf, lease);
    const home = planReturn(untold(), lease);
    expect(home).toMatchObject({ outcome: 'plan', isWhole: false });
    model.apply(home.outcome === 'plan' ? home.operations : []);
    expect(planReturn(untold(), lease)).toEqual({ outcome: 'wait', why });
    giveBack(model, lease);
    expect(model.state).toEqual(new DeviceModel().state);
  });

  it('waits for the RDMA device that is to go with it', () => {
    const model = new DeviceModel();
    const conf = vf({}, { movesRdma: true });
    const lease = leaseOf(model, conf);
    const plan = (rdma: ObservedDevice['rdma']) =>
      planLoan(
        { ...model.observe(), device: { ...model.observe().device, rdma }, isRebound: true },
        { ...mark, device: conf, lease },
      );
    const mode = 'exclusive';
    expect(plan({ mode, inNode: [], inPod: [] })).toEqual({ outcome: 'wait', why: 'its RDMA device is not back' });
    // The driver names it anew.
    expect(plan({ mode, inNode: ['rdma7'], inPod: [] })).toMatchObject({ outcome: 'plan', isWhole: true });
    expect(plan({ mode, inNode: [], inPod: ['rdma0'] })).toMatchObject({ outcome: 'plan', isWhole: true });
  });

  it('needs nothing of a PF that is to be told nothing, or of one that has the VF no more', () => {
    const model = new DeviceModel();
    const lease = leaseOf(model, vf());
    const { vf: _, ...untold } = model.observe().device;
    const loan = planLoan({ ...model.observe(), device: untold, isRebound: false }, { ...mark, device: vf(), lease });
    expect(loan).toMatchObject({ outcome: 'plan', isWhole: true });
    const gone = { rdma: { inNode: [], inPod: [] } };
    expect(planReturn({ device: gone, nodeLinks: [], isRebound: false }, lease)).toEqual({
      outcome: 'plan',
      operations: [],
      isWhole: true,
    });
  });

  it('misses a NIC that is no PCI function, and lets a link without hardware go with its namespace', () => {
    const { rdma } = new DeviceModel().observe().device;
    const conf: DeviceConf = { kind: 'host-device', select: { by: 'name', ifName: 'enp1s0v0' } };
    const planFor = (rest: Partial<ObservedLink>) => {
      const device = { link: { ...plainLink, ...rest, place: 'node' as const }, rdma };
      const leased = planLease(device, { links: [device.link], addresses: [] }, conf);
      if (leased.outcome === 'refused') throw new Error(leased.failure.message);
      return planReturn({ device: { rdma }, nodeLinks: [], isRebound: false }, leased.lease);
    };
    expect(planFor({})).toEqual({ outcome: 'missing', why: '"enp1s0v0" is not back on the node' });
    expect(planFor({ kind: 'veth' })).toEqual({ outcome: 'plan', operations: [], isWhole: true });
  });

  it('leaves a VF that a program drives where it is', () => {
    const model = new DeviceModel({ driver: 'vfio-pci' });
    const { link: _, ...device } = model.observe().device;
    const conf = vf({ vlan: { id: 7, qos: 0, protocol: '802.1Q' }, mac: '02:00:00:00:00:01' });
    const leased = planLease(device, { links: [], addresses: [] }, conf);
    if (leased.outcome === 'refused') throw new Error(leased.failure.message);
    expect(leased.lease).not.toHaveProperty('link');
    const plan = planLoan({ device, podLinks: [], isRebound: false }, { ...mark, device: conf, lease: leased.lease });
    expect(plan).toMatchObject({ outcome: 'plan', isWhole: true });
    expect(plan.outcome === 'plan' ? plan.operations.map(({ op }) => op) : []).toEqual(['set-vf', 'set-vf']);
  });
});

describe('the way of an InfiniBand VF into a pod and back', () => {
  const [own, asked] = ['02:00:00:00:00:00:00:01', '02:00:00:00:00:00:00:2a'];
  const guid = { nodeGuid: asked, portGuid: asked };
  const ibVf = (settings: VfSettings = {}): VirtualFunctionConf =>
    vf(settings, { isInfiniBand: true, movesRdma: true });

  it('tells its PF the GUID as a node and as a port, and gives it back to its driver for it', () => {
    const model = new DeviceModel(infiniBandVf());
    const lease = leaseOf(model, ibVf(guid));
    const rebind =
      'echo 0000:01:10.0 >/sys/bus/pci/drivers/igbvf/unbind && echo 0000:01:10.0 >/sys/bus/pci/drivers/igbvf/bind';
    expect(asDeviceCommands(lend(model, ibVf(guid), lease), netns)).toEqual([
      `ip link set dev enp1s0 vf 0 node_guid ${asked}`,
      `ip link set dev enp1s0 vf 0 port_guid ${asked}`,
      rebind,
      'ip link set dev eth0 alias orbweaver:lent/5b1e/net1',
      'ip link set dev eth0 netns cni-1 name net1',
      'rdma dev set rdma0 netns cni-1',
    ]);
    expect(model.state.mac).toBe(`80:00:00:02:fe:80:00:00:00:00:00:00:${asked}`);
    // What was never told one is told that it has none: no firmware takes zeros.
    expect(asDeviceCommands(giveBack(model, lease), netns)).toEqual([
      'nsenter --net=/run/netns/cni-1 rdma dev set rdma0 netns /proc/1/ns/net',
      'ip -n cni-1 link set dev net1 netns 1 name ibp1s0v0',
      `ip link set dev enp1s0 vf 0 port_guid ${noGuid}`,
      `ip link set dev enp1s0 vf 0 node_guid ${noGuid}`,
      rebind,
      'ip link set dev eth0 name ibp1s0v0',
    ]);
    expect(identityOf(model.state)).toBe(noGuid);
  });

  it('is two commands and its RDMA device for a VF that keeps its GUID', () => {
    const model = new DeviceModel(infiniBandVf(own));
    const lease = leaseOf(model, ibVf());
    expect(lend(model, ibVf(), lease).map(({ op }) => op)).toEqual(['set-alias', 'move-in', 'move-rdma-in']);
    expect(giveBack(model, lease).map(({ op }) => op)).toEqual(['move-rdma-out', 'move-out', 'set-alias']);
    expect(model.state).toEqual(new DeviceModel(infiniBandVf(own)).state);
  });

  it('ends where it began but for its queue pair, wherever it was cut off, on either way, or by the end of the pod', () => {
    const befores = fc.record({ guid: fc.constantFrom(undefined, own), isUp: fc.boolean() });
    const steps = fc.nat(10);
    fc.assert(
      fc.property(befores, fc.boolean(), steps, steps, fc.boolean(), (begun, asks, lent, returned, hasEnded) => {
        const before = { ...infiniBandVf(begun.guid), isUp: begun.isUp };
        const model = new DeviceModel(before);
        const conf = ibVf(asks || begun.guid === undefined ? guid : { linkState: 'enable' });
        const lease = leaseOf(model, conf);
        lend(model, conf, lease, lent);
        model.run();
        giveBack(model, lease, returned);
        if (hasEnded) model.endPod();
        giveBack(model, lease);
        const { state: wanted } = new DeviceModel(before);
        expect({ ...model.state, mac: identityOf(model.state) }).toEqual({ ...wanted, mac: identityOf(wanted) });
        expect(giveBack(model, lease)).toEqual([]);
      }),
    );
  });

  it('waits while its RDMA device has another name, by which it would not be found in the pod', () => {
    const model = new DeviceModel(infiniBandVf(own));
    const lease = leaseOf(model, ibVf());
    const { device, ...rest } = model.observe();
    const renamed = { ...device, rdma: { ...device.rdma, inNode: ['rdma7'] } };
    expect(planLoan({ ...rest, device: renamed, isRebound: true }, { ...mark, device: ibVf(), lease })).toEqual({
      outcome: 'wait',
      why: 'its RDMA device has come back as "rdma7"',
    });
  });

  it.each<[string, ModelState | undefined, DeviceConf, string, string]>([
    [
      'an Ethernet VF as one of InfiniBand',
      new DeviceModel().state,
      ibVf(),
      '"enp1s0v0" is no InfiniBand',
      'Use kind "sriov" for it',
    ],
    [
      'an InfiniBand VF as one of Ethernet',
      new DeviceModel(infiniBandVf(own)).state,
      vf(),
      '"ibp1s0v0" is InfiniBand',
      'Use kind "ib-sriov" for it',
    ],
    [
      'a VF without a GUID',
      new DeviceModel(infiniBandVf()).state,
      ibVf(),
      'no GUID is asked for, and "ibp1s0v0" has none',
      'Ask for one by `guid`, or give it one on the node before it is bound to its driver: ip link set dev enp1s0 vf 0 port_guid GUID',
    ],
    [
      'a VF whose GUIDs nobody tells',
      new DeviceModel({ ...infiniBandVf(own), settings: { linkState: 'auto' } }).state,
      ibVf(guid),
      'a GUID is asked for, and the driver of its PF tells none, so its own could not be given back',
      'Leave `guid` out',
    ],
  ])('is not begun with %s', (_, state, conf, found, remedy) => {
    const { device, nodeLinks } = new DeviceModel(state).observe();
    expect(planLease(device, { links: nodeLinks, addresses: [] }, conf)).toEqual({
      outcome: 'refused',
      failure: {
        type: 'DeviceUnfit',
        message: `Cannot lend VF ${pciAddress} to the pod: ${found}. Nothing was changed`,
        remedy,
      },
    });
  });
});

describe('the way of an RDMA device whose link another plugin moves', () => {
  const conf: DeviceConf = { kind: 'rdma', pciAddress };

  it('is one command, and one back, and the link stays where it is', () => {
    const model = new DeviceModel({ place: 'pod', ifName: 'net1' });
    const lease = leaseOf(model, conf);
    expect(lease).toEqual({ pciAddress, driver: 'igbvf', rdmaDevices: ['rdma0'] });
    expect(asDeviceCommands(lend(model, conf, lease), netns)).toEqual(['rdma dev set rdma0 netns cni-1']);
    expect(lend(model, conf, lease)).toEqual([]);
    expect(asDeviceCommands(giveBack(model, lease), netns)).toEqual([
      'nsenter --net=/run/netns/cni-1 rdma dev set rdma0 netns /proc/1/ns/net',
    ]);
    expect(giveBack(model, lease)).toEqual([]);
    expect(model.state).toEqual(new DeviceModel({ place: 'pod', ifName: 'net1' }).state);
  });
});

describe('a device that cannot be lent', () => {
  const base = new DeviceModel().observe().device;
  const { link, vf: __, ...alone } = base;
  const refusalOf = (device: ObservedDevice, conf: DeviceConf, links: readonly ObservedLink[] = []) => {
    const plan = planLease(device, { links, addresses: [] }, conf);
    if (plan.outcome === 'lease') throw new Error('it is lent');
    const { type, message, remedy } = plan.failure;
    return { type, message, remedy };
  };
  const unfit = (what: string, found: string, remedy: string) => ({
    type: 'DeviceUnfit',
    message: `Cannot lend ${what} to the pod: ${found}. Nothing was changed`,
    remedy,
  });
  const vfUnfit = (found: string, remedy: string) => unfit('VF 0000:01:10.0', found, remedy);
  const withRdma = vf({}, { movesRdma: true });
  const shared = 'Set the node to exclusive mode before it has pods: options ib_core netns_mode=0 in /etc/modprobe.d';

  it.each<[string, ObservedDevice, DeviceConf, object]>([
    [
      'is not there',
      { rdma: base.rdma },
      vf(),
      vfUnfit('the node has no such PCI function', 'Look at the node: ls /sys/bus/pci/devices/0000:01:10.0'),
    ],
    [
      'has no driver',
      { ...alone, pci: { address: pciAddress, pf: '0000:01:00.0' } },
      vf(),
      vfUnfit(
        'no driver is bound to it, so it has no link',
        'Load its driver on the node (igbvf, iavf, mlx5_core, …), or bind vfio-pci for a program that drives it itself: echo 0000:01:10.0 >/sys/bus/pci/drivers_probe',
      ),
    ],
    [
      'is elsewhere',
      alone,
      vf(),
      vfUnfit(
        "its driver igbvf has made no link in the node's namespace",
        'Look where it is: ls /sys/bus/pci/devices/0000:01:10.0/net on the node. Another program may have moved it away',
      ),
    ],
    [
      'is one of several links of a function',
      { ...alone, several: ['ib-eth0', 'ib-eth1'] },
      { kind: 'host-device', select: { by: 'pci', pciAddress } },
      unfit(
        'device 0000:01:10.0',
        'its PCI function has several links: ib-eth0, ib-eth1',
        'Name one of them by `device`, with kind "host-device"',
      ),
    ],
    [
      'is a PF without VFs',
      { ...base, pci: { address: pciAddress, driver: 'igb', vfs: { most: 7, made: 0 } } },
      vf(),
      vfUnfit(
        'it is a physical function, with 0 of 7 VFs made',
        'Make VFs and let the device plugin hand them out: echo 4 >/sys/bus/pci/devices/0000:01:10.0/sriov_numvfs',
      ),
    ],
    [
      'is no VF',
      { ...base, pci: { address: pciAddress, driver: 'e1000' } },
      vf(),
      vfUnfit('it is no virtual function', 'Use kind "host-device" for a whole NIC'),
    ],
    [
      'has a PF that tells nothing',
      { ...alone, ...(link === undefined ? {} : { link }) },
      vf(),
      vfUnfit(
        "its PF 0000:01:00.0 has no link in the node's namespace that tells of it",
        'Look at the PF on the node: ls /sys/bus/pci/devices/0000:01:00.0/net, and ip link show',
      ),
    ],
    [
      'has a PF with a smaller MTU',
      { ...base, ...(base.vf === undefined ? {} : { vf: { ...base.vf, pf: { ...base.vf.pf, mtuBytes: 1500 } } }) },
      vf({}, { mtuBytes: 9000 }),
      {
        type: 'InvalidConfig',
        message: 'Cannot give VF 0000:01:10.0 an MTU of 9000: its PF "enp1s0" carries 1500 bytes. Nothing was changed',
        remedy: 'Set `mtu` to at most 1500, or raise it on the node: ip link set dev enp1s0 mtu 9000',
      },
    ],
    [
      'is a whole NIC with VFs',
      { ...base, pci: { address: pciAddress, driver: 'igb', vfs: { most: 7, made: 4 } } },
      { kind: 'host-device', select: { by: 'pci', pciAddress } },
      unfit(
        'device 0000:01:10.0',
        'it has 4 VFs, which are told through its link on the node',
        'Lend its VFs, or take them away: echo 0 >/sys/bus/pci/devices/0000:01:10.0/sriov_numvfs',
      ),
    ],
    [
      'has a driver with a smaller MTU',
      { ...base, ...(base.link === undefined ? {} : { link: { ...base.link, maxMtuBytes: 9216 } }) },
      { kind: 'host-device', select: { by: 'pci', pciAddress }, mtuBytes: 9300 },
      {
        type: 'InvalidConfig',
        message: 'Cannot give device 0000:01:10.0 an MTU of 9300: its driver takes at most 9216. Nothing was changed',
        remedy: 'Set `mtu` to at most 9216',
      },
    ],
    [
      'has no link that an MTU could be of',
      {
        ...alone,
        ...(base.vf === undefined ? {} : { vf: base.vf }),
        pci: { address: pciAddress, driver: 'vfio-pci', pf: '0000:01:00.0' },
      },
      vf({}, { mtuBytes: 1400 }),
      vfUnfit('an MTU is asked for and it has no link', 'Leave `mtu` out: the program that drives it sets its own'),
    ],
    [
      'is to take RDMA with it that all share',
      { ...base, rdma: { ...base.rdma, mode: 'shared' } },
      withRdma,
      vfUnfit(
        '`rdmaIsolation` is asked for, and the RDMA of the node is in shared mode, in which every pod sees every device',
        `${shared}, or rdma system set netns exclusive. Or set \`rdmaIsolation\` to false`,
      ),
    ],
    [
      'is to take RDMA with it on a kernel without',
      { ...base, rdma: { inNode: [], inPod: [] } },
      withRdma,
      vfUnfit('the kernel of the node has no RDMA', 'Load it on the node: modprobe ib_core, and the driver of the NIC'),
    ],
    [
      'is to take RDMA with it and has none',
      { ...base, rdma: { mode: 'exclusive', inNode: [], inPod: [] } },
      withRdma,
      vfUnfit(
        '`rdmaIsolation` is asked for, and it has no RDMA device in the namespace of the node',
        'Look at the node: ls /sys/bus/pci/devices/0000:01:10.0/infiniband, rdma link show',
      ),
    ],
    [
      'is an RDMA device that all share',
      { ...alone, rdma: { ...base.rdma, mode: 'shared' } },
      { kind: 'rdma', pciAddress },
      unfit(
        'the RDMA device of 0000:01:10.0',
        'the RDMA of the node is in shared mode, in which every pod sees every device',
        `${shared}, or rdma system set netns exclusive. Or take type rdma out of the chain`,
      ),
    ],
    [
      'is an RDMA device of a function that is not there',
      { rdma: base.rdma },
      { kind: 'rdma', pciAddress },
      unfit(
        'the RDMA device of 0000:01:10.0',
        'the node has no such PCI function',
        'Look at the node: ls /sys/bus/pci/devices/0000:01:10.0',
      ),
    ],
    [
      'is an RDMA device that the node does not have',
      { ...alone, rdma: { mode: 'exclusive', inNode: [], inPod: [] } },
      { kind: 'rdma', pciAddress },
      unfit(
        'the RDMA device of 0000:01:10.0',
        'it has no RDMA device in the namespace of the node',
        'Look at the node: ls /sys/bus/pci/devices/0000:01:10.0/infiniband, rdma link show',
      ),
    ],
    [
      'is not there under that name',
      { rdma: base.rdma },
      { kind: 'host-device', select: { by: 'name', ifName: 'eth7' } },
      unfit(
        'device "eth7"',
        'the node has no such link',
        'Correct the network configuration: ip link show on the node',
      ),
    ],
  ])('%s', (_, device, conf, failure) => {
    expect(refusalOf(device, conf)).toEqual(failure);
  });

  it('has a port or an interface of the node on it', () => {
    const bond = { ...plainLink, ifIndex: 20, ifName: 'bond0', kind: 'bond' };
    const port = { ...base, ...(link === undefined ? {} : { link: { ...link, controllerIndex: 20 } }) };
    const remedy = 'Name a device that the node does not use itself';
    expect(refusalOf(port, vf(), [bond])).toEqual(vfUnfit('"enp1s0v0" is a port of bond "bond0"', remedy));
    const vlan = { ...plainLink, ifIndex: 21, ifName: 'enp1s0v0.7', kind: 'vlan', parentIndex: 9 };
    expect(refusalOf(base, vf(), [vlan])).toEqual(vfUnfit('vlan "enp1s0v0.7" of the node hangs on "enp1s0v0"', remedy));
  });

  it.each<[string, Partial<ObservedLink>]>([
    ['of one pod', { alias: 'orbweaver:5b1e/net1', kind: 'veth' }],
    ['of several', { alias: 'orbweaver:shared/bond0/', kind: 'bond' }],
    ['that is just being made', { group: linkGroup, kind: 'macvlan' }],
  ])('was made for other pods: a link %s', (_, rest) => {
    const ours = { ...base, ...(link === undefined ? {} : { link: { ...link, ...rest } }) };
    expect(refusalOf(ours, vf())).toEqual(
      vfUnfit(
        '"enp1s0v0" is a link that Orbweaver made for other pods',
        'Name a device that the node does not use itself',
      ),
    );
  });

  it('is lent by its alias, though no record tells how it was', () => {
    const alias = 'orbweaver:lent/5b1e/net1';
    const lent = { ...base, ...(link === undefined ? {} : { link: { ...link, ifName: 'net1', alias } }) };
    expect(refusalOf(lent, vf())).toEqual(
      vfUnfit(
        '"net1" is marked as lent to interface net1 of sandbox 5b1e, and no record tells how it was before',
        "If that sandbox is gone, put back by hand what the pod changed (name, MTU, MAC, VF settings), then: ip link set dev net1 alias ''",
      ),
    );
  });

  it.each<[string, Partial<ObservedDevice>, string]>([
    ['on the node', base, 'its link is not in the pod, it is "enp1s0v0" on the node'],
    ['in another pod', alone, 'its link is not in the pod'],
  ])('is an RDMA device whose link is %s', (_, device, found) => {
    const conf = { kind: 'rdma', pciAddress } as const;
    const observed = { device: { ...device, rdma: base.rdma }, podLinks: [], isRebound: false };
    expect(planLoan(observed, { ...mark, device: conf, lease: { pciAddress } })).toEqual({
      outcome: 'refused',
      failure: unfit(
        'the RDMA device of 0000:01:10.0',
        found,
        'Put type rdma behind the plugin that moves the link of the same device into the pod',
      ),
    });
  });

  it('meets another interface of that name in the pod', () => {
    const model = new DeviceModel({}, [], [{ ...plainLink, ifIndex: 2, ifName: 'net1', kind: 'veth' }]);
    const lease = leaseOf(model, vf());
    const plan = planLoan({ ...model.observe(), isRebound: false }, { ...mark, device: vf(), lease });
    expect(plan).toMatchObject({ outcome: 'refused', failure: { type: 'InterfaceExists' } });
  });
});
