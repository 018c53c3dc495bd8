import { toCniResult } from '../contracts/cni-result.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import type { AddRequest, ClaimedAddress } from '../contracts/pod-network.ts';
import { type Address, formatAddress, fromClaimName, toClaimName } from '../ipam/address.ts';
import { poolExhausted } from '../ipam/failures.ts';
import { contains } from '../ipam/interval-set.ts';
import { pickAddress } from '../ipam/pick-address.ts';
import { toClaimedAddress } from '../ipam/pool-routes.ts';
import { offers, type PoolSnapshot } from '../ipam/pool-snapshot.ts';
import { type FamilyCandidates, selectPools } from '../ipam/select-pools.ts';
import { callerGone, detachWanted } from './interruptions.ts';
import type {
  AttachmentRecords,
  ClaimStore,
  Kernel,
  Log,
  NodeIdentity,
  OpenCalls,
  OwnClaim,
  Pod,
  PodReader,
  PoolReader,
} from './node-ports.ts';
import { stepLog } from './step-log.ts';

export interface ClaimPorts {
  readonly calls: OpenCalls;
  readonly records: AttachmentRecords;
  readonly claims: ClaimStore;
  readonly pools: PoolReader;
  readonly pods: PodReader;
  readonly kernel: Pick<Kernel, 'namespaceState'>;
  readonly node: NodeIdentity;
  readonly log: Log;
}

/** After so many taken addresses, reading the pool's taken names once costs less than meeting the next one. */
const missesBeforeListing = 3;

/** Claims an address of every family that the pod's selection rules ask for. */
export const createClaimAddresses =
  (ports: ClaimPorts) =>
  async (request: AddRequest): Promise<readonly ClaimedAddress[]> => {
    const { attachment, network, nonce } = request;
    const record = await ports.records.read(attachment);
    if (record?.doneResult !== undefined) {
      if (network.provides === 'addresses') ports.calls.succeed(nonce, record.doneResult);
      return record.addresses;
    }
    if (!ports.calls.isWaiting(nonce)) throw callerGone(attachment);
    ports.calls.noteStep(nonce);

    const fresh = {
      attachment,
      pod: request.pod,
      netns: request.netns,
      netnsCookie: request.netnsCookie,
      provides: network.provides,
      ...(network.link === undefined ? {} : { link: network.link }),
      addedAtMs: request.arrivedAtMs,
    };
    await ports.records.write({ ...fresh, addresses: [] });
    const pod = await findLivePod(ports, request);
    const catalogue = await ports.pools.recent();
    const selection = selectPools({ podAnnotations: pod.annotations, network }, catalogue);
    if (selection.outcome === 'refused') throw new ProvisionError(selection.failure);
    for (const { skipped } of selection.families) {
      if (skipped.length > 0) stepLog(ports.log, request).warn({ skipped, source: selection.source }, 'pools skipped');
    }

    const addresses: ClaimedAddress[] = [];
    for (const candidates of selection.families) {
      addresses.push(await new FamilyClaim(ports, request, pod, candidates).claim());
    }
    if (network.provides === 'interface') return addresses; // the next step writes them down, with its answer
    const doneResult = toCniResult(addresses);
    await ports.records.write({ ...fresh, addresses, doneResult });
    ports.calls.succeed(nonce, doneResult);
    return addresses;
  };

async function findLivePod({ pods }: ClaimPorts, { pod: identity }: AddRequest): Promise<Pod> {
  const pod = await pods.find(identity);
  const name = `${identity.namespace}/${identity.name}`;
  if (pod === undefined) {
    throw new ProvisionError({
      type: 'PodNotFound',
      message: `Cannot claim addresses for pod ${name}: the API server knows no pod of that name with UID "${identity.uid}"`,
      remedy: 'None is needed when the pod was just deleted; otherwise compare: kubectl get pod -o yaml',
    });
  }
  if (!pod.isAlive) {
    throw new ProvisionError({
      type: 'PodNotAlive',
      message: `Cannot claim addresses for pod ${name}: it is finished or being deleted`,
    });
  }
  return pod;
}

/** The search for one family's address: what this pod already holds first, then each candidate pool in order. */
class FamilyClaim {
  readonly #ports: ClaimPorts;
  readonly #request: AddRequest;
  readonly #uid: string;
  readonly #candidates: FamilyCandidates;
  readonly #startedAtMs = performance.now();

  constructor(ports: ClaimPorts, request: AddRequest, pod: Pod, candidates: FamilyCandidates) {
    this.#ports = ports;
    this.#request = request;
    this.#uid = pod.uid;
    this.#candidates = candidates;
  }

