import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context, heartbeat } from '@temporalio/activity';
import { adoptImported } from '../../activities/adopt-imported.ts';
import { createCheckSuspects } from '../../activities/check-suspects.ts';
import { coordinationSpec, yieldsDefaultRoute } from '../../activities/coordinate.ts';
import { createNodeActivities, createNodeSteps, type NodePorts } from '../../activities/node-activities.ts';
import type { AttachmentRecord, Log } from '../../activities/node-ports.ts';
import { restoreClaims } from '../../activities/restore-claims.ts';
import { podNetworkId } from '../../contracts/attachment.ts';
import { encodeRequest, type RequestFrame } from '../../contracts/frame.ts';
import type { DetachRequest } from '../../contracts/pod-network.ts';
import { type AttachmentRecords, createAttachmentRecords } from '../../kernel/attachment-records.ts';
import { acquireFileLock } from '../../kernel/file-lock.ts';
import { type Kernel, openKernel } from '../../kernel/kernel.ts';
import { nodeSysctls } from '../../network/node-sysctls.ts';
import { createLogger } from '../logger.ts';
import { serveMonitoring } from '../metrics/http-server.ts';
import { NodeMetrics } from '../metrics/node-metrics.ts';
import { installTemporalRuntime } from '../temporal-runtime.ts';
import { keepAlive } from './alive.ts';
import { attachmentOfDel, CallServer, delOf, newNonce } from './call-server.ts';
import { CallTimes } from './call-times.ts';
import { openCniSocket } from './cni-socket.ts';
import type { NodeWorkerConfig } from './config.ts';
import { DeleteQueue } from './delete-queue.ts';
import { toDelFrame } from './detach-or-keep.ts';
import { DetachService } from './detach-service.ts';
import { createDeviceInfoReader, deviceInfoDirectory } from './device-info.ts';
import { createImportedAttachment } from './imported-attachment.ts';
import { LostDeletes } from './lost-deletes.ts';
import { createMountedNamespaces } from './mounted-namespaces.ts';
import { openNodeCluster } from './node-cluster.ts';
import { readNodeIdentity } from './node-identity.ts';
import { createNodeReport } from './node-report.ts';
import { OpenCalls } from './open-calls.ts';
import { SandboxLocks } from './sandbox-locks.ts';
import { createSandboxProof } from './sandbox-proof.ts';
import { createSandboxReport } from './sandbox-report.ts';
import { SandboxRuns } from './sandbox-runs.ts';
import { untilAgentIsGone } from './spiderpool-agent.ts';
import { createSuspectRuns } from './suspect-runs.ts';
import { TemporalWorker } from './temporal-worker.ts';
import { UntoldRuns } from './untold-runs.ts';

/** A run that keeps its DEL waiting so often, while Temporal answers, will not react any more. */
const attemptsBeforeTermination = 4;
/** Shims that wait for a worker reconnect within this time, so that their calls are known before the first run asks for them. */
const headStartMs = 500;

/** How long open calls may take after SIGTERM before this worker stops working for them. */
const drainMs = 5000;

/** Wraps what every step works with, whoever calls it: fault injection in tests, nothing in production. */
export type PortDecorator = (ports: NodePorts) => NodePorts;

