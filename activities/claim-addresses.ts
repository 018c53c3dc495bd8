import { toCniResult } from '../contracts/cni-result.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import type { AddRequest, ClaimedAddress } from '../contracts/pod-network.ts';
import { type Address, formatAddress, fromClaimName, toClaimName } from '../ipam/address.ts';
import { poolExhausted } from '../ipam/failures.ts';
import { contains } from '../ipam/interval-set.ts';
import { pickAddress } from '../ipam/pick-address.ts';
import { routeWarnings } from '../ipam/pod-routes.ts';
import { toClaimedAddress } from '../ipam/pool-routes.ts';
import { isGiving, offers, type PoolSnapshot } from '../ipam/pool-snapshot.ts';
import { type Identity, identityText, migrationAnnotation, stickyIdentity } from '../ipam/sticky-identity.ts';
import { addressTaken, type WantedAddress } from '../ipam/wanted-address.ts';
import { type Candidates, type ChoosePorts, choosePools } from './choose-pools.ts';
import { callerGone, detachWanted } from './interruptions.ts';
import type { AttachmentRecords, ClaimStore, Kernel, Pod, PodReader } from './node-ports.ts';
import { stepLog } from './step-log.ts';
import { claimSticky } from './sticky-claim.ts';
import { type Taker, takeOver } from './take-over.ts';

export interface ClaimPorts extends ChoosePorts {
  readonly records: AttachmentRecords;
  readonly claims: ClaimStore;
  readonly pods: PodReader;
  readonly kernel: Pick<Kernel, 'namespaceState'>;
}

