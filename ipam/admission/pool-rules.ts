import { parseAddress } from '../address.ts';
import { poolCidrLabel } from '../auto-pools/pool-object.ts';
import { readEntries } from '../auto-pools/subnet-ledger.ts';
import { formatCidr } from '../cidr.ts';
import { contains, type IntervalSet, intersect, intervalSet, isSameSet, subtract } from '../interval-set.ts';
import { detectionAnnotation } from '../pool-detection.ts';
import { adoptedFromList, ownerOf } from './adoption.ts';
import { completed } from './completion.ts';
import { asObject, specOf } from './json-object.ts';
import { identityProblems, judgeTerminating, keepsSpec } from './lifecycle.ts';
import { readMetadata } from './metadata.ts';
import { overlapping, sharedAddresses } from './neighbours.ts';
import { readNetworkFields } from './network-fields.ts';
import { type PoolFields, poolWarnings, readPoolFields } from './pool-fields.ts';
import { forbidden, invalid, type Problem, verdictOf } from './problem.ts';
import { shownRanges } from './range-list.ts';
import type { Mutation, Verdict } from './verdict.ts';
import type { AdmissionWorld, TakenAddress } from './world.ts';

/**
 * Completes a pool (spec/ipam.md §1.6.1); `old` is absent on CREATE. Refuses what the object and `old` alone show to be wrong: the
 * API server's schema would refuse some of it next, in words without a remedy.
 */
export function mutatePool(
  object: unknown,
  old: unknown,
  { settings, subnets }: Pick<AdmissionWorld, 'settings' | 'subnets'>,
): Mutation {
  if (readMetadata(old ?? object).isTerminating) return { outcome: 'mutated', object: asObject(object) };
  const owned = settings.subnets ? adoptedFromList(asObject(object), subnets) : asObject(object);
  const pool = readPoolFields(owned, settings.families);
  const verdict = verdictOf(actionOn(pool, old), ownProblems(pool, old, owned));
  if (verdict.outcome === 'denied') return verdict;
  return { outcome: 'mutated', object: completed(owned, pool.network, poolCidrLabel) };
}

/** Judges a new pool (spec/ipam.md §1.6.2). */
export function validatePoolCreate(object: unknown, world: AdmissionWorld): Verdict {
  const pool = readPoolFields(object, world.settings.families);
  const { name } = pool.metadata;
  const action = actionOn(pool, undefined);
  if (name !== '' && world.pools.some(({ metadata }) => metadata.name === name)) {
    const remedy = `choose another name, or edit the pool that has it: kubectl edit sp ${name}`;
    return verdictOf(action, [
      { ...invalid('metadata.name', name, 'is taken by another SpiderIPPool', remedy), status: 409 },
    ]);
  }
  const problems = [
    ...ownProblems(pool, undefined, object),
    ...overlapProblems(pool, world),
    ...sharingProblems(pool, pool.network.addresses, world),
    ...ownerProblems(pool, pool.network.addresses, world),
    ...lockProblems(undefined, pool, world),
  ];
  return verdictOf(action, problems, [...poolWarnings(pool), ...subnetWarnings(pool, world)]);
}

/** Judges an edit (spec/ipam.md §1.6.3) by what it changes; taken addresses are `judgeNarrowing`'s. */
export function validatePoolUpdate(old: unknown, next: unknown, world: AdmissionWorld): Verdict {
  const before = readPoolFields(old);
  const after = readPoolFields(next, world.settings.families);
  const action = actionOn(after, old);
  if (before.metadata.isTerminating) return judgeTerminating(action, old, next);
  const added = subtract(after.network.addresses, before.network.addresses);
  const hasNewOwner = ownerOf(before.metadata, world.subnets) !== ownerOf(after.metadata, world.subnets);
  const problems = [
    ...ownProblems(after, old, next),
    ...sharingProblems(after, added, world),
    ...ownerProblems(after, hasNewOwner ? after.network.addresses : added, world),
    ...lockProblems(before, after, world),
  ];
  return verdictOf(action, problems, keepsSpec(old, next) ? [] : poolWarnings(after));
}

/** The addresses that an edit takes away from a pool. PoolEdit, and the look at the claims, are needed only when there are any. */
export const narrowedBy = (old: unknown, next: unknown): IntervalSet =>
  keepsSpec(old, next) ? intervalSet([]) : subtract(addressesOf(old), addressesOf(next));

/** Refuses an edit that would take away an address that somebody has; `taken` are the pool's claims, inside `narrowedBy` or not. */
export function judgeNarrowing(old: unknown, next: unknown, taken: readonly TakenAddress[]): Verdict {
  const after = readPoolFields(next);
  const gone = narrowedBy(old, next);
  const problems = taken.flatMap(({ address, holder }) => {
    const value = parseAddress(address)?.value;
    if (value === undefined || !contains(gone, value)) return [];
    const remedy = 'keep it in spec.ips and out of spec.excludeIPs until it is given back';
    return [forbidden('spec.ips', undefined, `would no longer give "${address}", which ${holder} has`, remedy)];
  });
  return verdictOf(actionOn(after, old), problems);
}

/** Judges a deletion (spec/ipam.md §1.6.4). @param taken How many of the pool's addresses are taken; asked only with refusesDeletionInUse. */
export function validatePoolDelete(
  old: unknown,
  { settings }: Pick<AdmissionWorld, 'settings'>,
  taken: number,
): Verdict {
  const { name, isTerminating } = readMetadata(old);
  const isRefused = settings.refusesDeletionInUse && !isTerminating && taken > 0;
  const remedy = `see who has them, orb pools ${name}, and delete it when they are given back`;
  const what = taken === 1 ? 'has 1 address in use' : `has ${taken} addresses in use`;
  return verdictOf(`delete SpiderIPPool "${name}"`, isRefused ? [forbidden('metadata.name', name, what, remedy)] : []);
}

