/** Devices of the node that pods have: VFs of igb and their RDMA devices, by our planner and kernel code, with traffic and the way back. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { recordOf } from '../../activities/attachment-record.ts';
import { createDeviceLending } from '../../activities/lent-devices.ts';
import type { AttachmentRecord, Log } from '../../activities/node-ports.ts';
import type {
  DeviceConf,
  DeviceSelector,
  RdmaDeviceConf,
  VfSettings,
  VirtualFunctionConf,
} from '../../contracts/device.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { LendSpec } from '../../kernel/device-tasks.ts';
import { type Kernel, openKernel } from '../../kernel/kernel.ts';
import { closing, openNodeNamespace } from '../../kernel/network-namespace.ts';
import { systemCalls } from '../../kernel/system-calls.ts';
import { getPf, readVf, setVf } from '../../kernel/vf-message.ts';
import { nameOfDevice } from '../../network/plan-lease.ts';
import { addRequest, detachRequest } from '../../workflows/testing/node-model.ts';
import { lacks, loadModules } from './guest-machine.ts';
import { addRdmaDevice, ownNamespace, rdmaDevices, rdmaPing, setRdmaMode } from './rdma-devices.ts';
import { answers, reaches } from './traffic.ts';
import { inHost, ip, ipJson, nameOf, TwoNodes } from './two-nodes.ts';
import {
  createVirtualFunctions,
  linkOf,
  physicalFunctions,
  removeVirtualFunctions,
  type VirtualFunction,
} from './virtual-functions.ts';

const silent: Log = { child: () => silent, debug() {}, info() {}, warn() {}, error() {} };
const { node, outside } = physicalFunctions;
const pf = (): string => linkOf(node) ?? assert.fail('the PF has no link');
const hostJson = (...args: readonly string[]): Record<string, unknown>[] =>
  JSON.parse(execFileSync('ip', ['-j', '-d', ...args], { encoding: 'utf8' })) as Record<string, unknown>[];

/** What lending changes of a VF: its link, where it is, and what its PF tells of it. Not its index, which each driver gives anew. */
function vfState({ index, pci }: VirtualFunction): unknown {
  const [shown] = hostJson('link', 'show', 'dev', pf());
  const settings = (shown?.['vfinfo_list'] as unknown[] | undefined)?.[index];
  const name = linkOf(pci);
  const [link] = name === undefined ? [] : hostJson('link', 'show', 'dev', name);
  const isUp = (link?.['flags'] as string[] | undefined)?.includes('UP');
  return { settings, name, isUp, mtu: link?.['mtu'], address: link?.['address'], alias: link?.['ifalias'] ?? '' };
}

const vfConf = (
  vf: VirtualFunction | undefined,
  settings: VfSettings = {},
  rest: Partial<VirtualFunctionConf> = {},
): VirtualFunctionConf => ({ kind: 'sriov', pciAddress: vf?.pci ?? '', settings, movesRdma: false, ...rest });

let nodes: TwoNodes;
let kernel: Kernel;

async function loanOf(device: DeviceConf, host: number, netns: string): Promise<LendSpec> {
  const { cookie } = await kernel.identifyNamespace(netns);
  const lease = await kernel.examineDevice(device);
  return {
    containerID: `c${host}`,
    ifName: 'net1',
    netns,
    netnsCookie: cookie,
    device,
    lease,
    addresses: [
      { family: 4, address: `10.70.7.${host}/24`, pool: 'v4', routes: [] },
      { family: 6, address: `fd00:77::${host}/64`, pool: 'v6', routes: [] },
    ],
  };
}

/** As the activity does it: the lease first, then until it is settled. */
async function lend(device: DeviceConf, host: number, netns = nodes.pod()): Promise<LendSpec> {
  const spec = await loanOf(device, host, netns);
  await eventually(`${nameOfDevice(device)} is lent and has a carrier`, 20, async () => {
    const lending = await kernel.lendDevice(spec);
    return lending.outcome === 'lent' && lending.hasCarrier ? { value: undefined } : { state: JSON.stringify(lending) };
  });
  return spec;
}

