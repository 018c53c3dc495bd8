import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { subnetCidrLabel } from '../auto-pools/pool-object.ts';
import { readEntries } from '../auto-pools/subnet-ledger.ts';
import { type Cidr, formatCidr } from '../cidr.ts';
import { type IntervalSet, intersect, subtract } from '../interval-set.ts';
import { ownerOf } from './adoption.ts';
import { completed } from './completion.ts';
import { asObject, asText, specOf } from './json-object.ts';
import { identityProblems, judgeTerminating, keepsSpec } from './lifecycle.ts';
import { readMetadata } from './metadata.ts';
import { overlapping } from './neighbours.ts';
import { type NetworkFields, readNetworkFields } from './network-fields.ts';
import { forbidden, invalid, type Problem, verdictOf } from './problem.ts';
import { shownRanges } from './range-list.ts';
import type { Mutation, Verdict } from './verdict.ts';
import type { AdmissionWorld } from './world.ts';

/** Completes a SpiderSubnet (spec/ipam.md §1.6.5), as `mutatePool` does a pool. */
export function mutateSubnet(object: unknown, old: unknown, { settings }: Pick<AdmissionWorld, 'settings'>): Mutation {
  if (readMetadata(old ?? object).isTerminating) return { outcome: 'mutated', object: asObject(object) };
  const network = readNetworkFields(specOf(object), settings.families);
  const verdict = verdictOf(actionOn(object, old), ownProblems(network, old, object));
  if (verdict.outcome === 'denied') return verdict;
  return { outcome: 'mutated', object: completed(asObject(object), network, subnetCidrLabel) };
}

/** Judges a new SpiderSubnet (spec/ipam.md §1.6.5). */
export function validateSubnetCreate(object: unknown, world: AdmissionWorld): Verdict {
  const { name } = readMetadata(object);
  const network = readNetworkFields(specOf(object), world.settings.families);
  const action = actionOn(object, undefined);
  if (name !== '' && world.subnets.some(({ metadata }) => metadata.name === name)) {
    const remedy = `choose another name, or edit the one that has it: kubectl edit ss ${name}`;
    return verdictOf(action, [
      { ...invalid('metadata.name', name, 'is taken by another SpiderSubnet', remedy), status: 409 },
    ]);
  }
  const { subnet } = network;
  const problems = [
    ...network.problems,
    ...(subnet ? overlapProblems(name, subnet, world) : []),
    ...(subnet ? poolProblems(subnet, network.addresses, world) : []),
  ];
  const off =
    'SpiderSubnets are off in this cluster, so nothing uses this one: set ORBWEAVER_ENABLE_SPIDER_SUBNET=true';
  return verdictOf(action, problems, world.settings.subnets ? [] : [off]);
}

/** Judges an edit (spec/ipam.md §1.6.5) by what it changes. */
export function validateSubnetUpdate(old: unknown, next: unknown, world: AdmissionWorld): Verdict {
  const action = actionOn(next, old);
  if (readMetadata(old).isTerminating) return judgeTerminating(action, old, next);
  const before = readNetworkFields(specOf(old));
  const after = readNetworkFields(specOf(next), world.settings.families);
  const gone = subtract(before.addresses, after.addresses);
  const problems = heldBy(old, world).flatMap(({ pool, addresses }) => {
    const lost = intersect(gone, addresses);
    if (lost.size === 0n || !before.subnet) return [];
    const ranges = shownRanges(lost, before.subnet.address.family);
    const remedy = 'take it from that pool first, or keep it here';
    return [
      forbidden('spec.ips', undefined, `would no longer have ${ranges}, which SpiderIPPool "${pool}" has`, remedy),
    ];
  });
  return verdictOf(action, [...ownProblems(after, old, next), ...problems]);
}

/** Judges a deletion (spec/ipam.md §1.6.5): refused while pools have addresses of it, with refusesDeletionInUse. */
export function validateSubnetDelete(old: unknown, world: AdmissionWorld): Verdict {
  const { name, isTerminating } = readMetadata(old);
  const action = `delete SpiderSubnet "${name}"`;
  if (!world.settings.refusesDeletionInUse || isTerminating) return verdictOf(action, []);
  const pools = new Set(heldBy(old, world).flatMap(({ pool, addresses }) => (addresses.size === 0n ? [] : [pool])));
  if (pools.size === 0) return verdictOf(action, []);
  const named = [...pools].slice(0, 3).join(', ');
  const what = pools.size <= 3 ? `has addresses in ${named}` : `has addresses in ${pools.size} pools, such as ${named}`;
  return verdictOf(action, [forbidden('metadata.name', name, what, 'delete those pools first')]);
}

const actionOn = (object: unknown, old: unknown): string =>
  `${old == null ? 'create' : 'change'} SpiderSubnet "${readMetadata(object).name}"`;

const ownProblems = ({ problems }: NetworkFields, old: unknown, next: unknown): readonly Problem[] =>
  old == null ? problems : [...identityProblems(old, next), ...(keepsSpec(old, next) ? [] : problems)];

function overlapProblems(name: string, subnet: Cidr, { subnets, pools }: AdmissionWorld): readonly Problem[] {
  const text = formatCidr(subnet);
  const remedy = 'use a subnet that lies apart';
  const same = subnets.filter(({ metadata, spec }) => spec.subnet === text && metadata.name !== name);
  const others = [...same, ...overlapping(name, subnet, subnets)];
  return [
    ...others.map((other) =>
      invalid(
        'spec.subnet',
        text,
        `overlaps with ${other.spec.subnet} of SpiderSubnet "${other.metadata.name}"`,
        remedy,
      ),
    ),
    ...overlapping('', subnet, pools).map((other) =>
      invalid(
        'spec.subnet',
        text,
        `overlaps with ${other.spec.subnet} of SpiderIPPool "${other.metadata.name}"`,
        remedy,
      ),
    ),
  ];
}

/** Pools that are there already become this Subnet's, with all that they have. */
function poolProblems(subnet: Cidr, addresses: IntervalSet, { pools }: AdmissionWorld): readonly Problem[] {
  const text = formatCidr(subnet);
  return pools.flatMap((pool) => {
    if (asText(specOf(pool)['subnet']) !== text) return [];
    const outside = subtract(readNetworkFields(specOf(pool)).addresses, addresses);
    if (outside.size === 0n) return [];
    const ranges = shownRanges(outside, subnet.address.family);
    const what = `lacks ${ranges} of SpiderIPPool "${pool.metadata.name}", which would be this Subnet’s`;
    return [invalid('spec.ips', undefined, what, 'add it here, or take it from that pool')];
  });
}

/** Who has addresses of a Subnet: what its status records, and its pools as they are. */
function heldBy(
  subnet: unknown,
  { pools, subnets }: AdmissionWorld,
): readonly { readonly pool: string; readonly addresses: IntervalSet }[] {
  const { name } = readMetadata(subnet);
  const status = asObject(asObject(subnet)['status'])['controlledIPPools'];
  const isOwned = (pool: SpiderIPPool): boolean => {
    const owner = ownerOf(readMetadata(pool), subnets);
    return (typeof owner === 'object' ? owner.metadata.name : owner) === name;
  };
  return [
    ...[...readEntries(typeof status === 'string' ? status : undefined)].map(([pool, { ips }]) => ({
      pool,
      addresses: ips,
    })),
    ...pools.filter(isOwned).map((pool) => ({
      pool: pool.metadata.name,
      addresses: readNetworkFields(specOf(pool)).addresses,
    })),
  ];
}
