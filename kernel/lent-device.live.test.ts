import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import { type Kernel, openKernel } from './kernel.ts';
import { nameOf, TestNetwork } from './testing/test-network.ts';

const addresses = [
  { family: 4, address: '10.70.9.20/24', pool: 'v4', routes: [{ dst: '0.0.0.0/0', gw: '10.70.9.1' }] },
  { family: 6, address: 'fd00:79::14/64', pool: 'v6', routes: [] },
] as const;

jest.setTimeout(60_000); // threads start and programs run in namespaces, and the machine may be busy

let network: TestNetwork;
let kernel: Kernel;
let pod: string;

beforeEach(() => {
  network = new TestNetwork();
  kernel = openKernel({ threads: 1, hostNetns: network.node });
  pod = network.pod();
  network.ip(
    network.node,
    `link add spare0 address 02:00:00:00:00:51 type veth peer name far0 netns ${nameOf(network.outside)}`,
  );
  network.ip(network.node, 'link set dev spare0 mtu 1450 alias rack-7');
  network.ip(network.outside, 'link set dev far0 up');
});
afterEach(async () => {
  await kernel.close();
  network.close();
});

const hostDevice = (select: Extract<DeviceConf, { kind: 'host-device' }>['select'], mtuBytes?: number): DeviceConf => ({
  kind: 'host-device',
  select,
  ...(mtuBytes === undefined ? {} : { mtuBytes }),
});
const byName = hostDevice({ by: 'name', ifName: 'spare0' }, 1400);

/** The device and the pod; the uplink of the node gets its link-local address meanwhile. */
const state = () => [
  network.json(network.node, '-d link show dev spare0'),
  network.json(network.node, 'addr show dev spare0'),
  network.dump(pod),
];

async function specFor(device: DeviceConf, lease?: DeviceLease) {
  const { cookie } = await kernel.identifyNamespace(pod);
  return {
    containerID: '5b1e',
    ifName: 'net1',
    netns: pod,
    netnsCookie: cookie,
    device,
    lease: lease ?? (await kernel.examineDevice(device)),
    addresses,
  };
}

