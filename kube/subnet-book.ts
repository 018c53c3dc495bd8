import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import type { SpiderReservedIP } from '../contracts/crds/spiderreservedip.ts';
import { cidrLabel, poolCidrLabel } from '../ipam/auto-pools/pool-object.ts';
import { ledgerStatus, readLedger, type SubnetLedger, type SubnetObject } from '../ipam/auto-pools/subnet-ledger.ts';
import { readReservations } from '../ipam/pool-catalogue.ts';
import type { ApiClient } from './api-client.ts';
import { hasStatus } from './api-error.ts';
import { listObjects } from './list.ts';
import { deadlineIn, persist } from './persist.ts';

/** A change of a Subnet's record with what its maker wants to know; the same ledger when nothing is to be written. */
export interface LedgerChange<Result> {
  readonly ledger: SubnetLedger;
  readonly result: Result;
}

export type Changed<Result> =
  | { readonly outcome: 'changed'; readonly result: Result }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'malformed'; readonly problem: string };

export interface SubnetBookOptions {
  readonly api: ApiClient;
  /** How long one write with everything that it needs may take before it fails with `ApiServerUnavailable`. 10,000 ms when absent. */
  readonly deadlineMs?: number;
}

interface Waiting {
  /** Adds its change to those of others. Called again when somebody else wrote meanwhile. */
  readonly decide: (ledger: SubnetLedger) => SubnetLedger;
  readonly settle: (outcome: Changed<undefined>) => void;
  readonly fail: (error: unknown) => void;
}

const group = '/apis/spiderpool.spidernet.io/v2beta1';

/**
 * The one writer of a SpiderSubnet's status. Every write is on the condition of the resourceVersion of the Subnet that was decided
 * on, so of two processes that give an address away one decides again. What waits while a write is on its way is the next write
 * together: 200 applications that come at once are a handful of writes.
 */
export class SubnetBook {
  readonly #api: ApiClient;
  readonly #deadlineMs: number;
  /** Who waits for the next write, by Subnet; present while one writes. */
  readonly #waiting = new Map<string, Waiting[]>();

  constructor({ api, deadlineMs = 10_000 }: SubnetBookOptions) {
    this.#api = api;
    this.#deadlineMs = deadlineMs;
  }

  /**
   * Decides on what the record says now, and resolves when what was decided is written. Fails with `ApiServerUnavailable`, and
   * then what was decided may be written all the same.
   */
  async change<Result>(name: string, decide: (ledger: SubnetLedger) => LedgerChange<Result>): Promise<Changed<Result>> {
    let decided: { readonly result: Result } | undefined;
    const outcome = await new Promise<Changed<undefined>>((settle, fail) => {
      const waiting: Waiting = {
        decide: (before) => {
          const { ledger, result } = decide(before);
          decided = { result };
          return ledger;
        },
        settle,
        fail,
      };
      const others = this.#waiting.get(name);
      if (others) others.push(waiting);
      else void this.#writeInTurn(name, [waiting]);
    });
    if (outcome.outcome !== 'changed') return outcome;
    if (decided === undefined) throw new Error(`Nobody decided on SpiderSubnet "${name}"`);
    return { outcome: 'changed', result: decided.result };
  }

  async #writeInTurn(name: string, first: Waiting[]): Promise<void> {
    for (let together = first; together.length > 0; together = this.#waiting.get(name) ?? []) {
      this.#waiting.set(name, []);
      try {
        const outcome = await persist(
          `write the status of SpiderSubnet "${name}"`,
          deadlineIn(this.#deadlineMs),
          (timeoutMs) => this.#write(name, together, timeoutMs),
        );
        for (const { settle } of together) settle(outcome);
      } catch (error) {
        for (const { fail } of together) fail(error);
      }
    }
    this.#waiting.delete(name);
  }

  async #write(name: string, together: readonly Waiting[], timeoutMs: number): Promise<Changed<undefined>> {
    const subnet = await this.#read(name, timeoutMs);
    if (subnet === undefined) return { outcome: 'absent' };
    const labelSelector = `${poolCidrLabel}=${cidrLabel(subnet.spec.subnet)}`;
    const [pools, reserved] = await Promise.all([
      listObjects<SpiderIPPool>(this.#api, { path: `${group}/spiderippools`, labelSelector }, deadlineIn(timeoutMs)),
      listObjects<SpiderReservedIP>(this.#api, { path: `${group}/spiderreservedips` }, deadlineIn(timeoutMs)),
    ]);
    const reading = readLedger(subnet, pools.items, readReservations(reserved.items).addresses);
    if (reading.outcome === 'malformed') return reading;
    const ledger = together.reduce((before, { decide }) => decide(before), reading.ledger);
    const status = ledgerStatus(ledger);
    if (!isSameStatus(status, subnet.status)) {
      // The subresource takes nothing but the status from this, whatever else the object holds.
      const { metadata } = subnet;
      await this.#api.request({
        method: 'PUT',
        path: `${group}/spidersubnets/${encodeURIComponent(name)}/status`,
        query: { fieldManager: 'orbweaver' },
        body: { ...subnet, metadata, status },
        timeoutMs,
      });
    }
    return { outcome: 'changed', result: undefined };
  }

  /** Its own 404 is an answer; that of the write means that it went meanwhile. */
  async #read(name: string, timeoutMs: number): Promise<SubnetObject | undefined> {
    try {
      const path = `${group}/spidersubnets/${encodeURIComponent(name)}`;
      return await this.#api.request<SubnetObject>({ method: 'GET', path, timeoutMs });
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  }
}

type Status = NonNullable<SubnetObject['status']>;
const isSameStatus = (a: Status, b: Status = {}): boolean =>
  a.controlledIPPools === b.controlledIPPools &&
  a.totalIPCount === b.totalIPCount &&
  a.allocatedIPCount === b.allocatedIPCount;
