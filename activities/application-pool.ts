import type {
  ApplicationPoolActivities,
  ApplicationPoolReport,
  PodAnnotations,
  ReportedPool,
} from '../contracts/application-pool.ts';
import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import { applicationText, poolName } from '../ipam/auto-pools/pool-identity.ts';
import { newPool, readSeenPool, type SeenPoolObject, withAddresses } from '../ipam/auto-pools/pool-object.ts';
import {
  assignPools,
  fulfils,
  type PoolSubject,
  type PoolWish,
  type SeenApplication,
  wishOf,
} from '../ipam/auto-pools/pool-wish.ts';
import { reserve, type SubnetLedger } from '../ipam/auto-pools/subnet-ledger.ts';
import type { IntervalSet } from '../ipam/interval-set.ts';
import type { Log } from './node-ports.ts';

/** A change of a Subnet's record with what its maker wants to know. */
export interface LedgerChange<Result> {
  /** The same ledger when nothing is to be written. */
  readonly ledger: SubnetLedger;
  readonly result: Result;
}

/** `changed`: somebody wrote meanwhile; `exists`: a pool of this name was there. */
export type PoolWrite =
  | { readonly outcome: 'written' | 'changed' | 'exists' }
  | { readonly outcome: 'refused'; readonly why: string };

export interface ApplicationPoolPorts {
  readonly applications: {
    /**
     * As it is now, or was a moment ago if its changes are hinted at from then on. `podAnnotations`: of its pods, for kinds that
     * have no template we know.
     */
    find(
      subject: PoolSubject,
      podAnnotations: PodAnnotations,
    ): Promise<
      | { readonly outcome: 'found'; readonly application: SeenApplication }
      | { readonly outcome: 'absent' }
      | { readonly outcome: 'unreadable'; readonly why: string }
    >;
  };
  readonly pools: {
    /** True: a moment ago there was none, by what is known without a read. */
    hasNone(subject: PoolSubject): boolean;
    /** All that were made for it, from a read that begins now. */
    of(subject: PoolSubject): Promise<readonly SpiderIPPool[]>;
    create(pool: SpiderIPPool): Promise<PoolWrite>;
    /** On the condition of its resourceVersion. */
    update(pool: SpiderIPPool): Promise<PoolWrite>;
    /** On the condition of its UID. Succeeds when it is gone. */
    remove(pool: SpiderIPPool): Promise<void>;
  };
  readonly subnets: {
    /**
     * Decides on what the Subnet's record says now, and writes what was decided before it resolves. `decide` is called again when
     * somebody else wrote meanwhile. Its name is another object's when there is no such Subnet: `absent`.
     */
    change<Result>(
      name: string,
      decide: (ledger: SubnetLedger) => LedgerChange<Result>,
    ): Promise<
      | { readonly outcome: 'changed'; readonly result: Result }
      | { readonly outcome: 'absent' }
      | { readonly outcome: 'malformed'; readonly problem: string }
    >;
  };
  readonly claims: {
    /** Addresses of the pool that somebody has, from a list that begins now. */
    takenOf(pool: string): Promise<ReadonlySet<bigint>>;
  };
  readonly log: Pick<Log, 'info'>;
}

export interface ApplicationPoolSettings {
  /** Addresses over the replicas where the application does not say how many. */
  readonly surplus: number;
}

export const createApplicationPoolActivities = (
  ports: ApplicationPoolPorts,
  { surplus }: ApplicationPoolSettings,
): ApplicationPoolActivities => ({
  async seeToPool(subject, podAnnotations) {
    const found = await ports.applications.find(subject, podAnnotations);
    if (found.outcome === 'unreadable') return { state: 'Refused', why: found.why, pools: [], done: [] };
    const reading = wishOf(subject, found.outcome === 'found' ? found.application : undefined, surplus);
    if (reading.outcome === 'refused') return { state: 'Refused', why: reading.problem, pools: [], done: [] };
    const look = new Look(ports, subject, reading.outcome === 'wish' ? reading.wish : undefined);
    return await look.untilNothingChanges();
  },
});

/** How it stands with the pool that serves, and that pool as it is now. */
interface Service extends Pick<ApplicationPoolReport, 'state' | 'why'> {
  readonly serving?: SeenPoolObject | undefined;
}

