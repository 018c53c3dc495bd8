import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../contracts/crds/spidersubnet.ts';
import { adopted } from '../ipam/auto-pools/adopted-pool.ts';
import { cidrLabel, subnetCidrLabel } from '../ipam/auto-pools/pool-object.ts';
import { audit } from '../ipam/auto-pools/subnet-ledger.ts';
import type { LeaderRequest } from './leader-writes.ts';
import type { Log } from './log.ts';
import { PacedWork } from './paced-work.ts';
import { failureLog } from './publish-failure.ts';
import type { SubnetBook } from './subnet-book.ts';
import type { PoolRow, SubnetRow } from './subnet-rows.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';
const settleMs = 100;
const pauseMs = 1000;
/** A record is written before its pool, and the pool within seconds; what has no pool for so long will get none. */
const longestDoubtMs = 20_000;

export interface SubnetUpkeepOptions {
  readonly request: LeaderRequest;
  readonly book: Pick<SubnetBook, 'change'>;
  readonly subnets: () => ReadonlyMap<string, SubnetRow>;
  readonly pools: () => ReadonlyMap<string, PoolRow>;
  readonly log: Log;
}

/**
 * Keeps every SpiderSubnet in order (spec/ipam.md §6.8): its label, the pools of its CIDR that nobody controls, the record of what
 * its pools have. What is being deleted is the finalizers' business.
 */
export class SubnetUpkeep {
  readonly #options: SubnetUpkeepOptions;
  readonly #work: PacedWork;
  /** Since when (`performance.now`) the record of a pool says something else than the pool does, by Subnet and pool. */
  readonly #doubts = new Map<string, Map<string, number>>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #isStarted = false;

  constructor(options: SubnetUpkeepOptions) {
    this.#options = options;
    this.#work = new PacedWork({
      work: (name) => this.#tend(name),
      settleMs,
      atOnce: 4,
      onFailure: failureLog(options.log, 'SpiderSubnet not kept in order'),
    });
  }

  subnetChanged(name: string, after: SubnetRow | undefined): void {
    if (after === undefined) this.#forget(name);
    else if (this.#isStarted) this.#work.mark(name);
  }

  poolChanged(name: string, before: PoolRow | undefined, after: PoolRow | undefined): void {
    const isSame = before?.addresses === after?.addresses && before?.isOrphan === after?.isOrphan;
    if (isSame || !this.#isStarted) return;
    const cidrs = [before?.cidr, after?.cidr];
    for (const [subnet, { cidr }] of this.#options.subnets()) {
      if (!cidrs.includes(cidr)) continue;
      // Seen to go: what is recorded for it is no write that is on its way.
      if (after === undefined) this.#doubtsOf(subnet).set(name, Number.NEGATIVE_INFINITY);
      this.#work.mark(subnet);
    }
  }

  /** From here on Subnets are tended, and all of them now. To be called again and again. */
  compare(): void {
    this.#isStarted = true;
    for (const name of this.#options.subnets().keys()) this.#work.mark(name);
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#work.stop();
  }

  async #tend(name: string): Promise<number> {
    const { subnets, pools, log } = this.#options;
    const row = subnets().get(name);
    if (row === undefined) return 0;
    if (!row.isLabelled && !row.isTerminating) await this.#label(name);
    for (const [pool, { cidr, isOrphan, isTerminating }] of pools()) {
      if (cidr !== row.cidr || !isOrphan || isTerminating || row.isTerminating) continue;
      await this.#adopt(pool, name).catch((err: unknown) =>
        failureLog(log, 'pool not adopted by its SpiderSubnet')(err, pool),
      );
    }
    await this.#putRight(name);
    return pauseMs;
  }

  async #putRight(name: string): Promise<void> {
    const doubts = this.#doubtsOf(name);
    const before = [...doubts]; // more may come while this writes
    const now = performance.now();
    const overdue = new Set(before.flatMap(([pool, since]) => (now - since >= longestDoubtMs ? [pool] : [])));
    const changed = await this.#options.book.change(name, (ledger) => {
      const { ledger: right, doubtful } = audit(ledger, overdue);
      return { ledger: right, result: doubtful };
    });
    const left = changed.outcome === 'changed' ? changed.result.filter((pool) => !overdue.has(pool)) : [];
    for (const [pool] of before) if (!left.includes(pool)) doubts.delete(pool);
    for (const pool of left) if (!doubts.has(pool)) doubts.set(pool, now);
    clearTimeout(this.#timers.get(name));
    if (left.length > 0 && this.#isStarted) {
      this.#timers.set(name, setTimeout(() => this.#work.mark(name), longestDoubtMs).unref());
    }
  }

  async #label(name: string): Promise<void> {
    const path = `${group}/spidersubnets/${encodeURIComponent(name)}`;
    const subnet = await this.#options.request<SpiderSubnet>({ method: 'GET', path });
    const labels = { ...subnet.metadata.labels, [subnetCidrLabel]: cidrLabel(subnet.spec.subnet) };
    await this.#options.request({ method: 'PUT', path, body: { ...subnet, metadata: { ...subnet.metadata, labels } } });
  }

  async #adopt(pool: string, name: string): Promise<void> {
    const [found, subnet] = await Promise.all([
      this.#options.request<SpiderIPPool>({ method: 'GET', path: poolPath(pool) }),
      this.#options.request<SpiderSubnet>({
        method: 'GET',
        path: `${group}/spidersubnets/${encodeURIComponent(name)}`,
      }),
    ]);
    const body = adopted(found, subnet);
    if (body === undefined) return;
    await this.#options.request({ method: 'PUT', path: poolPath(pool), body });
    this.#options.log.info({ pool, subnet: name }, 'pool adopted by its SpiderSubnet');
  }

  #doubtsOf(subnet: string): Map<string, number> {
    const doubts = this.#doubts.get(subnet) ?? new Map<string, number>();
    this.#doubts.set(subnet, doubts);
    return doubts;
  }

  #forget(name: string): void {
    this.#doubts.delete(name);
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

const poolPath = (name: string): string => `${group}/spiderippools/${encodeURIComponent(name)}`;
