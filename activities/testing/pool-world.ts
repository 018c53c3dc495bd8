import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { readSeenPool } from '../../ipam/auto-pools/pool-object.ts';
import { isPoolOf, type SeenApplication } from '../../ipam/auto-pools/pool-wish.ts';
import { addressesOf, ledgerStatus, readLedger, type SubnetObject } from '../../ipam/auto-pools/subnet-ledger.ts';
import { intersect, intervalSet } from '../../ipam/interval-set.ts';
import { readReservations } from '../../ipam/pool-catalogue.ts';
import type { ApplicationPoolPorts } from '../application-pool.ts';

/** Says of each effect when it is about to happen and when it has happened; whoever throws here cuts it short. */
export type Moment = (effect: string, at: 'before' | 'after') => void;

/** A cluster in memory as far as automatic pools go. It keeps the rules that the API server and admission keep. */
export class PoolWorld implements ApplicationPoolPorts {
  /** By "kind/name". */
  readonly present = new Map<string, SeenApplication>();
  readonly stored = new Map<string, SpiderIPPool>();
  readonly subnetObjects = new Map<string, SubnetObject>();
  /** Addresses with a claim, by pool. */
  readonly taken = new Map<string, Set<bigint>>();
  /** Every effect, in order. */
  readonly effects: string[] = [];
  moment: Moment = () => undefined;
  #revision = 0;

  readonly log = { info: () => undefined };

  readonly applications: ApplicationPoolPorts['applications'] = {
    find: async ({ kind, name }) => {
      const application = this.present.get(`${kind}/${name}`);
      return application === undefined ? { outcome: 'absent' } : { outcome: 'found', application };
    },
  };

  /** How often pools were read. */
  reads = 0;
  /** What a watch shows is older than what is there: it shows no pools. */
  isBehind = false;

  readonly pools: ApplicationPoolPorts['pools'] = {
    hasNone: () => this.isBehind,
    of: async (subject) => {
      this.reads += 1;
      return [...this.stored.values()].filter((pool) => {
        const seen = readSeenPool(pool);
        return seen !== undefined && isPoolOf(seen, subject);
      });
    },
    create: async (pool) => {
      if (this.stored.has(pool.metadata.name)) return { outcome: 'exists' };
      return this.#store('create', pool);
    },
    update: async (pool) => {
      const stored = this.stored.get(pool.metadata.name);
      if (stored?.metadata.resourceVersion !== pool.metadata.resourceVersion) return { outcome: 'changed' };
      return this.#store('update', pool);
    },
    remove: async ({ metadata: { name, uid } }) => {
      this.#happen(`remove ${name}`, () => {
        if (this.stored.get(name)?.metadata.uid === uid) this.stored.delete(name);
      });
    },
  };

  readonly subnets: ApplicationPoolPorts['subnets'] = {
    change: async (name, decide) => {
      const subnet = this.subnetObjects.get(name);
      if (subnet === undefined) return { outcome: 'absent' };
      const reading = readLedger(subnet, [...this.stored.values()], readReservations([]).addresses);
      if (reading.outcome === 'malformed') return reading;
      const { ledger, result } = decide(reading.ledger);
      const status = ledgerStatus(ledger);
      if (status.controlledIPPools !== subnet.status?.controlledIPPools) {
        this.#happen(`record ${name}`, () => this.subnetObjects.set(name, { ...subnet, status }));
      }
      return { outcome: 'changed', result };
    },
  };

  readonly claims: ApplicationPoolPorts['claims'] = { takenOf: async (pool) => this.takenOf(pool) };

  takenOf(pool: string): Set<bigint> {
    const taken = this.taken.get(pool) ?? new Set();
    this.taken.set(pool, taken);
    return taken;
  }

  /** Pools by name with what they give: "auto4-… 10.70.8.10-10.70.8.12". */
  get poolLines(): readonly string[] {
    return [...this.stored.values()]
      .map(({ metadata, spec }) => `${metadata.name} ${(spec.ips ?? []).join(',')}`)
      .sort();
  }

  #store(how: string, pool: SpiderIPPool): Awaited<ReturnType<ApplicationPoolPorts['pools']['create']>> {
    const { name } = pool.metadata;
    const addresses = addressesOf(pool);
    const overlapping = [...this.stored.values()].find(
      (other) => other.metadata.name !== name && intersect(addressesOf(other), addresses).size > 0,
    );
    if (overlapping) return { outcome: 'refused', why: `overlaps pool "${overlapping.metadata.name}"` };
    const kept = intersect(
      intervalSet(Array.from(this.takenOf(name), (value) => ({ first: value, last: value }))),
      addresses,
    );
    if (kept.size < this.takenOf(name).size) return { outcome: 'refused', why: 'an address of it is in use' };
    this.#revision += 1;
    const { uid = `uid-${this.#revision}` } = this.stored.get(name)?.metadata ?? {};
    const metadata = { ...pool.metadata, uid, resourceVersion: String(this.#revision) };
    this.#happen(`${how} ${name}`, () => this.stored.set(name, { ...pool, metadata }));
    return { outcome: 'written' };
  }

  #happen(effect: string, work: () => void): void {
    this.moment(effect, 'before');
    work();
    this.effects.push(effect);
    this.moment(effect, 'after');
  }
}
