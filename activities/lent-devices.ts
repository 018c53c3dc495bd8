import { setTimeout as sleep } from 'node:timers/promises';
import { Mutex } from 'async-mutex';
import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import { type Failure, ProvisionError } from '../contracts/failures.ts';
import type { AddRequest, ClaimedAddress, DetachRequest } from '../contracts/pod-network.ts';
import { nameOfDevice } from '../network/plan-lease.ts';
import { detachWanted } from './interruptions.ts';
import type { AttachmentRecord, AttachmentRecords, Kernel, Log, OpenCalls } from './node-ports.ts';
import { isSameAttachment, linksUsedBy } from './shared-links.ts';
import { stepLog } from './step-log.ts';

export interface LendingPorts {
  readonly calls: Pick<OpenCalls, 'isDetachWanted'>;
  readonly records: AttachmentRecords;
  readonly kernel: Pick<Kernel, 'examineDevice' | 'lendDevice' | 'returnDevice'>;
  readonly log: Log;
}

/** A driver that takes longer than this to show a link has lost it. A DEL that waits is answered within 5 s all the same. */
const settlingMs = 5000;
/** A port that negotiates its speed; without a carrier for longer, the cable is out, and the pod is told so by its own traffic. */
const carrierMs = 3000;
const pauseMs = 50;

/**
 * Devices of the node that pods have. One owner each: the attachment whose record names the device, from before the first change
 * until after the last of the way back, so a late DEL of an earlier owner finds nothing to reset.
 */
export const createDeviceLending = ({ calls, records, kernel, log: workerLog }: LendingPorts) => {
  /** Between looking who has a device and writing down who has it now. */
  const leasing = new Mutex();

  async function lease(request: AddRequest, device: DeviceConf): Promise<AttachmentRecord> {
    const { attachment } = request;
    return await leasing.runExclusive(async () => {
      const record = await records.read(attachment);
      // Without its record the attachment was undone meanwhile, and the device may be someone else's by now.
      if (record === undefined || calls.isDetachWanted(attachment)) throw detachWanted(attachment);
      if (record.lease !== undefined) return record;
      const others = (await records.list()).filter(
        (other) => !isSameAttachment(other, record) && !isOtherHalf(other, record),
      );
      const asked = others.find((other) => other.lease !== undefined && isAskedFor(device, other.lease));
      if (asked !== undefined) throw new ProvisionError(inUse(device, asked));
      const found = await kernel.examineDevice(device);
      const holder = others.find((other) => other.lease !== undefined && isSameDevice(found, other.lease));
      if (holder !== undefined) throw new ProvisionError(inUse(device, holder));
      const user = others.find((other) => linksUsedBy(other).includes(found.link?.ifName ?? ''));
      if (user !== undefined) throw new ProvisionError(inUse(device, user));
      const leased = { ...record, lease: found };
      await records.write(leased);
      return leased;
    });
  }

  return {
    /** Gives the pod its device with these addresses: its own link there, and the record that now names it. */
    async lend(request: AddRequest, device: DeviceConf, addressing: LentAddressing): Promise<LentDevice> {
      const { attachment, netns, netnsCookie } = request;
      const { containerID, ifName } = attachment;
      const log = stepLog(workerLog, request);
      const record = await lease(request, device);
      const spec = { containerID, ifName, netns, netnsCookie, device, lease: record.lease ?? {}, ...addressing };
      const beganAt = performance.now();
      for (;;) {
        const lending = await kernel.lendDevice(spec);
        if (lending.commands.length > 0) log.debug({ commands: lending.commands }, 'device moved into the pod');
        const waitedMs = performance.now() - beganAt;
        if (lending.outcome === 'lent') {
          const { mac, mtuBytes, hasCarrier } = lending;
          if (hasCarrier || isKeptDown(device)) return { mac, mtuBytes, record };
          if (waitedMs > carrierMs) {
            log.warn({ device: nameOfDevice(device), waitedMs: Math.round(waitedMs) }, 'device has no carrier');
            return { mac, mtuBytes, record };
          }
        } else if (waitedMs > settlingMs) {
          throw new ProvisionError(stuck(`Cannot lend ${nameOfDevice(device)} to the pod`, lending.why));
        }
        if (calls.isDetachWanted(attachment)) throw detachWanted(attachment);
        await sleep(pauseMs);
      }
    },

    /** Takes the device back from the pod, or from where the end of its namespace has left it; gives the record that no longer names it. */
    async giveBack(request: DetachRequest, record: AttachmentRecord): Promise<AttachmentRecord> {
      const { attachment, netns, netnsCookie, lease: lent, ...rest } = record;
      if (lent === undefined) return record;
      const log = stepLog(workerLog, request);
      const lost = await takeBack(record, lent, kernel, (commands) =>
        log.info({ commands }, 'device back on the node'),
      );
      if (lost !== undefined) log.warn({ why: lost }, 'device is gone');
      const without = { attachment, netns, netnsCookie, ...rest };
      await records.write(without);
      return without;
    },
  };
};

