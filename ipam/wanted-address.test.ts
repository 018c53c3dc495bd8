import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { contains, valuesFrom } from './interval-set.ts';
import { pickAddress } from './pick-address.ts';
import { readReservations } from './pool-catalogue.ts';
import { isMalformed, offers, type PoolObject, type PoolSnapshot, readPool } from './pool-snapshot.ts';
import type { FamilyCandidates } from './select-pools.ts';
import { narrowTo, readWishes, type WantedAddress } from './wanted-address.ts';

const wantedOf = (...wishes: readonly (readonly [source: string, ...ips: string[]])[]): readonly string[] => {
  const reading = readWishes(wishes.map(([source, ...ips]) => ({ source, ips })));
  if (reading.outcome === 'refused') throw new Error(reading.failure.message);
  return reading.wanted.map(({ address, prefixLength = '' }) => `${formatAddress(address)}/${prefixLength}`);
};
const refusalOf = (...wishes: readonly (readonly [source: string, ...ips: string[]])[]): string => {
  const reading = readWishes(wishes.map(([source, ...ips]) => ({ source, ips })));
  if (reading.outcome === 'wanted') throw new Error('It was accepted');
  expect(reading.failure.type).toBe('InvalidConfig');
  return reading.failure.message;
};

describe('exact addresses that are asked for', () => {
  it('are one where all sources say the same, with the prefix length that any of them names', () => {
    expect(wantedOf(['a', '10.70.8.20'], ['b', '10.70.8.20/22'], ['c', '10.70.8.20'])).toEqual(['10.70.8.20/22']);
    expect(wantedOf(['a', 'fd70:0::20', 'FD70::20'])).toEqual(['fd70::20/']);
  });

  it('are one of each family, also when each source names only one', () => {
    expect(wantedOf(['a', 'fd70::20/64'], ['b', '10.70.8.20'])).toEqual(['fd70::20/64', '10.70.8.20/']);
  });

  it('are refused where two sources differ, with both named', () => {
    expect(refusalOf(['runtimeConfig.ips', '10.70.8.20/22'], ['args.cni.ips', '10.70.8.21'])).toBe(
      'Cannot tell which address is wanted: runtimeConfig.ips asks for 10.70.8.20/22 and args.cni.ips for 10.70.8.21',
    );
    expect(refusalOf(['a', '10.70.8.20/22'], ['b', '10.70.8.20/24'])).toContain('a asks for 10.70.8.20/22 and b for');
    expect(refusalOf(['a', '10.70.8.20', '10.70.8.21'])).toContain(
      'a asks for 10.70.8.20 and 10.70.8.21: an interface gets one IPv4 address',
    );
  });

  it.each(['', 'ten', '10.70.8', '10.70.8.20-10.70.8.21', '10.70.8.20/33', '10.70.8.20 ', '::ffff:10.70.8.20'])(
    'are not %j',
    (text) => {
      expect(refusalOf(['a', text])).toContain('which is no address');
    },
  );

  it('mean the same in whatever order the sources come', () => {
    const addresses = fc.constantFrom('10.70.8.20', '10.70.8.20/22', '10.70.8.21/22', 'fd70::20', 'fd70::20/64');
    const wish = fc.record({ source: fc.constantFrom('a', 'b', 'c'), ips: fc.array(addresses, { maxLength: 3 }) });
    const meaning = (wishes: readonly { source: string; ips: readonly string[] }[]) => {
      const reading = readWishes(wishes);
      return reading.outcome === 'refused'
        ? 'refused'
        : reading.wanted
            .map(({ address, prefixLength = '' }) => `${formatAddress(address)}/${prefixLength}`)
            .toSorted()
            .join();
    };
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 4 }), (wishes) => {
        expect(meaning(wishes.toReversed())).toBe(meaning(wishes));
      }),
    );
  });
});