describe('a device of the node that is lent to a pod', () => {
  it.each([
    ['name', byName],
    ['MAC', hostDevice({ by: 'mac', mac: '02:00:00:00:00:51' }, 1400)],
  ])('is the pod’s interface when it is named by its %s, and comes back as it was', async (_, device) => {
    const before = state();
    const spec = await specFor(device);
    const lent = await kernel.lendDevice(spec);
    expect(lent).toMatchObject({ outcome: 'lent', mac: '02:00:00:00:00:51', mtuBytes: 1400 });
    expect(lent.commands).toEqual([
      'ip link set dev spare0 alias orbweaver:lent/5b1e/net1',
      `ip link set dev spare0 netns ${nameOf(pod)} name net1`,
      `ip -n ${nameOf(pod)} link set dev net1 mtu 1400`,
      `ip -n ${nameOf(pod)} link set dev net1 up`,
      `ip -n ${nameOf(pod)} addr add 10.70.9.20/24 dev net1`,
      `ip -n ${nameOf(pod)} addr add fd00:79::14/64 dev net1 nodad`,
      `ip -n ${nameOf(pod)} route add default via 10.70.9.1 dev net1 proto 79`,
    ]);
    expect(await kernel.checkDevice(spec)).toEqual([]);
    expect((await kernel.lendDevice(spec)).commands).toEqual([]);
    expect(await kernel.unplumb(spec)).toEqual({ removed: false, commands: [] }); // it is not ours to delete
    expect((await kernel.returnDevice(spec)).outcome).toBe('returned');
    expect(state()).toEqual(before);
    expect(await kernel.returnDevice(spec)).toEqual({ outcome: 'returned', commands: [] });
  });

  it('goes on and comes back from wherever an earlier attempt left it', async () => {
    const before = state();
    const spec = await specFor(byName);
    const [mark, moved] = (await kernel.lendDevice(spec)).commands;
    await kernel.returnDevice(spec);
    for (const done of [[mark], [mark, moved]]) {
      for (const command of done) network.ip(network.node, command?.replace(/^ip /, '') ?? '');
      expect(await kernel.lendDevice(spec)).toMatchObject({ outcome: 'lent' });
      await kernel.returnDevice(spec);
      for (const command of done) network.ip(network.node, command?.replace(/^ip /, '') ?? '');
      await kernel.returnDevice(spec);
      expect(state()).toEqual(before);
    }
  });

  it('was up on the node, and is so again', async () => {
    network.ip(network.node, 'link set dev spare0 up');
    const spec = await specFor(byName);
    await kernel.lendDevice(spec);
    await kernel.returnDevice(spec);
    expect(network.json(network.node, 'link show dev spare0')[0]).toMatchObject({
      flags: expect.arrayContaining(['UP']),
      mtu: 1450,
      ifalias: 'rack-7',
    });
  });

  it('comes back under another name when the node has given its own to another link', async () => {
    const spec = await specFor(byName);
    await kernel.lendDevice(spec);
    network.ip(network.node, 'link add spare0 type veth peer name dev0');
    expect(await kernel.returnDevice(spec)).toMatchObject({ outcome: 'returned' });
    expect(network.json(network.node, 'link show dev dev1')[0]).toMatchObject({
      address: '02:00:00:00:00:51',
      mtu: 1450,
    });
  });

  it('is nowhere to be given back when it went with the pod’s namespace, as links without hardware do', async () => {
    const spec = await specFor(byName);
    await kernel.lendDevice(spec);
    network.remove(pod);
    expect(await kernel.returnDevice(spec)).toEqual({ outcome: 'returned', commands: [] });
  });

  it('shows in CHECK what was changed', async () => {
    const spec = await specFor(byName);
    await kernel.lendDevice(spec);
    network.ip(pod, 'link set dev net1 mtu 1300');
    expect(await kernel.checkDevice(spec)).toEqual([
      `Interface "net1" would need: ip -n ${nameOf(pod)} link set dev net1 mtu 1400`,
    ]);
    network.ip(pod, 'link set dev net1 mtu 1400');
    network.ip(pod, 'addr del 10.70.9.20/24 dev net1');
    expect(await kernel.checkDevice(spec)).toContain('Interface "net1" has lost address 10.70.9.20/24');
    await kernel.returnDevice(spec);
    expect(await kernel.checkDevice(spec)).toEqual(['Interface "net1" is gone']);
  });
});

describe('a device that is not lent', () => {
  const refusalOf = (device: DeviceConf) =>
    kernel.examineDevice(device).then(
      () => 'lent',
      (error: unknown) => (error as Error).message,
    );

  it('is one that the node uses itself', async () => {
    network.ip(network.node, 'addr add 10.70.9.1/24 dev spare0');
    expect(await refusalOf(byName)).toContain('"spare0" carries the node\'s address 10.70.9.1/24. Nothing was changed');
    network.ip(network.node, 'addr del 10.70.9.1/24 dev spare0');
    network.ip(network.node, 'link add shared0 link spare0 type macvlan');
    expect(await refusalOf(byName)).toContain('macvlan "shared0" of the node hangs on "spare0"');
    network.ip(network.node, 'link del shared0');
    network.ip(network.node, 'link add br0 type bridge');
    network.ip(network.node, 'link set dev spare0 master br0');
    expect(await refusalOf(byName)).toContain('"spare0" is a port of bridge "br0"');
    expect(await refusalOf(hostDevice({ by: 'name', ifName: 'lo' }))).toContain('"lo" is the loopback');
  });

  it('is one that is not there', async () => {
    expect(await refusalOf(hostDevice({ by: 'name', ifName: 'eth77' }))).toContain('the node has no such link');
    expect(await refusalOf(hostDevice({ by: 'pci', pciAddress: 'ffff:77:1f.7' }))).toContain('no such PCI function');
  });

  it('has the name of another interface of the pod', async () => {
    network.ip(pod, 'link add net1 type veth peer name other');
    const spec = await specFor(byName);
    await expect(kernel.lendDevice(spec)).rejects.toMatchObject({ type: 'InterfaceExists' });
    expect(network.json(network.node, 'link show dev spare0')[0]).toMatchObject({ ifalias: 'rack-7' });
  });
});
