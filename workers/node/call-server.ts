import type { AttachmentRecord, AttachmentRecords, Log } from '../../activities/node-ports.ts';
import { type Attachment, type PodIdentity, podNetworkId } from '../../contracts/attachment.ts';
import type { CniResult } from '../../contracts/cni.ts';
import { type Failure, ProvisionError, toFailure } from '../../contracts/failures.ts';
import { encodeRequest, type ReplyFrame, type RequestFrame } from '../../contracts/frame.ts';
import {
  type NodeReport,
  nodeReportName,
  reportKey,
  type SandboxQuestion,
  type SandboxReport,
  sandboxReportName,
} from '../../contracts/node-report.ts';
import type { AddRequest, DetachRequest, NetworkConf } from '../../contracts/pod-network.ts';
import { attachThroughRun } from './attach-service.ts';
import { CallTimes } from './call-times.ts';
import { type CniCall, parseCniCall } from './cni-call.ts';
import { emptyReply, failureReply, passedOnReply, resultReply, versionOf } from './cni-reply.ts';
import type { DeleteQueue } from './delete-queue.ts';
import { createDetachOrKeep } from './detach-or-keep.ts';
import type { DetachService } from './detach-service.ts';
import type { ReadDeviceInfo } from './device-info.ts';
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
  /** Sentences that name what of the attachment is missing or changed, in the kernel and among the claims; `mac` is what it had. */
  readonly differences: (record: AttachmentRecord, mac?: string) => Promise<readonly string[]>;
  /** Waits a moment for a worker that is just starting; throws when it is not ready to claim addresses by then. */
  readonly untilReady: () => Promise<void>;
  readonly report: () => Promise<NodeReport>;
  readonly sandboxReport: (of: SandboxQuestion) => Promise<SandboxReport>;
  /** As what a claim knows an attachment of which there is no record; `undefined` when none does. */
  readonly importedAttachment?: (of: Attachment, pod: PodIdentity, netns: string) => Promise<Attachment | undefined>;
  /** Told of every ADD: what its first step reads may be read while its intent is being recorded. */
  readonly onAdd?: (pod: PodIdentity, network: NetworkConf) => void;
  /** What device plugins wrote about the devices that they hand out. */
  readonly readDeviceInfo?: ReadDeviceInfo;
  readonly log: Log;
  /** Knows when the steps ran, for the line about each answered call. */
  readonly times?: CallTimes;
  /** Counts the calls. */
  readonly metrics?: CallMetrics;
  readonly nowMs?: () => number;
}

/** A call that is counted while it is served. */
interface WatchedCall {
  kept(why: Failure): void;
  ended(failure?: Failure): void;
}

interface CallMetrics {
  watchCall(command: 'ADD' | 'DEL' | 'CHECK' | 'GC', containerID: string | undefined): WatchedCall;
  notUnderstood(failure: Failure): void;
}

const uncounted: CallMetrics = {
  watchCall: () => ({ kept: () => undefined, ended: () => undefined }),
  notUnderstood: () => undefined,
};

/** Answers every call that comes through the socket: one place where a CNI command becomes work. */
export class CallServer {
  /** Takes an attachment away, for whoever knows that it must go. */
  readonly detachOrKeep: ReturnType<typeof createDetachOrKeep>;
  readonly #options: Required<CallServerOptions>;

