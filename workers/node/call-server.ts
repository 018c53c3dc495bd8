import type { AttachmentRecord, AttachmentRecords, Log } from '../../activities/node-ports.ts';
import { type Attachment, podNetworkId } from '../../contracts/attachment.ts';
import type { CniResult } from '../../contracts/cni.ts';
import { ProvisionError, toFailure } from '../../contracts/failures.ts';
import type { ReplyFrame, RequestFrame } from '../../contracts/frame.ts';
import { type NodeReport, nodeReportName, reportKey } from '../../contracts/node-report.ts';
import type { AddRequest, DetachRequest } from '../../contracts/pod-network.ts';
import { attachThroughRun } from './attach-service.ts';
import { CallTimes } from './call-times.ts';
import { type CniCall, parseCniCall } from './cni-call.ts';
import { emptyReply, failureReply, resultReply, versionOf } from './cni-reply.ts';
import type { DeleteQueue } from './delete-queue.ts';
import { createDetachOrKeep } from './detach-or-keep.ts';
import type { DetachService } from './detach-service.ts';
import type { OpenCalls } from './open-calls.ts';
import type { SandboxRuns } from './sandbox-runs.ts';

export interface CallServerOptions {
  readonly node: string;
  readonly calls: OpenCalls;
  readonly runs: Pick<SandboxRuns, 'add'>;
  readonly detaches: DetachService;
  readonly queue: Pick<DeleteQueue, 'put'>;
  readonly records: AttachmentRecords & { readonly list: () => Promise<readonly AttachmentRecord[]> };
  readonly kernel: {
    identifyNamespace(path: string): Promise<{ readonly cookie: string }>;
    namespaceState(path: string, cookie: string): Promise<'alive' | 'gone' | 'unproven'>;
  };
  /** Sentences that name what of the attachment is missing or changed, in the kernel and among the claims. */
  readonly differences: (record: AttachmentRecord) => Promise<readonly string[]>;
  /** Waits a moment for a worker that is just starting; throws when it is not ready to claim addresses by then. */
  readonly untilReady: () => Promise<void>;
  readonly report: () => Promise<NodeReport>;
  /** Told of every ADD: what its first step reads may be read while its intent is being recorded. */
  readonly onAdd?: () => void;
  readonly log: Log;
  /** Knows when the steps ran, for the line about each answered call. */
  readonly times?: CallTimes;
  readonly nowMs?: () => number;
}

/** Answers every call that comes through the socket: one place where a CNI command becomes work. */
export class CallServer {
  /** Takes an attachment away, for whoever knows that it must go. */
  readonly detachOrKeep: ReturnType<typeof createDetachOrKeep>;
  readonly #options: Required<CallServerOptions>;

  constructor(options: CallServerOptions) {
    this.#options = { nowMs: Date.now, times: new CallTimes(), onAdd: () => undefined, ...options };
    this.detachOrKeep = createDetachOrKeep(options.detaches, options.queue, options.log);
  }

  async serve(frame: RequestFrame, isGone: AbortSignal): Promise<ReplyFrame> {
    const cniVersion = versionOf(frame.stdin);
    const startedAtMs = performance.now();
    const { times } = this.#options;
    let log: Log = this.#options.log;
    times.begin(frame.nonce);
    try {
      if (frame.environment.get(reportKey) === nodeReportName) return jsonReply(await this.#options.report());
      const call = parseCniCall(frame);
      if (call.command === 'nothing') return emptyReply;
      if (call.command === 'GC') return await this.#collectGarbage(call);
      log = this.#options.log.child(fieldsOf(call));
      log.debug({}, 'call received');
      const reply = await this.#serveAttachment(call, frame, isGone);
      const shares = times.end(frame.nonce);
      log.info({ durationMs: Math.round(performance.now() - startedAtMs), shares }, 'call answered');
      return reply;
    } catch (err) {
      const failure = toFailure(err);
      const fields = { err, durationMs: Math.round(performance.now() - startedAtMs), remedy: failure.remedy };
      if (failure.type === 'Internal') log.error(fields, 'call failed');
      else log.warn(fields, 'call failed');
      return failureReply(failure, cniVersion);
    } finally {
      times.end(frame.nonce);
    }
  }

  async #serveAttachment(call: AttachmentCall, frame: RequestFrame, isGone: AbortSignal): Promise<ReplyFrame> {
    switch (call.command) {
      case 'ADD':
        return resultReply(await this.#add(call, frame.nonce, isGone), call.conf.cniVersion);
      case 'DEL':
        await this.#del(call, frame);
        return emptyReply;
      case 'CHECK':
        await this.#check(call.attachment);
        return emptyReply;
    }
  }

  async #add(call: AttachmentCall & { command: 'ADD' }, nonce: string, isGone: AbortSignal): Promise<CniResult> {
    const { node, calls, runs, kernel, untilReady, onAdd, nowMs } = this.#options;
    const { attachment, pod, netns, network } = call;
    const arrivedAtMs = nowMs();
    const open = calls.open(nonce, 'ADD', attachment);
    isGone.addEventListener('abort', () => open.close());
    try {
      await untilReady();
      onAdd();
      const { cookie } = await kernel.identifyNamespace(netns);
      const request: AddRequest = { attachment, pod, node, netns, netnsCookie: cookie, nonce, arrivedAtMs, network };
      return await attachThroughRun(runs, request, open);
    } finally {
      open.close();
    }
  }

