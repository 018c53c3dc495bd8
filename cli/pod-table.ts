import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimPhase } from '../contracts/ip-claim.ts';
import { fromClaimName } from '../ipam/address.ts';
import { table } from './table.ts';

/** One address that a pod has: a line of `orb pods`, an element of `items` in its JSON. */
export interface PodRow {
  readonly namespace: string;
  readonly pod: string;
  readonly node: string;
  readonly interface: string;
  readonly network: string;
  /** With prefix length, for example "10.70.8.20/22". */
  readonly address: string;
  readonly pool: string;
  readonly phase: ClaimPhase;
  /** The sandbox that has, or in phase Held had, the address. */
  readonly containerID: string;
  /** RFC 3339; only in the phases Cooling, Suspect and Conflicted. */
  readonly until?: string;
}

/** Absent: any. */
export interface PodFilter {
  readonly namespace?: string;
  readonly pod?: string;
  readonly node?: string;
}

/** A row for each holder of each claim, by namespace, pod, interface and address. */
export function podRows(claims: readonly IPClaim[], filter: PodFilter = {}): readonly PodRow[] {
  return [...claims]
    .sort(byAddress)
    .flatMap(({ spec }) =>
      spec.holders.map(
        ({ namespace, pod, node, interface: nic, network, containerID }): PodRow => ({
          namespace,
          pod,
          node,
          interface: nic,
          network,
          address: spec.address,
          pool: spec.pool,
          phase: spec.phase,
          containerID,
          ...(spec.until === undefined ? {} : { until: spec.until }),
        }),
      ),
    )
    .filter(
      (row) =>
        (filter.namespace === undefined || row.namespace === filter.namespace) &&
        (filter.pod === undefined || row.pod === filter.pod) &&
        (filter.node === undefined || row.node === filter.node),
    )
    .sort((a, b) => keyOf(a).localeCompare(keyOf(b), 'en', { numeric: true }));
}

export function renderPods(rows: readonly PodRow[], columns?: number): string {
  const head = ['NAMESPACE', 'POD', 'NODE', 'NIC', 'ADDRESS', 'POOL', 'PHASE', 'SANDBOX'];
  const cells = rows.map((row) => [
    row.namespace,
    row.pod,
    row.node,
    row.interface,
    row.address,
    row.pool,
    row.phase,
    shortID(row.containerID),
  ]);
  return table(head, cells, columns);
}

/** As `crictl` prints container IDs. */
export const shortID = (containerID: string): string => containerID.slice(0, 13);

/** IPv4 before IPv6, ascending: claims sort by their name's value, not by its text. */
export function byAddress(a: IPClaim, b: IPClaim): number {
  const [left, right] = [fromClaimName(a.metadata.name), fromClaimName(b.metadata.name)];
  if (left === undefined || right === undefined) return a.metadata.name.localeCompare(b.metadata.name, 'en');
  if (left.family !== right.family) return left.family - right.family;
  return left.value < right.value ? -1 : Number(left.value > right.value);
}

/** NUL sorts before every character of a name, so "a" comes before "a-b". The sort is stable, so addresses keep their order. */
const keyOf = (row: PodRow): string => [row.namespace, row.pod, row.interface].join('\0');
