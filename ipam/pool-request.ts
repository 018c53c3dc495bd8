import type { ClusterSettings } from '../contracts/cluster-settings.ts';
import type { NetworkConf } from '../contracts/pod-network.ts';
import type { Cidr } from './cidr.ts';

/** Labels or annotations of an object. */
export type Labels = Readonly<Record<string, string>>;

/** What the choice of pools depends on, besides the pools. */
export interface PoolRequest {
  readonly pod: {
    readonly namespace: string;
    readonly name: string;
    readonly labels: Labels;
    readonly annotations: Labels;
    /** Topmost controller (spec/ipam.md §5.3), kind "Pod" when there is none; absent while nothing needs it: `needsController`. */
    readonly controller?: Application;
  };
  readonly namespace: { readonly name: string; readonly labels: Labels; readonly annotations: Labels };
  /** Labels may be absent while no pool looks at them: `PoolCatalogue.asksForNodeLabels`. */
  readonly node: { readonly name: string; readonly labels?: Labels };
  /** The NIC of this call. */
  readonly ifName: string;
  readonly network: Pick<NetworkConf, 'defaultIPv4Pools' | 'defaultIPv6Pools' | 'cleanGateway' | 'matchMasterSubnet'>;
  readonly cluster: SelectionSettings;
  /** Addresses of the VF's PF on the host, or why they cannot be read; read only for `matchMasterSubnet`. */
  readonly masterAddresses?: readonly Cidr[] | { readonly problem: string };
}

/** What a pod belongs to, as its owner references name it. */
export interface Application {
  /** As Kubernetes writes it: "apps/v1", and "v1" for the core group. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** The cluster-wide switches that selection looks at (spec/ipam.md §0.2). */
export type SelectionSettings = Pick<
  ClusterSettings,
  'families' | 'defaultNetwork' | 'namespace' | 'subnets' | 'automaticPools'
>;
