import type { IPClaim, IPClaimSpec } from '../contracts/crds/ipclaim.ts';
import type { SpiderEndpoint } from '../contracts/crds/spiderendpoint.ts';
import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import { importedContainer, importedNetwork } from '../contracts/imported-claim.ts';
import { type Address, formatAddress, parseAddress, toClaimName } from '../ipam/address.ts';
import { formatCidr } from '../ipam/cidr.ts';
import { contains } from '../ipam/interval-set.ts';
import { readReservations } from '../ipam/pool-catalogue.ts';
import { isMalformed, type PoolSnapshot, readPool } from '../ipam/pool-snapshot.ts';
import { type Identity, identityText, type Stickiness, stickyIdentity } from '../ipam/sticky-identity.ts';
import type { PodView } from '../kube/pod-view.ts';

/** What a live Spiderpool says, and what is claimed already. */
export interface ImportEvidence {
  readonly pools: readonly SpiderIPPool[];
  readonly endpoints: readonly SpiderEndpoint[];
  /** All pods of the cluster, each with its own UID; `uid` is the runtime's. */
  readonly pods: readonly (PodView & { readonly objectUID: string })[];
  readonly claims: readonly IPClaim[];
  readonly stickiness: Stickiness;
}

/** What becomes of each record, by address. */
export interface ImportPlan {
  readonly create: readonly PlannedClaim[];
  /** Claimed already for the pod that the record names. */
  readonly present: readonly string[];
  /** Claims of an earlier import whose record is gone since: Spiderpool released the address. */
  readonly withdraw: readonly WithdrawnClaim[];
  readonly misfits: readonly Misfit[];
}

export interface PlannedClaim {
  /** Name of the claim. */
  readonly name: string;
  readonly spec: IPClaimSpec;
  /** What a person should know of it; absent for most. */
  readonly note?: string;
}

export interface WithdrawnClaim {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly pod: string;
}

/** A record of which nothing is made. */
export interface Misfit {
  readonly pool: string;
  /** As the record has it. */
  readonly address: string;
  /** "namespace/name", as the record has it. */
  readonly pod: string;
  /** The rest of a sentence that begins with the address. */
  readonly reason: string;
}

/** Compares what Spiderpool says with the pods and the claims. Pure: what is done is done by whoever reads the plan. */
export function planImport(evidence: ImportEvidence): ImportPlan {
  const index = indexOf(evidence);
  const create: PlannedClaim[] = [];
  const present: string[] = [];
  const misfits: Misfit[] = [];
  const { records, unreadable } = recordsOf(evidence.pools);
  misfits.push(...unreadable);
  for (const [address, told] of Map.groupBy(records, ({ address }) => address)) {
    const outcome = judge(address, told, index);
    if (outcome === 'present') present.push(address);
    else if ('reason' in outcome) misfits.push(...told.map((record) => misfit(record, outcome.reason)));
    else create.push(outcome);
  }
  return { create, present, withdraw: withdrawn(evidence, records), misfits };
}

/** One line of `status.allocatedIPs`. */
interface Told {
  readonly pool: SpiderIPPool;
  readonly address: string;
  /** "namespace/name"; a KubeVirt machine's name for its pod's. */
  readonly pod: string;
  readonly podUid: string;
}

interface Unfit {
  readonly reason: string;
}

interface Index {
  readonly podsByName: ReadonlyMap<string, ImportEvidence['pods'][number]>;
  readonly podsByUID: ReadonlyMap<string, ImportEvidence['pods'][number]>;
  readonly endpoints: ReadonlyMap<string, SpiderEndpoint>;
  readonly claims: ReadonlyMap<string, IPClaim>;
  readonly stickiness: Stickiness;
}

const keyOf = ({ namespace = '', name }: { readonly namespace?: string; readonly name: string }): string =>
  `${namespace}/${name}`;

const indexOf = ({ pods, endpoints, claims, stickiness }: ImportEvidence): Index => ({
  podsByName: new Map(pods.map((pod) => [keyOf(pod), pod])),
  podsByUID: new Map(pods.flatMap((pod) => [pod.objectUID, pod.uid].map((uid) => [uid, pod] as const))),
  endpoints: new Map(endpoints.map((endpoint) => [keyOf(endpoint.metadata), endpoint])),
  claims: new Map(claims.map((claim) => [claim.metadata.name, claim])),
  stickiness,
});

