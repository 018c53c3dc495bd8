import { clusterParts, type PartName } from '../deploy/toolchain/parts.ts';
import { loadFactor } from './load/load-size.ts';

/** One kind of test, with the one real thing that it needs. */
export interface Tier {
  readonly name: string;
  readonly budgetSeconds: number;
  /** What must be built before it can run. */
  readonly parts?: readonly PartName[];
  readonly tests: Checks | JestSelection | GuestSuite;
}

/** Programs that judge the sources; each counts as one test. */
export interface Checks {
  readonly kind: 'checks';
  readonly commands: Readonly<Record<string, readonly [program: string, ...args: string[]]>>;
}

export interface JestSelection {
  readonly kind: 'jest';
  /** A `displayName` of jest.config.js. */
  readonly project: string;
  /** Regular expression; Jest takes a file when its absolute or its relative path matches. */
  readonly only?: string;
  /** How many files run at once; without it, as many as Jest finds good. 1 where files would meet each other, in the kernel or by load. */
  readonly atOnce?: number;
}

/** Tests in a guest kernel that has what this machine's lacks: all in one boot, by `node --test`, because Jest's start takes minutes there. */
export interface GuestSuite {
  readonly kind: 'guest';
  /** Glob, from the root of the repository. */
  readonly files: string;
}

/** In the order in which they run: quick ones first, while parts are built. Budgets are for two cores. */
export const tiers: readonly Tier[] = [
  {
    name: 'static',
    budgetSeconds: 30,
    tests: {
      kind: 'checks',
      commands: {
        types: ['tsc', '--noEmit'],
        lint: ['oxlint', '--type-aware', '--deny-warnings'],
        format: ['biome', 'ci', '--colors=off'],
        imports: ['depcruise', '--config', '.dependency-cruiser.cjs', '.'],
        'generated types': ['node', 'kube/generate-types.ts', '--check'],
      },
    },
  },
  { name: 'unit', budgetSeconds: 150, tests: { kind: 'jest', project: 'unit' } },
  { name: 'replay', budgetSeconds: 60, tests: { kind: 'jest', project: 'replay' } },
  {
    name: 'conformance',
    budgetSeconds: 60,
    parts: ['orbweaver-cni'],
    tests: { kind: 'jest', project: 'live', only: '^(.*/)?plugins/', atOnce: 1 },
  },
  {
    name: 'live',
    budgetSeconds: 120,
    parts: ['orbweaver-cni'],
    tests: { kind: 'jest', project: 'live', only: '^(?!(.*/)?plugins/)', atOnce: 1 },
  },
  {
    name: 'datapath',
    budgetSeconds: 420,
    parts: ['guest'],
    tests: { kind: 'guest', files: 'test/datapath/*.datapath.ts' },
  },
  {
    name: 'integration',
    budgetSeconds: 480,
    parts: ['orbweaver-cni', 'temporal', 'etcd', 'kube-apiserver', 'kubectl'],
    tests: { kind: 'jest', project: 'integration', atOnce: 1 },
  },
  {
    name: 'e2e',
    budgetSeconds: 1500,
    parts: clusterParts,
    tests: { kind: 'jest', project: 'e2e', only: '^(?!(.*/)?test/e2e/reclaim\\.test)', atOnce: 2 },
  },
  {
    // What is promised in seconds is measured beside nothing else.
    name: 'reclaim',
    budgetSeconds: 240,
    parts: clusterParts,
    tests: { kind: 'jest', project: 'e2e', only: '^(.*/)?test/e2e/reclaim\\.test', atOnce: 1 },
  },
  {
    name: 'load',
    budgetSeconds: 900 * Math.max(1, loadFactor),
    parts: ['orbweaver-cni', 'temporal', 'etcd', 'kube-apiserver', 'kubectl'],
    tests: { kind: 'jest', project: 'load', atOnce: 1 },
  },
];
