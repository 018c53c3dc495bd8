import { toCniResult } from '../contracts/cni-result.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import type { AddRequest, ClaimedAddress } from '../contracts/pod-network.ts';
import { type Address, formatAddress, fromClaimName, toClaimName } from '../ipam/address.ts';
import { type Conflict, conflictOf, conflictsEverywhere, poolExhausted } from '../ipam/failures.ts';
import { hash64 } from '../ipam/hash64.ts';
import { contains } from '../ipam/interval-set.ts';
import { nicIdentities } from '../ipam/nic-identities.ts';
import { pickAddress } from '../ipam/pick-address.ts';
import { routeWarnings } from '../ipam/pod-routes.ts';
import { toClaimedAddress } from '../ipam/pool-routes.ts';
import { isGiving, offers, type PoolSnapshot } from '../ipam/pool-snapshot.ts';
import { type Identity, identityText, machineOf, migrationAnnotation } from '../ipam/sticky-identity.ts';
import { readSubnetWish } from '../ipam/subnet-annotation.ts';
import { addressTaken, type WantedAddress } from '../ipam/wanted-address.ts';
import { recordOf } from './attachment-record.ts';
import { type Candidates, type ChoosePorts, choosePools } from './choose-pools.ts';
import { callerGone, detachWanted } from './interruptions.ts';
import type { AttachmentRecords, ClaimStore, Kernel, OpenCalls, Pod, PodReader } from './node-ports.ts';
import { Patience, type PatiencePorts } from './patience.ts';
import { type ProbePorts, ProbeSite } from './probe-site.ts';
import { stepLog } from './step-log.ts';
import { claimSticky } from './sticky-claim.ts';
import { type Taker, takeOver } from './take-over.ts';

export interface ClaimPorts extends ChoosePorts, PatiencePorts, ProbePorts {
  readonly calls: OpenCalls;
  readonly records: AttachmentRecords;
  readonly claims: ClaimStore;
  readonly pods: PodReader;
  readonly kernel: Pick<Kernel, 'namespaceState'> & ProbePorts['kernel'] & ChoosePorts['kernel'];
}

/** After so many taken addresses, reading the pool's taken names once costs less than meeting the next one. */
const missesBeforeListing = 3;
/** A pool of which so many addresses in a row were taken a moment ago is nearly full: its list says more than its memory. */
const skipsBeforeListing = 64;
/** How long the growth of a full automatic pool is waited for: it grows a moment after its application did. */
const growthMs = 5000;
/** So many strangers in one pool are no accident, and the next address would hardly be better. */
const mostConflicts = 8;
/** Each costs the whole time of a probe, and several pods may be after the same ones. */
const mostSuspects = 16;

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
    // Its shared links are written down: without that record the attachment was undone meanwhile, and they may be gone.
    if (network.shared !== undefined && record === undefined) throw detachWanted(attachment);
    ports.calls.noteStep(nonce);

    const fresh = recordOf(request, record);
    await ports.records.write(fresh);
    const pod = await findLivePod(ports, request);
    const patience = new Patience(ports, request);
    const { families, pools } = await choosePools(ports, request, pod, patience);
    const site = new ProbeSite(ports, request, pools);
    const claims = families.map((candidates) => new FamilyClaim(ports, request, pod, candidates, patience, site));
    const addresses = await claimEach(claims);
    for (const warning of routeWarnings(families[0]?.routes.podRoutes ?? [], attachment.ifName, addresses)) {
      stepLog(ports.log, request).warn({ warning }, 'part of what is asked for has no effect');
    }
    if (network.provides === 'interface') return addresses; // the next step writes them down, with its answer
    const doneResult = toCniResult(addresses);
    await ports.records.write({ ...fresh, addresses, doneResult });
    ports.calls.succeed(nonce, doneResult);
    site.announce(addresses);
    return addresses;
  };

/**
 * One family after the other, so that a failure of the first spares the second. Where the network is asked about each address
 * they go side by side, because its silence takes time; but none goes on once this has failed.
 */
