import type { IPClaim, IPClaimSpec } from '../contracts/crds/ipclaim.ts';
import { ProvisionError } from '../contracts/failures.ts';
import { type ClaimHolder, ipClaimLabels } from '../contracts/ip-claim.ts';
import { isOfOneInterface } from '../ipam/sticky-identity.ts';
import {
  type AfterRelease,
  afterRelease,
  type ClaimingAttachment,
  type Disposition,
  isHeldBy,
  toConflicted,
} from './after-release.ts';
import type { ApiClient } from './api-client.ts';
import { hasStatus, leavesDoubt, neverSent } from './api-error.ts';
import { claimLabels, withSpec } from './claim-labels.ts';
import { inTurn } from './in-turn.ts';
import { labelHash } from './label-hash.ts';
import { listTable, type TableRow } from './list.ts';
import type { Log } from './log.ts';
import { type OwnClaim, OwnClaims, writeLimitSeconds } from './own-claims.ts';
import { deadlineIn, persist } from './persist.ts';
import { listPoolClaims } from './pool-claims.ts';
import { SharedRead } from './shared-read.ts';

export interface ClaimStoreOptions {
  readonly api: ApiClient;
  /** Name of this node's Node object. */
  readonly node: string;
  readonly log: Log;
  /** Unix time; `Date.now` when absent. */
  readonly now?: () => number;
  /** How long one operation may take before it fails with `ApiServerUnavailable`. 2,000 ms when absent. */
  readonly deadlineMs?: number;
}

export interface TakeRequest {
  /** Name of the claim: ipam's `claimName`. */
  readonly name: string;
  /** With prefix length, for example "10.70.8.20/22". */
  readonly address: string;
  readonly pool: string;
  readonly holder: ClaimHolder;
  /** What the address sticks to; absent for a pod that has no identity. */
  readonly identity?: string | undefined;
  readonly deadlineMs?: number;
}

export interface TakenNames {
  /** Every claim of the pool, in whatever phase. */
  readonly names: ReadonlySet<string>;
  /** Those of them that may be tried when nothing else is left, after a probe. */
  readonly suspects: ReadonlySet<string>;
  /** Unix time at which the list began. */
  readonly beganAtMs: number;
}

const collection = '/apis/orbweaver.io/v1alpha1/ipclaims';

/**
 * The claims of one node. Creating a claim is the allocation: the API server's create-if-absent is the only lock there is.
 * An address is ours once a write of ours put our container ID into its claim, and whatever removes that compares the
 * container ID in the same read whose UID and resourceVersion it sends.
 *
 * Every operation may be repeated, ends by its deadline and fails with `ApiServerUnavailable`.
 */
export class ClaimStore {
  readonly #api: ApiClient;
  readonly #node: string;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #deadlineMs: number;
  readonly #own: OwnClaims;
  readonly #oneAtATime = inTurn();
  readonly #taken = new Map<string, SharedRead<Omit<TakenNames, 'beganAtMs'>>>();
  /** By identity. */
  readonly #kept = new Map<string, SharedRead<readonly KeptClaim[]>>();
  #isLoaded = false;

  constructor({ api, node, log, now = Date.now, deadlineMs = 2000 }: ClaimStoreOptions) {
    this.#api = api;
    this.#node = node;
    this.#log = log;
    this.#now = now;
    this.#deadlineMs = deadlineMs;
    this.#own = new OwnClaims(node, now);
  }