/** The node worker: the CNI socket, the runs of this node's sandboxes, and the kernel work, in one process. Ends with SIGTERM. */
export async function runNodeWorker(
  config: NodeWorkerConfig,
  decorate: PortDecorator = (ports) => ports,
): Promise<void> {
  const startedAtMs = Date.now();
  const log = createLogger(config.logLevel, { process: 'node-worker', node: config.nodeName });
  installTemporalRuntime(log);
  await mkdir(config.runDirectory, { recursive: true, mode: 0o755 });
  const lock = await waitForLock(join(config.runDirectory, 'lock'), () =>
    log.warn({}, 'another node worker still runs here, waiting for its end'),
  );
  const metrics = new NodeMetrics();
  let whyNotReady: string | undefined = 'it is starting';
  const monitoring = serveMonitoring({
    ...config,
    metrics: () => metrics.text(),
    notReady: () => whyNotReady,
    log,
  });
  await untilAgentIsGone(config.spiderpoolSocket, log, (why) => {
    whyNotReady = why;
  });
  whyNotReady = 'it is starting';
  const node = await readNodeIdentity(config.nodeName, config.machineIDFiles);

  const kernel = openKernel({ threads: config.kernelThreads, log });
  if (config.tunesSysctls) await tuneNode(kernel, log);
  const namespaceState = createSandboxProof(kernel, (reason) =>
    log.warn(
      { reason, remedy: 'Run the worker with hostPID and HostToContainer mount propagation' },
      'cannot prove that a sandbox is gone',
    ),
  );
  const recordFiles = createAttachmentRecords(config.runDirectory);
  await recordFiles.removeDrafts();
  const records = { ...recordFiles, list: (containerID?: string) => listRecords(recordFiles, log, containerID) };
  const cluster = await openNodeCluster(config, log, metrics);
  const { claims, coordinators, identities, pools, pods, surroundings } = cluster;
  const locks = new SandboxLocks();
  const calls: OpenCalls = new OpenCalls((attachment) => queue.has(attachment));
  const times = new CallTimes();
  const steps = times.around(
    createNodeSteps(
      decorate({
        calls,
        records,
        claims,
        identities,
        pools,
        pods,
        surroundings,
        coordinators,
        cluster: config.cluster,
        kernel: { ...kernel, namespaceState },
        node,
        onAwaitedPool: metrics.awaitedAutomaticPool,
        log,
      }),
    ),
  );
  const temporal = new TemporalWorker({
    address: config.temporalAddress,
    namespace: config.temporalNamespace,
    nodeName: node.name,
    workflowBundle: config.workflowBundle,
    activities: { ...createNodeActivities(steps, locks, calls), checkSuspects: (request) => checkSuspects(request) },
    onBack: () => queue.retryNow(),
    log,
  });
  const runs = new SandboxRuns({
    node: node.name,
    client: () => temporal.client(),
    breaker: temporal.breaker,
    workloadOf: (pod) => cluster.workloadOf(pod),
    onNotEager: () => {
      metrics.runNotEager();
      log.warn({}, 'run was not started eagerly');
    },
  });
  const untold = new UntoldRuns({
    directory: join(config.runDirectory, 'untold'),
    keep: (request) => queue.put(encodeRequest(toDelFrame(request)), request.nonce),
    log,
  });
  const detaches = new DetachService({ runs, calls, locks, steps, untold, log });
  const queue: DeleteQueue = new DeleteQueue({
    directory: config.queueDirectory,
    attachmentOf: attachmentOfDel,
    detach: (frame, attempt) => detachQueued(frame, attempt),
    log,
  });
  const report = createNodeReport({ config, node, startedAtMs, kernel, temporal, queue, records, cluster });
  const differences = async (record: AttachmentRecord, mac?: string): Promise<readonly string[]> => {
    const { attachment, netns, netnsCookie, link, device, lease, shared = [], coordination, addresses } = record;
    const wanted = {
      ...attachment,
      netns,
      netnsCookie,
      addresses,
      yieldsDefaultRoute: yieldsDefaultRoute(coordination),
    };
    return [
      ...(await cluster.claimDifferences(attachment, addresses)),
      ...(shared.length === 0 ? [] : await kernel.checkShared(shared)),
      ...(link === undefined ? [] : await kernel.check({ ...wanted, link, ...(mac === undefined ? {} : { mac }) })),
      ...(device === undefined || lease === undefined ? [] : await kernel.checkDevice({ ...wanted, device, lease })),
      ...(coordination === undefined ? [] : await kernel.checkCoordination(coordinationSpec(record, coordination))),
    ];
  };
  const server = new CallServer({
    node: node.name,
    calls,
    runs,
    detaches,
    queue,
    records,
    kernel: { identifyNamespace: (path) => kernel.identifyNamespace(path), namespaceState },
    untilReady: () => cluster.untilReady(),
    differences,
    report,
    sandboxReport: createSandboxReport({ node: node.name, records, kernel, differences }),
    importedAttachment: createImportedAttachment({ claims, kernel: { ...kernel, namespaceState } }),
    readDeviceInfo: createDeviceInfoReader(deviceInfoDirectory),
    onAdd: (pod, network) => cluster.prefetch(pod, network),
    log,
    times,
    metrics,
  });

  const abandoned = {
    node,
    records,
    claims,
    pods,
    kernel: { namespaceState },
    detach: async (gone: Omit<DetachRequest, 'nonce' | 'reason'>) => {
      const whyLeft = await server.detachOrKeep({ ...gone, nonce: newNonce(), reason: 'proven-gone' });
      if (whyLeft !== undefined) metrics.reclaimFailed();
    },
    log,
  };
  const addressesIn = async (netns: string) => (await kernel.inspect(netns)).addresses.map(({ address }) => address);
  const lostDeletes = new LostDeletes({
    ...abandoned,
    onTaken: metrics.reclaimed,
    restoreClaims: async () => {
      await adoptImported({ ...abandoned, namespaces: createMountedNamespaces(kernel) });
      return await restoreClaims({
        ...abandoned,
        cluster: config.cluster,
        kernel: { ...kernel, namespaceState, addressesIn },
        locks,
      });
    },
  });
  cluster.tellAboutPods(lostDeletes);
  const suspectRuns = createSuspectRuns(() => temporal.client());
  const checkSuspects = createCheckSuspects({ ...abandoned, locks, runs: suspectRuns, heartbeat: goOn });

  async function detachQueued(frame: RequestFrame, attempt: number): Promise<void> {
    // A new nonce: under the old one the run was told that this process took the call over.
    const request = await server.detachRequestOf(delOf(frame), newNonce());
    if ((await detaches.detach(request, { keepsAsking: true })) === 'undone') return;
    if (attempt < attemptsBeforeTermination || temporal.breaker.isOpen) throw new Error('The run was not told yet');
    await locks.hold(request.attachment.containerID, () =>
      runs.terminate(request, 'Its DEL was done by the node worker without it, and it did not react'),
    );
    log.warn(
      { workflowID: podNetworkId(request.pod, request.attachment.containerID) },
      'run that did not react terminated',
    );
  }

  await queue.read();
  await untold.recover();
  const socket = await openCniSocket(
    join(config.runDirectory, 'socket'),
    (frame, gone) => server.serve(frame, gone),
    log,
  );
  const alive = await keepAlive(config.runDirectory);
  log.info({ runDirectory: config.runDirectory, machineID: node.machineID, bootID: node.bootID }, 'socket open');
  whyNotReady = "this node's claims are not listed yet";
  metrics.lookUp(() => ({
    callsOpen: calls.size,
    deletesWaiting: queue.size,
    isReady: cluster.isReady,
    isTemporalConnected: temporal.isConnected,
    claimPhases: () => (cluster.isReady ? claims.own().map(({ phase }) => phase) : []),
  }));

  await sleep(headStartMs);
  const polling = temporal.run();
  // Both wait a moment for Temporal: without it every run would have to be told later. Neither waits for the API server, whose
  // part of a DEL is tried again when it is there.
  const temporalSeen = temporal.client();
  void temporalSeen.then(() => queue.start());
  cluster.onReady(async () => {
    whyNotReady = undefined;
    await temporalSeen;
    queue.retryNow();
    await lostDeletes.start();
  });

  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    log.info({ signal }, 'stopping: no new calls, open ones are finished');
    alive.stop();
    socket.close();
    queue.close();
    lostDeletes.close();
    // Their runs may still need workflow tasks and the connection. What is not done by then goes on with the next worker.
    for (const end = Date.now() + drainMs; calls.size > 0 && Date.now() < end; ) await sleep(20);
    temporal.stop();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(signal));
  await polling;
  monitoring.close();
  await cluster.close();
  await kernel.close();
  lock.release();
  log.info({}, 'stopped');
}

