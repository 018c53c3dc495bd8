import { ProvisionError } from '../contracts/failures.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { type Address, formatAddress, fromClaimName } from '../ipam/address.ts';
import { cidrContains } from '../ipam/cidr.ts';
import { conflictOf } from '../ipam/failures.ts';
import { isMalformed, type PoolSnapshot } from '../ipam/pool-snapshot.ts';
import { type Identity, identityText } from '../ipam/sticky-identity.ts';
import type { WantedCandidates } from '../ipam/wanted-address.ts';
import type { ClaimStore, Log, PoolReader } from './node-ports.ts';
import { stepLog } from './step-log.ts';
import { type TakenOver, type TakeOverPorts, type Taker, takeOver } from './take-over.ts';

export interface StickyPorts extends TakeOverPorts {
  readonly claims: TakeOverPorts['claims'] & Pick<ClaimStore, 'keptFor' | 'giveBack'>;
  readonly pools: Pick<PoolReader, 'fresh'>;
  readonly log: Log;
}

export interface StickyWant {
  readonly request: AddRequest;
  readonly identity: Identity;
  readonly taker: Taker;
  readonly candidates: WantedCandidates;
}

export interface StickyAddress {
  readonly pool: PoolSnapshot;
  readonly address: Address;
  /** Another pod of the identity has it, too: a machine that migrates. */
  readonly isShared: boolean;
}

/**
 * The address that the pod's identity has for this NIC and family, whichever pod and node had it last; `undefined` when it has
 * none, or had one that is not wanted any more, which is given up: its pool is not named for this NIC (spec/ipam.md §5.8; whatever
 * the filters say of those that are), or another address is asked for. Throws `StickyAddressInUse` while its last sandbox may still answer for it,
 * and `AddressConflict` when something does that nobody has proven to be another one.
 *
 * What this node remembers comes first: only a pod that comes from elsewhere, or for the first time, costs a list.
 */
export async function claimSticky(want: StickyWant, ports: StickyPorts): Promise<StickyAddress | undefined> {
  const { request, identity } = want;
  for (const elsewhere of [undefined, { notBeforeMs: request.arrivedAtMs }]) {
    const names = await ports.claims.keptFor(identityText(identity), request.attachment.ifName, elsewhere);
    const taken = await takeOneOf(names, want, ports);
    if (taken !== undefined) return taken;
  }
  return undefined;
}

async function takeOneOf(
  names: readonly string[],
  want: StickyWant,
  ports: StickyPorts,
): Promise<StickyAddress | undefined> {
  const inUse: Extract<TakenOver, { outcome: 'in use' }>[] = [];
  for (const name of names) {
    const address = fromClaimName(name);
    if (address?.family !== want.candidates.family) continue;
    const taken = await takeOver(name, want.taker, ports);
    if (taken.outcome === 'in use') inUse.push(taken);
    if (taken.outcome === 'answered') {
      const { address: answered } = taken.claim.spec;
      throw conflictOf({ address: answered, mac: taken.mac }, `which belongs to ${identityText(want.identity)}`);
    }
    if (taken.outcome !== 'ours') continue;
    const pool = await keptPool(taken.claim.spec.pool, address, want, ports);
    if (pool !== undefined) return { pool, address, isShared: taken.isShared };
    await ports.claims.giveBack(name, want.request.attachment.containerID);
    stepLog(ports.log, want.request).info(
      { address: formatAddress(address), pool: taken.claim.spec.pool, identity: identityText(want.identity) },
      'sticky address given up: its pool is not named any more, or another address is asked for',
    );
  }
  const [first] = inUse;
  if (first !== undefined) throw stickyAddressInUse(first, want);
  return undefined;
}

/**
 * The pool of an address that an identity keeps, as it is now: its filters do not count, its gateway and routes do. Undefined when
 * the address is given up. Throws `NoPool` when the pool is malformed.
 */
export async function keptPool(
  name: string,
  address: Address,
  { candidates, identity }: Pick<StickyWant, 'candidates' | 'identity'>,
  { pools }: Pick<StickyPorts, 'pools'>,
): Promise<PoolSnapshot | undefined> {
  const { wanted } = candidates;
  if (wanted !== undefined && wanted.address.value !== address.value) return undefined;
  const isNamed = [...candidates.pools, ...candidates.skipped].some((candidate) => candidate.name === name);
  if (!isNamed && identity.kind === 'StatefulSet') return undefined; // the others keep their addresses until they are deleted
  const pool = candidates.pools.find((candidate) => candidate.name === name) ?? (await pools.fresh(name));
  if (pool === undefined) return undefined;
  if (isMalformed(pool)) {
    throw new ProvisionError({
      type: 'NoPool',
      message: `Cannot give ${identityText(identity)} its address ${formatAddress(address)} again: pool "${name}" is malformed (${pool.problem})`,
      remedy: `Correct it: kubectl edit spiderippool ${name}`,
    });
  }
  return cidrContains(pool.subnet, address) ? pool : undefined;
}

function stickyAddressInUse(
  { claim, by, why }: Extract<TakenOver, { outcome: 'in use' }>,
  { request, identity }: StickyWant,
): ProvisionError {
  const { name } = claim.metadata;
  const { pod } = request;
  const awaited = identity.kind === 'IPAMClaim' ? 'pod' : 'sandbox';
  return new ProvisionError({
    type: 'StickyAddressInUse',
    message: `Cannot give pod ${pod.namespace}/${pod.name} the address ${claim.spec.address} of ${identityText(identity)} yet: ${why}`,
    remedy: `None while node "${by.node}" works: the end of that ${awaited} frees it, and the runtime repeats the ADD. See what is known of it: orb reclaim --dry-run. When you are certain that no interface has it any more: kubectl delete ipclaim ${name}`,
  });
}