/** Undoes a lease, as far as its device is not back already. Gives why when the device is gone, and nothing is left to give back. */
export async function takeBack(
  { attachment: { containerID, ifName }, netns, netnsCookie }: AttachmentRecord,
  lease: DeviceLease,
  kernel: Pick<Kernel, 'returnDevice'>,
  told: (commands: readonly string[]) => void,
): Promise<string | undefined> {
  const beganAt = performance.now();
  for (;;) {
    const returning = await kernel.returnDevice({ containerID, ifName, netns, netnsCookie, lease });
    if (returning.commands.length > 0) told(returning.commands);
    if (returning.outcome === 'returned') return undefined;
    if (performance.now() - beganAt > settlingMs) {
      if (returning.outcome === 'missing') return `${returning.why}, after ${settlingMs / 1000} s`;
      throw new ProvisionError(stuck(`Cannot take ${lease.pciAddress ?? ifName} back`, returning.why));
    }
    await sleep(pauseMs);
  }
}

export type DeviceLending = ReturnType<typeof createDeviceLending>;

/** What the device is to have in the pod. */
export interface LentAddressing {
  readonly addresses: readonly ClaimedAddress[];
  /** While another interface has the pod's default route its own one is left out. */
  readonly yieldsDefaultRoute?: boolean;
}

export interface LentDevice {
  readonly mac: string;
  /** Absent when a program in the pod drives the device: it is no interface of the kernel. */
  readonly mtuBytes: number | undefined;
  readonly record: AttachmentRecord;
}

const isKeptDown = (device: DeviceConf): boolean => device.kind === 'sriov' && device.settings.linkState === 'disable';

/** Of a function of which two plugins of one chain lend the link and the RDMA device. */
const isOtherHalf = (a: AttachmentRecord, b: AttachmentRecord): boolean =>
  a.attachment.containerID === b.attachment.containerID && (a.device?.kind === 'rdma') !== (b.device?.kind === 'rdma');

const isSameDevice = (a: DeviceLease, b: DeviceLease): boolean =>
  a.pciAddress === undefined ? a.link?.ifName === b.link?.ifName : a.pciAddress === b.pciAddress;

/** Whether what is asked for is lent already, and so cannot be found under its name. */
function isAskedFor(device: DeviceConf, lease: DeviceLease): boolean {
  if (device.kind !== 'host-device') return lease.pciAddress === device.pciAddress;
  const { select } = device;
  switch (select.by) {
    case 'name':
      return lease.link?.ifName === select.ifName;
    case 'mac':
      return lease.link?.mac === select.mac;
    case 'pci':
      return lease.pciAddress === select.pciAddress;
    default:
      return select satisfies never;
  }
}

const inUse = (device: DeviceConf, { attachment, pod }: AttachmentRecord): Failure => ({
  type: 'DeviceInUse',
  message: `Cannot lend ${nameOfDevice(device)} to the pod: interface ${attachment.ifName} of pod ${pod.namespace}/${pod.name} has it or hangs on it (sandbox ${attachment.containerID})`,
  remedy: 'Wait for the DEL of that pod, which gives it back; if both pods are to run, give them different devices',
});

const stuck = (what: string, why: string): Failure => ({
  type: 'KernelRefused',
  message: `${what}: ${why}, after ${settlingMs / 1000} s`,
  remedy: 'Look at the driver of the device: dmesg on the node',
});