  /** Lists this node's claims. Must have succeeded once before anything asks for own claims. */
  async loadOwn({ deadlineMs = this.#deadlineMs } = {}): Promise<void> {
    const list = (label: string, isShort: boolean): Promise<readonly TableRow[]> =>
      persist("list this node's IPClaims", deadlineIn(deadlineMs), (timeoutMs) =>
        listTable(
          this.#api,
          { path: collection, labelSelector: `${label}=${labelHash(this.#node)}`, isShort },
          deadlineIn(timeoutMs),
        ),
      );
    const [rows, shared] = await Promise.all([list(ipClaimLabels.node, false), list(ipClaimLabels.secondNode, true)]);
    for (const row of rows) this.#own.addListed(row);
    await Promise.all(shared.map((row) => this.readWhole(row['Name'] ?? ''))); // columns show the first holder only
    this.#isLoaded = true;
    this.#log.info({ claims: rows.length + shared.length }, 'own claims listed');
  }

  /** Claims of this node as remembered: a hint, every use of which ends in a write. */
  own(): readonly OwnClaim[] {
    if (this.#isLoaded) return this.#own.all();
    throw new ProvisionError({
      type: 'ApiServerUnavailable',
      message: `Cannot tell which addresses node "${this.#node}" holds: its IPClaims are not listed yet`,
      remedy: 'See whether the API server answers on this node: kubectl get --raw /readyz',
    });
  }

  /** What a pod's interface holds: an ADD takes or releases these before it creates anything. Both families unless one is named. */
  ownOf(podUID: string, interfaceName: string, family?: 4 | 6): readonly OwnClaim[] {
    return this.own().filter(
      (claim) =>
        claim.podUID === podUID &&
        claim.interface === interfaceName &&
        (family === undefined || familyOf(claim.name) === family),
    );
  }

  ownByContainer(containerID: string): readonly OwnClaim[] {
    return this.own().filter((claim) => claim.containerID === containerID);
  }

  /** What the addresses of an attachment stick to; none when nothing that it holds here is sticky. */
  identitiesOf(attachment: ClaimingAttachment): readonly string[] {
    const sticky = this.own().filter((claim) => claim.identity !== '' && isHeldBy(claim, attachment));
    return [...new Set(sticky.map(({ identity }) => identity))];
  }

  /**
   * Names of the claims that an identity's interface has, of both families; one that is of one interface has it under any name.
   * Those of this node are known; `elsewhere` asks the API server, with a list that began after `notBeforeMs` (Unix time) and that all who ask for this identity share. The API server
   * looks at every claim for it, so only pods that have an identity ask, and only when their own node knows nothing.
   */
  async keptFor(
    identity: string,
    interfaceName: string,
    elsewhere?: { readonly notBeforeMs: number },
  ): Promise<readonly string[]> {
    const isForIt = (claim: KeptClaim): boolean => claim.interface === interfaceName || isOfOneInterface(identity);
    if (elsewhere === undefined) {
      const own = this.own().filter((claim) => claim.identity === identity && isForIt(claim));
      return own.map(({ name }) => name);
    }
    if (this.#kept.size > mostRemembered) this.#kept.clear();
    const read = this.#kept.get(identity) ?? new SharedRead(() => this.#listKept(identity), this.#now);
    this.#kept.set(identity, read);
    const { value } = await read.begunAfter(elsewhere.notBeforeMs);
    return value.filter(isForIt).map(({ name }) => name);
  }

  /**
   * Takes an address: creates its claim or, when that is Held for this interface of this pod or of its identity, takes it over.
   * `taken`: the address is somebody else's, or Bound to another sandbox of this pod (then `ownOf` shows it from now on).
   *
   * A create without an answer is repeated under the same name until there is one. When the deadline comes first, the claim
   * is remembered as doubtful, so that the release of this sandbox looks for it.
   */
  async take(request: TakeRequest): Promise<'ours' | 'taken'> {
    const { name, address, pool, holder, identity, deadlineMs = this.#deadlineMs } = request;
    const deadline = deadlineIn(deadlineMs);
    const spec: IPClaimSpec = {
      address,
      pool,
      phase: 'Bound',
      holders: [holder],
      ...(identity === undefined ? {} : { identity }),
    };
    const wanted: IPClaim = {
      apiVersion: 'orbweaver.io/v1alpha1',
      kind: 'IPClaim',
      metadata: { name, labels: claimLabels(spec) },
      spec,
    };
    return this.#oneAtATime(turnOf(name, holder), () =>
      this.#minding(name, holder, (sent) =>
        persist(`create IPClaim "${name}"`, deadline, async (timeoutMs) => {
          try {
            const query = { timeout: `${writeLimitSeconds}s` };
            const create = { method: 'POST', path: collection, query, body: wanted, timeoutMs } as const;
            this.#own.see(await sent(this.#api.request<IPClaim>(create)));
            return 'ours';
          } catch (refusal) {
            if (!hasStatus(refusal, 409)) throw refusal;
            const found = await this.#get(name, timeoutMs);
            if (found === undefined) throw refusal; // freed between the two: create it again
            if (isOurs(found, holder)) return 'ours';
            if (!isHeldFor(found, holder, identity)) return 'taken';
            return await this.#takeOver(found, { holder, identity }, sent, timeoutMs);
          }
        }),
      ),
    );
  }

  /**
   * Takes over a claim, as the caller decided on what it saw: what is seen is the condition of the write. `lost`: it has changed
   * since then. `isJoining`: beside its holder, not instead of it.
   */
  async adopt(seen: IPClaim, taker: Taker): Promise<'ours' | 'lost'> {
    const { name, resourceVersion } = seen.metadata;
    const { holder } = taker;
    const deadline = deadlineIn(this.#deadlineMs);
    let asSeen: IPClaim | undefined = seen;
    return this.#oneAtATime(turnOf(name, holder), () =>
      this.#minding(name, holder, (sent) =>
        persist(`take over IPClaim "${name}"`, deadline, async (timeoutMs) => {
          const found = asSeen ?? (await this.#get(name, timeoutMs)); // after a write that was lost, or came too late
          asSeen = undefined;
          if (found === undefined) return 'lost';
          if (isOurs(found, holder)) return 'ours';
          if (found.metadata.resourceVersion !== resourceVersion) return 'lost';
          return await this.#takeOver(found, taker, sent, timeoutMs);
        }),
      ),
    );
  }

  /**
   * Gives back what an attachment holds and answers with the names of the claims that this call changed. Compares the
   * container ID: a successor's claim is nothing to release. Throws while a claim may still come to be whose create had no
   * answer: until then nobody can say that nothing is left.
   */
  async release({
    disposition,
    names = [],
    ...attachment
  }: ClaimingAttachment & {
    readonly disposition: Disposition;
    /** Claims to look at besides the remembered ones, for example those of the attachment's record. */
    readonly names?: readonly string[];
  }): Promise<readonly string[]> {
    const remembered = this.own().filter((claim) => isHeldBy(claim, attachment));
    const candidates = new Set([...names, ...remembered.map(({ name }) => name)]);
    const released = await this.#eachOf(candidates, (name) =>
      this.#change(
        name,
        (spec) => afterRelease(spec, attachment, disposition),
        `release IPClaim "${name}"`,
        disposition === 'undo' ? Math.min(undoLimitMs, this.#deadlineMs) : this.#deadlineMs,
      ),
    );
    const doubtful = this.own().find((claim) => claim.isDoubtful && isHeldBy(claim, attachment));
    if (doubtful) throw stillInDoubt(doubtful.name);
    return released;
  }

  /** Gives back one claim of a sandbox whose address turned out not to be usable, sticky or not; nothing when it names another. */
  async giveBack(name: string, containerID: string): Promise<void> {
    const ofThisSandbox = (spec: IPClaimSpec): AfterRelease => {
      const holder = spec.holders.find((one) => one.containerID === containerID);
      return holder ? afterRelease(spec, holder, 'end') : { outcome: 'nothing to release' };
    };
    await this.#change(name, ofThisSandbox, `give back IPClaim "${name}"`);
  }

  /**
   * Says that something else on the network answers for an address: nobody gets it before `until` (RFC 3339). Of a claim of this
   * sandbox, or one that is Suspect; whatever it is by now otherwise stays.
   */
  async setConflicted(
    name: string,
    { containerID, until }: { readonly containerID: string; readonly until: string },
  ): Promise<void> {
    const conflicted = (spec: IPClaimSpec): AfterRelease => {
      const isOurs = spec.phase === 'Bound' && spec.holders.some((one) => one.containerID === containerID);
      return isOurs || spec.phase === 'Suspect'
        ? { outcome: 'update', spec: toConflicted(spec, until) }
        : { outcome: 'nothing to release' };
    };
    await this.#change(name, conflicted, `mark IPClaim "${name}" as Conflicted`);
  }

  /** Frees what is Held, and not sticky, for a pod that is gone. Answers with the names of the freed claims. */
  async freeHeld(podUID: string): Promise<readonly string[]> {
    const held = this.own().filter(
      (claim) => claim.podUID === podUID && claim.phase === 'Held' && claim.identity === '',
    );
    return this.#eachOf(new Set(held.map(({ name }) => name)), (name) => this.#freeHeld(name, podUID));
  }

  /** Frees one claim that is Held, and not sticky, for this pod: its pool is no longer one of the pod's. */
  async releaseHeld(name: string, podUID: string): Promise<void> {
    await this.#freeHeld(name, podUID);
  }

  /** Names of the pool's claims as its last list showed them, if it began at most 30 s ago; no read. */
  recallTaken(pool: string): ReadonlySet<string> | undefined {
    const last = this.#taken.get(pool)?.last;
    return last && last.beganAtMs > this.#now() - recallMs ? last.value.names : undefined;
  }

  /**
   * The taken addresses of a pool, by the name of their claims, from a list that began after `notBeforeMs` (Unix time). One
   * list per pool runs at a time and is shared by everybody who waits for it.
   */
  async takenNames(pool: string, { notBeforeMs }: { readonly notBeforeMs: number }): Promise<TakenNames> {
    const read = this.#taken.get(pool) ?? new SharedRead(() => this.#listTaken(pool), this.#now);
    this.#taken.set(pool, read);
    const { value, beganAtMs } = await read.begunAfter(notBeforeMs);
    return { ...value, beganAtMs };
  }

  /** The claim as it is now, with its UID and every holder; undefined when there is none. */
  readWhole(name: string): Promise<IPClaim | undefined> {
    return persist(`read IPClaim "${name}"`, deadlineIn(this.#deadlineMs), (timeoutMs) => this.#get(name, timeoutMs));
  }

  async #listTaken(pool: string): Promise<Omit<TakenNames, 'beganAtMs'>> {
    const rows = await listPoolClaims(this.#api, pool, deadlineIn(this.#deadlineMs));
    const namesOf = (some: typeof rows): ReadonlySet<string> => new Set(some.map((row) => row['Name'] ?? ''));
    return { names: namesOf(rows), suspects: namesOf(rows.filter((row) => row['Phase'] === 'Suspect')) };
  }

  async #listKept(identity: string): Promise<readonly KeptClaim[]> {
    const labelSelector = `${ipClaimLabels.identity}=${labelHash(identity)}`;
    const rows = await persist(`list the IPClaims of ${identity}`, deadlineIn(this.#deadlineMs), (timeoutMs) =>
      listTable(this.#api, { path: collection, labelSelector, isShort: true }, deadlineIn(timeoutMs)),
    );
    return rows.map((row) => ({ name: row['Name'] ?? '', interface: row['NIC'] ?? '' }));
  }

  async #takeOver(found: IPClaim, taker: Taker, sent: Sent, timeoutMs: number): Promise<'ours'> {
    const { holder, identity, isJoining = false } = taker;
    const { until: _, unproven: __, identity: ___, holders, ...spec } = found.spec;
    const body = withSpec(found, {
      ...spec,
      phase: 'Bound',
      holders: isJoining ? [...holders, holder] : [holder],
      kept: true,
      ...(identity === undefined ? {} : { identity }),
    });
    this.#own.see(await sent(this.#put(body, timeoutMs)));
    this.#log.info(
      { claim: found.metadata.name, podUID: holder.podUID, containerID: holder.containerID, identity, isJoining },
      'claim taken over',
    );
    return 'ours';
  }

  #freeHeld(name: string, podUID: string): Promise<boolean> {
    const isFreeable = ({ phase, identity, holders }: IPClaimSpec): boolean =>
      phase === 'Held' && identity === undefined && holders.every((holder) => holder.podUID === podUID);
    return this.#change(
      name,
      (spec) => (isFreeable(spec) ? { outcome: 'delete' } : { outcome: 'nothing to release' }),
      `free the held IPClaim "${name}"`,
    );
  }

