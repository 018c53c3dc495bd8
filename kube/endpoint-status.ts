import { hash } from 'node:crypto';
import type { SpiderEndpointStatus } from '../contracts/crds/spiderendpoint.ts';
import type { SpiderIPPoolSpec } from '../contracts/crds/spiderippool.ts';
import { isOfOneInterface, parseIdentity } from '../ipam/sticky-identity.ts';
import type { ClaimRow, HolderRow } from './claim-feed.ts';

/** Who has the addresses, and which: what the claims say of one pod. */
export interface PodAddresses {
  readonly uid: string;
  readonly node: string;
  readonly interfaces: readonly InterfaceAddresses[];
  /** What the addresses stick to: it outlives the pod, which need not be there any more. */
  readonly owner?: Owner;
}

export interface InterfaceAddresses {
  readonly interface: string;
  /** With prefix length. */
  readonly ipv4?: string;
  readonly ipv4Pool?: string;
  readonly ipv6?: string;
  readonly ipv6Pool?: string;
}

/** By name of the pool. */
export type PoolRoutes = ReadonlyMap<string, Pick<SpiderIPPoolSpec, 'gateway' | 'routes'>>;

/** Kind and name of the pod's top controller, or of the pod itself. */
export interface Owner {
  readonly ownerControllerType: string;
  readonly ownerControllerName: string;
}

/**
 * What the claims say of the pod of this name; undefined when none says anything. Bound and Held claims are a pod's, except what is
 * Held for an IPAMClaim, whose next pod may be any; the other phases are nobody's any more. When two pods had the name one after the other, it is the one that got a Bound claim last; while
 * a machine migrates, it is the pod that it migrates to.
 *
 * @param pod Namespace/name of a pod, or of a KubeVirt machine.
 */
export function podAddresses(pod: string, claims: readonly ClaimRow[]): PodAddresses | undefined {
  const held = claims
    .flatMap((claim) => {
      const holder = claim.holders.findLast((one) => one.pod === pod);
      return holder === undefined ? [] : [{ claim, holder }];
    })
    .filter(({ claim }) => claim.phase === 'Bound' || (claim.phase === 'Held' && !isForIPAMClaim(claim)));
  const [newest] = held.toSorted((a, b) => rank(b.claim) - rank(a.claim) || compare(a.claim.address, b.claim.address));
  if (newest === undefined) return undefined;
  const { podUID: uid, node } = newest.holder;
  const owner = isForIPAMClaim(newest.claim) ? undefined : parseIdentity(newest.claim.identity ?? '');
  return {
    uid,
    node,
    interfaces: interfacesOf(held.filter(({ holder }) => holder.podUID === uid)),
    ...(owner && { owner: { ownerControllerType: owner.kind, ownerControllerName: owner.name } }),
  };
}

const isForIPAMClaim = ({ identity = '' }: ClaimRow): boolean => isOfOneInterface(identity);

const rank = ({ phase, createdAtSeconds }: ClaimRow): number => createdAtSeconds + (phase === 'Bound' ? 2 ** 52 : 0);

function interfacesOf(
  held: readonly { readonly claim: ClaimRow; readonly holder: HolderRow }[],
): readonly InterfaceAddresses[] {
  const byName = new Map<string, InterfaceAddresses>();
  for (const { claim, holder } of held.toSorted((a, b) => compare(a.claim.address, b.claim.address))) {
    const { address, pool } = claim;
    const family = address.includes(':') ? { ipv6: address, ipv6Pool: pool } : { ipv4: address, ipv4Pool: pool };
    byName.set(holder.interface, { interface: holder.interface, ...byName.get(holder.interface), ...family });
  }
  return [...byName.values()].toSorted((a, b) => compare(a.interface, b.interface));
}

/** 96 bits that stand for what the claims say, so that it can be compared with what is published without keeping that. */
export function fingerprint({ uid, node, interfaces }: PodAddresses): string {
  const rows = interfaces.map(({ interface: nic, ipv4, ipv4Pool, ipv6, ipv6Pool }) =>
    [nic, ipv4, ipv4Pool, ipv6, ipv6Pool].join(' '),
  );
  // From its bytes: a slice of the text would keep all of it.
  return hash('sha256', [`${uid} ${node}`, ...rows].join('\n'), 'buffer').toString('base64url', 0, 12);
}

/** The same of what is published. */
export const publishedFingerprint = (status: SpiderEndpointStatus | undefined): string | undefined =>
  status && fingerprint({ uid: status.current.uid, node: status.current.node, interfaces: status.current.ips });

/**
 * The status that the pod's SpiderEndpoint should have (spec/ipam.md §1.4). Gateway and routes are those of the pool when the
 * address is published first: a later edit of the pool reaches no pod that runs.
 */
export function endpointStatus(
  { uid, node, interfaces }: PodAddresses,
  published: SpiderEndpointStatus | undefined,
  pools: PoolRoutes,
  owner: Owner,
): SpiderEndpointStatus {
  const before = published?.current.uid === uid ? published.current.ips : [];
  return {
    current: {
      uid,
      node,
      ips: interfaces.map((addresses) => {
        const same = before.find(
          ({ interface: nic, ipv4, ipv6 }) =>
            nic === addresses.interface && ipv4 === addresses.ipv4 && ipv6 === addresses.ipv6,
        );
        return same ?? { ...addresses, ...wayOut(addresses, pools) };
      }),
    },
    ...owner,
  };
}

type WayOut = Pick<SpiderEndpointStatus['current']['ips'][number], 'ipv4Gateway' | 'ipv6Gateway' | 'routes'>;

function wayOut({ ipv4Pool = '', ipv6Pool = '' }: InterfaceAddresses, pools: PoolRoutes): WayOut {
  const [v4, v6] = [pools.get(ipv4Pool), pools.get(ipv6Pool)];
  const routes = [...(v4?.routes ?? []), ...(v6?.routes ?? [])];
  return {
    ...(v4?.gateway !== undefined && { ipv4Gateway: v4.gateway }),
    ...(v6?.gateway !== undefined && { ipv6Gateway: v6.gateway }),
    ...(routes.length > 0 && { routes }),
  };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
