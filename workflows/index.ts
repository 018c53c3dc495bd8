/** The workflows of the node's bundle: the one index of the project, because the bundler takes one entry. */
export { podNetwork } from './pod-network.ts';