  /**
   * Reads a claim, decides on what was read, and writes on the condition that it still is what was read. Our own last write is
   * such a read: when there is something to do by it, the first try saves the request, and a claim that changed since refuses it.
   */
  #change(
    name: string,
    decide: (spec: IPClaimSpec) => AfterRelease,
    what: string,
    deadlineMs = this.#deadlineMs,
  ): Promise<boolean> {
    let isInDoubt = false; // a write whose answer was lost shows in the next read
    const lastSeen = this.#own.object(name);
    let remembered = lastSeen && decide(lastSeen.spec).outcome !== 'nothing to release' ? lastSeen : undefined;
    return persist(what, deadlineIn(deadlineMs), async (timeoutMs) => {
      const found = remembered ?? (await this.#get(name, timeoutMs));
      remembered = undefined;
      const next: AfterRelease = found ? decide(found.spec) : { outcome: 'nothing to release' };
      if (found === undefined || next.outcome === 'nothing to release') return isInDoubt;
      try {
        if (next.outcome === 'delete') return (await this.#delete(found, timeoutMs)) || isInDoubt;
        this.#own.see(await this.#put(withSpec(found, next.spec), timeoutMs));
        return true;
      } catch (error) {
        isInDoubt ||= leavesDoubt(error);
        throw error;
      }
    });
  }

  async #get(name: string, timeoutMs: number): Promise<IPClaim | undefined> {
    const sentAt = this.#own.moment();
    try {
      const claim = await this.#api.request<IPClaim>({ method: 'GET', path: `${collection}/${name}`, timeoutMs });
      this.#own.see(claim);
      return claim;
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
      this.#own.seeAbsent(name, sentAt);
      return undefined;
    }
  }

  #put(claim: IPClaim, timeoutMs: number): Promise<IPClaim> {
    return this.#api.request<IPClaim>({
      method: 'PUT',
      path: `${collection}/${claim.metadata.name}`,
      query: { timeout: `${writeLimitSeconds}s` },
      body: claim,
      timeoutMs,
    });
  }

  /** False when there is no such claim any more. */
  async #delete({ metadata: { name, uid, resourceVersion } }: IPClaim, timeoutMs: number): Promise<boolean> {
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } };
    const sentAt = this.#own.moment();
    try {
      await this.#api.request({ method: 'DELETE', path: `${collection}/${name}`, body, timeoutMs });
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
      this.#own.seeAbsent(name, sentAt);
      return false;
    }
    this.#own.seeAbsent(name, sentAt);
    return true;
  }

  /** Remembers a claim as doubtful when the operation fails and one of its writes was sent without an answer. */
  async #minding<Answer>(
    name: string,
    holder: ClaimHolder,
    operation: (sent: Sent) => Promise<Answer>,
  ): Promise<Answer> {
    let isInDoubt = false;
    const sent: Sent = async (write) => {
      try {
        return await write;
      } catch (error) {
        isInDoubt ||= leavesDoubt(error) && !neverSent(error);
        throw error;
      }
    };
    try {
      return await operation(sent);
    } catch (err) {
      if (isInDoubt) {
        this.#own.doubt(name, holder);
        this.#log.warn({ claim: name, containerID: holder.containerID, err }, 'claim left in doubt');
      }
      throw err;
    }
  }

  async #eachOf(names: ReadonlySet<string>, change: (name: string) => Promise<boolean>): Promise<readonly string[]> {
    const outcomes = await Promise.all([...names].map(async (name) => ((await change(name)) ? [name] : [])));
    return outcomes.flat();
  }
}

