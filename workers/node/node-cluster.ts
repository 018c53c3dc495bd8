import { setTimeout as sleep } from 'node:timers/promises';
import type { Log, PodReader as PodPort, PoolReader as PoolPort } from '../../activities/node-ports.ts';
import type { Attachment, PodIdentity } from '../../contracts/attachment.ts';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import type { ClaimHolder } from '../../contracts/ip-claim.ts';
import type { ClaimedAddress } from '../../contracts/pod-network.ts';
import { toClaimName } from '../../ipam/address.ts';
import { parseCidr } from '../../ipam/cidr.ts';
import { type PoolCatalogue, readPoolCatalogue } from '../../ipam/pool-catalogue.ts';
import { readPool } from '../../ipam/pool-snapshot.ts';
import { openApiClient } from '../../kube/api-client.ts';
import { ClaimStore } from '../../kube/claim-store.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import { PodReader } from '../../kube/pod-reader.ts';
import type { PodView } from '../../kube/pod-view.ts';
import { PoolReader, type PoolsAndReservations } from '../../kube/pool-reader.ts';
import type { LostDeletes, LostDeletesPorts } from './lost-deletes.ts';

/** How long an ADD that comes while this process is starting waits for the list of its claims. */
const startPatienceMs = 2500;
const listAgainMs = 500;
const answerLimitMs = 1000;

