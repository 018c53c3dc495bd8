import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { coordinationSpec } from '../../activities/coordinate.ts';
import type { AttachmentRecord } from '../../activities/node-ports.ts';
import { coordinationDefaults } from '../../contracts/coordination.ts';
import type { ClaimedAddress, LinkConf } from '../../contracts/pod-network.ts';
import { createAttachmentRecords } from '../../kernel/attachment-records.ts';
import { acquireFileLock } from '../../kernel/file-lock.ts';
import { type Kernel, openKernel } from '../../kernel/kernel.ts';
import { nameOf, TestNetwork } from '../../kernel/testing/test-network.ts';
import { nodeEndOf } from '../../network/plan-pair.ts';
import { cleanNode } from './node-clean.ts';

jest.setTimeout(120_000); // programs are started in namespaces, and the machine may be busy

let network: TestNetwork;
let kernel: Kernel;
let runDir: string;
let before: unknown;
const processes: ChildProcess[] = [];

beforeEach(async () => {
  network = new TestNetwork();
  kernel = openKernel({ threads: 2, hostNetns: network.node });
  // A link-local address of its own would change by itself, once nobody else turns out to have it.
  network.ip(network.node, 'link set dev eth1 addrgenmode none');
  network.ip(network.node, '-6 addr flush dev eth1');
  network.ip(network.node, 'addr add 10.70.8.2/22 dev eth1');
  runDir = await mkdtemp(join(tmpdir(), 'orb-clean-'));
  before = network.dump(network.node);
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map(end));
  await kernel.close();
  network.close();
  await rm(runDir, { recursive: true, force: true });
});

/** Other tests' namespaces come and go beside this one, so what may be hidden is not asked. */
const clean = (options: { dryRun?: boolean; force?: boolean } = {}) =>
  cleanNode({ runDir, ...options }, { ...kernel, canSeeNamespaceMounts: async () => ({ sees: true }) });
const outcomes = async (...of: Parameters<typeof clean>): Promise<string[]> =>
  (await clean(...of)).items.map(({ outcome, what }) => `${outcome}: ${what}`);

const macvlan = { kind: 'macvlan', master: 'eth1', mode: 'bridge' } as const;

/** A whole attachment with what ties it to the node, as the node worker makes and records it. */
async function attach(host: number, link: LinkConf = macvlan): Promise<{ netns: string; record: AttachmentRecord }> {
  const netns = network.pod(`pod${host}`);
  const containerID = `${host}b1e00112233445566`;
  const { cookie: netnsCookie } = await kernel.identifyNamespace(netns);
  const addresses: ClaimedAddress[] = [
    { family: 4, address: `10.70.8.${host}/22`, pool: 'v4', routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }] },
  ];
  const plain: AttachmentRecord = {
    attachment: { containerID, network: 'n', ifName: 'eth0', kind: 'attach' },
    pod: { namespace: 'pay', name: `api-${host}`, uid: `u-${host}` },
    netns,
    netnsCookie,
    provides: 'interface',
    link,
    addresses,
    addedAtMs: 0,
  };
  await kernel.plumb({ ...plain.attachment, netns, netnsCookie, link, addresses });
  const settled = { settings: coordinationDefaults, awaitedNics: [] };
  const { operations } = await kernel.planCoordination(coordinationSpec(plain, settled));
  await kernel.applyCoordination({ netns, netnsCookie, operations });
  const record = { ...plain, coordination: { ...settled, operations } };
  await createAttachmentRecords(runDir).write(record);
  return { netns, record };
}

