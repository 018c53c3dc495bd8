import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Attachment } from '../contracts/attachment.ts';
import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { silent } from '../workers/node/testing/node-world.ts';
import { addRequest, detachRequest } from '../workflows/testing/node-model.ts';
import { recordOf } from './attachment-record.ts';
import { createDeviceLending, type LendingPorts } from './lent-devices.ts';
import type { AttachmentRecord } from './node-ports.ts';

const vf: DeviceConf = { kind: 'sriov', pciAddress: '0000:01:10.0', settings: { trust: true }, movesRdma: false };
const eth5: DeviceConf = { kind: 'host-device', select: { by: 'name', ifName: 'eth5' } };
const leaseOf = (device: DeviceConf): DeviceLease => ({
  ...(device.kind === 'sriov' ? { pciAddress: device.pciAddress } : {}),
  link: { ifName: 'eth5', mac: '02:00:00:00:00:55', mtuBytes: 1500, isUp: true, alias: '' },
});

let stored: Map<string, AttachmentRecord>;
/** What happened to the devices, in order. */
let trace: string[];
let wanted: Set<string>;
let kernel: LendingPorts['kernel'];
beforeEach(() => {
  stored = new Map();
  trace = [];
  wanted = new Set();
  kernel = {
    examineDevice: async (conf) => {
      trace.push('examined');
      return leaseOf(conf);
    },
    lendDevice: async ({ containerID, addresses }) => {
      trace.push(`lent to ${containerID} with ${addresses.length}`);
      return { outcome: 'lent', mac: '02:00:00:00:00:55', mtuBytes: 1500, hasCarrier: true, commands: [] };
    },
    returnDevice: async ({ containerID }) => {
      trace.push(`back from ${containerID}`);
      return { outcome: 'returned', commands: [] };
    },
  };
});

const nameOf = ({ containerID, kind }: Attachment): string =>
  kind === 'attach' ? containerID : `${containerID} ${kind}`;

const lending = (changes: Partial<LendingPorts['kernel']> = {}) =>
  createDeviceLending({
    calls: { isDetachWanted: ({ containerID }) => wanted.has(containerID) },
    records: {
      read: async (attachment) => stored.get(nameOf(attachment)),
      list: async () => [...stored.values()],
      write: async (record) => {
        trace.push(`${record.attachment.containerID} ${record.lease === undefined ? 'names nothing' : 'names it'}`);
        stored.set(nameOf(record.attachment), structuredClone(record));
      },
      remove: async (attachment) => void stored.delete(nameOf(attachment)),
    },
    kernel: { ...kernel, ...changes },
    log: silent,
  });

/** An ADD whose record is written, as the step before has done it. */
function asked(containerID: string, device: DeviceConf, rest: Partial<AttachmentRecord> = {}): AddRequest {
  const base = addRequest('net1', '1'.repeat(32), containerID);
  const { link: _, ...network } = base.network;
  const request = { ...base, network: { ...network, device } };
  stored.set(containerID, { ...recordOf(request, undefined), ...rest });
  return request;
}
const recordFor = ({ attachment }: AddRequest): AttachmentRecord => {
  const record = stored.get(attachment.containerID);
  if (record === undefined) throw new Error('no record');
  return record;
};

