import { type NetworkConfiguration, orbweaverNetwork } from '../../deploy/dev/multus.ts';

/** The interface and its addresses by our plugin: macvlan on the underlay. */
export const wholeNetwork: NetworkConfiguration = orbweaverNetwork;

const chained = {
  cniVersion: '1.0.0', // what the community plugins 1.9 speak at most is 1.1.0; Spiderpool's users have 0.3.1 to 1.0.0
  name: 'chain',
  type: 'macvlan',
  master: 'underlay0',
  mode: 'bridge',
} as const;

/** The community's macvlan plugin, which asks us for the addresses: the way of Spiderpool's users. */
export const chainNetwork: NetworkConfiguration = { ...chained, ipam: { type: 'spiderpool' } };

/** Both tied to the node and to the pod's other interfaces: in one call, and by one more plugin of the chain. */
export const tiedNetwork: NetworkConfiguration = { ...wholeNetwork, name: 'tied', coordinator: {} };
const { cniVersion, name: _, ...mainPlugin } = chainNetwork;
export const tiedChainNetwork: NetworkConfiguration = {
  cniVersion,
  name: 'tied-chain',
  plugins: [mainPlugin, { type: 'coordinator' }],
};

/** Our IPAM executable called alone, as the macvlan plugin of `chainNetwork` calls it: call it as `executable: 'spiderpool'`. */
export const addressesOnlyNetwork: NetworkConfiguration = { ...chainNetwork, name: 'addresses' };
