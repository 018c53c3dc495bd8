/** The workflows of every process, in one bundle: the one index of the project, because the bundler takes one entry. */
export { applicationPool } from './application-pool.ts';
export { nodeCheck } from './node-check.ts';
export { podNetwork } from './pod-network.ts';
export { zombieSweep } from './zombie-sweep.ts';
