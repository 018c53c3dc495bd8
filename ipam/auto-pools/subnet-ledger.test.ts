import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type IntervalSet, intersect, intervalSet, valuesFrom } from '../interval-set.ts';
import { readReservations } from '../pool-catalogue.ts';
import type { PoolObject } from '../pool-snapshot.ts';
import { formatRanges } from '../range-grammar.ts';
import { poolAffinity, poolLabels } from './pool-identity.ts';
import {
  addressesOf,
  audit,
  ledgerStatus,
  type PoolDemand,
  readLedger,
  reserve,
  type SubnetLedger,
  type SubnetObject,
} from './subnet-ledger.ts';

const subnet: SubnetObject = {
  metadata: { name: 'rack7' },
  spec: { subnet: '10.70.8.0/24', ips: ['10.70.8.10-10.70.8.19'], gateway: '10.70.8.1' },
};
const application = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'pay', name: 'api', uid: 'a-1' };
const pool = (name: string, ips: readonly string[], labels: PoolObject['metadata']['labels'] = {}): PoolObject => ({
  metadata: { name, labels },
  spec: { subnet: subnet.spec.subnet, ips },
});
const automatic = (name: string, ips: readonly string[]): PoolObject => {
  const { metadata, spec } = pool(
    name,
    ips,
    poolLabels({ application, ifName: 'eth0', family: 4 }, { subnet: 'rack7', isReclaimed: true }),
  );
  return { metadata, spec: { ...spec, podAffinity: { matchLabels: poolAffinity(application) } } };
};
const ledgerOf = (pools: readonly PoolObject[], record?: object, reserved: readonly string[] = []): SubnetLedger => {
  const object = record === undefined ? subnet : { ...subnet, status: { controlledIPPools: JSON.stringify(record) } };
  const { addresses } = readReservations([{ metadata: { name: 'r' }, spec: { ips: reserved } }]);
  const reading = readLedger(object, pools, addresses);
  if (reading.outcome === 'malformed') throw new Error(reading.problem);
  return reading.ledger;
};
const demand = (pool: string, size: number, taken: readonly bigint[] = []): PoolDemand => ({
  pool,
  application: 'apps_v1_Deployment_pay_api',
  size: BigInt(size),
  taken,
});
const at = (host: number): bigint => 0x0a460800n + BigInt(host);
const recordOf = (ledger: SubnetLedger): unknown => JSON.parse(ledgerStatus(ledger).controlledIPPools ?? '{}');
const reserved = (ledger: SubnetLedger, wanted: PoolDemand): readonly string[] => {
  const outcome = reserve(ledger, wanted);
  if (outcome.outcome === 'short') throw new Error(`${outcome.missing} of ${outcome.free}`);
  return formatRanges(outcome.ips, 4);
};