  async claim(): Promise<ClaimedAddress> {
    const held = await this.#claimOwn();
    if (held !== undefined) return held;
    const exhausted: PoolSnapshot[] = [];
    for (const pool of this.#candidates.pools) {
      const claimed = await this.#claimFrom(pool);
      if (claimed !== 'exhausted' && claimed !== 'withdrawn') return claimed;
      if (claimed === 'exhausted') exhausted.push(pool);
    }
    throw exhausted.length > 0 ? poolExhausted(this.#candidates.family, exhausted) : this.#allWithdrawn();
  }

  /**
   * An ADD first takes or releases the claims of its (pod UID, NIC, family) and only then creates. One that is Bound to
   * another sandbox of the pod is taken over only when that sandbox is proven gone: until then its DEL is still to come.
   */
  async #claimOwn(): Promise<ClaimedAddress | undefined> {
    const { claims } = this.#ports;
    for (const own of claims.ownOf(this.#uid, this.#request.attachment.ifName)) {
      const address = fromClaimName(own.name);
      if (address?.family !== this.#candidates.family) continue;
      const pool = this.#candidates.pools.find((candidate) => contains(candidate.candidates, address.value));
      if (pool === undefined) {
        if (own.phase === 'Held') await claims.releaseHeld(own.name, this.#uid);
      } else if ((await this.#takeOver(own)) && (await this.#isStillOffered(pool, address))) {
        return this.#claimed(pool, address, 'kept');
      }
    }
    return undefined;
  }

  async #takeOver(own: OwnClaim): Promise<boolean> {
    const { claims, kernel } = this.#ports;
    const claim = await claims.read(own.name);
    if (claim === undefined || claim.holder.podUID !== this.#uid) return false;
    const previous = claim.holder.containerID;
    const isOurs = previous === this.#request.attachment.containerID && claim.phase === 'Bound';
    if (isOurs) return true; // a write of ours put this container ID there, and only such a write can
    const isFree =
      claim.phase === 'Held' ||
      (claim.phase === 'Bound' &&
        (await kernel.namespaceState(claim.holder.netns, claim.holder.netnsCookie)) === 'gone');
    return isFree && (await claims.adopt(own.name, this.#holder(), previous)) === 'ours';
  }

  async #claimFrom(pool: PoolSnapshot): Promise<ClaimedAddress | 'exhausted' | 'withdrawn'> {
    const { calls, claims } = this.#ports;
    const { attachment, arrivedAtMs } = this.#request;
    const claimant = { podUID: this.#uid, ifName: attachment.ifName };
    let taken = new Set<bigint>();
    let misses = 0; // since the last list
    let listBeganAtMs: number | undefined;
    for (;;) {
      if (calls.isDetachWanted(attachment)) throw detachWanted(attachment);
      const pick = pickAddress(pool, taken, claimant);
      // Addresses that were met as taken one after another may never all have been taken at once: only a list can say so.
      if (pick.outcome === 'exhausted' && misses === 0 && listBeganAtMs !== undefined) return 'exhausted';
      if (pick.outcome === 'exhausted' || (misses >= missesBeforeListing && listBeganAtMs === undefined)) {
        const list = await claims.takenNames(pool.name, { notBeforeMs: listBeganAtMs ?? arrivedAtMs });
        taken = new Set(Array.from(list.names, (name) => fromClaimName(name)?.value ?? -1n));
        misses = 0;
        listBeganAtMs = list.beganAtMs;
        continue;
      }
      const { address } = pick;
      const claimed = toClaimedAddress(pool, address, this.#request.network);
      const want = { name: toClaimName(address), address: claimed.address, pool: pool.name, holder: this.#holder() };
      if ((await claims.take(want)) === 'taken') {
        misses += 1;
        taken.add(address.value);
      } else {
        return (await this.#isStillOffered(pool, address)) ? this.#claimed(pool, address, 'created') : 'withdrawn';
      }
    }
  }

  /** A pool may have been disabled, deleted or cut since it was read; nothing is configured before this says yes. */
  async #isStillOffered(pool: PoolSnapshot, address: Address): Promise<boolean> {
    const now = await this.#ports.pools.fresh(pool.name);
    if (now !== undefined && offers(now, address)) return true;
    await this.#ports.claims.giveBack(toClaimName(address), this.#request.attachment.containerID);
    return false;
  }

  #claimed(pool: PoolSnapshot, address: Address, how: 'created' | 'kept'): ClaimedAddress {
    const durationMs = Math.round(performance.now() - this.#startedAtMs);
    stepLog(this.#ports.log, this.#request).info(
      { address: formatAddress(address), pool: pool.name, how, durationMs },
      'address claimed',
    );
    return toClaimedAddress(pool, address, this.#request.network);
  }

  #allWithdrawn(): ProvisionError {
    const names = this.#candidates.pools.map(({ name }) => `"${name}"`).join(', ');
    return new ProvisionError({
      type: 'NoPool',
      message: `Cannot claim an IPv${this.#candidates.family} address: pool ${names} was disabled, deleted or cut just now`,
      remedy: 'None when this was meant: the runtime repeats the ADD. See kubectl get spiderippools',
    });
  }

  #holder(): ClaimHolder {
    const { attachment, pod, netns, netnsCookie } = this.#request;
    const { name, machineID, bootID } = this.#ports.node;
    return {
      namespace: pod.namespace,
      pod: pod.name,
      podUID: this.#uid,
      interface: attachment.ifName,
      network: attachment.network,
      containerID: attachment.containerID,
      netns,
      netnsCookie,
      node: name,
      machineID,
      bootID,
    };
  }
}