const giveBack = (spec: LendSpec): Promise<readonly string[]> =>
  eventually('the device is back', 20, async () => {
    const returning = await kernel.returnDevice(spec);
    return returning.outcome === 'returned' ? { value: returning.commands } : { state: returning.why };
  });

const hasLinkAgain = (pci: string): Promise<void> =>
  eventually(`${pci} has a link again`, 20, () =>
    linkOf(pci) === undefined ? { state: 'it has none' } : { value: undefined },
  );

const refusal = (work: Promise<unknown>): Promise<{ type: string; message: string }> =>
  work.then(
    () => assert.fail('it was accepted'),
    (error: unknown) => error as { type: string; message: string },
  );

describe('VFs that are lent to pods', () => {
  let far: string;
  let vfs: readonly VirtualFunction[];
  let untouched: readonly unknown[];
  const lent: LendSpec[] = [];
  const states = (): readonly unknown[] => vfs.map(vfState);

  before(async () => {
    nodes = new TwoNodes();
    far = nodes.namespace('far');
    inHost(`link set ${linkOf(outside)} netns ${nameOf(far)} name wire`);
    ip(far, 'link set wire up', 'addr add 10.70.7.1/24 dev wire', 'addr add fd00:77::1/64 dev wire nodad');
    inHost(`link set ${pf()} up`, `addr add 10.70.7.2/24 dev ${pf()}`);
    vfs = await createVirtualFunctions(node, 4);
    inHost(`link set ${vfs[1]?.link} mtu 1400 alias rack-7 up`);
    kernel = openKernel({ threads: 2 });
  });
  after(async () => {
    await kernel.close();
    removeVirtualFunctions(node);
    inHost(`addr flush dev ${pf()}`);
    nodes[Symbol.dispose]();
  });
  beforeEach(() => {
    untouched = states();
  });
  afterEach(async () => {
    for (const spec of lent.splice(0)) await giveBack(spec);
  });
  async function lendHere(device: VirtualFunctionConf, host: number): Promise<LendSpec> {
    const spec = await lend(device, host);
    lent.push(spec);
    return spec;
  }

  it('reach each other, the PF and the host outside, and come back with name, MTU, alias and state', async () => {
    const [first, second] = [
      await lendHere(vfConf(vfs[0]), 11),
      await lendHere(vfConf(vfs[1], {}, { mtuBytes: 1300 }), 12),
    ];
    for (const address of ['10.70.7.12', '10.70.7.2', '10.70.7.1', 'fd00:77::1', 'fd00:77::12']) {
      await reaches(first.netns, address);
    }
    assert.deepEqual(await kernel.checkDevice(second), []);
    assert.deepEqual((await kernel.lendDevice(second)).commands, []);
    const [[shown] = []] = ipJson(second.netns, 'link show dev net1');
    assert.equal(shown?.['mtu'], 1300);
    for (const spec of [first, second]) await giveBack(spec);
    assert.deepEqual(states(), untouched);
    assert.deepEqual(await giveBack(second), []);
  });

  it('have the MAC, the VLAN and all else that is asked for, alone in their VLAN, and lose it again', async () => {
    const settings: VfSettings = {
      mac: '02:00:00:00:00:33',
      vlan: { id: 100, qos: 3, protocol: '802.1Q' },
      rate: { minMbps: 0, maxMbps: 500 },
      spoofCheck: false,
      trust: true,
    };
    const plain = await lendHere(vfConf(vfs[0]), 11);
    const tagged = await lendHere(vfConf(vfs[2], settings), 13);
    const [[shown] = []] = ipJson(tagged.netns, 'link show dev net1');
    assert.equal(shown?.['address'], settings.mac);
    assert.deepEqual(await kernel.checkDevice(tagged), []);
    assert.ok(!(await answers(tagged.netns, '10.70.7.11')));
    assert.ok(!(await answers(tagged.netns, '10.70.7.1')));
    ip(far, 'link add link wire name wire.100 type vlan id 100', 'link set wire.100 up');
    ip(far, 'addr del 10.70.7.1/24 dev wire', 'addr add 10.70.7.1/24 dev wire.100');
    try {
      await reaches(tagged.netns, '10.70.7.1');
      assert.ok(!(await answers(plain.netns, '10.70.7.1')));
    } finally {
      ip(far, 'link del wire.100', 'addr add 10.70.7.1/24 dev wire');
    }
    inHost(`link set ${pf()} vf ${vfs[2]?.index} spoofchk on`);
    assert.deepEqual(await kernel.checkDevice(tagged), [
      `Interface "net1" would need: ip link set dev ${pf()} vf ${vfs[2]?.index} spoofchk off`,
    ]);
    for (const spec of [plain, tagged]) await giveBack(spec);
    assert.deepEqual(states(), untouched);
  });

  it('come back from wherever a worker was killed, and an ADD that is repeated goes on from there', async () => {
    const settings: VfSettings = { mac: '02:00:00:00:00:38', vlan: { id: 100, qos: 0, protocol: '802.1Q' } };
    const device = vfConf(vfs[2], settings, { mtuBytes: 1300 });
    const netns = nodes.pod();
    const { cookie } = await kernel.identifyNamespace(netns);
    const place = { containerID: 'c18', ifName: 'net1', netns, netnsCookie: cookie };
    const spec = { ...place, device, lease: await kernel.examineDevice(device), addresses: [] };
    const lending = await kernel.lendDevice(spec);
    assert.equal(lending.outcome, 'lent');
    assert.ok(lending.commands.length >= 6);
    await giveBack(spec);
    for (const [at, repeats] of lending.commands.map((_, index) => [index + 1, index % 2 === 0] as const)) {
      execFileSync('sh', ['-ec', lending.commands.slice(0, at).join('\n')]);
      if (repeats) assert.equal((await kernel.lendDevice(spec)).outcome, 'lent');
      await giveBack(spec);
      assert.deepEqual(states(), untouched, `after ${lending.commands.slice(0, at).join('; ')}`);
    }
  });

  it('are put right after their namespace has ended without a DEL, though another link has their name by then', async () => {
    const spec = await lend(vfConf(vfs[3], { mac: '02:00:00:00:00:34', trust: true }), 14);
    inHost('link add net1 type dummy');
    try {
      execFileSync('ip', ['netns', 'del', nameOf(spec.netns)]);
      await giveBack(spec);
      assert.deepEqual(states(), untouched);
    } finally {
      inHost('link del net1');
    }
  });

  it('are as they were when the NIC refuses one of their settings', async () => {
    const device = vfConf(vfs[0], { vlan: { id: 100, qos: 0, protocol: '802.1ad' }, mac: '02:00:00:00:00:35' });
    const netns = nodes.pod();
    const { cookie } = await kernel.identifyNamespace(netns);
    const place = { containerID: 'c15', ifName: 'net1', netns, netnsCookie: cookie };
    const spec = { ...place, device, lease: await kernel.examineDevice(device), addresses: [] };
    const { type, message } = await refusal(kernel.lendDevice(spec));
    assert.equal(type, 'KernelRefused');
    assert.match(message, /vf 0 vlan 100 qos 0 proto 802\.1ad": EPROTONOSUPPORT/);
    await giveBack(spec);
    assert.deepEqual(states(), untouched);
  });

  it('are refused by what they lack, and nothing is left', async () => {
    const cannotLend = (pci: string, found: string): string =>
      `DeviceUnfit: Cannot lend VF ${pci} to the pod: ${found}. Nothing was changed`;
    const reasonFor = async (device: VirtualFunctionConf): Promise<string> => {
      const { type, message } = await refusal(kernel.examineDevice(device));
      return `${type}: ${message}`;
    };
    const whole = { index: 0, pci: node, link: '' };
    const pci = vfs[0]?.pci ?? '';
    const asked: readonly (readonly [VirtualFunctionConf, string])[] = [
      [vfConf(whole), cannotLend(node, 'it is a physical function, with 4 of 7 VFs made')],
      [
        vfConf({ ...whole, pci: '0000:00:00.0' }),
        cannotLend('0000:00:00.0', 'no driver is bound to it, so it has no link'),
      ],
      [vfConf({ ...whole, pci: '0000:01:17.6' }), cannotLend('0000:01:17.6', 'the node has no such PCI function')],
      [
        vfConf({ ...whole, pci: outside }),
        cannotLend(outside, "its driver igb has made no link in the node's namespace"),
      ],
      [
        vfConf(vfs[0], {}, { mtuBytes: 9000 }),
        `InvalidConfig: Cannot give VF ${pci} an MTU of 9000: its PF "${pf()}" carries 1500 bytes. Nothing was changed`,
      ],
    ];
    for (const [device, reason] of asked) assert.equal(await reasonFor(device), reason);
    assert.deepEqual(states(), untouched);
    writeFileSync(`/sys/bus/pci/devices/${pci}/driver/unbind`, pci);
    try {
      const unbound = states();
      assert.equal(await reasonFor(vfConf(vfs[0])), cannotLend(pci, 'no driver is bound to it, so it has no link'));
      assert.deepEqual(states(), unbound);
    } finally {
      writeFileSync('/sys/bus/pci/drivers_probe', pci); // igbvf then makes up another MAC
      await hasLinkAgain(pci);
    }
  });

  it('have one owner: the next pod is told whose it is, and the DEL of one that got nothing resets nothing', async () => {
    const records = new Map<string, AttachmentRecord>();
    const lending = createDeviceLending({
      calls: { isDetachWanted: () => false },
      records: {
        read: async ({ containerID }) => records.get(containerID),
        list: async () => [...records.values()],
        write: async (record) => void records.set(record.attachment.containerID, record),
        remove: async ({ containerID }) => void records.delete(containerID),
      },
      kernel,
      log: silent,
    });
    const device = vfConf(vfs[0], { vlan: { id: 100, qos: 0, protocol: '802.1Q' } });
    const lendTo = async (containerID: string) => {
      const netns = nodes.pod();
      const { cookie } = await kernel.identifyNamespace(netns);
      const base = addRequest('net1', containerID, containerID);
      const { link: _, ...network } = base.network;
      const request = { ...base, netns, netnsCookie: cookie, network: { ...network, device } };
      records.set(containerID, recordOf(request, undefined));
      return { request, lent: lending.lend(request, device, { addresses: [] }) };
    };
    const recordFor = (containerID: string): AttachmentRecord => records.get(containerID) ?? assert.fail('no record');
    const first = await lendTo('c31');
    await first.lent;
    const whileLent = vfs.map(vfState);
    const second = await lendTo('c32');
    const { type, message } = await refusal(second.lent);
    assert.equal(type, 'DeviceInUse');
    assert.equal(
      message,
      `Cannot lend VF ${device.pciAddress} to the pod: interface net1 of pod pay/api-0 has it or hangs on it (sandbox c31)`,
    );
    await lending.giveBack(detachRequest(second.request), recordFor('c32'));
    assert.deepEqual(vfs.map(vfState), whileLent);
    await lending.giveBack(detachRequest(first.request), recordFor('c31'));
    assert.deepEqual(states(), untouched);
  });

  it('stay with the driver that hands them to a program, and their PF is told all the same', async () => {
    const vf = vfs[0] ?? assert.fail('no VF');
    const path = `/sys/bus/pci/devices/${vf.pci}`;
    loadModules('vfio-pci');
    writeFileSync(`${path}/driver/unbind`, vf.pci);
    writeFileSync(`${path}/driver_override`, 'vfio-pci');
    writeFileSync('/sys/bus/pci/drivers_probe', vf.pci);
    const driver = (): string => basename(readlinkSync(`${path}/driver`));
    try {
      assert.equal(driver(), 'vfio-pci');
      const before = vfState(vf);
      const spec = await lend(
        vfConf(vf, { mac: '02:00:00:00:00:36', vlan: { id: 7, qos: 0, protocol: '802.1Q' } }),
        16,
      );
      assert.match(JSON.stringify(vfState(vf)), /02:00:00:00:00:36/);
      assert.deepEqual(await kernel.checkDevice(spec), []);
      assert.equal(driver(), 'vfio-pci');
      await giveBack(spec);
      assert.deepEqual(vfState(vf), before);
      assert.equal(driver(), 'vfio-pci');
    } finally {
      writeFileSync(`${path}/driver/unbind`, vf.pci);
      writeFileSync(`${path}/driver_override`, '\n');
      writeFileSync('/sys/bus/pci/drivers_probe', vf.pci);
      await hasLinkAgain(vf.pci);
    }
  });
});

describe('a whole NIC that is lent to a pod', () => {
  let name: string;
  before(() => {
    nodes = new TwoNodes();
    const far = nodes.namespace('far');
    inHost(`link set ${linkOf(outside)} netns ${nameOf(far)} name wire`);
    ip(far, 'link set wire up', 'addr add 10.70.7.1/24 dev wire', 'addr add fd00:77::1/64 dev wire nodad');
    name = pf();
    inHost(`link set ${name} up mtu 1400 alias rack-7`);
    kernel = openKernel({ threads: 1 });
  });
  after(async () => {
    await kernel.close();
    inHost(`link set ${name} down mtu 1500 alias ''`);
    nodes[Symbol.dispose]();
  });

  const nic = (select: DeviceSelector, mtuBytes?: number): DeviceConf => ({
    kind: 'host-device',
    select,
    ...(mtuBytes === undefined ? {} : { mtuBytes }),
  });

  function nicState(): unknown {
    const [link] = hostJson('addr', 'show', 'dev', linkOf(node) ?? assert.fail('the node has no such link'));
    const addresses = (link?.['addr_info'] as { scope: string; local: string }[] | undefined) ?? [];
    return {
      name: link?.['ifname'],
      isUp: (link?.['flags'] as string[] | undefined)?.includes('UP'),
      mtu: link?.['mtu'],
      mac: link?.['address'],
      alias: link?.['ifalias'],
      addresses: addresses.filter(({ scope }) => scope === 'global').map(({ local }) => local),
    };
  }

  /** What a pod may do to what it has. */
  async function used({ netns }: LendSpec): Promise<void> {
    await reaches(netns, '10.70.7.1');
    await reaches(netns, 'fd00:77::1');
    ip(netns, 'link set net1 down', 'link set net1 address 02:00:00:00:00:41 mtu 1300 name eth7', 'link set eth7 up');
  }

  it('is used there, and a DEL takes it back with name, MTU, MAC, alias and state, without the addresses of the pod', async () => {
    const untouched = nicState();
    const spec = await lend(nic({ by: 'name', ifName: name }, 1450), 21);
    const [[shown] = []] = ipJson(spec.netns, 'link show dev net1');
    assert.equal(shown?.['mtu'], 1450);
    assert.deepEqual(await kernel.checkDevice(spec), []);
    assert.equal(linkOf(node), undefined);
    const { message } = await refusal(kernel.examineDevice(nic({ by: 'name', ifName: name })));
    assert.match(message, /the node has no such link/);
    await used(spec);
    await giveBack(spec);
    assert.deepEqual(nicState(), untouched);
    assert.deepEqual(await giveBack(spec), []);
  });

  it('comes back the same when its namespace ends without a DEL', async () => {
    const untouched = nicState() as { mac: string };
    const spec = await lend(nic({ by: 'mac', mac: untouched.mac }), 22);
    await used(spec);
    execFileSync('ip', ['netns', 'del', nameOf(spec.netns)]);
    await giveBack(spec);
    assert.deepEqual(nicState(), untouched);
  });

  it('stays with the node while that has an address on it', async () => {
    inHost(`addr add 10.70.7.2/24 dev ${name}`);
    try {
      const { type, message } = await refusal(kernel.examineDevice(nic({ by: 'pci', pciAddress: node })));
      assert.equal(type, 'DeviceUnfit');
      assert.match(message, /carries the node's address 10\.70\.7\.2\/24/);
    } finally {
      inHost(`addr flush dev ${name}`);
    }
  });
});

describe('every setting of a VF', { skip: lacks('netdevsim') }, () => {
  const bus = '/sys/bus/netdevsim';
  before(() => {
    loadModules('netdevsim');
    writeFileSync(`${bus}/new_device`, '77 1');
    writeFileSync(`${bus}/devices/netdevsim77/sriov_numvfs`, '3');
  });
  after(() => writeFileSync(`${bus}/del_device`, '77'));

  it('reaches the PF and reads back as it was set', () => {
    const name = execFileSync('ls', [`${bus}/devices/netdevsim77/net`], { encoding: 'utf8' }).trim();
    const [shown] = hostJson('link', 'show', 'dev', name);
    const pfIndex = Number(shown?.['ifindex']);
    const settings = {
      mac: '02:00:00:00:00:37',
      vlan: { id: 4094, qos: 7, protocol: '802.1ad' },
      rate: { minMbps: 10, maxMbps: 2000 },
      spoofCheck: true,
      trust: true,
      linkState: 'disable',
    } as const;
    const found = closing(openNodeNamespace(systemCalls, undefined), (namespace) =>
      closing(namespace.netlink(), (socket) => {
        socket.change('RTM_NEWLINK', setVf(pfIndex, 2, settings));
        // Understood, and refused: its link is no InfiniBand.
        for (const key of ['nodeGuid', 'portGuid']) {
          const guid = setVf(pfIndex, 2, { [key]: '02:00:00:00:00:00:00:2a' });
          assert.throws(() => socket.change('RTM_NEWLINK', guid), /NOTSUP/);
        }
        const answer = socket.get('RTM_GETLINK', getPf(pfIndex));
        return [0, 2, 3].map((index) => readVf(answer, index));
      }),
    );
    assert.deepEqual(found[1], settings);
    assert.notDeepEqual(found[0], settings);
    assert.equal(found[2], undefined);
  });
});

describe('the RDMA device of a VF', { skip: lacks('rdma_rxe') }, () => {
  let vfs: readonly VirtualFunction[];
  before(() => loadModules('rdma_rxe', 'rdma_ucm', 'ib_uverbs'));

  async function begin(mode: 'shared' | 'exclusive'): Promise<void> {
    await setRdmaMode(mode);
    nodes = new TwoNodes();
    inHost(`link set ${pf()} up`);
    vfs = await createVirtualFunctions(node, 2);
    for (const { index, link } of vfs) addRdmaDevice(ownNamespace, 'rxe', `rdma${index}`, link);
    kernel = openKernel({ threads: 1 });
  }
  afterEach(async () => {
    await kernel.close();
    nodes[Symbol.dispose]();
    removeVirtualFunctions(node);
    await setRdmaMode('shared');
  });

  it('goes into the pod with it, is used there, and comes back by DEL and by the end of the namespace', async () => {
    await begin('exclusive');
    const before = vfs.map(vfState);
    const first = await lend(vfConf(vfs[0], {}, { movesRdma: true }), 11);
    const second = await lend(vfConf(vfs[1], {}, { movesRdma: true }), 12);
    assert.deepEqual([await rdmaDevices(first.netns), await rdmaDevices(second.netns)], [['rdma0'], ['rdma1']]);
    assert.deepEqual(await rdmaDevices(ownNamespace), []);
    assert.deepEqual(await kernel.checkDevice(first), []);
    await reaches(first.netns, '10.70.7.12');
    await rdmaPing(first.netns, second.netns, '10.70.7.12');
    await giveBack(first);
    assert.deepEqual(await rdmaDevices(ownNamespace), ['rdma0']);
    execFileSync('ip', ['netns', 'del', nameOf(second.netns)]);
    await giveBack(second);
    await eventually('both are back', 20, async () => {
      const devices = (await rdmaDevices(ownNamespace)).toSorted();
      return devices.join() === 'rdma0,rdma1' ? { value: undefined } : { state: devices.join() };
    });
    assert.deepEqual(vfs.map(vfState), before);
  });

  const rdmaOf = (vf: VirtualFunction | undefined): RdmaDeviceConf => ({ kind: 'rdma', pciAddress: vf?.pci ?? '' });

  /** A pod with the VF in it, as sriov-cni would leave both. */
  function podWith({ link }: VirtualFunction, host: number): string {
    const netns = nodes.pod();
    inHost(`link set ${link} netns ${nameOf(netns)} name net1`);
    ip(netns, 'link set net1 up', `addr add 10.70.7.${host}/24 dev net1`);
    return netns;
  }

  it('follows a VF that another plugin has moved, is used there, and comes back without it, by DEL and by the end of the namespace', async () => {
    await begin('exclusive');
    const tooEarly = await refusal(kernel.lendDevice(await loanOf(rdmaOf(vfs[0]), 10, nodes.pod())));
    assert.match(tooEarly.message, new RegExp(`its link is not in the pod, it is "${vfs[0]?.link}" on the node`));
    const pods = vfs.map((vf) => podWith(vf, 11 + vf.index));
    assert.deepEqual((await rdmaDevices(ownNamespace)).toSorted(), ['rdma0', 'rdma1']);
    const [first, second] = [await lend(rdmaOf(vfs[0]), 11, pods[0]), await lend(rdmaOf(vfs[1]), 12, pods[1])];
    assert.deepEqual(first.lease.rdmaDevices, ['rdma0']);
    assert.deepEqual([await rdmaDevices(first.netns), await rdmaDevices(second.netns)], [['rdma0'], ['rdma1']]);
    assert.deepEqual((await kernel.lendDevice(first)).commands, []);
    assert.deepEqual(await kernel.checkDevice(first), []);
    const { type, message } = await refusal(kernel.examineDevice(rdmaOf(vfs[0])));
    assert.equal(type, 'DeviceUnfit');
    assert.match(message, /it has no RDMA device in the namespace of the node/);
    await reaches(first.netns, '10.70.7.12');
    await rdmaPing(first.netns, second.netns, '10.70.7.12');

    await giveBack(first);
    assert.deepEqual(await rdmaDevices(ownNamespace), ['rdma0']);
    await reaches(first.netns, '10.70.7.12');
    assert.deepEqual(await kernel.checkDevice(first), [
      `Interface "net1" would need: rdma dev set rdma0 netns ${nameOf(first.netns)}`,
    ]);
    execFileSync('ip', ['netns', 'del', nameOf(second.netns)]);
    await giveBack(second);
    await eventually('both are back', 20, async () => {
      const devices = (await rdmaDevices(ownNamespace)).toSorted();
      return devices.join() === 'rdma0,rdma1' ? { value: undefined } : { state: devices.join() };
    });
  });

  it('cannot go with it while all namespaces share it, which is said', async () => {
    await begin('shared');
    for (const device of [vfConf(vfs[0], {}, { movesRdma: true }), rdmaOf(vfs[0])]) {
      const { type, message } = await refusal(kernel.examineDevice(device));
      assert.equal(type, 'DeviceUnfit');
      assert.match(message, /the RDMA of the node is in shared mode/);
    }
    const spec = await lend(vfConf(vfs[0]), 11);
    assert.ok(existsSync(`/sys/bus/pci/devices/${vfs[0]?.pci}/infiniband/rdma0`));
    await giveBack(spec);
  });
});