function recordsOf(pools: readonly SpiderIPPool[]): { records: readonly Told[]; unreadable: readonly Misfit[] } {
  const records: Told[] = [];
  const unreadable: Misfit[] = [];
  for (const pool of pools) {
    const told = readRecords(pool);
    if (told !== undefined) records.push(...told);
    else {
      const reason = 'cannot be told: status.allocatedIPs of the pool is not what Spiderpool writes';
      unreadable.push({ pool: pool.metadata.name, address: '–', pod: '–', reason });
    }
  }
  return { records, unreadable };
}

function readRecords(pool: SpiderIPPool): readonly Told[] | undefined {
  try {
    const text: string | null | undefined = pool.status?.allocatedIPs;
    const json: unknown = JSON.parse(text ?? '{}');
    if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
    return Object.entries(json as Readonly<Record<string, unknown>>).map(([address, record]) => {
      const { pod, podUid } = record as Readonly<Record<string, unknown>>;
      if (typeof pod !== 'string' || typeof podUid !== 'string') throw new TypeError('Not a record');
      return { pool, address, pod, podUid };
    });
  } catch {
    return undefined;
  }
}

/** All that is told of one address, which may stand in several pools. */
function judge(text: string, told: readonly Told[], index: Index): PlannedClaim | Unfit | 'present' {
  const [record] = told;
  if (record === undefined) return { reason: 'is told of by no pool' };
  const address = parseAddress(text);
  if (address === undefined) return { reason: 'is no address' };
  const uids = new Set(told.map(({ podUid }) => podUid));
  if (uids.size > 1)
    return {
      reason: `is two pods’: ${told.map(({ pool, pod }) => `${pod} by pool ${pool.metadata.name}`).join(', ')}`,
    };
  const pool = readPool(record.pool, readReservations([]).addresses);
  if (isMalformed(pool)) return { reason: `is of a malformed pool: ${pool.problem}` };
  if (!isConfigured(record.pool, address)) return { reason: 'is outside of the ips of its pool' };
  const claim = index.claims.get(toClaimName(address));
  const place = placeOf(record, text, index);
  if (claim !== undefined) return judgeClaimed(claim, place);
  if ('reason' in place) return place;
  return planned(pool, address, place);
}

/** Reserved addresses and gateways that a pod has all the same count: it has them. */
function isConfigured(object: SpiderIPPool, { value }: Address): boolean {
  const { gateway: _, ...spec } = object.spec;
  const pool = readPool({ ...object, spec }, readReservations([]).addresses);
  return !isMalformed(pool) && contains(pool.candidates, value);
}

function judgeClaimed({ spec }: IPClaim, place: Place | Unfit): Unfit | 'present' {
  const holders = spec.holders.map(({ namespace, pod }) => `${namespace}/${pod}`).join(' and ');
  if ('reason' in place) return { reason: `${place.reason}; it is claimed for ${holders} already` };
  const isSame =
    spec.holders.some(({ podUID }) => podUID === place.podUID) ||
    (place.identity !== undefined && spec.identity === identityText(place.identity));
  return isSame ? 'present' : { reason: `is claimed for ${holders} already` };
}

/** Where the address is used, and by whom. */
interface Place {
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  readonly node: string;
  readonly interface: string;
  readonly identity: Identity | undefined;
  /** The pod that has it is there. */
  readonly isThere: boolean;
  readonly note?: string;
}

