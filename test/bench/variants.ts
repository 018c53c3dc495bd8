import type { PodCallOptions } from '../fleet/fleet-pod.ts';
import { addressesOnlyNetwork, chainNetwork, tiedChainNetwork, tiedNetwork, wholeNetwork } from '../fleet/networks.ts';
import type { PoolName } from './pools.ts';

/**
 * How a pod's interface is made: by us alone, by the community's macvlan with our IPAM, or only its addresses; `tied`: coordination
 * too, in the same call or as one more plugin of the chain.
 */
export type Mode = 'addresses' | 'whole' | 'chain' | 'tied whole' | 'tied chain';

/** One row of the benchmark. */
export interface Variant {
  /** Unique, for example "addresses, 32 at once". */
  readonly name: string;
  readonly mode: Mode;
  readonly isDualStack: boolean;
  /** Nodes on which calls are made; the others of the fleet are idle. */
  readonly nodes: number;
  readonly atOncePerNode: number;
  /** Over all nodes, per round. */
  readonly calls: number;
  readonly pool: PoolName;
  /** Its pods are of a StatefulSet, each on this node for the first time: every ADD looks for an address that is kept. */
  readonly isSticky?: boolean;
}

export const callOptions: Readonly<Record<Mode, PodCallOptions>> = {
  addresses: { network: addressesOnlyNetwork, executable: 'spiderpool' },
  whole: { network: wholeNetwork },
  chain: { network: chainNetwork },
  'tied whole': { network: tiedNetwork },
  'tied chain': { network: tiedChainNetwork },
};

/** What is measured on one fleet. */
export interface Phase {
  readonly name: string;
  readonly title: string;
  readonly fleetNodes: number;
  /** Interleaved, before any pool is filled: what the others are compared with. */
  readonly beforeFill?: readonly Variant[];
  readonly filled: readonly PoolName[];
  /** Interleaved. */
  readonly variants: readonly Variant[];
  /** In the end also what the claims of this pool cost the control worker. */
  readonly controlWorkerOf?: PoolName;
}

const variant = (name: string, mode: Mode, atOncePerNode: number, more: Partial<Variant> = {}): Variant => ({
  name,
  mode,
  isDualStack: false,
  nodes: 1,
  atOncePerNode,
  calls: atOncePerNode === 1 ? 80 : Math.max(160, 2 * atOncePerNode),
  pool: 'empty',
  ...more,
});

const onOneNode = (mode: Mode, levels: readonly number[]): Variant[] =>
  levels.map((level) => variant(`${mode}, ${level} at once`, mode, level));

const dualStack = (mode: Mode, levels: readonly number[]): Variant[] =>
  levels.map((level) => variant(`${mode}, dual stack, ${level} at once`, mode, level, { isDualStack: true }));

const filled = (pool: PoolName, used: string): Variant[] =>
  [1, 8].map((level) => variant(`${used} in use, ${level} at once`, 'addresses', level, { pool }));

/** Few calls: each leaves one address less of the small one. */
const ofSize = (pool: PoolName, size: string): Variant =>
  variant(`pool of a ${size}, 1 at once`, 'addresses', 1, { pool, calls: 40 });

const beside = (claims: string): Variant[] =>
  [
    ...onOneNode('addresses', [1, 8]),
    variant("first ADD of a StatefulSet's pod, 1 at once", 'addresses', 1, { isSticky: true }),
  ].map((one) => ({ ...one, name: `${claims} claims elsewhere, ${one.name}` }));

const spread = (nodes: number, atOncePerNode: number, mode: Mode = 'addresses', pool: PoolName = 'empty'): Variant =>
  variant(`${mode}, ${nodes} × ${atOncePerNode}${pool === 'empty' ? '' : ', 4,000 in use'}`, mode, atOncePerNode, {
    nodes,
    calls: nodes * Math.ceil(200 / nodes),
    pool,
  });

export const phases: readonly Phase[] = [
  {
    name: 'one-node',
    title: 'One node',
    fleetNodes: 2, // the second is idle
    filled: [],
    variants: [
      ...onOneNode('addresses', [1, 8, 32, 100]),
      ...onOneNode('whole', [1, 8, 32, 100]),
      ...onOneNode('chain', [1, 8, 32]),
      ...dualStack('addresses', [1, 32]),
      ...dualStack('whole', [1, 32]),
    ],
  },
  {
    name: 'coordination',
    title: 'Tied to the node',
    fleetNodes: 2,
    filled: [],
    variants: [1, 8].flatMap((level) => [
      ...onOneNode('tied whole', [level]),
      ...onOneNode('tied chain', [level]),
      ...dualStack('tied whole', [level]),
      ...dualStack('tied chain', [level]),
    ]),
  },
  {
    name: 'fill',
    title: 'Addresses in use',
    fleetNodes: 2,
    filled: ['used1000', 'used4000', 'used20000'],
    variants: [
      ...filled('empty', '0 of 8,189'),
      ...filled('used1000', '1,000 of 8,189'),
      ...filled('used4000', '4,000 of 8,189'),
      ...filled('used20000', '20,000 of 65,533'),
    ],
  },
  {
    name: 'size',
    title: 'Size of the pool',
    fleetNodes: 2,
    filled: [],
    variants: [ofSize('slash24', '/24'), ofSize('slash8', '/8'), ofSize('slash64', 'IPv6 /64')],
  },
  {
    name: 'claims',
    title: 'Claims of other pools',
    fleetNodes: 2,
    beforeFill: beside('no'),
    filled: ['elsewhere'],
    variants: beside('100,000'),
    controlWorkerOf: 'elsewhere',
  },
  {
    name: 'nodes',
    title: 'Nodes on one pool',
    fleetNodes: 12,
    filled: ['used4000'],
    variants: [
      spread(1, 32),
      spread(2, 16),
      spread(4, 8),
      spread(4, 25),
      spread(12, 2),
      spread(12, 3),
      spread(4, 8, 'addresses', 'used4000'),
      spread(1, 32, 'whole'),
      spread(4, 8, 'whole'),
      spread(12, 3, 'whole'),
    ],
  },
];