/** One look at one application's pools: what is missing is written, what is to go is removed once nobody needs it. */
class Look {
  readonly #ports: ApplicationPoolPorts;
  readonly #subject: PoolSubject;
  readonly #wish: PoolWish | undefined;
  readonly #done: string[] = [];
  /** Names that other people's pools have. */
  readonly #foreign = new Set<string>();
  /** Pools of a Subnet that was made anew with another CIDR. */
  readonly #strayed = new Set<string>();

  constructor(ports: ApplicationPoolPorts, subject: PoolSubject, wish: PoolWish | undefined) {
    this.#ports = ports;
    this.#subject = subject;
    this.#wish = wish;
  }

  async untilNothingChanges(): Promise<ApplicationPoolReport> {
    for (let round = 1; round <= mostRounds; round += 1) {
      const report = await this.#once(round === 1);
      if (report !== 'again') return report;
    }
    return {
      state: 'Refused',
      why: 'its pool is changed again and again by somebody else',
      pools: [],
      done: this.#done,
    };
  }

  async #once(isFirst: boolean): Promise<ApplicationPoolReport | 'again'> {
    // Should there be one all the same, its creation is refused, and the next round reads.
    const isNew = isFirst && this.#wish !== undefined && this.#ports.pools.hasNone(this.#subject);
    const objects = isNew ? [] : await this.#ports.pools.of(this.#subject);
    const pools = objects.flatMap((object) => readSeenPool(object) ?? []);
    const strayed = pools.filter(({ name }) => this.#strayed.has(name));
    const assigned = assignPools(
      this.#wish,
      pools.filter((pool) => !strayed.includes(pool)),
    );
    const names = new Set(pools.map(({ name }) => name));
    const service = this.#wish && (await this.#serve(this.#wish, assigned.serving, names));
    if (service === 'again') return 'again';
    const left = (await Promise.all([...assigned.leaving, ...strayed].map((pool) => this.#remove(pool)))).flatMap(
      (pool) => pool ?? [],
    );
    return {
      ...whileSomeLeave(service ?? { state: assigned.staying.length > 0 ? 'Kept' : 'Gone', why: '' }, left),
      ...(this.#wish && { wanted: this.#wish.size }),
      pools: [
        ...(service?.serving ? [reportOf(service.serving, 'serves')] : []),
        ...left.map((pool) => reportOf(pool, 'is to go')),
        ...assigned.staying.map((pool) => reportOf(pool, 'is kept')),
      ],
      done: this.#done,
    };
  }

  async #serve(
    wish: PoolWish,
    serving: SeenPoolObject | undefined,
    names: ReadonlySet<string>,
  ): Promise<Service | 'again'> {
    if (serving && fulfils(wish, serving)) return { state: 'Ready', why: '', serving };
    const name = serving?.name ?? this.#freeName(wish, names);
    const isTooLarge = serving !== undefined && serving.addresses.size > BigInt(wish.size);
    const taken = isTooLarge ? await this.#ports.claims.takenOf(name) : new Set<bigint>();
    const changed = await this.#ports.subnets.change(wish.subnet, (ledger) =>
      setAside(ledger, wish, name, serving, taken),
    );
    const subnet = `SpiderSubnet "${wish.subnet}"`;
    if (changed.outcome === 'absent') return { state: 'WaitingForSubnet', why: `${subnet} does not exist`, serving };
    if (changed.outcome === 'malformed') return { state: 'Refused', why: `${subnet}: ${changed.problem}`, serving };
    const { result } = changed;
    if (result.outcome === 'waits') return { state: 'WaitingForSubnet', why: `${subnet} ${result.why}`, serving };
    if (result.outcome === 'other CIDR') {
      this.#strayed.add(name);
      return 'again';
    }
    const { ips } = result;
    const left = Number(ips.size) - wish.size;
    const standing: Service =
      left > 0 ? { state: 'Shrinking', why: `${left} addresses too many are in use` } : { state: 'Ready', why: '' };
    if (serving && fulfils({ ...wish, size: Number(ips.size) }, serving)) return { ...standing, serving };
    return await this.#write(
      wish,
      serving,
      serving ? withAddresses(serving.object, wish, ips) : newPool(name, wish, ips, result.subnet),
      standing,
    );
  }

