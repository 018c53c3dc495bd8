import type { VfSettings } from '../contracts/device.ts';

/**
 * Settings of a VF in the order in which they are set; the way back is the reverse. Trust is last: from then on the VF may ask for
 * what the others forbid.
 */
const order = [
  'vlan',
  'rate',
  'linkState',
  'spoofCheck',
  'mac',
  'nodeGuid',
  'portGuid',
  'trust',
] as const satisfies readonly (keyof VfSettings)[];

/** What has to be set, one at a time, so that a VF which is as `found` becomes as `wanted`; what `wanted` does not name stays. */
export const missingSettings = (found: VfSettings, wanted: VfSettings): VfSettings[] =>
  order.flatMap((key) =>
    wanted[key] === undefined || JSON.stringify(canonical(found[key])) === JSON.stringify(canonical(wanted[key]))
      ? []
      : [{ [key]: wanted[key] }],
  );

/** Objects with their keys in one order. */
const canonical = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)) : value;
