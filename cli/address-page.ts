import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimPhase } from '../contracts/ip-claim.ts';
import { podNetworkMessages } from '../contracts/pod-network.ts';
import { type Address, formatAddress } from '../ipam/address.ts';
import { cidrContains } from '../ipam/cidr.ts';
import { contains } from '../ipam/interval-set.ts';
import { type ReservedIPObject, readReservations } from '../ipam/pool-catalogue.ts';
import { isMalformed, type PoolObject, readPool } from '../ipam/pool-snapshot.ts';
import type { RunSummary } from './explanation.ts';
import type { Paint } from './paint.ts';
import { shortID } from './pod-table.ts';
import { table } from './table.ts';
import type { WallClock } from './wall-clock.ts';

/** What is known of one address: the JSON of `orb ip`. Times are Unix milliseconds. */
export interface AddressPage {
  /** Dotted decimal, or RFC 5952. */
  readonly address: string;
  /** Absent: nobody has it. */
  readonly claim?: AddressClaim;
  readonly pools: readonly AddressPool[];
  /** Runs that had it, newest first; absent when Temporal could not be asked. */
  readonly runs?: readonly AddressRun[];
  /** What does not fit together, or could not be looked up. */
  readonly warnings: readonly string[];
}

export interface AddressClaim {
  readonly phase: ClaimPhase;
  readonly pool: string;
  /** When the address was claimed; a pod's next sandbox takes the claim over as it is. */
  readonly sinceMs?: number;
  /** RFC 3339. */
  readonly until?: string;
  readonly identity?: string;
  readonly holders: readonly AddressHolder[];
}

export interface AddressHolder {
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  readonly node: string;
  readonly interface: string;
  readonly network: string;
  readonly containerID: string;
}

/** A pool in whose subnet the address is. */
export interface AddressPool {
  readonly name: string;
  readonly subnet: string;
  /** `candidate`: it may give the address. `outside`: the address is in its subnet and not in its `ips`. */
  readonly standing: 'candidate' | 'excluded' | 'reserved' | 'gateway' | 'outside' | 'malformed';
  /** Names of the reservations. */
  readonly reservedBy: readonly string[];
  readonly isDisabled: boolean;
}

export interface AddressRun {
  readonly workflowID: string;
  readonly runID: string;
  readonly namespace: string;
  readonly pod: string;
  readonly node: string;
  readonly containerID: string;
  /** As Temporal names it, for example "RUNNING". */
  readonly status: string;
  readonly startedAtMs: number;
  readonly closedAtMs?: number;
}

export interface AddressEvidence {
  readonly claim: IPClaim | undefined;
  readonly pools: readonly PoolObject[];
  readonly reservations: readonly ReservedIPObject[];
  /** Absent: Temporal could not be asked. */
  readonly runs?: readonly RunSummary[];
  /** Holders of the claim, as "namespace/name", whose pod the API server does not know. */
  readonly withoutPod: readonly string[];
  readonly warnings: readonly string[];
}

/** Puts together what claims, pools and runs say of an address, and says where they contradict each other. */
export function addressPage(address: Address, evidence: AddressEvidence): AddressPage {
  const { claim, pools, reservations, withoutPod, warnings } = evidence;
  const holders = claim?.spec.holders ?? [];
  const runs = evidence.runs?.map(runOf);
  const { phase, pool, until, identity } = claim?.spec ?? {};
  const createdAt = claim?.metadata.creationTimestamp;
  return {
    address: formatAddress(address),
    ...(phase === undefined || pool === undefined
      ? {}
      : {
          claim: {
            phase,
            pool,
            ...(createdAt === undefined ? {} : { sinceMs: Date.parse(createdAt) }),
            ...(until === undefined ? {} : { until }),
            ...(identity === undefined ? {} : { identity }),
            holders: holders.map(({ namespace, pod, podUID, node, interface: nic, network, containerID }) => ({
              namespace,
              pod,
              podUID,
              node,
              interface: nic,
              network,
              containerID,
            })),
          },
        }),
    pools: pools.flatMap((object) => poolOf(object, address, reservations) ?? []),
    ...(runs === undefined ? {} : { runs }),
    warnings: [
      ...warnings,
      ...withoutPod.map((pod) => `Pod ${pod} does not exist. What a sweep does about it: orb reclaim --dry-run`),
      ...(runs === undefined ? [] : contradictions(claim, runs, withoutPod)),
    ],
  };
}

function contradictions(
  claim: IPClaim | undefined,
  runs: readonly AddressRun[],
  withoutPod: readonly string[],
): readonly string[] {
  const open = runs.filter(({ status }) => status === 'RUNNING');
  const holders = claim?.spec.holders ?? [];
  const runless =
    claim?.spec.phase === 'Bound'
      ? holders
          .filter(({ namespace, pod }) => !withoutPod.includes(`${namespace}/${pod}`))
          .filter(({ containerID }) => !open.some((run) => run.containerID === containerID))
      : [];
  const claimless = open.filter(({ containerID }) => !holders.some((holder) => holder.containerID === containerID));
  return [
    ...runless.map(
      ({ containerID }) =>
        `Sandbox ${shortID(containerID)} has it by its claim, but no open ${podNetworkMessages.workflow} run says so: the run was terminated, or Temporal lost it. The pod keeps the address, its DEL frees it`,
    ),
    ...claimless.map(
      ({ workflowID }) =>
        `Run ${workflowID} is open and says that it has it, but ${claim === undefined ? 'nobody claims it' : 'the claim is of another sandbox'}. What a sweep does about it: orb reclaim --dry-run`,
    ),
  ];
}

