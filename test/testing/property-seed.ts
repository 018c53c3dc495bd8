import * as fc from 'fast-check';

/**
 * What every property test runs with (a Jest setup file): one seed for all, so that `make test` judges a commit and not its luck.
 * `make test-properties` looks for new counterexamples: PROPERTY_SEED=fresh, PROPERTY_RUNS=5000. A property's own settings win.
 */
const { PROPERTY_SEED: seed = '20261121', PROPERTY_RUNS: runs } = process.env;
fc.configureGlobal({
  ...(seed === 'fresh' ? {} : { seed: Number(seed) }),
  ...(runs === undefined ? {} : { numRuns: Number(runs) }),
});
