import { type Failure, ProvisionError } from '../contracts/failures.ts';
import { type Family, familyName } from './address.ts';
import type { MalformedPool, PoolSnapshot } from './pool-snapshot.ts';
import { shownValue } from './shown-value.ts';
import { listSkipped, type SkippedPool } from './skipped-pool.ts';

/** The pod that a failure is about. */
interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** An address for which something answered that has no claim: a host that was configured by hand, say. */
export interface Conflict {
  /** With prefix length. */
  readonly address: string;
  readonly pool: string;
  /** MAC of whoever answered. */
  readonly mac: string;
}

const findIt = 'Find that host by its MAC (ip neigh, the tables of the switch)';

/** So many addresses in a row were found in use that the pool, or the network, needs a person. */
export function conflictsEverywhere(family: Family, conflicts: readonly Conflict[]): ProvisionError {
  const pools = [...new Set(conflicts.map(({ pool }) => pool))];
  return new ProvisionError({
    type: 'AddressConflict',
    message: `Cannot claim an ${familyName(family)} address: something else on the network answers for each that was tried: ${listConflicts(conflicts)}`,
    remedy: `${findIt}; or take these addresses out of spec.ips of SpiderIPPool ${pools.map((name) => `"${name}"`).join(' or ')}. A router with proxy ARP answers for all: switch that off, or detectIPConflict`,
  });
}

/** The one address that the pod may have is in use by something without a claim; `whose` says why only this one will do. */
export const conflictOf = ({ address, mac }: Pick<Conflict, 'address' | 'mac'>, whose: string): ProvisionError =>
  new ProvisionError({
    type: 'AddressConflict',
    message: `Cannot use ${address}, ${whose}: ${mac} on the network answers for it`,
    remedy: `${findIt} and take the address from it: it stays this pod's, and the runtime repeats the ADD`,
  });

/** Nobody answers at the gateway that comes with an address. */
export const gatewayUnreachable = (
  { address, pool, gateway }: { readonly address: string; readonly pool: string; readonly gateway: string },
  ifName: string,
  { tries }: { readonly tries: number },
): ProvisionError =>
  new ProvisionError({
    type: 'GatewayUnreachable',
    message: `Cannot use ${address} of pool "${pool}" on "${ifName}": its gateway ${gateway} does not answer (asked ${tries} times)`,
    remedy:
      'See whether the gateway is up, and in the VLAN of the interface underneath; correct spec.gateway of the pool; or set "detectGateway": false',
  });

const listConflicts = (conflicts: readonly Conflict[]): string =>
  conflicts.map(({ address, mac }) => `${address.replace(/\/.*/, '')} (${mac})`).join(', ');

/**
 * No pool of the family has a free address. True only if the claims were listed after the request arrived.
 *
 * @param skipped Pools that were named, too, and could not be tried.
 * @param conflicts Addresses that had no claim, and are in use all the same.
 */
export function poolExhausted(
  family: Family,
  tried: readonly Pick<PoolSnapshot, 'name' | 'candidates'>[],
  skipped: readonly Pick<SkippedPool, 'name' | 'reason'>[] = [],
  conflicts: readonly Conflict[] = [],
): ProvisionError {
  const pools = tried.map(({ name, candidates }) => ({ name: `"${name}"`, use: use(candidates.size) }));
  const [first, ...others] = pools;
  const told =
    first && others.length === 0
      ? `Cannot claim an ${familyName(family)} address from pool ${first.name}: ${first.use}`
      : `Cannot claim an ${familyName(family)} address: ${pools.map(({ name, use }) => `of pool ${name} ${use}`).join('; ')}`;
  const found = conflicts.length === 0 ? '' : `. Found in use by something else: ${listConflicts(conflicts)}`;
  const notTried = skipped.length === 0 ? '' : `. Not tried: ${listSkipped(skipped)}`;
  return new ProvisionError({
    type: 'PoolExhausted',
    message: `${told}${found}${notTried}`,
    remedy: `Extend spec.ips of SpiderIPPool ${pools.map(({ name }) => name).join(' or ')}, or see who holds them: ${tried.map(({ name }) => `orb pools ${name}`).join('; ')}`,
  });
}

function use(capacity: bigint): string {
  if (capacity === 0n) return 'none can be given: spec.ips is empty, or all of it is excluded or reserved';
  return capacity === 1n ? 'the only one is in use' : `all ${capacity} are in use`;
}

interface UnservedFamily {
  readonly family: Family;
  readonly skipped: readonly SkippedPool[];
}

/** Every pool that `source` names for these families was skipped. */
export function noPoolServes(families: readonly UnservedFamily[], source: string, pod: PodName): Failure {
  const skipped = families.flatMap((family) => family.skipped);
  const sentences = families.map(
    ({ family, skipped }) => `Cannot choose an ${familyName(family)} pool from ${source}: ${listSkipped(skipped)}`,
  );
  return {
    type: skipped.every(({ isMissing }) => isMissing) ? 'PoolNotFound' : 'NoPool',
    message: sentences.join('. '),
    remedy: `Correct these pools, or name others in ${source}. Step by step: ${orbWhy(pod)}`,
  };
}

/** No level names a pool. A default pool whose family cannot be read counts as none, so it is told here. */
export function noPoolNamed(sources: readonly string[], unreadable: readonly MalformedPool[], pod: PodName): Failure {
  const malformed = unreadable.map(({ name, problem }) => ({ name, reason: `is malformed (${problem})` }));
  return {
    type: 'NoPool',
    message: `Cannot choose a pool: none is named by ${sources.join(', nor by ')}${malformed.length > 0 ? ` (${listSkipped(malformed)})` : ''}`,
    remedy: `Name a pool in one of these places, or set spec.default: true on a SpiderIPPool. Step by step: ${orbWhy(pod)}`,
  };
}

/** What `source` names is of families that the cluster does not use, and of no other. */
export const noFamilyEnabled = (asked: readonly Family[], enabled: readonly Family[], source: string): Failure => ({
  type: 'NoPool',
  message: `Cannot choose a pool: ${source} asks for ${listFamilies(asked)} only, and this cluster does not use ${listFamilies(asked)}`,
  remedy: `Name ${listFamilies(enabled)} pools there, or switch it on with ${asked.map((family) => `ORBWEAVER_ENABLE_IPV${family}`).join(' and ')}`,
});

export const listFamilies = (families: readonly Family[]): string => families.map(familyName).join(' and ');

/** Where the choice for a pod is told in full. */
const orbWhy = ({ namespace, name }: PodName): string => `orb why ${namespace}/${name}`;

/** What is wrong with one annotation; `namespace` when it is not the pod's but that namespace's. */
export const invalidAnnotation = ({
  annotation,
  namespace,
  text,
  problem,
  example,
}: {
  readonly annotation: string;
  readonly namespace?: string;
  readonly text: string;
  readonly problem: string;
  readonly example: string;
}): Failure => ({
  type: 'InvalidAnnotation',
  message: `Cannot read ${namespace === undefined ? `pod annotation ${annotation}` : `annotation ${annotation} of namespace "${namespace}"`}: ${shownValue(problem)}. Found: ${shownValue(text)}`,
  remedy: `Write it as in this example: ${annotation}: '${example}'`,
});