function poolOf(
  object: PoolObject,
  address: Address,
  reservations: readonly ReservedIPObject[],
): AddressPool | undefined {
  const nothing = readReservations([]).addresses;
  const pool = readPool(object, nothing);
  const { name } = object.metadata;
  const subnet = object.spec.subnet;
  const isDisabled = object.spec.disable === true;
  if (isMalformed(pool)) {
    // What can be read of it: whether the address would be in its subnet.
    const bare = readPool({ metadata: object.metadata, spec: { subnet } }, nothing);
    if (isMalformed(bare) || !cidrContains(bare.subnet, address)) return undefined;
    return { name, subnet, standing: 'malformed', reservedBy: [], isDisabled };
  }
  if (!cidrContains(pool.subnet, address)) return undefined;
  const reservedBy = reservations.filter((one) => isReserved(one, address)).map(({ metadata }) => metadata.name);
  const withExcluded = readPool({ ...object, spec: { ...object.spec, excludeIPs: [] } }, nothing);
  const standing = (): AddressPool['standing'] => {
    if (pool.gateway?.value === address.value) return 'gateway';
    if (contains(pool.candidates, address.value)) return reservedBy.length > 0 ? 'reserved' : 'candidate';
    return !isMalformed(withExcluded) && contains(withExcluded.candidates, address.value) ? 'excluded' : 'outside';
  };
  return { name, subnet, standing: standing(), reservedBy, isDisabled };
}

const isReserved = (reservation: ReservedIPObject, { family, value }: Address): boolean =>
  contains(readReservations([reservation]).addresses[family], value);

function runOf({ workflowID, runID, containerID, status, startedAtMs, closedAtMs, node = '' }: RunSummary): AddressRun {
  const [, namespace = '', pod = ''] = workflowID.split('/');
  return {
    workflowID,
    runID,
    namespace,
    pod,
    node,
    containerID,
    status,
    startedAtMs,
    ...(closedAtMs === undefined ? {} : { closedAtMs }),
  };
}

export function renderAddress(page: AddressPage, clock: WallClock, paint: Paint, columns?: number): string {
  const { address, claim, pools, runs, warnings } = page;
  return [
    `${paint('bold', address)}  ${verdictOn(page)}`,
    ...(claim === undefined ? [] : [renderClaim(claim, clock)]),
    ...(pools.length === 0 ? [] : [section('Pools', renderPools(pools, columns), paint)]),
    ...(runs === undefined || runs.length === 0
      ? []
      : [section('Who had it', renderRuns(runs, clock, columns), paint)]),
    ...(runs?.length === 0 ? ['No run that Temporal remembers had it.'] : []),
    ...warnings.map((warning) => `${paint('busy', 'Warning:')} ${warning}`),
  ].join('\n\n');
}

const section = (title: string, body: string, paint: Paint): string => `${paint('bold', title)}\n${body}`;

function verdictOn({ claim, pools }: AddressPage): string {
  if (claim !== undefined) {
    const holders = claim.holders.map(({ namespace, pod }) => `${namespace}/${pod}`).join(' and ');
    return `${claim.phase}: ${holders}`;
  }
  if (pools.some(({ standing, isDisabled }) => standing === 'candidate' && !isDisabled)) return 'free';
  return pools.length === 0 ? 'in no pool' : 'nobody has it, and no pool gives it';
}

const renderClaim = ({ pool, sinceMs, until, identity, holders }: AddressClaim, clock: WallClock): string =>
  [
    ...holders.flatMap(({ namespace, pod, node, interface: nic, network, containerID }) => [
      `Pod      ${namespace}/${pod}, ${nic} (network ${network})`,
      `Node     ${node}`,
      `Sandbox  ${shortID(containerID)}`,
    ]),
    `Claimed  ${sinceMs === undefined ? '' : `${clock.time(sinceMs)}, `}from pool ${pool}`,
    ...(until === undefined ? [] : [`Until    ${clock.time(Date.parse(until))}`]),
    ...(identity === undefined ? [] : [`Kept for ${identity}`]),
  ].join('\n');

const standings = {
  candidate: 'may be given',
  excluded: 'excluded (excludeIPs)',
  reserved: 'reserved',
  gateway: 'its gateway',
  outside: 'not in its ips',
  malformed: 'unknown: the pool is malformed',
} as const satisfies Record<AddressPool['standing'], string>;

const renderPools = (pools: readonly AddressPool[], columns?: number): string =>
  table(
    ['POOL', 'SUBNET', 'THE ADDRESS'],
    pools.map(({ name, subnet, standing, reservedBy, isDisabled }) => [
      name,
      subnet,
      [
        reservedBy.length > 0 && standing === 'reserved' ? `reserved by ${reservedBy.join(', ')}` : standings[standing],
        ...(isDisabled ? ['the pool is disabled'] : []),
      ].join('; '),
    ]),
    columns,
  );

const renderRuns = (runs: readonly AddressRun[], clock: WallClock, columns?: number): string =>
  table(
    ['STARTED', 'ENDED', 'POD', 'NODE', 'STATUS', 'SANDBOX'],
    runs.map(({ startedAtMs, closedAtMs, namespace, pod, node, status, containerID }) => [
      clock.time(startedAtMs),
      closedAtMs === undefined ? '–' : clock.time(closedAtMs),
      `${namespace}/${pod}`,
      node,
      status.toLowerCase(),
      shortID(containerID),
    ]),
    columns,
  );