const { addresses: reserved } = readReservations([{ metadata: { name: 'printers' }, spec: { ips: ['10.70.8.30'] } }]);
function pool(name: string, spec: PoolObject['spec']): PoolSnapshot {
  const read = readPool({ metadata: { name }, spec }, reserved);
  if (isMalformed(read)) throw new Error(read.problem);
  return read;
}
const rack7 = pool('rack7', {
  subnet: '10.70.8.0/22',
  ips: ['10.70.8.1-10.70.8.50'],
  excludeIPs: ['10.70.8.40'],
  gateway: '10.70.8.1',
});
const rack8 = pool('rack8', { subnet: '10.70.8.0/22', ips: ['10.70.8.45-10.70.8.60'] });
const six = pool('six', { subnet: 'fd70::/64', ips: ['fd70::10-fd70::20'] });
const skipped = [{ name: 'rack9', reason: 'does not exist', isMissing: true }];
const routes = { cleanGateway: false };
const dual: readonly FamilyCandidates[] = [
  { family: 4, pools: [rack7, rack8], skipped, routes },
  { family: 6, pools: [six], skipped: [], routes },
];
const at = (text: string): Address => {
  const address = parseAddress(text);
  if (!address) throw new Error(text);
  return address;
};
const wish = (text: string, prefixLength?: number): WantedAddress => ({
  address: at(text),
  source: 'args.cni.ips',
  ...(prefixLength === undefined ? {} : { prefixLength }),
});
const narrow = (wanted: readonly WantedAddress[], families = dual) =>
  narrowTo(wanted, families, reserved, 'pod annotation x');
const poolsFor = (wanted: readonly WantedAddress[]): readonly string[] => {
  const narrowing = narrow(wanted);
  if (narrowing.outcome === 'refused') throw new Error(narrowing.failure.message);
  return narrowing.families.flatMap(({ pools }) => pools.map(({ name }) => name));
};
const objection = (wanted: WantedAddress, families = dual): string => {
  const narrowing = narrow([wanted], families);
  if (narrowing.outcome === 'narrowed') throw new Error('It was accepted');
  expect(narrowing.failure.type).toBe('AddressNotOffered');
  return narrowing.failure.message;
};

describe('pools of a pod that asks for an exact address', () => {
  it('are those that may give it, in their order; the other family is served as ever', () => {
    expect(poolsFor([wish('10.70.8.47')])).toEqual(['rack7', 'rack8', 'six']);
    expect(poolsFor([wish('10.70.8.55', 22), wish('fd70::12')])).toEqual(['rack8', 'six']);
  });

  it('are all when nothing is asked for', () => {
    expect(narrow([])).toEqual({ outcome: 'narrowed', families: dual });
  });

  it.each([
    ['10.70.9.9', '"rack7" may not give it: it is not in spec.ips, or in spec.excludeIPs; "rack8" may not'],
    ['10.70.12.1', '"rack7" is 10.70.8.0/22; "rack8" is 10.70.8.0/22; "rack9" does not exist'],
    ['10.70.8.30', '"rack7" may not give it: a SpiderReservedIP has it'],
    ['10.70.8.40', '"rack7" may not give it: it is not in spec.ips, or in spec.excludeIPs'],
    ['10.70.8.1', '"rack7" may not give it: it is its gateway'],
  ])('cannot give %s, and say why', (text, why) => {
    expect(objection(wish(text))).toContain(`Cannot claim ${text}, which args.cni.ips asks for: `);
    expect(objection(wish(text))).toContain(why);
  });

  it('have the prefix length that is asked along', () => {
    expect(objection(wish('10.70.8.20', 24))).toContain('"rack7" has prefix length 22, and 24 is asked');
  });

  it('are of a family that the pod gets', () => {
    expect(objection(wish('fd70::10'), dual.slice(0, 1))).toContain(
      'the pod gets no IPv6 address, by pod annotation x',
    );
  });

  it('give that address and no other, and only where they would have given it', () => {
    const value = fc.bigInt(at('10.70.8.0').value, at('10.70.8.70').value);
    fc.assert(
      fc.property(value, fc.uuid(), (value, podUID) => {
        const address: Address = { family: 4, value };
        const narrowing = narrow([{ address, source: 'a' }]);
        const giving = [rack7, rack8].filter((candidate) => offers(candidate, address));
        if (narrowing.outcome === 'refused') return expect(giving).toEqual([]);
        const pools = narrowing.families[0]?.pools ?? [];
        expect(pools.map(({ name }) => name)).toEqual(giving.map(({ name }) => name));
        for (const candidate of pools) {
          expect([...valuesFrom(candidate.candidates, 0n)]).toEqual([value]);
          expect(contains(candidate.candidates, value)).toBe(true);
          expect(pickAddress(candidate, new Set(), { podUID, ifName: 'eth0' })).toEqual({ outcome: 'picked', address });
          expect(pickAddress(candidate, new Set([value]), { podUID, ifName: 'eth0' })).toMatchObject({
            outcome: 'exhausted',
          });
        }
      }),
    );
  });
});