/** One try of the undo of an ADD. It is repeated for half an hour; but its caller has waited for the API server already. */
const undoLimitMs = 500;
/** For so long a list says where to look last. What was released meanwhile is found again once nothing else is free. */
const recallMs = 30_000;

const stillInDoubt = (name: string): ProvisionError =>
  new ProvisionError({
    type: 'ApiServerUnavailable',
    message: `Cannot release IPClaim "${name}" yet: the API server did not answer its create, and may still carry it out`,
    remedy: `None: it is looked for again until it cannot be made any more, ${writeLimitSeconds} s after the server is back`,
  });

/** Who takes a claim over. */
export interface Taker {
  readonly holder: ClaimHolder;
  /** What its address sticks to from now on; absent: to nothing. */
  readonly identity?: string | undefined;
  /** The claim keeps its holder: a machine migrates, and has its address on two nodes meanwhile. */
  readonly isJoining?: boolean;
}

interface KeptClaim {
  readonly name: string;
  readonly interface: string;
}

/** Lists of identities that are remembered for the other family of the same ADD. */
const mostRemembered = 1000;

/** Watches over a write: without an answer it leaves doubt. */
type Sent = <Answer>(write: Promise<Answer>) => Promise<Answer>;

/** Two creates of one interface and family at once could both succeed, and one would be forgotten. */
const turnOf = (name: string, { podUID, interface: nic }: ClaimHolder): string => `${podUID}/${nic}/${familyOf(name)}`;

/** Names of IPv6 claims are groups joined by "-"; those of IPv4 have none. */
const familyOf = (name: string): 4 | 6 => (name.includes('-') ? 6 : 4);

const isOurs = ({ spec }: IPClaim, holder: ClaimHolder): boolean =>
  spec.phase === 'Bound' && spec.holders.some((found) => found.podUID === holder.podUID && isHeldBy(found, holder));

const isHeldFor = ({ spec }: IPClaim, { podUID, interface: nic }: ClaimHolder, identity: string | undefined): boolean =>
  spec.phase === 'Held' &&
  spec.unproven !== true &&
  spec.holders.every(
    (holder) =>
      holder.interface === nic &&
      // Another pod that names an IPAMClaim may live: that is looked at before its address is taken over.
      (holder.podUID === podUID ||
        (identity !== undefined && !isOfOneInterface(identity) && spec.identity === identity)),
  );
