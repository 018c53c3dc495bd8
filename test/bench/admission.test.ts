import { expect, it } from '@jest/globals';
import { validatePoolCreate } from '../../ipam/admission/pool-rules.ts';
import { world } from '../../ipam/admission/testing/objects.ts';
import { isMalformed, readPool } from '../../ipam/pool-snapshot.ts';
import { admissionKinds } from './admission.ts';

const nothing = { intervals: [], size: 0n };

it('the pools whose admission is measured have the addresses that their names say, and may be', () => {
  const sizes = Object.values(admissionKinds).map((specOf) => {
    const pool = { metadata: { name: 'p' }, spec: specOf(39) };
    expect(validatePoolCreate(pool, world())).toMatchObject({ outcome: 'allowed' });
    const read = readPool(pool, { 4: nothing, 6: nothing });
    return isMalformed(read) ? read.problem : read.candidates.size;
  });
  expect(sizes).toEqual([1n, 65_536n, 65_536n, 65_536n, 65_536n]);
});

it('no two of them share an address, in whichever turn they are made', () => {
  const specs = Object.values(admissionKinds).flatMap((specOf, place) =>
    [0, 1, 2].map((turn) => specOf(turn * 5 + place)),
  );
  const subnets = specs.map(({ subnet }) => subnet);
  expect(new Set(subnets).size).toBe(subnets.length);
});
