/**
 * What of a node worker takes effect, in a process of its own: the steps of an attachment with the real kernel and record files. Its API
 * server is its parent. It knows no Temporal: a call is carried out from its beginning, as a run does whose worker died.
 */
import { createNodeActivities, createNodeSteps } from '../../activities/node-activities.ts';
import type { Failure } from '../../contracts/failures.ts';
import type { AddRequest } from '../../contracts/pod-network.ts';
import type { PoolObject } from '../../ipam/pool-snapshot.ts';
import { createAttachmentRecords } from '../../kernel/attachment-records.ts';
import { openKernel } from '../../kernel/kernel.ts';
import type { ApiRequest } from '../../kube/api-client.ts';
import { ApiError } from '../../kube/api-error.ts';
import { MemoryClaims } from '../../kube/testing/memory-claims.ts';
import { fromTemporal } from '../../temporal-config/failure-conversion.ts';
import { NodeProcess, NodeWorld, silent } from '../../workers/node/testing/node-world.ts';
import { attach, detach } from '../../workflows/attach.ts';
import { detachRequest } from '../../workflows/testing/node-model.ts';
import { moment } from './moments.ts';

/** What outlives the process and is no file and no kernel. */
export interface Site {
  readonly runDirectory: string;
  /** Path of the node's namespace; absent: its own. */
  readonly hostNetns?: string;
  readonly pools: readonly PoolObject[];
}

export interface Call {
  readonly command: 'ADD' | 'DEL';
  /** Without its cookie, which is looked up. */
  readonly request: AddRequest;
  /** Whether somebody waits for the answer. */
  readonly hasCaller: boolean;
}

export type Outcome = { readonly outcome: 'done' } | { readonly outcome: 'failed'; readonly failure: Failure };

export type ToWorker =
  | { readonly call: Call }
  | { readonly answerTo: number; readonly answer?: unknown; readonly refusal?: Pick<ApiError, 'status' | 'reason'> };

export type FromWorker = { readonly ask: number; readonly request: ApiRequest } | { readonly ended: Outcome };

const { runDirectory, hostNetns, pools } = JSON.parse(process.argv[2] ?? '{}') as Site;
const asked = new Map<number, PromiseWithResolvers<unknown>>();
let lastAsk = 0;

const world = new NodeWorld({ api: Object.assign(new MemoryClaims(), { request: askParent }) });
for (const pool of pools) world.pools.set(pool.metadata.name, pool);
const worker = new NodeProcess(world);
const files = createAttachmentRecords(runDirectory);
const kernel = openKernel({ threads: 1, ...(hostNetns === undefined ? {} : { hostNetns }) });
const steps = createNodeSteps({
  ...worker.ports,
  records: { ...files, list: async (containerID) => (await files.list(containerID)).records },
  kernel: { ...kernel, namespaceState: async () => 'unproven' },
  log: silent,
});
const node = createNodeActivities(steps, worker.locks, worker.calls);
const ready = (async () => {
  await files.removeDrafts();
  await worker.claims.loadOwn();
})();

process.on('message', (message: ToWorker) => {
  if ('call' in message) void perform(message.call).then((ended) => tell({ ended }));
  else {
    const { answerTo, answer, refusal } = message;
    const open = asked.get(answerTo);
    if (refusal === undefined) open?.resolve(answer);
    else open?.reject(new ApiError({ request: 'a claim', detail: '', ...refusal }));
  }
});
process.once('disconnect', () => process.exit());

async function perform({ command, request, hasCaller }: Call): Promise<Outcome> {
  const { attachment, pod, netns } = request;
  const nonce = `${command} ${request.nonce}`;
  const caller = hasCaller ? worker.calls.open(nonce, command, attachment) : undefined;
  try {
    await ready;
    if (command === 'ADD') {
      world.pods.set(`${pod.namespace}/${pod.name}`, { uid: pod.uid, annotations: {}, isAlive: true });
      const { cookie } = await kernel.identifyNamespace(netns);
      await attach(node, { ...request, netnsCookie: cookie, nonce }, (work) => work());
    } else {
      world.pods.clear();
      await detach(node, detachRequest(request, nonce));
    }
    return { outcome: 'done' };
  } catch (error) {
    return { outcome: 'failed', failure: fromTemporal(error) };
  } finally {
    caller?.close();
  }
}

async function askParent<Answer>(request: ApiRequest): Promise<Answer> {
  lastAsk += 1;
  const answer = Promise.withResolvers<unknown>();
  asked.set(lastAsk, answer);
  tell({ ask: lastAsk, request });
  const given = (await answer.promise) as Answer;
  if (request.method !== 'GET') moment(`${request.method} of a claim`);
  return given;
}

function tell(message: FromWorker): void {
  process.send?.(message);
}
