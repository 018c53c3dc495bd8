import { type Failure, ProvisionError } from '../contracts/failures.ts';
import { type Family, familyName } from './address.ts';
import type { MalformedPool, PoolSnapshot } from './pool-snapshot.ts';
import { shownValue } from './shown-value.ts';
import { listSkipped, type SkippedPool } from './skipped-pool.ts';

/** No pool of the family has a free address. True only if the claims were listed after the request arrived. */
export function poolExhausted(
  family: Family,
  tried: readonly Pick<PoolSnapshot, 'name' | 'candidates'>[],
): ProvisionError {
  const pools = tried.map(({ name, candidates }) => ({ name: `"${name}"`, use: use(candidates.size) }));
  const [first, ...others] = pools;
  return new ProvisionError({
    type: 'PoolExhausted',
    message:
      first && others.length === 0
        ? `Cannot claim an ${familyName(family)} address from pool ${first.name}: ${first.use}`
        : `Cannot claim an ${familyName(family)} address: ${pools.map(({ name, use }) => `of pool ${name} ${use}`).join('; ')}`,
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
export function noPoolServes(families: readonly UnservedFamily[], source: string): Failure {
  const skipped = families.flatMap((family) => family.skipped);
  const sentences = families.map(
    ({ family, skipped }) => `Cannot choose an ${familyName(family)} pool from ${source}: ${listSkipped(skipped)}`,
  );
  return {
    type: skipped.every(({ isMissing }) => isMissing) ? 'PoolNotFound' : 'NoPool',
    message: sentences.join('. '),
    remedy: `Correct these pools, or name others in ${source}: kubectl get spiderippools`,
  };
}

/** No level names a pool. A default pool whose family cannot be read counts as none, so it is told here. */
export function noPoolNamed(sources: readonly string[], unreadable: readonly MalformedPool[]): Failure {
  const malformed = unreadable.map(({ name, problem }) => ({ name, reason: `is malformed (${problem})` }));
  return {
    type: 'NoPool',
    message: `Cannot choose a pool: none is named by ${sources.join(', nor by ')}${malformed.length > 0 ? ` (${listSkipped(malformed)})` : ''}`,
    remedy: 'Name a pool in one of these places, or set spec.default: true on a SpiderIPPool',
  };
}

export const invalidAnnotation = (annotation: string, text: string, problem: string, example: string): Failure => ({
  type: 'InvalidAnnotation',
  message: `Cannot read pod annotation ${annotation}: ${problem}. Found: ${shownValue(text)}`,
  remedy: `Write it as in this example: ${annotation}: '${example}'`,
});
