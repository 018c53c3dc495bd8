/** What one place says. Absent: nothing is there. Unreadable: something may be, and `why` nobody can tell. */
export type Source<Content> =
  | { readonly outcome: 'read'; readonly content: Content }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'unreadable'; readonly why: string };

/** Every place where Kubernetes and its networks say which addresses pods and Services have, as it was read. */
export interface NetworkSources {
  /** Ranges of Services (networking.k8s.io): always there from Kubernetes 1.33 on. */
  readonly serviceCIDRs: Source<readonly ServiceRange[]>;
  readonly kubeadm: Source<KubeadmNetworking>;
  /** Command and arguments of each kube-controller-manager that runs as a pod; none where kubeadm says it all. */
  readonly controllerManagers: Source<readonly (readonly string[])[]>;
  readonly calicoPools: Source<readonly CalicoPool[]>;
  /** `data` of Cilium's ConfigMap. */
  readonly ciliumConfig: Source<Readonly<Record<string, string>>>;
  readonly ciliumPools: Source<readonly CiliumPool[]>;
  /** Flannel's ConfigMap is there. */
  readonly flannel: Source<true>;
}

/** What we look at of an object that is not ours: its schema may be of any version. */
interface ForeignObject<Spec> {
  readonly metadata: {
    readonly name: string;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
  };
  readonly spec?: Spec;
}

/** ServiceCIDR (networking.k8s.io). */
export type ServiceRange = ForeignObject<{ readonly cidrs?: readonly string[] }>;

/** `networking` of kubeadm's ClusterConfiguration (kubeadm.k8s.io); a list is one text with commas. */
export interface KubeadmNetworking {
  readonly podSubnet?: string;
  readonly serviceSubnet?: string;
}

/** IPPool (crd.projectcalico.org/v1). */
export type CalicoPool = ForeignObject<{
  readonly cidr?: string;
  readonly disabled?: boolean;
  /** "Workload" and "Tunnel" when absent. */
  readonly allowedUses?: readonly string[];
}>;

/** CiliumPodIPPool (cilium.io). */
export type CiliumPool = ForeignObject<{
  readonly ipv4?: { readonly cidrs?: readonly string[] };
  readonly ipv6?: { readonly cidrs?: readonly string[] };
}>;
