import { readPodNetworks } from './pod-networks.ts';
import type { Labels, SelectionSettings } from './pool-request.ts';
import { type Identity, type OwnedPod, type Stickiness, stickyIdentity } from './sticky-identity.ts';

/**
 * What the addresses of one NIC of a pod stick to, in the order in which they are looked for; a new address is the first one's.
 * The IPAMClaim that the NIC's network names comes before the pod's own identity: somebody wrote it for this NIC. What the pod's own
 * has already, from before there was a claim, stays its own.
 */
export function nicIdentities(
  pod: OwnedPod & { readonly annotations: Labels },
  ifName: string,
  cluster: Pick<SelectionSettings, 'defaultNetwork' | 'namespace'> & Stickiness,
): readonly Identity[] {
  const { namespace } = pod;
  const reading = readPodNetworks(pod, cluster);
  const networks = reading.outcome === 'networks' ? reading.networks : [];
  const name = networks.find((network) => network.ifName === ifName)?.ipamClaimReference;
  const own = stickyIdentity(pod, cluster);
  return [...(name === undefined ? [] : [{ kind: 'IPAMClaim', namespace, name } as const]), ...(own ? [own] : [])];
}