/** A process in a namespace, as a pod's first one. */
async function live(netns: string): Promise<ChildProcess> {
  const child = spawn('nsenter', [`--net=${netns}`, 'sh', '-c', 'echo here; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  processes.push(child);
  await once(child.stdout, 'data');
  return child;
}
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe('orb node clean', () => {
  it('takes away everything of a pod in which no process is, and finds nothing the second time', async () => {
    const { netns } = await attach(20);
    const pod = network.pod('untouched');
    expect(network.dump(network.node)).not.toEqual(before);
    const foretold = await outcomes({ dryRun: true });
    expect(foretold.every((line) => line.startsWith('to be removed: '))).toBe(true);
    expect(await outcomes()).toEqual(foretold.map((line) => line.replace('to be removed', 'removed')));
    expect(network.dump(network.node)).toEqual(before);
    expect(network.dump(netns)).toEqual(network.dump(pod));
    expect(existsSync(join(runDir, 'attachments', '20b1e00112233445566'))).toBe(false);
    expect(await outcomes()).toEqual([]);
  });

  it('keeps a pair on a bridge while a process is in its pod, and takes it away after', async () => {
    network.bridge('br0');
    const withBridge = network.dump(network.node);
    const onBridge = { kind: 'veth', master: 'br0' } as const;
    const { netns, record } = await attach(20, onBridge);
    const nodeEnd = nodeEndOf(record.attachment);
    const child = await live(netns);
    expect(await outcomes()).toContain(`kept: link ${nodeEnd} (veth)`);
    expect(network.json(netns, 'link show').map(({ ifname }) => ifname)).toEqual(['lo', 'eth0', 'veth0']);
    await end(child);
    const told = await outcomes();
    expect(told).toContain(`removed: link ${nodeEnd} (veth)`);
    expect(told.filter((line) => !line.startsWith('removed: '))).toEqual([]);
    expect(network.dump(network.node)).toEqual(withBridge);
    expect(await outcomes()).toEqual([]);
  });

  it('keeps what a pod with a process uses', async () => {
    const { netns } = await attach(20);
    await attach(21);
    const child = await live(netns);
    const whole = network.dump(netns);
    const told = await outcomes();
    expect(network.dump(netns)).toEqual(whole);
    expect(told.filter((line) => line.startsWith('kept'))).toEqual([
      'kept: link eth0, link veth0, 4 routes, 1 rule, reply marks of pay/api-20',
      'kept: record of pay/api-20, eth0',
      'kept: link veth20b1e001122 (veth)',
      'kept: route to 10.70.8.20/32 on veth20b1e001122, table 500',
      'kept: IPv4 rule to table 500',
    ]);
    expect(network.json(network.node, 'route show table 500')).toHaveLength(1);
    await end(child);
    await clean();
    expect(network.dump(network.node)).toEqual(before);
  });

  it('takes away what a living pod uses when it is forced', async () => {
    const { netns } = await attach(20);
    await live(netns);
    expect((await outcomes({ force: true })).filter((line) => line.startsWith('kept'))).toEqual([]);
    expect(network.dump(network.node)).toEqual(before);
  });

  it('finds by marks alone what was made before the run directory was wiped', async () => {
    const { netns } = await attach(20);
    await rm(join(runDir, 'attachments'), { recursive: true });
    await live(netns);
    expect((await outcomes()).filter((line) => !line.startsWith('kept'))).toEqual([]);
    await Promise.all(processes.map(end));
    await clean();
    expect(network.dump(network.node)).toEqual(before);
    expect(network.json(netns, 'link show').map(({ ifname }) => ifname)).toEqual(['lo']);
    expect(network.json(netns, '-N rule show').filter(({ protocol }) => protocol === '79')).toEqual([]);
  });

  it('removes the records of pods whose namespaces are gone, and the rule that served them', async () => {
    const { netns } = await attach(20);
    network.ip(netns, 'link del veth0'); // at once: a namespace lets its links go in its own time
    network.ip(netns, 'link del eth0');
    network.remove(netns);
    expect(await outcomes()).toEqual(['removed: record of pay/api-20, eth0', 'removed: IPv4 rule to table 500']);
    expect(network.dump(network.node)).toEqual(before);
  });

  it('gives back the device that a pod had, by its record', async () => {
    network.ip(network.node, `link add spare0 type veth peer name far0 netns ${nameOf(network.outside)}`);
    network.ip(network.node, 'link set dev spare0 mtu 1450 alias rack-7');
    const spare = () => network.json(network.node, 'link show dev spare0')[0];
    const untouched = spare();
    const netns = network.pod('pod20');
    const { cookie: netnsCookie } = await kernel.identifyNamespace(netns);
    const device = { kind: 'host-device', select: { by: 'name', ifName: 'spare0' }, mtuBytes: 1400 } as const;
    const lease = await kernel.examineDevice(device);
    const addresses = [{ family: 4, address: '10.70.9.20/24', pool: 'v4', routes: [] }] as const;
    const attachment = { containerID: '20b1', network: 'n', ifName: 'net1', kind: 'attach' } as const;
    const pod = { namespace: 'pay', name: 'api-20', uid: 'u-20' };
    const place = { netns, netnsCookie, device, lease, addresses };
    await createAttachmentRecords(runDir).write({ attachment, pod, ...place, provides: 'interface', addedAtMs: 0 });
    expect(await kernel.lendDevice({ ...attachment, ...place })).toMatchObject({ outcome: 'lent' });
    expect(await outcomes({ dryRun: true })).toEqual(['to be removed: record of pay/api-20, net1, which has spare0']);
    expect(await outcomes()).toEqual(['removed: record of pay/api-20, net1, which has spare0']);
    expect(spare()).toEqual(untouched);
    expect(await outcomes()).toEqual([]);
  });

  it('leaves alone what others made of the same kind', async () => {
    network.ip(network.node, 'link add name veth7 type veth peer name veth8');
    network.ip(network.node, 'rule add pref 1000 lookup 500 proto 4');
    network.ip(network.node, 'route add 10.9.0.0/16 dev eth1 table 500 proto 4');
    const theirs = network.dump(network.node);
    await attach(20);
    await clean({ force: true });
    expect(network.dump(network.node)).toEqual(theirs);
  });

  it('refuses while a node worker runs, unless it is forced, and a dry run says so', async () => {
    await attach(20);
    const lock = acquireFileLock(join(runDir, 'lock'));
    try {
      await expect(clean()).rejects.toThrow(/^A node worker runs here/);
      expect((await clean({ dryRun: true })).warnings).toEqual([expect.stringMatching(/^A node worker runs here/)]);
      expect(network.dump(network.node)).not.toEqual(before);
      await clean({ force: true });
      expect(network.dump(network.node)).toEqual(before);
    } finally {
      lock?.release();
    }
  });
});
