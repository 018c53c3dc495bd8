import type { Mutex } from 'async-mutex';
import { attachmentKey } from '../contracts/attachment.ts';
import { toCniResult } from '../contracts/cni-result.ts';
import type { AddRequest, DetachRequest } from '../contracts/pod-network.ts';
import type { SharedLinkConf } from '../contracts/shared-link.ts';
import { recordOf } from './attachment-record.ts';
import { callerGone, detachWanted } from './interruptions.ts';
import type { AttachmentRecord, AttachmentRecords, Kernel, Log, OpenCalls } from './node-ports.ts';
import { stepLog } from './step-log.ts';

export interface SharedLinkPorts {
  readonly records: AttachmentRecords;
  readonly kernel: Pick<Kernel, 'prepareShared' | 'removeShared'>;
  /** One change of the node's links at a time: two pods ask for one bond at once, and one leaves what another one comes for. */
  readonly sharedLinks: Pick<Mutex, 'runExclusive'>;
  readonly log: Log;
}

export interface PreparePorts extends SharedLinkPorts {
  readonly calls: OpenCalls;
}

/**
 * Makes the links of the node that a network asks for, or finds them there. The record names them before they are made: from
 * then on this attachment is one of their users. The last step of an attachment that asks for nothing else, so it answers then.
 */
export const createPrepareLinks =
  ({ calls, records, kernel, sharedLinks, log: workerLog }: PreparePorts) =>
  async (request: AddRequest): Promise<void> => {
    const { attachment, nonce, network } = request;
    const log = stepLog(workerLog, request);
    const isLast = network.provides === 'links';
    const known = await records.read(attachment);
    if (known?.doneResult !== undefined) {
      if (isLast) calls.succeed(nonce, known.doneResult);
      return;
    }
    if (!calls.isWaiting(nonce)) throw callerGone(attachment);
    if (calls.isDetachWanted(attachment)) throw detachWanted(attachment);
    calls.noteStep(nonce);
    const record = recordOf(request, known);
    await records.write(record);
    const { shared = [] } = network;
    const commands = await sharedLinks.runExclusive(() => (shared.length === 0 ? [] : kernel.prepareShared(shared)));
    if (commands.length > 0) log.info({ commands }, 'links of the node made for pods to share');
    if (!isLast) return;
    const doneResult = toCniResult([]);
    await records.write({ ...record, doneResult });
    calls.succeed(nonce, doneResult);
  };

/**
 * Lets go of the links that an attachment shares: those that nobody else names any more go with it, if we made them. An
 * attachment on its way out is no user, so of two that leave together one takes them away.
 */
export async function releaseSharedLinks(
  request: DetachRequest,
  record: AttachmentRecord,
  { records, kernel, sharedLinks, log }: SharedLinkPorts,
): Promise<void> {
  const { shared = [] } = record;
  if (shared.length === 0) return;
  await records.write({ ...record, isLeaving: true });
  await sharedLinks.runExclusive(async () => {
    const others = (await records.list()).filter(
      (other) => other.isLeaving !== true && !isSameAttachment(other, record),
    );
    const inUse = new Set(others.flatMap(linksUsedBy));
    for (const conf of shared.toReversed()) if (inUse.has(conf.name)) for (const name of beneath(conf)) inUse.add(name);
    const unused = mayGo(shared).filter((name) => !inUse.has(name));
    if (unused.length === 0) return;
    const { commands, kept } = await kernel.removeShared(unused);
    if (commands.length > 0) stepLog(log, request).info({ commands }, 'links of the node removed with their last user');
    if (kept.length > 0)
      stepLog(log, request).warn({ kept }, 'links of the node kept: somebody else has built on them');
  });
}

/** Whether two records are of one attachment. */
export const isSameAttachment = ({ attachment: a }: AttachmentRecord, { attachment: b }: AttachmentRecord): boolean =>
  a.containerID === b.containerID && attachmentKey(a) === attachmentKey(b);

/** Names of links of the node that an attachment counts on: also of those that somebody else made, or that another network asked for. */
export const linksUsedBy = ({ link, shared = [] }: AttachmentRecord): readonly string[] => [
  ...(link === undefined ? [] : [link.master]),
  ...shared.flatMap((conf) => [conf.name, ...beneath(conf)]),
];

/** From the top down, and then what they hang on: that may be shared too, by an attachment that is gone. */
const mayGo = (shared: readonly SharedLinkConf[]): readonly string[] => [
  ...new Set([...shared.map(({ name }) => name).toReversed(), ...shared.flatMap(beneath)]),
];

const beneath = (conf: SharedLinkConf): readonly string[] => (conf.kind === 'bond' ? conf.ports : [conf.parent]);