  /** Success within 5 s: everything is undone, or the call waits on disk and its addresses stay held. */
  async #del(call: AttachmentCall & { command: 'DEL' }, frame: RequestFrame): Promise<void> {
    await this.detachOrKeep(await this.detachRequestOf(call, frame.nonce), frame);
  }

  /** The pod is the one that the attachment was made for; a DEL may not name it (CNI_ARGS is optional there). */
  async detachRequestOf(call: AttachmentCall & { command: 'DEL' }, nonce: string): Promise<DetachRequest> {
    const record = await this.#options.records.read(call.attachment);
    const pod = record?.pod ?? call.pod;
    return { attachment: call.attachment, pod, nonce, netns: call.netns, reason: 'detach' };
  }

  async #check(attachment: Attachment): Promise<void> {
    const { records, differences } = this.#options;
    const record = await records.read(attachment);
    const found =
      record?.doneResult === undefined ? ['it was never attached, or was detached'] : await differences(record);
    if (found.length === 0) return;
    throw new ProvisionError({
      type: 'NotAsAdded',
      message: `Interface ${attachment.ifName} of sandbox ${attachment.containerID} is not as it was added: ${found.join('; ')}`,
      remedy: 'Delete the pod, so that its network is made anew',
    });
  }

  /** Removes attachments of this network that the runtime does not list, and only with proof that their sandbox is gone. */
  async #collectGarbage({ conf, valid }: CniCall & { command: 'GC' }): Promise<ReplyFrame> {
    const { records, kernel } = this.#options;
    const isValid = ({ containerID, ifName }: Attachment): boolean =>
      valid.some((entry) => entry.containerID === containerID && entry.ifName === ifName);
    const errors: unknown[] = [];
    for (const { attachment, pod, netns, netnsCookie } of await records.list()) {
      if (attachment.network !== conf.name || isValid(attachment)) continue;
      if ((await kernel.namespaceState(netns, netnsCookie)) !== 'gone') continue;
      const gone: DetachRequest = { attachment, pod, nonce: newNonce(), netns, reason: 'proven-gone' };
      await this.detachOrKeep(gone).catch((err: unknown) => errors.push(err));
    }
    if (errors.length > 0) throw new AggregateError(errors, `${errors.length} attachments could not be removed`);
    return emptyReply;
  }
}

type AttachmentCall = Extract<CniCall, { attachment: Attachment }>;

/** Names a call that comes from this process and not from a CNI executable. */
export const newNonce = (): string => crypto.randomUUID().replaceAll('-', '');

const fieldsOf = ({ command, attachment, pod }: AttachmentCall): Record<string, string> => ({
  command,
  podUID: pod.uid,
  containerID: attachment.containerID,
  ifName: attachment.ifName,
  workflowID: podNetworkId(pod, attachment.containerID),
});

const jsonReply = (value: unknown): ReplyFrame => ({
  exitCode: 0,
  stdout: new TextEncoder().encode(`${JSON.stringify(value)}\n`),
});

/** The attachment that a queued frame wants gone; throws when it is no DEL. */
export function attachmentOfDel(frame: RequestFrame): Attachment {
  return delOf(frame).attachment;
}

export function delOf(frame: RequestFrame): AttachmentCall & { command: 'DEL' } {
  const call = parseCniCall(frame);
  if (call.command === 'DEL') return call;
  throw new Error(`A queued call is ${call.command}, not DEL`);
}