  async #write(
    wish: PoolWish,
    serving: SeenPoolObject | undefined,
    pool: SpiderIPPool,
    standing: Service,
  ): Promise<Service | 'again'> {
    const { name } = pool.metadata;
    const written = serving ? await this.#ports.pools.update(pool) : await this.#ports.pools.create(pool);
    if (written.outcome === 'refused') return { state: 'Refused', why: written.why, serving };
    if (written.outcome === 'exists') {
      // A create of ours whose answer was lost is found by its labels; whoever else has the name keeps it.
      const pools = await this.#ports.pools.of(this.#subject);
      if (pools.every(({ metadata }) => metadata.name !== name)) this.#foreign.add(name);
    }
    if (written.outcome !== 'written') return 'again';
    const what = serving ? 'changed' : 'made';
    const now = readSeenPool(pool);
    this.#done.push(`${what} pool "${name}": ${shortened(pool.spec.ips ?? [])} of SpiderSubnet "${wish.subnet}"`);
    this.#ports.log.info({ pool: name, subnet: wish.subnet, ips: pool.spec.ips }, `automatic pool ${what}`);
    return { ...standing, serving: now };
  }

  #freeName(wish: PoolWish, names: ReadonlySet<string>): string {
    for (let turn = 1; ; turn += 1) {
      const name = poolName(wish.owner, turn);
      if (!names.has(name) && !this.#foreign.has(name)) return name;
    }
  }

  /** The pool while it has to stay; undefined when it is gone. Its Subnet's record follows with the audit. */
  async #remove(pool: SeenPoolObject): Promise<SeenPoolObject | undefined> {
    const { claims, pools, log } = this.#ports;
    if (pool.isTerminating || (await claims.takenOf(pool.name)).size > 0) return pool;
    await pools.remove(pool.object);
    this.#done.push(`removed pool "${pool.name}": no address of it was in use`);
    log.info({ pool: pool.name, subnet: pool.made.subnet }, 'automatic pool removed');
    return undefined;
  }
}

function whileSomeLeave(service: Service, left: readonly SeenPoolObject[]): Pick<Service, 'state' | 'why'> {
  const { state, why } = service;
  const names = left.map(({ name }) => `"${name}"`).join(', ');
  const leaving = `${names} ${left.length === 1 ? 'goes' : 'go'} when no address is in use any more`;
  if (left.length === 0) return { state, why };
  if (state === 'Ready') return { state: 'Replacing', why: leaving };
  return state === 'Kept' || state === 'Gone' ? { state: 'Removing', why: leaving } : { state, why };
}

type SettingAside =
  | { readonly outcome: 'reserved'; readonly ips: IntervalSet; readonly subnet: SubnetLedger['subnet'] }
  | { readonly outcome: 'waits'; readonly why: string }
  | { readonly outcome: 'other CIDR' };

function setAside(
  ledger: SubnetLedger,
  wish: PoolWish,
  pool: string,
  serving: SeenPoolObject | undefined,
  taken: ReadonlySet<bigint>,
): LedgerChange<SettingAside> {
  if (ledger.isTerminating) return { ledger, result: { outcome: 'waits', why: 'is being deleted' } };
  if (serving && serving.object.spec.subnet !== ledger.subnet.spec.subnet) {
    return { ledger, result: { outcome: 'other CIDR' } };
  }
  const application = applicationText(wish.owner.application);
  const reservation = reserve(ledger, { pool, application, size: BigInt(wish.size), taken });
  if (reservation.outcome === 'short') {
    const { missing, free } = reservation;
    const why = `has ${free} free ${free === 1n ? 'address' : 'addresses'}, and pool "${pool}" needs ${missing} more`;
    return { ledger, result: { outcome: 'waits', why } };
  }
  const { ips } = reservation;
  return { ledger: reservation.ledger, result: { outcome: 'reserved', ips, subnet: ledger.subnet } };
}

/** What somebody wrote between our read and our write is read again, this often. */
const mostRounds = 5;

const reportOf = ({ name, made, addresses }: SeenPoolObject, role: ReportedPool['role']): ReportedPool => ({
  name,
  subnet: made.subnet,
  size: Number(addresses.size),
  role,
});

const shortened = (ranges: readonly string[]): string =>
  ranges.length <= shownRanges ? ranges.join(', ') : `${ranges.slice(0, shownRanges).join(', ')}, …`;
const shownRanges = 5;