function placeOf({ pod: name, podUid }: Told, address: string, index: Index): Place | Unfit {
  const endpoint = index.endpoints.get(name);
  const ifName = endpoint && interfaceOf(endpoint, address);
  const pod = index.podsByUID.get(podUid);
  const namesake = index.podsByName.get(name);
  if (endpoint === undefined)
    return { reason: `${whoseText(pod, namesake)}no SpiderEndpoint ${name} says on which interface it is` };
  if (ifName === undefined) return { reason: `is not what SpiderEndpoint ${name} says of the pod` };
  if (ifName === '') return { reason: `has no interface yet: the pod is just starting. Import again` };
  if (pod !== undefined) {
    if (pod.node === '') return { reason: `is of a pod that is on no node` };
    const identity = stickyIdentity(pod, index.stickiness);
    const finished = 'The pod has finished: should its address stay after the move, delete the claim';
    return {
      namespace: pod.namespace,
      pod: pod.name,
      podUID: pod.uid,
      node: pod.node,
      interface: ifName,
      identity,
      isThere: true,
      ...(pod.isFinished ? { note: finished } : {}),
    };
  }
  const [namespace = '', podName = ''] = name.split('/');
  const identity = stickyIdentity({ namespace, name: podName, ownerReferences: ownersIn(endpoint) }, index.stickiness);
  if (identity === undefined) {
    return {
      reason:
        namesake === undefined ? 'is of a pod that is gone' : 'is of a pod that is gone: another one has its name',
    };
  }
  const { node } = endpoint.status?.current ?? { node: '' };
  return { namespace, pod: podName, podUID: podUid, node, interface: ifName, identity, isThere: false };
}

const whoseText = (pod: PodView | undefined, namesake: PodView | undefined): string =>
  pod !== undefined
    ? ''
    : namesake === undefined
      ? 'is of a pod that is gone, and '
      : 'is of an earlier pod of that name, and ';

/** Interface of the address; empty while it has none, undefined when the endpoint knows nothing of it. */
const interfaceOf = ({ status }: SpiderEndpoint, address: string): string | undefined =>
  status?.current.ips.find(({ ipv4 = '', ipv6 = '' }) =>
    [ipv4, ipv6].some((cidr) => hostOf(cidr) === canonical(address)),
  )?.interface;

const canonical = (text: string): string => {
  const address = parseAddress(text);
  return address === undefined ? text : formatAddress(address);
};
const hostOf = (cidr: string): string => canonical(cidr.replace(/\/.*/, ''));

/** An endpoint names its pod's top controller without more; of those that keep addresses that is the controller itself. */
function ownersIn({ status }: SpiderEndpoint) {
  const { ownerControllerType: kind = '', ownerControllerName: name = '' } = status ?? {};
  const apiVersion = { StatefulSet: 'apps/v1', VirtualMachineInstance: 'kubevirt.io/v1' }[kind] ?? '';
  return [{ apiVersion, kind, name, uid: '', controller: true }];
}

function planned(pool: PoolSnapshot, address: Address, place: Place): PlannedClaim {
  const { namespace, pod, podUID, node, interface: nic, identity, isThere, note } = place;
  const cidr = formatCidr({ address, prefixLength: pool.subnet.prefixLength });
  return {
    name: toClaimName(address),
    spec: {
      address: cidr,
      pool: pool.name,
      phase: isThere ? 'Bound' : 'Held',
      holders: [
        {
          namespace,
          pod,
          podUID,
          interface: nic,
          network: importedNetwork,
          containerID: importedContainer(podUID),
          netns: '',
          netnsCookie: '',
          node,
          machineID: '',
          bootID: '',
        },
      ],
      kept: true,
      ...(identity === undefined ? {} : { identity: identityText(identity) }),
    },
    ...(note === undefined ? {} : { note }),
  };
}

/** Claims of an earlier import that nobody has touched since, and of which a pool whose records are complete says nothing more. */
function withdrawn({ pools, claims }: ImportEvidence, records: readonly Told[]): readonly WithdrawnClaim[] {
  const told = new Set(records.map(({ pool, address }) => `${pool.metadata.name} ${canonical(address)}`));
  const complete = new Set(
    pools
      .filter((pool) => (pool.status?.allocatedIPCount ?? 0) === readRecords(pool)?.length)
      .map(({ metadata }) => metadata.name),
  );
  return claims.flatMap(({ metadata: { name, uid = '', resourceVersion = '' }, spec }) => {
    const [holder] = spec.holders;
    const isUntouched = holder !== undefined && holder.containerID === importedContainer(holder.podUID);
    if (!isUntouched || !complete.has(spec.pool) || told.has(`${spec.pool} ${hostOf(spec.address)}`)) return [];
    return [{ name, uid, resourceVersion, pod: `${holder.namespace}/${holder.pod}` }];
  });
}

const misfit = ({ pool, address, pod }: Told, reason: string): Misfit => ({
  pool: pool.metadata.name,
  address,
  pod,
  reason,
});