const addressesOf = (object: unknown): IntervalSet => readNetworkFields(specOf(object)).addresses;

const actionOn = ({ metadata }: PoolFields, old: unknown): string =>
  `${old == null ? 'create' : 'change'} SpiderIPPool "${metadata.name}"`;

function ownProblems(pool: PoolFields, old: unknown, next: unknown): readonly Problem[] {
  if (old == null) return [...pool.problems, ...pool.detectionProblems];
  const { annotations } = pool.metadata;
  const keepsDetection = readMetadata(old).annotations[detectionAnnotation] === annotations[detectionAnnotation];
  return [
    ...identityProblems(old, next),
    ...(keepsSpec(old, next) ? [] : pool.problems),
    ...(keepsDetection ? [] : pool.detectionProblems),
  ];
}

/** One address space is one subnet: others lie apart from it, or are the same. */
const overlapProblems = (
  { metadata, network: { subnet } }: PoolFields,
  { pools }: AdmissionWorld,
): readonly Problem[] =>
  subnet === undefined
    ? []
    : overlapping(metadata.name, subnet, pools).map((other) =>
        invalid(
          'spec.subnet',
          formatCidr(subnet),
          `overlaps with ${other.spec.subnet} of SpiderIPPool "${other.metadata.name}"`,
          `use a subnet that lies apart, or "${other.spec.subnet}" here too`,
        ),
      );

/** No address in two pools. Only what an edit adds is judged: pools that share addresses already can be put right step by step. */
function sharingProblems(
  { metadata, network: { subnet } }: PoolFields,
  added: IntervalSet,
  { pools }: AdmissionWorld,
): readonly Problem[] {
  if (!subnet) return [];
  return sharedAddresses(metadata.name, subnet, added, pools).map(({ pool, shared }) =>
    invalid(
      'spec.ips',
      shownRanges(shared, subnet.address.family),
      `is given by SpiderIPPool "${pool}" too`,
      'take it out of one of them, or add it to the spec.excludeIPs of one',
    ),
  );
}

/** @param addresses Those that have to be the Subnet's. */
function ownerProblems(
  { metadata, network: { subnet } }: PoolFields,
  addresses: IntervalSet,
  { settings, subnets }: AdmissionWorld,
): readonly Problem[] {
  const owner = ownerOf(metadata, subnets);
  if (!settings.subnets || owner === undefined || addresses.size === 0n || !subnet) return [];
  if (typeof owner === 'string') {
    const remedy = 'create it, or remove the label ipam.spidernet.io/owner-spider-subnet and the owner reference';
    return [invalid('metadata.ownerReferences', owner, 'is the name of no SpiderSubnet', remedy)];
  }
  const outside = subtract(addresses, addressesOf(owner));
  if (outside.size === 0n) return [];
  const what = `is outside SpiderSubnet "${owner.metadata.name}", which owns the pool`;
  const remedy = 'add it to that one’s spec.ips first, or leave it out here';
  return [invalid('spec.ips', shownRanges(outside, subnet.address.family), what, remedy)];
}

/** The addresses of an automatic pool are set by the control worker, which has recorded them in the Subnet before. */
function lockProblems(before: PoolFields | undefined, after: PoolFields, world: AdmissionWorld): readonly Problem[] {
  const { subnet, addresses } = after.network;
  const isAutomatic = after.isAutomatic || before?.isAutomatic === true;
  const had = before?.network.addresses ?? intervalSet([]);
  if (!isAutomatic || !subnet || isSameSet(had, addresses)) return [];
  const ranges = shownRanges(addresses, subnet.address.family);
  if (world.user !== world.controlWorker) {
    const remedy = 'change the annotation ipam.spidernet.io/ippool-ip-number of its application';
    return [forbidden('spec.ips', ranges, 'are of an automatic pool, which only the control worker sets', remedy)];
  }
  const owner = ownerOf(after.metadata, world.subnets);
  const records = readEntries(
    owner !== undefined && typeof owner !== 'string' ? owner.status?.controlledIPPools : undefined,
  );
  const recorded = records.get(after.metadata.name)?.ips;
  if (recorded && isSameSet(recorded, addresses)) return [];
  const what = 'is not what the SpiderSubnet’s status.controlledIPPools says for the pool';
  return [invalid('spec.ips', ranges, what, 'record it there first')];
}

/** Admitted, because Spiderpool admits it, and worth a word. */
function subnetWarnings({ metadata, network }: PoolFields, { settings, subnets }: AdmissionWorld): readonly string[] {
  const { subnet, addresses } = network;
  if (!settings.subnets || !subnet) return [];
  const { family } = subnet.address;
  const covering = overlapping('', subnet, subnets).map(
    (other) =>
      `SpiderSubnet "${other.metadata.name}" (${other.spec.subnet}) does not manage this pool, whose subnet is another one`,
  );
  const setAside = subnets
    .filter(({ spec }) => spec.subnet === formatCidr(subnet))
    .flatMap(({ status }) => [...readEntries(status?.controlledIPPools)])
    .flatMap(([pool, { ips }]) => {
      const shared = pool === metadata.name ? undefined : intersect(addresses, ips);
      return shared && shared.size > 0n
        ? [`${shownRanges(shared, family)} is set aside for the automatic pool "${pool}", which cannot get it now`]
        : [];
    });
  return [...covering, ...setAside];
}