/** After so many taken addresses, reading the pool's taken names once costs less than meeting the next one. */
const missesBeforeListing = 3;
/** A pool of which so many addresses in a row were taken a moment ago is nearly full: its list says more than its memory. */
const skipsBeforeListing = 64;

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
    const families = await choosePools(ports, request, pod);
    const addresses: ClaimedAddress[] = [];
    for (const candidates of families) {
      addresses.push(await new FamilyClaim(ports, request, pod, candidates).claim());
    }
    for (const warning of routeWarnings(families[0]?.routes.podRoutes ?? [], attachment.ifName, addresses)) {
      stepLog(ports.log, request).warn({ warning }, 'part of what is asked for has no effect');
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
  /** What the pod's addresses stick to. */
  readonly #identity: Identity | undefined;
  readonly #isMigrationTarget: boolean;
  readonly #candidates: Candidates;
  readonly #startedAtMs = performance.now();

  constructor(ports: ClaimPorts, request: AddRequest, pod: Pod, candidates: Candidates) {
    this.#ports = ports;
    this.#request = request;
    this.#uid = pod.uid;
    this.#identity = stickyIdentity(pod, ports.cluster);
    this.#isMigrationTarget = pod.annotations[migrationAnnotation] !== undefined;
    this.#candidates = candidates;
  }

  async claim(): Promise<ClaimedAddress> {
    const held = (await this.#claimSticky()) ?? (await this.#claimOwn());
    if (held !== undefined) return held;
    if (this.#candidates.refusal !== undefined) throw new ProvisionError(this.#candidates.refusal);
    const exhausted: PoolSnapshot[] = [];
    for (const pool of this.#candidates.pools) {
      const claimed = await this.#claimFrom(pool);
      if (claimed !== 'exhausted' && claimed !== 'withdrawn') return claimed;
      if (claimed === 'exhausted') exhausted.push(pool);
    }
    const { family, skipped, wanted } = this.#candidates;
    if (exhausted.length === 0) throw this.#allWithdrawn();
    const grown = wanted === undefined ? await this.#claimFromGrown(exhausted) : undefined;
    if (grown !== undefined) return grown;
    throw wanted === undefined ? poolExhausted(family, exhausted, skipped) : await this.#taken(wanted);
  }

  /** What the pod's identity has for this NIC and family comes before everything else, whichever pod of it had it last. */
  async #claimSticky(): Promise<ClaimedAddress | undefined> {
    if (this.#identity === undefined) return undefined;
    const want = {
      request: this.#request,
      identity: this.#identity,
      taker: this.#taker(),
      candidates: this.#candidates,
    };
    const sticky = await claimSticky(want, this.#ports);
    return sticky && this.#claimed(sticky.pool, sticky.address, 'kept');
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
      } else if (
        (await takeOver(own.name, this.#taker(), this.#ports)).outcome === 'ours' &&
        (await this.#isStillOffered(pool, address))
      ) {
        return this.#claimed(pool, address, 'kept');
      }
    }
    return undefined;
  }

  async #claimFrom(pool: PoolSnapshot): Promise<ClaimedAddress | 'exhausted' | 'withdrawn'> {
    const { calls, claims } = this.#ports;
    const { attachment, arrivedAtMs } = this.#request;
    const claimant = {
      podUID: this.#uid,
      ifName: attachment.ifName,
      ...(this.#identity?.kind === 'StatefulSet' ? { preferredIndex: this.#identity.ordinal } : {}),
    };
    const recalled = claims.recallTaken(pool.name);
    let taken = new Set<bigint>();
    let misses = 0; // since the last list
    let skips = 0;
    let listBeganAtMs: number | undefined;
    for (;;) {
      if (calls.isDetachWanted(attachment)) throw detachWanted(attachment);
      const pick = pickAddress(pool, taken, claimant);
      // Addresses that were met as taken one after another may never all have been taken at once: only a list can say so.
      if (pick.outcome === 'exhausted' && misses === 0 && listBeganAtMs !== undefined) return 'exhausted';
      const isTedious = misses >= missesBeforeListing || skips >= skipsBeforeListing;
      if (pick.outcome === 'exhausted' || (isTedious && listBeganAtMs === undefined)) {
        const list = await claims
          .takenNames(pool.name, { notBeforeMs: listBeganAtMs ?? arrivedAtMs })
          .catch((error: unknown) => {
            if (pick.outcome === 'exhausted') throw error;
          });
        if (list === undefined) {
          // An API server that is too busy to list may still create: whatever was not tried is worth a try.
          misses = 0;
          skips = 0;
          continue;
        }
        taken = new Set(Array.from(list.names, (name) => fromClaimName(name)?.value ?? -1n));
        misses = 0;
        listBeganAtMs = list.beganAtMs;
        continue;
      }
      const { address } = pick;
      const name = toClaimName(address);
      if (listBeganAtMs === undefined && recalled?.has(name) === true) {
        skips += 1;
        taken.add(address.value);
        continue;
      }
      const claimed = toClaimedAddress(pool, address, this.#candidates.routes);
      const { holder, identity } = this.#taker();
      const want = { name, address: claimed.address, pool: pool.name, holder, identity };
      if ((await claims.take(want)) === 'taken') {
        misses += 1;
        taken.add(address.value);
      } else {
        return (await this.#isStillOffered(pool, address)) ? this.#claimed(pool, address, 'created') : 'withdrawn';
      }
    }
  }

  /** Pools are remembered for a while, and one of them may have more addresses by now. */
  async #claimFromGrown(exhausted: readonly PoolSnapshot[]): Promise<ClaimedAddress | undefined> {
    for (const before of exhausted) {
      const now = await this.#ports.pools.fresh(before.name);
      if (now === undefined || !isGiving(now) || now.candidates.size <= before.candidates.size) continue;
      const claimed = await this.#claimFrom(now);
      if (claimed !== 'exhausted' && claimed !== 'withdrawn') return claimed;
    }
    return undefined;
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
    return toClaimedAddress(pool, address, this.#candidates.routes);
  }

  async #taken(wanted: WantedAddress): Promise<ProvisionError> {
    const claim = await this.#ports.claims.readWhole(toClaimName(wanted.address));
    const [holder] = claim?.spec.holders ?? [];
    const by =
      claim === undefined || holder === undefined
        ? 'somebody had it until now'
        : `pod ${holder.namespace}/${holder.pod} on node "${holder.node}" has it (${claim.spec.phase})`;
    return new ProvisionError(addressTaken(wanted, by));
  }

  #allWithdrawn(): ProvisionError {
    const names = this.#candidates.pools.map(({ name }) => `"${name}"`).join(', ');
    return new ProvisionError({
      type: 'NoPool',
      message: `Cannot claim an IPv${this.#candidates.family} address: pool ${names} was disabled, deleted or cut just now`,
      remedy: 'None when this was meant: the runtime repeats the ADD. See kubectl get spiderippools',
    });
  }

  #taker(): Taker {
    return {
      holder: this.#holder(),
      identity: this.#identity && identityText(this.#identity),
      isMigrationTarget: this.#isMigrationTarget,
    };
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
