import { type CidrList, cidrList, unknown } from './cidr-list.ts';
import { commandLineFlag } from './command-line-flag.ts';
import type { NetworkSources } from './network-sources.ts';

/** How kubeadm and kube-controller-manager call the same list. */
const names = {
  pods: { subnet: 'podSubnet', flag: 'cluster-cidr' },
  services: { subnet: 'serviceSubnet', flag: 'service-cluster-ip-range' },
} as const;

/** What the cluster was set up with: kubeadm's record of it, else the flags of kube-controller-manager. */
export function clusterCidrs(kind: keyof typeof names, { kubeadm, controllerManagers }: NetworkSources): CidrList {
  const { subnet, flag } = names[kind];
  const recorded = kubeadm.outcome === 'read' ? kubeadm.content[subnet] : undefined;
  if (recorded) return cidrList(`networking.${subnet} of ConfigMap ${kubeadmConfigMap}`, [recorded]);

  const commands = controllerManagers.outcome === 'read' ? controllerManagers.content : [];
  const given = commands.flatMap((words) => commandLineFlag(words, flag) ?? []).filter((value) => value !== '');
  if (given.length > 0) return cidrList(`--${flag} of kube-controller-manager`, given);

  return unknown(`${kubeadmSays(kubeadm, subnet)}, and ${managersSay(controllerManagers, flag)}`);
}

const kubeadmConfigMap = 'kube-system/kubeadm-config';

function kubeadmSays(kubeadm: NetworkSources['kubeadm'], subnet: string): string {
  if (kubeadm.outcome === 'unreadable') return `ConfigMap ${kubeadmConfigMap} cannot be read (${kubeadm.why})`;
  if (kubeadm.outcome === 'absent') return `there is no ConfigMap ${kubeadmConfigMap}`;
  return `ConfigMap ${kubeadmConfigMap} has no networking.${subnet}`;
}

function managersSay(managers: NetworkSources['controllerManagers'], flag: string): string {
  if (managers.outcome === 'unreadable') return `pods of kube-controller-manager cannot be read (${managers.why})`;
  const isThere = managers.outcome === 'read' && managers.content.length > 0;
  return isThere ? `no kube-controller-manager has --${flag}` : 'kube-controller-manager does not run as a pod';
}