describe('a device of the node', () => {
  it('is named by the record before it is changed, and until it is back', async () => {
    const devices = lending();
    const request = asked('c1', vf);
    const { record } = await devices.lend(request, vf, { addresses: [] });
    expect(record.lease).toEqual(leaseOf(vf));
    const without = await devices.giveBack(detachRequest(request), recordFor(request));
    expect(trace).toEqual(['examined', 'c1 names it', 'lent to c1 with 0', 'back from c1', 'c1 names nothing']);
    expect(without).not.toHaveProperty('lease');
  });

  it('is looked at once: what a repeated ADD restores is how it was before the first', async () => {
    const devices = lending();
    const request = asked('c1', vf);
    await devices.lend(request, vf, { addresses: [] });
    stored.set('c1', recordOf(request, recordFor(request))); // as the steps before it do when they run again
    await devices.lend(request, vf, { addresses: [] });
    expect(trace.filter((what) => what === 'examined')).toHaveLength(1);
  });

  it.each<[string, DeviceConf]>([
    ['PCI address', vf],
    ['name', eth5],
    ['MAC', { kind: 'host-device', select: { by: 'mac', mac: '02:00:00:00:00:55' } }],
  ])('has one owner, whose pod is told to the next who asks for it by %s', async (_, device) => {
    const devices = lending();
    await devices.lend(asked('c1', vf), vf, { addresses: [] });
    await expect(devices.lend(asked('c2', device), device, { addresses: [] })).rejects.toMatchObject({
      type: 'DeviceInUse',
      message: expect.stringContaining('interface net1 of pod pay/api-0 has it or hangs on it (sandbox c1)'),
    });
    expect(trace.filter((what) => what.includes('c2'))).toEqual([]);
  });

  it('has one owner when two ask at once', async () => {
    const devices = lending();
    const outcomes = await Promise.allSettled(
      ['c1', 'c2'].map((id) => devices.lend(asked(id, vf), vf, { addresses: [] })),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  it('goes by its link and by its RDMA device to one sandbox in two calls of a chain, and to no other', async () => {
    const rdma: DeviceConf = { kind: 'rdma', pciAddress: '0000:01:10.0' };
    const devices = lending();
    const whole = asked('c1', vf, { lease: leaseOf(vf) });
    const half = { ...whole, attachment: { ...whole.attachment, kind: 'rdma' } as const };
    stored.set('c1 rdma', { ...recordOf(half), device: rdma });
    await devices.lend(half, rdma, { addresses: [] });
    expect(stored.get('c1 rdma')).toHaveProperty('lease');
    await expect(devices.lend(asked('c2', rdma), rdma, { addresses: [] })).rejects.toMatchObject({
      type: 'DeviceInUse',
    });
  });

  it('is free for the next once it is back, and a late DEL of the first resets nothing', async () => {
    const devices = lending();
    const first = asked('c1', vf);
    await devices.lend(first, vf, { addresses: [] });
    await devices.giveBack(detachRequest(first), recordFor(first));
    await devices.lend(asked('c2', vf), vf, { addresses: [] });
    const before = trace.length;
    await devices.giveBack(detachRequest(first), recordFor(first));
    expect(trace).toHaveLength(before);
  });

  it('stays leased while its way back fails', async () => {
    const devices = lending({
      returnDevice: () => Promise.reject(new ProvisionError({ type: 'KernelRefused', message: 'not now' })),
    });
    const first = asked('c1', vf);
    await devices.lend(first, vf, { addresses: [] });
    await expect(devices.giveBack(detachRequest(first), recordFor(first))).rejects.toThrow('not now');
    await expect(devices.lend(asked('c2', vf), vf, { addresses: [] })).rejects.toMatchObject({ type: 'DeviceInUse' });
  });

  it('is waited for on its way back, and given up for gone when it has not come', async () => {
    let nowMs = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => nowMs);
    let looks = 0;
    const devices = lending({
      returnDevice: async () => {
        looks += 1;
        nowMs += 4000;
        return { outcome: 'missing', why: '"eth5" is not back on the node', commands: [] };
      },
    });
    try {
      const request = asked('c1', eth5);
      await devices.lend(request, eth5, { addresses: [] });
      expect(await devices.giveBack(detachRequest(request), recordFor(request))).not.toHaveProperty('lease');
      expect(looks).toBe(2);
    } finally {
      clock.mockRestore();
    }
  });

  it('is refused while interfaces of pods hang on it', async () => {
    asked('c1', vf, { link: { kind: 'macvlan', mode: 'bridge', master: 'eth5' } });
    await expect(lending().lend(asked('c2', eth5), eth5, { addresses: [] })).rejects.toMatchObject({
      type: 'DeviceInUse',
    });
  });

  it('is not lent for an attachment that was undone meanwhile', async () => {
    const request = asked('c1', vf);
    stored.delete('c1');
    await expect(lending().lend(request, vf, { addresses: [] })).rejects.toMatchObject({ type: 'Cancelled' });
    expect(trace).toEqual([]);
  });

  it('is waited for until it is settled and has a carrier', async () => {
    const answers = [
      { outcome: 'unsettled', why: 'no link yet', commands: [] },
      { outcome: 'lent', mac: 'm', mtuBytes: 1500, hasCarrier: false, commands: [] },
      { outcome: 'lent', mac: 'm', mtuBytes: 1500, hasCarrier: true, commands: [] },
    ] as const;
    let count = 0;
    const devices = lending({ lendDevice: async () => answers[count++] ?? answers[2] });
    await devices.lend(asked('c1', vf), vf, { addresses: [] });
    expect(count).toBe(3);
  });

  it('is not waited for when its link is to be down', async () => {
    let count = 0;
    const down: DeviceConf = { ...vf, settings: { linkState: 'disable' } };
    const devices = lending({
      lendDevice: async () => {
        count += 1;
        return { outcome: 'lent', mac: 'm', mtuBytes: 1500, hasCarrier: false, commands: [] };
      },
    });
    await devices.lend(asked('c1', down), down, { addresses: [] });
    expect(count).toBe(1);
  });

  it('is no longer waited for when a DEL comes', async () => {
    const devices = lending({
      lendDevice: async () => {
        wanted.add('c1');
        return { outcome: 'unsettled', why: 'no link yet', commands: [] };
      },
    });
    await expect(devices.lend(asked('c1', vf), vf, { addresses: [] })).rejects.toMatchObject({ type: 'Cancelled' });
  });
});