describe('setting addresses aside', () => {
  it('gives a new pool the lowest that no pool has and none that is recorded, reserved or the gateway', () => {
    const ledger = ledgerOf(
      [pool('manual', ['10.70.8.10'])],
      { promised: { ips: ['10.70.8.12'], application: 'apps_v1_Deployment_pay_web' } },
      ['10.70.8.14'],
    );
    expect(reserved(ledger, demand('auto', 3))).toEqual(['10.70.8.11', '10.70.8.13', '10.70.8.15']);
  });

  it('records what it gave, beside what others have', () => {
    const outcome = reserve(ledgerOf([]), demand('auto', 2));
    expect(outcome.outcome === 'reserved' && ledgerStatus(outcome.ledger)).toEqual({
      controlledIPPools: '{"auto":{"ips":["10.70.8.10-10.70.8.11"],"application":"apps_v1_Deployment_pay_api"}}',
      totalIPCount: 10,
      allocatedIPCount: 2,
    });
  });

  it('gives all that are missing, or none', () => {
    const ledger = ledgerOf([pool('manual', ['10.70.8.10-10.70.8.15'])]);
    expect(reserve(ledger, demand('auto', 5))).toEqual({ outcome: 'short', missing: 5n, free: 4n });
  });

  it('takes the lowest that nobody has away from a pool that is too large', () => {
    const ledger = ledgerOf([automatic('auto', ['10.70.8.10-10.70.8.14'])]);
    expect(reserved(ledger, demand('auto', 2, [at(10), at(12)]))).toEqual(['10.70.8.10', '10.70.8.12']);
    expect(reserved(ledger, demand('auto', 2))).toEqual(['10.70.8.13-10.70.8.14']);
  });

  it('never takes away what somebody has, although more was to go', () => {
    const ledger = ledgerOf([automatic('auto', ['10.70.8.10-10.70.8.14'])]);
    expect(reserved(ledger, demand('auto', 1, [at(11), at(12), at(14)]))).toEqual([
      '10.70.8.11-10.70.8.12',
      '10.70.8.14',
    ]);
  });

  it('goes on with what was recorded for a pool that then did not come', () => {
    const ledger = ledgerOf([], { auto: { ips: ['10.70.8.17-10.70.8.18'] } });
    expect(reserved(ledger, demand('auto', 3))).toEqual(['10.70.8.10', '10.70.8.17-10.70.8.18']);
  });

  it('corrects a shrink that was cut short, when the pool gave away an address outside the record since', () => {
    const ledger = ledgerOf([automatic('auto', ['10.70.8.10-10.70.8.13'])], {
      auto: { ips: ['10.70.8.12-10.70.8.13'] },
    });
    expect(reserved(ledger, demand('auto', 2, [at(10), at(13)]))).toEqual(['10.70.8.10', '10.70.8.13']);
  });

  it('keeps what a cut-short shrink dropped from the record away from others as long as the pool has it', () => {
    const ledger = ledgerOf([automatic('auto', ['10.70.8.10-10.70.8.13'])], {
      auto: { ips: ['10.70.8.12-10.70.8.13'] },
    });
    expect(reserved(ledger, demand('other', 2))).toEqual(['10.70.8.14-10.70.8.15']);
  });
});

describe('the audit', () => {
  it('I00022: drops what was made up: of manual pools at once, of automatic ones when they had their time', () => {
    const madeUp = {
      ghost: { ips: ['10.70.8.10'] },
      auto: { ips: ['10.70.8.11'], application: 'apps_v1_Deployment_pay_gone' },
      manual: { ips: ['10.70.8.19'] },
    };
    const ledger = ledgerOf([pool('manual', ['10.70.8.12'])], madeUp);
    const first = audit(ledger, new Set());
    expect(recordOf(first.ledger)).toEqual({
      auto: { ips: ['10.70.8.11'], application: 'apps_v1_Deployment_pay_gone' },
      manual: { ips: ['10.70.8.12'] },
    });
    expect(first.doubtful).toEqual(['auto']);
    expect(recordOf(audit(ledger, new Set(first.doubtful)).ledger)).toEqual({ manual: { ips: ['10.70.8.12'] } });
  });

  it('leaves the record of an automatic pool that is about to grow alone, and believes the pool in the end', () => {
    const ledger = ledgerOf([automatic('auto', ['10.70.8.10'])], {
      auto: { ips: ['10.70.8.10-10.70.8.12'], application: 'apps_v1_Deployment_pay_api' },
    });
    expect(recordOf(audit(ledger, new Set()).ledger)).toEqual(recordOf(ledger));
    expect(recordOf(audit(ledger, new Set(['auto'])).ledger)).toEqual({
      auto: { ips: ['10.70.8.10'], application: 'apps_v1_Deployment_pay_api' },
    });
  });

  it('waits for nothing in a Subnet that is being deleted', () => {
    const ledger = { ...ledgerOf([], { auto: { ips: ['10.70.8.11'], application: 'a' } }), isTerminating: true };
    expect(audit(ledger, new Set())).toMatchObject({ doubtful: [] });
    expect(ledgerStatus(audit(ledger, new Set()).ledger).controlledIPPools).toBeUndefined();
  });

  it.each(['', 'no JSON', '[]', '{"a":7}', '{"a":{"ips":"10.70.8.10"}}', '{"a":{"ips":["10.70.8.300", 7]}}'])(
    'makes nothing of a record that says %s',
    (text) => {
      const reading = readLedger(
        { ...subnet, status: { controlledIPPools: text } },
        [],
        readReservations([]).addresses,
      );
      expect(reading.outcome === 'ledger' && recordOf(audit(reading.ledger, new Set()).ledger)).toEqual({});
    },
  );
});

