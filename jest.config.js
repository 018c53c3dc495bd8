/** Unit and property tests stand beside the code; each later tier is a project of its own with its folder and its suffix. */
const typescript = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2023', experimental: { keepImportAttributes: true } },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.tools/'],
  setupFiles: ['<rootDir>/test/testing/property-seed.ts'],
};
const sources = [
  'contracts',
  'ipam',
  'network',
  'kernel',
  'kube',
  'workflows',
  'activities',
  'temporal-config',
  'workers',
  'plugins',
  'cli',
  'deploy',
  'test/testing',
  'test/bench',
  'test/datapath',
  'test/fleet',
  'test/load',
];
/** @type {import('jest').Config} */
export default {
  watchman: false,
  // Longer than the waits inside a test, so that a wait that fails can say what it saw last; how fast a machine is decides nothing.
  testTimeout: 120_000,
  projects: [
    {
      ...typescript,
      displayName: 'unit',
      testMatch: sources.map((folder) => `<rootDir>/${folder}/**/*.test.ts`),
      testPathIgnorePatterns: ['\\.(live|load)\\.test\\.ts$'],
    },
    { ...typescript, displayName: 'live', testMatch: ['<rootDir>/**/*.live.test.ts'] },
    { ...typescript, displayName: 'replay', testMatch: ['<rootDir>/test/replay/**/*.test.ts'] },
    { ...typescript, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.test.ts'] },
    { ...typescript, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.test.ts'] },
    { ...typescript, displayName: 'load', testMatch: ['<rootDir>/test/load/*.load.test.ts'] },
  ],
};