async function claimEach(claims: readonly FamilyClaim[]): Promise<readonly ClaimedAddress[]> {
  const addresses: ClaimedAddress[] = [];
  if (!claims.some((family) => family.isAsking)) {
    for (const family of claims) addresses.push(await family.claim());
    return addresses;
  }
  for (const outcome of await Promise.allSettled(claims.map((family) => family.claim()))) {
    if (outcome.status === 'rejected') throw outcome.reason;
    addresses.push(outcome.value);
  }
  return addresses;
}

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
  /** What the NIC's addresses stick to: where they are looked for one after the other, and what a new one is the first of. */
  readonly #identities: readonly Identity[];
  /** The machine that migrates to this pod. */
  readonly #migrating: string | undefined;
  readonly #candidates: Candidates;
  readonly #patience: Patience;
  readonly #site: ProbeSite;
  /** Addresses without a claim for which something answered. */
  readonly #conflicts: Conflict[] = [];
  /** A pool of exactly so many addresses was asked for, so none that is full will grow. */
  readonly #isSizeFixed: boolean;
  readonly #startedAtMs = performance.now();

  constructor(
    ports: ClaimPorts,
    request: AddRequest,
    pod: Pod,
    candidates: Candidates,
    patience: Patience,
    site: ProbeSite,
  ) {
    this.#ports = ports;
    this.#request = request;
    this.#uid = pod.uid;
    this.#identities = nicIdentities(pod, request.attachment.ifName, ports.cluster);
    this.#migrating = pod.annotations[migrationAnnotation] === undefined ? undefined : machineOf(pod);
    this.#candidates = candidates;
    this.#patience = patience;
    this.#site = site;
    const reading = readSubnetWish(pod.annotations);
    this.#isSizeFixed = reading.outcome === 'wish' && reading.wish.size?.kind === 'fixed';
  }

  /** The network may be asked about its addresses. */
  get isAsking(): boolean {
    return this.#candidates.pools.some(({ name }) => this.#site.asksAbout(name));
  }

  async claim(): Promise<ClaimedAddress> {
    const claimed = await this.#claimOne();
    await this.#site.requireGateway(claimed);
    return claimed;
  }

  async #claimOne(): Promise<ClaimedAddress> {
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
    const last = grown ?? (await this.#claimSuspect(exhausted));
    if (last !== undefined) return last;
    if (wanted === undefined) throw poolExhausted(family, exhausted, skipped, this.#conflicts);
    const [conflict] = this.#conflicts;
    throw conflict ? conflictOf(conflict, `which ${wanted.source} asks for`) : await this.#taken(wanted);
  }

  /** What an identity has for this NIC and family comes before everything else, whichever pod of it had it last. */
  async #claimSticky(): Promise<ClaimedAddress | undefined> {
    for (const identity of this.#identities) {
      const claimed = await this.#claimOf(identity);
      if (claimed !== undefined) return claimed;
    }
    return undefined;
  }

  async #claimOf(identity: Identity): Promise<ClaimedAddress | undefined> {
    const want = { request: this.#request, identity, taker: this.#taker(identity), candidates: this.#candidates };
    const sticky = await claimSticky(want, { ...this.#ports, site: this.#site });
    if (sticky === undefined) return undefined;
    const { address } = toClaimedAddress(sticky.pool, sticky.address, this.#candidates.routes);
    // While a machine migrates its other pod answers. Any other answer fails the ADD, whose undo keeps the address for the identity.
    const mac = sticky.isShared ? undefined : await this.#site.strangerAt(address, sticky.pool.name);
    if (mac !== undefined) throw conflictOf({ address, mac }, `which belongs to ${identityText(identity)}`);
    return this.#claimed(sticky.pool, sticky.address, 'kept');
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
        (await takeOver(own.name, this.#taker(), { ...this.#ports, site: this.#site })).outcome === 'ours' &&
        (await this.#isStillOffered(pool, address)) &&
        (await this.#isUnused(pool, address))
      ) {
        return this.#claimed(pool, address, 'kept');
      }
    }
    return undefined;
  }

  async #claimFrom(pool: PoolSnapshot): Promise<ClaimedAddress | 'exhausted' | 'withdrawn'> {
    const { calls, claims } = this.#ports;
    const { attachment, arrivedAtMs } = this.#request;
    const ordinal = this.#identities.find((identity) => identity.kind === 'StatefulSet')?.ordinal;
    const claimant = {
      podUID: this.#uid,
      ifName: attachment.ifName,
      ...(ordinal === undefined ? {} : { preferredIndex: ordinal }),
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
      } else if (!(await this.#isStillOffered(pool, address))) {
        return 'withdrawn';
      } else if (await this.#isUnused(pool, address)) {
        return this.#claimed(pool, address, 'created');
      } else {
        taken.add(address.value);
      }
    }
  }

  /** Pools are remembered for a while, and one of them may have more addresses by now; an automatic one may be about to. */
  async #claimFromGrown(exhausted: readonly PoolSnapshot[]): Promise<ClaimedAddress | undefined> {
    const seen = new Map(exhausted.map((pool) => [pool.name, pool]));
    const look = async (): Promise<ClaimedAddress | undefined> => {
      for (const before of seen.values()) {
        const now = await this.#ports.pools.fresh(before.name);
        if (now === undefined || !isGiving(now) || now.candidates.size <= before.candidates.size) continue;
        seen.set(now.name, now);
        const claimed = await this.#claimFrom(now);
        if (claimed !== 'exhausted' && claimed !== 'withdrawn') return claimed;
      }
      return undefined;
    };
    const grown = await look();
    const mayGrow = !this.#isSizeFixed && exhausted.some(({ automatic }) => automatic !== undefined);
    return grown ?? (mayGrow ? await this.#patience.until(look, growthMs) : undefined);
  }

  /**
   * The last resort: a Suspect address is nobody's, but nobody has said either that the interface which had it last is silent. So
   * whoever wants it listens first, whatever the settings say; where nobody can be asked it stays as it is.
   */
  async #claimSuspect(exhausted: readonly PoolSnapshot[]): Promise<ClaimedAddress | undefined> {
    const { calls, claims } = this.#ports;
    const { attachment, arrivedAtMs } = this.#request;
    let tries = 0;
    for (const pool of exhausted) {
      const { suspects } = await claims.takenNames(pool.name, { notBeforeMs: arrivedAtMs });
      for (const name of beginningAt([...suspects], hash64(`${this.#uid}/${attachment.ifName}`))) {
        if (calls.isDetachWanted(attachment)) throw detachWanted(attachment);
        const address = fromClaimName(name);
        if (address === undefined || !contains(pool.candidates, address.value)) continue;
        const seen = await claims.readWhole(name);
        if (seen?.spec.phase !== 'Suspect') continue;
        tries += 1;
        if (tries > mostSuspects) return undefined;
        const answer = await this.#site.lastOwnerOf(formatAddress(address), pool.name);
        if (answer.outcome === 'mute') {
          stepLog(this.#ports.log, this.#request).warn({ why: answer.why }, 'Suspect addresses are not tried');
          return undefined;
        }
        if (answer.outcome === 'answered') await this.#markConflicted(pool, address, answer.mac);
        else if ((await claims.adopt(seen, this.#taker())) === 'ours' && (await this.#isStillOffered(pool, address)))
          return this.#claimed(pool, address, 'created');
      }
    }
    return undefined;
  }

  /** Nothing else on the network answers for an address that is ours by its claim, as far as that is to be asked. */
  async #isUnused(pool: PoolSnapshot, address: Address): Promise<boolean> {
    const mac = await this.#site.strangerAt(formatAddress(address), pool.name);
    if (mac !== undefined) await this.#markConflicted(pool, address, mac);
    return mac === undefined;
  }

  /** Nobody is given the address for a while, this ADD goes on with the next one, unless there have been too many. */
  async #markConflicted(pool: PoolSnapshot, address: Address, mac: string): Promise<void> {
    const { claims, cluster, log } = this.#ports;
    const until = new Date(Date.now() + cluster.conflictSeconds * 1000).toISOString();
    const { containerID } = this.#request.attachment;
    stepLog(log, this.#request).warn(
      { address: formatAddress(address), pool: pool.name, mac, until },
      'address in use',
    );
    await claims.setConflicted(toClaimName(address), { containerID, until });
    this.#conflicts.push({ address: formatAddress(address), pool: pool.name, mac });
    if (this.#conflicts.length >= mostConflicts) throw conflictsEverywhere(pool.family, this.#conflicts);
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

  #taker(identity = this.#identities[0]): Taker {
    return {
      holder: this.#holder(),
      identity: identity && identityText(identity),
      migrating: this.#migrating,
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

/** All of them, turned so that not everybody begins with the same one. */
function beginningAt<Item>(items: readonly Item[], place: bigint): readonly Item[] {
  const start = items.length === 0 ? 0 : Number(place % BigInt(items.length));
  return [...items.slice(start), ...items.slice(0, start)];
}
