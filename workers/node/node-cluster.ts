import { setTimeout as sleep } from 'node:timers/promises';
import type {
  Coordinators,
  Identities,
  Log,
  PodReader as PodPort,
  PoolReader as PoolPort,
  Surroundings as SurroundingsPort,
} from '../../activities/node-ports.ts';
import type { Attachment, PodIdentity } from '../../contracts/attachment.ts';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import type { ClaimHolder } from '../../contracts/ip-claim.ts';
import type { ClaimedAddress, NetworkConf } from '../../contracts/pod-network.ts';
import { toClaimName } from '../../ipam/address.ts';
import { parseCidr } from '../../ipam/cidr.ts';
import { controllerOf } from '../../ipam/controller-reference.ts';
import { type PoolCatalogue, readPoolCatalogue } from '../../ipam/pool-catalogue.ts';
import { underEdits } from '../../ipam/pool-edit.ts';
import { readPool } from '../../ipam/pool-snapshot.ts';
import type { Stickiness } from '../../ipam/sticky-identity.ts';
import { openApiClient } from '../../kube/api-client.ts';
import { ClaimStore } from '../../kube/claim-store.ts';
import { CoordinatorReader } from '../../kube/coordinator-reader.ts';
import { createIdentityReader } from '../../kube/identity-reader.ts';
import { endpointOf } from '../../kube/kubeconfig.ts';
import { PodReader } from '../../kube/pod-reader.ts';
import type { PodView } from '../../kube/pod-view.ts';
import { PoolReader, type PoolsAndReservations } from '../../kube/pool-reader.ts';
import { Surroundings } from '../../kube/surroundings.ts';
import { type ClaimConflict, watchingClaimConflicts } from '../metrics/claim-conflicts.ts';
import type { LostDeletes, LostDeletesPorts } from './lost-deletes.ts';

/** How long an ADD that comes while this process is starting waits for the list of its claims. */
const startPatienceMs = 2500;
const listAgainMs = 500;
const answerLimitMs = 1000;

/** What this node reads from and writes to the API server. */
export interface NodeCluster {
  readonly claims: ClaimStore & Pick<LostDeletesPorts['claims'], 'holderOf'>;
  readonly pools: PoolPort;
  readonly surroundings: SurroundingsPort;
  readonly coordinators: Coordinators;
  readonly identities: Identities;
  /** Begins to read what the first step of an ADD for this pod will ask for, so that nothing of it is read one after the other. */
  prefetch(pod: PodIdentity, network: Pick<NetworkConf, 'provides' | 'coordination'>): void;
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
  config: { readonly nodeName: string; readonly kubeconfig: string; readonly cluster: Stickiness },
  log: Log,
  metrics: { claimConflict(during: ClaimConflict): void } = { claimConflict: () => undefined },
): Promise<NodeCluster> {
  const endpoint = await endpointOf(config.kubeconfig === '' ? undefined : config.kubeconfig);
  const api = watchingClaimConflicts(openApiClient(endpoint), (during) => metrics.claimConflict(during));
  const store = new ClaimStore({ api, node: config.nodeName, log });
  const pools = asPoolPort(new PoolReader({ api }), log);
  const surroundings = new Surroundings({ api, node: config.nodeName });
  const coordinators = new CoordinatorReader({ api });
  let asksForNodeLabels = false;
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
    pools,
    surroundings,
    coordinators,
    identities: createIdentityReader(api, config.cluster),
    prefetch({ namespace }, { provides, coordination }) {
      if (coordination !== undefined) coordinators.recent(coordination.coordinator).catch(() => undefined);
      if (provides !== 'interface' && provides !== 'addresses') return;
      const catalogue = pools.recent().then((read) => {
        asksForNodeLabels = read.asksForNodeLabels;
      });
      const reads = [
        catalogue,
        surroundings.namespace(namespace),
        asksForNodeLabels ? surroundings.nodeLabels() : catalogue,
      ];
      for (const read of reads) read.catch(() => undefined); // the step asks again, and hears why
    },
    pods: {
      find: async (pod) => (pod.name === '' ? undefined : await podReader.find(pod)),
      findLive: (pod) => podReader.findLive(pod),
      remembered: (pod) => podReader.remembered(pod),
    },
    tellAboutPods(to) {
      listener = to;
    },
    workloadOf(pod) {
      const owner = controllerOf(podReader.remembered(pod)?.ownerReferences);
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
export function asPoolPort(reader: PoolReader, log: Log): PoolPort {
  let last: { readonly view: PoolsAndReservations; readonly catalogue: PoolCatalogue } | undefined;
  async function recent(want?: 'newer') {
    const view = await reader.recent(want);
    if (last?.view !== view) {
      const pools = view.pools.map((pool) => underEdits(pool, view.edits, Date.now()));
      last = { view, catalogue: readPoolCatalogue(pools, view.reserved) };
      for (const warning of last.catalogue.warnings) log.warn({ warning }, 'reservation not understood');
    }
    return last;
  }
  return {
    recent: async (want) => (await recent(want)).catalogue,
    async fresh(name) {
      const [pool, { view, catalogue }] = await Promise.all([reader.fresh(name), recent()]);
      const known = view.pools.find(({ metadata }) => metadata.name === name);
      if (pool === undefined) return undefined;
      if (known && isSameEdition(pool, known)) return catalogue.pools.get(name);
      return readPool(underEdits(pool, view.edits, Date.now()), catalogue.reserved);
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
  store: Pick<ClaimStore, 'readWhole'>,
  { containerID }: Attachment,
  addresses: readonly ClaimedAddress[],
): Promise<readonly string[]> {
  const found = await Promise.all(
    addresses.map(async ({ address }) => {
      const cidr = parseCidr(address);
      const claim = cidr && (await store.readWhole(toClaimName(cidr.address)));
      const { phase, holders = [] } = claim?.spec ?? {};
      const isHeld = phase === 'Bound' && holders.some((holder) => holder.containerID === containerID);
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