/** What happens to a Subnet: writes of ours, whole and cut short, and what others do meanwhile. */
type Event =
  | { readonly does: 'resize'; readonly pool: string; readonly size: number; readonly isCutShort: boolean }
  | { readonly does: 'claim' | 'release' | 'remove'; readonly pool: string }
  | { readonly does: 'audit'; readonly isOverdue: boolean };

const name = fc.constantFrom('a', 'b', 'c');
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ does: fc.constant('resize' as const), pool: name, size: fc.nat({ max: 7 }), isCutShort: fc.boolean() }),
  fc.record({ does: fc.constantFrom('claim' as const, 'release' as const, 'remove' as const), pool: name }),
  fc.record({ does: fc.constant('audit' as const), isOverdue: fc.boolean() }),
);

/** The store as it is: pools, their claims, and the Subnet's status as the text that it is stored as. */
class Store {
  readonly pools = new Map<string, PoolObject>([['manual', pool('manual', ['10.70.8.13'])]]);
  readonly taken = new Map<string, Set<bigint>>();
  status: SubnetObject['status'] = {};

  ledger(): SubnetLedger {
    const reading = readLedger(
      { ...subnet, status: this.status ?? {} },
      [...this.pools.values()],
      readReservations([]).addresses,
    );
    if (reading.outcome === 'malformed') throw new Error(reading.problem);
    return reading.ledger;
  }

  takenOf(name: string): Set<bigint> {
    const taken = this.taken.get(name) ?? new Set();
    this.taken.set(name, taken);
    return taken;
  }

  happens(event: Event): void {
    if (event.does === 'audit') {
      const { doubtful } = audit(this.ledger(), new Set());
      this.status = ledgerStatus(audit(this.ledger(), new Set(event.isOverdue ? doubtful : [])).ledger);
      return;
    }
    const taken = this.takenOf(event.pool);
    if (event.does === 'resize') {
      const outcome = reserve(this.ledger(), demand(event.pool, event.size, [...taken]));
      if (outcome.outcome === 'short') return;
      this.status = ledgerStatus(outcome.ledger);
      if (!event.isCutShort) this.pools.set(event.pool, automatic(event.pool, formatRanges(outcome.ips, 4)));
    } else if (event.does === 'remove') {
      if (taken.size === 0) this.pools.delete(event.pool); // it stays until nobody has an address of it
    } else {
      const found = this.pools.get(event.pool);
      const free = found && [...valuesFrom(addressesOf(found), 0n)].find((value) => !taken.has(value));
      if (event.does === 'claim' && free !== undefined) taken.add(free);
      if (event.does === 'release') taken.delete([...taken][0] ?? -1n);
    }
  }
}

describe('whatever happens, and wherever it is cut short', () => {
  const disjoint = (sets: readonly IntervalSet[]): boolean =>
    sets.every((one, index) => sets.slice(index + 1).every((other) => intersect(one, other).size === 0n));

  it('no address is in two pools, none that somebody has leaves its pool, and sums are right', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const store = new Store();
        for (const event of events) {
          store.happens(event);
          const { pools, entries } = store.ledger();
          const names = [...new Set([...pools.keys(), ...entries.keys()])];
          const ofEach = names.map((name) =>
            intervalSet([...(pools.get(name)?.ips.intervals ?? []), ...(entries.get(name)?.ips.intervals ?? [])]),
          );
          expect(disjoint(ofEach)).toBe(true);
          for (const [name, taken] of store.taken) {
            const ips = new Set(valuesFrom(pools.get(name)?.ips ?? intervalSet([]), 0n));
            expect([...taken].filter((value) => !ips.has(value))).toEqual([]);
          }
          const recorded = [...entries.values()].reduce((sum, { ips }) => sum + ips.size, 0n);
          expect(store.status?.allocatedIPCount ?? 0).toBe(Number(recorded));
        }
      }),
    );
  });

  it('a whole resize gives the pool as many as it demands, or as many as are taken', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 20 }), name, fc.nat({ max: 7 }), (events, pool, size) => {
        const store = new Store();
        for (const event of events) store.happens(event);
        const taken = store.takenOf(pool);
        const outcome = reserve(store.ledger(), demand(pool, size, [...taken]));
        if (outcome.outcome === 'reserved') expect(Number(outcome.ips.size)).toBe(Math.max(size, taken.size));
        else expect(outcome.free).toBeLessThan(outcome.missing);
      }),
    );
  });
});