  constructor(options: CallServerOptions) {
    this.#options = {
      nowMs: Date.now,
      times: new CallTimes(),
      metrics: uncounted,
      onAdd: () => undefined,
      importedAttachment: async () => undefined,
      readDeviceInfo: () => undefined,
      ...options,
    };
    this.detachOrKeep = createDetachOrKeep(options.detaches, options.queue, options.log);
  }

  async serve(frame: RequestFrame, isGone: AbortSignal): Promise<ReplyFrame> {
    const cniVersion = versionOf(frame.stdin);
    const startedAtMs = performance.now();
    const { times, metrics } = this.#options;
    let log: Log = this.#options.log;
    let watched: WatchedCall | undefined;
    times.begin(frame.nonce);
    try {
      const report = frame.environment.get(reportKey);
      if (report === nodeReportName) return jsonReply(await this.#options.report());
      if (report === sandboxReportName) return jsonReply(await this.#options.sandboxReport(questionIn(frame)));
      const call = parseCniCall(frame, this.#options.readDeviceInfo);
      if (call.command === 'nothing') return emptyReply;
      watched = metrics.watchCall(call.command, call.command === 'GC' ? undefined : call.attachment.containerID);
      if (call.command === 'GC') {
        const collected = await this.#collectGarbage(call);
        watched.ended();
        return collected;
      }
      log = this.#options.log.child(fieldsOf(call));
      log.debug({}, 'call received');
      const reply = await this.#serveAttachment(call, frame, isGone, watched);
      watched.ended();
      const shares = times.end(frame.nonce);
      log.info({ durationMs: Math.round(performance.now() - startedAtMs), shares }, 'call answered');
      return reply;
    } catch (err) {
      const failure = toFailure(err);
      if (watched === undefined) metrics.notUnderstood(failure);
      else watched.ended(failure);
      const fields = { err, durationMs: Math.round(performance.now() - startedAtMs), remedy: failure.remedy };
      if (failure.type === 'Internal') log.error(fields, 'call failed');
      else log.warn(fields, 'call failed');
      return failureReply(failure, cniVersion);
    } finally {
      times.end(frame.nonce);
    }
  }

  async #serveAttachment(
    call: AttachmentCall,
    frame: RequestFrame,
    isGone: AbortSignal,
    watched: WatchedCall,
  ): Promise<ReplyFrame> {
    switch (call.command) {
      case 'ADD':
        return replyTo(call, await this.#add(call, frame.nonce, isGone));
      case 'DEL':
        await this.#del(call, frame, watched);
        return emptyReply;
      case 'CHECK':
        await this.#check(call.attachment, call.mac);
        return emptyReply;
    }
  }

  async #add(call: AttachmentCall & { command: 'ADD' }, nonce: string, isGone: AbortSignal): Promise<CniResult> {
    const { node, calls, runs, kernel, untilReady, onAdd, nowMs } = this.#options;
    const { attachment, pod, netns, network, wishes } = call;
    const arrivedAtMs = nowMs();
    const open = calls.open(nonce, 'ADD', attachment);
    isGone.addEventListener('abort', () => open.close());
    try {
      await untilReady();
      onAdd(pod, network);
      const { cookie } = await kernel.identifyNamespace(netns);
      const request: AddRequest = { attachment, pod, node, netns, netnsCookie: cookie, nonce, arrivedAtMs, network };
      return await attachThroughRun(runs, wishes.length > 0 ? { ...request, wishes } : request, open);
    } finally {
      open.close();
    }
  }

  /** Success within 5 s: everything is undone, or the call waits on disk and its addresses stay held. */
  async #del(call: AttachmentCall & { command: 'DEL' }, frame: RequestFrame, watched: WatchedCall): Promise<void> {
    const request = await this.detachRequestOf(call, frame.nonce).catch((err: unknown) => toFailure(err));
    if ('attachment' in request) {
      const whyLeft = await this.detachOrKeep(request, frame);
      if (whyLeft !== undefined) watched.kept(whyLeft);
    } else {
      // What it is about cannot be told now, and can be later: the queue asks again.
      await this.#options.queue.put(encodeRequest(frame), frame.nonce);
      watched.kept(request);
    }
  }

  /** The pod is the one that the attachment was made for; a DEL may not name it (CNI_ARGS is optional there). */
  async detachRequestOf(call: AttachmentCall & { command: 'DEL' }, nonce: string): Promise<DetachRequest> {
    const { records, importedAttachment } = this.#options;
    const { netns } = call;
    const record = await records.read(call.attachment);
    const pod = record?.pod ?? call.pod;
    const imported = record === undefined ? await importedAttachment(call.attachment, pod, netns) : undefined;
    return { attachment: imported ?? call.attachment, pod, nonce, netns, reason: 'detach' };
  }

  async #check(attachment: Attachment, mac: string | undefined): Promise<void> {
    const { records, differences } = this.#options;
    const record = await records.read(attachment);
    const found =
      record?.doneResult === undefined ? ['it was never attached, or was detached'] : await differences(record, mac);
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

/** A plugin that makes no interface and gives no address passes on what those before it have made. */
const replyTo = ({ prevResult, conf }: AttachmentCall & { command: 'ADD' }, result: CniResult): ReplyFrame =>
  prevResult === undefined ? resultReply(result, conf.cniVersion) : passedOnReply(prevResult, result, conf.cniVersion);

/** Names a call that comes from this process and not from a CNI executable. */
export const newNonce = (): string => crypto.randomUUID().replaceAll('-', '');

/** The socket is root's alone, so a malformed question is a mistake of ours. */
const questionIn = ({ stdin }: RequestFrame): SandboxQuestion =>
  JSON.parse(new TextDecoder().decode(stdin)) as SandboxQuestion;

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
