import { toCniResult } from '../contracts/cni-result.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { recordOf } from './attachment-record.ts';
import { callerGone, detachWanted } from './interruptions.ts';
import type { DeviceLending } from './lent-devices.ts';
import type { AttachmentRecords, Log, OpenCalls } from './node-ports.ts';
import { stepLog } from './step-log.ts';

export interface LendRdmaPorts {
  readonly calls: OpenCalls;
  readonly records: AttachmentRecords;
  readonly devices: Pick<DeviceLending, 'lend'>;
  readonly log: Log;
}

/**
 * Gives the pod the RDMA device of a VF whose link another plugin of the chain has moved. The record names the device before it is
 * moved. The only step of an attachment that asks for it, so it answers.
 */
export const createLendRdma =
  ({ calls, records, devices, log: workerLog }: LendRdmaPorts) =>
  async (request: AddRequest): Promise<void> => {
    const { attachment, nonce, network } = request;
    const { device } = network;
    if (device === undefined) {
      throw new ProvisionError({ type: 'Internal', message: 'Cannot lend an RDMA device: its network names none' });
    }
    const known = await records.read(attachment);
    if (known?.doneResult !== undefined) return calls.succeed(nonce, known.doneResult);
    if (!calls.isWaiting(nonce)) throw callerGone(attachment);
    if (calls.isDetachWanted(attachment)) throw detachWanted(attachment);
    calls.noteStep(nonce);
    await records.write(recordOf(request, known));
    const { record } = await devices.lend(request, device, { addresses: [] });
    const doneResult = toCniResult([]);
    await records.write({ ...record, doneResult });
    calls.succeed(nonce, doneResult);
    stepLog(workerLog, request).info({ rdmaDevices: record.lease?.rdmaDevices }, 'RDMA device attached');
  };