/** A node that cannot be set serves all the same: many are set up by their owner. */
async function tuneNode(kernel: Pick<Kernel, 'tuneNode'>, log: Log): Promise<void> {
  const tuned = await kernel.tuneNode(nodeSysctls).catch((err: unknown) => {
    log.error({ err, remedy: 'See whether the worker may read /proc/sys of the node' }, 'node not set up for its pods');
    return { commands: [], refused: [] };
  });
  const { commands, refused } = tuned;
  if (commands.length > 0) log.info({ commands }, 'node set up for its pods');
  for (const { command, why } of refused) {
    const remedy = `Do it on the node: ${command}; or run the worker privileged, or with ORBWEAVER_TUNE_SYSCTLS=false`;
    log.error({ command, why, remedy }, 'node not set up for its pods');
  }
}

async function waitForLock(path: string, onWait: () => void): Promise<{ release(): void }> {
  for (let isFirst = true; ; isFirst = false) {
    const lock = acquireFileLock(path);
    if (lock !== undefined) return lock;
    if (isFirst) onWait();
    await sleep(100);
  }
}

/** Records that can be read; one that cannot is a person's to look at, and hides no other. */
async function listRecords(
  files: AttachmentRecords,
  log: Log,
  containerID?: string,
): Promise<readonly AttachmentRecord[]> {
  const { records, unreadable } = await files.list(containerID);
  for (const { path, reason } of unreadable) {
    log.error({ path, reason, remedy: 'See what is there, then remove the file' }, 'attachment record not readable');
  }
  return records;
}

/** Heartbeat of the activity that is running. */
function goOn(): void {
  Context.current().cancellationSignal.throwIfAborted();
  heartbeat();
}