/** What this node reads from and writes to the API server. */
export interface NodeCluster {
  readonly claims: ClaimStore & Pick<LostDeletesPorts['claims'], 'holderOf'>;
  readonly pools: PoolPort;
  readonly pods: PodPort &
    LostDeletesPorts['pods'] & {
      /** From a read that begins now. */
      findLive(pod: PodIdentity): Promise<PodView | undefined>;
    };
  /** Tells what the watch of this node's pods sees; to be called before anything else is awaited. */
  tellAboutPods(listener: Pick<LostDeletes, 'podGone' | 'podsListed'>): void;
  /** Kind, namespace and name of the pod's controller, as far as the watch has shown the pod. */
  workloadOf(pod: PodIdentity): string | undefined;
  /** This node's claims are known: ADDs can be served. */
  readonly isReady: boolean;
  readonly isWatchingPods: boolean;
  /** The API server answers now. */
  isAnswering(): Promise<boolean>;
  untilReady(): Promise<void>;
  /** Runs once, as soon as this node's claims are known. */
  onReady(work: () => Promise<void>): void;
  /** What of the attachment's claims is missing or changed, a sentence each. */
  claimDifferences(attachment: Attachment, addresses: readonly ClaimedAddress[]): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Connects to the API server; what it cannot reach yet it goes on trying in the background. */
export async function openNodeCluster(
  config: { readonly nodeName: string; readonly kubeconfig: string },
  log: Log,
): Promise<NodeCluster> {
  const api = openApiClient(await endpointOf(config.kubeconfig === '' ? undefined : config.kubeconfig));
  const store = new ClaimStore({ api, node: config.nodeName, log });
  const poolReader = new PoolReader({ api });
  let listener: Pick<LostDeletes, 'podGone' | 'podsListed'> | undefined;
  const podReader = new PodReader({
    api,
    node: config.nodeName,
    log,
    onGone: (pod) => listener?.podGone(pod),
    onListed: () => listener?.podsListed(),
  });
  podReader.start();

  let isClosed = false;
  let isReady = false;
  const loading = loadUntilDone();

  async function loadUntilDone(): Promise<void> {
    while (!isClosed) {
      try {
        await store.loadOwn({ deadlineMs: 5000 });
        isReady = true;
        return;
      } catch (err) {
        log.warn({ err }, "this node's claims not listed yet");
        await sleep(listAgainMs);
      }
    }
  }

  return {
    claims: Object.assign(store, { holderOf: (name: string) => holderOf(store, name, config.nodeName) }),
    pools: asPoolPort(poolReader, log),
    pods: {
      find: async (pod) => (pod.name === '' ? undefined : await podReader.find(pod)),
      findLive: (pod) => podReader.findLive(pod),
      remembered: (pod) => podReader.remembered(pod),
    },
    tellAboutPods(to) {
      listener = to;
    },
    workloadOf(pod) {
      const owner = podReader.remembered(pod)?.ownerReferences.find(({ controller }) => controller === true);
      return owner && `${owner.kind}/${pod.namespace}/${owner.name}`;
    },
    get isReady() {
      return isReady;
    },
    get isWatchingPods() {
      return podReader.isWatching;
    },
    isAnswering: () =>
      api.request({ method: 'GET', path: '/version', timeoutMs: answerLimitMs }).then(
        () => true,
        () => false,
      ),
    async untilReady() {
      if (!isReady) await Promise.race([loading, sleep(startPatienceMs, undefined, { ref: false })]);
      if (!isReady) throw claimsUnknown();
    },
    onReady(work) {
      loading
        .then(work)
        .catch((err: unknown) => log.error({ err, remedy: 'Restart the node worker' }, 'work at start not done'));
    },
    claimDifferences: (attachment, addresses) => claimDifferences(store, attachment, addresses),
    async close() {
      isClosed = true;
      await podReader.stop();
      await api.close();
    },
  };
}

/** A claim that a virtual machine's migration shares has a second holder, on another node. */
async function holderOf(store: ClaimStore, name: string, node: string): Promise<ClaimHolder | undefined> {
  return (await store.readWhole(name))?.spec.holders.find((holder) => holder.node === node);
}

/** Reads each view of the cluster into values once, not once for every ADD that it serves. */
function asPoolPort(reader: PoolReader, log: Log): PoolPort {
  let last: { readonly view: PoolsAndReservations; readonly catalogue: PoolCatalogue } | undefined;
  async function recent() {
    const view = await reader.recent();
    if (last?.view !== view) {
      last = { view, catalogue: readPoolCatalogue(view.pools, view.reserved) };
      for (const warning of last.catalogue.warnings) log.warn({ warning }, 'reservation not understood');
    }
    return last;
  }
  return {
    recent: async () => (await recent()).catalogue,
    async fresh(name) {
      const [pool, { view, catalogue }] = await Promise.all([reader.fresh(name), recent()]);
      const known = view.pools.find(({ metadata }) => metadata.name === name);
      if (pool === undefined) return undefined;
      return known && isSameEdition(pool, known) ? catalogue.pools.get(name) : readPool(pool, catalogue.reserved);
    },
  };
}

/** A spec changes with its generation, and so does an object that is being deleted; a status does not. */
const isSameEdition = (one: SpiderIPPool, other: SpiderIPPool): boolean =>
  one.metadata.uid === other.metadata.uid &&
  one.metadata.generation !== undefined &&
  one.metadata.generation === other.metadata.generation &&
  one.metadata.deletionTimestamp === other.metadata.deletionTimestamp;

async function claimDifferences(
  store: Pick<ClaimStore, 'read'>,
  { containerID }: Attachment,
  addresses: readonly ClaimedAddress[],
): Promise<readonly string[]> {
  const found = await Promise.all(
    addresses.map(async ({ address }) => {
      const cidr = parseCidr(address);
      const claim = cidr && (await store.read(toClaimName(cidr.address)));
      const isHeld = claim?.phase === 'Bound' && claim.holder.containerID === containerID;
      return isHeld ? [] : [`address ${address} is not claimed for this sandbox`];
    }),
  );
  return found.flat();
}

const claimsUnknown = (): ProvisionError =>
  new ProvisionError({
    type: 'ApiServerUnavailable',
    message: "Cannot claim addresses: the API server has not told yet which ones this node's pods hold",
    remedy: 'See whether the API server answers on this node: kubectl get --raw /readyz',
  });
