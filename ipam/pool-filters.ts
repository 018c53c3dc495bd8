import { type Family, familyName } from './address.ts';
import { servesApplication } from './automatic-pool.ts';
import { cidrContains, formatCidr } from './cidr.ts';
import { formatRequirements, type LabelSelector, selects } from './label-selector.ts';
import type { PodNetworkFinding } from './pod-networks.ts';
import type { Labels, PoolRequest } from './pool-request.ts';
import type { PoolSnapshot } from './pool-snapshot.ts';

/** What one filter says of one pool. */
export interface FilterVerdict {
  readonly filter: FilterName;
  /** `accepts`: the filters behind it are not asked any more. */
  readonly outcome: 'passes' | 'accepts' | 'objects';
  /** The rest of a sentence that begins with the pool's name. */
  readonly because: string;
}

export type FilterName = (typeof poolFilters)[number]['name'];

/** What filters look at. Finding the network costs reading annotations, so only a pool that names networks makes them do it. */
export interface FilterInput {
  readonly family: Family;
  readonly request: PoolRequest;
  readonly findNetwork: () => PodNetworkFinding;
}

type Judgement = Omit<FilterVerdict, 'filter'>;
type PoolFilter = (pool: PoolSnapshot, input: FilterInput) => Judgement;

/** Asks the filters in their order (spec/ipam.md §4.4) up to the first that objects or accepts. */
export function judgePool(pool: PoolSnapshot, input: FilterInput): readonly FilterVerdict[] {
  const verdicts: FilterVerdict[] = [];
  for (const { name, judge } of poolFilters) {
    const { outcome, because } = judge(pool, input);
    verdicts.push({ filter: name, outcome, because });
    if (outcome !== 'passes') break;
  }
  return verdicts;
}

const passes = (because: string): Judgement => ({ outcome: 'passes', because });
const accepts = (because: string): Judgement => ({ outcome: 'accepts', because });
const objects = (because: string): Judgement => ({ outcome: 'objects', because });

const terminating: PoolFilter = ({ isTerminating }) =>
  isTerminating ? objects('is being deleted') : passes('is not being deleted');

const disabled: PoolFilter = ({ isDisabled }) => (isDisabled ? objects('is disabled') : passes('is enabled'));

const otherFamily: PoolFilter = (pool, { family }) =>
  pool.family === family
    ? passes(`is an ${familyName(family)} pool`)
    : objects(`is an ${familyName(pool.family)} pool`);

/** A list of exact names beats the selector, whatever that says. */
const node: PoolFilter = ({ nodeName, nodeAffinity }, { request: { node } }) =>
  nodeName.length > 0
    ? listed(nodeName, 'nodeName', 'node name', node.name)
    : selected(nodeAffinity, 'nodeAffinity', `node "${node.name}"`, node.labels);

const namespace: PoolFilter = ({ namespaceName, namespaceAffinity }, { request: { namespace } }) =>
  namespaceName.length > 0
    ? listed(namespaceName, 'namespaceName', 'namespace name', namespace.name)
    : selected(namespaceAffinity, 'namespaceAffinity', `namespace "${namespace.name}"`, namespace.labels);

/** An automatic pool is its application's, and then everything else was decided when it was made. */
const pod: PoolFilter = ({ automatic, podAffinity }, { request: { pod } }) => {
  if (automatic === undefined) {
    return selected(podAffinity, 'podAffinity', `pod ${pod.namespace}/${pod.name}`, pod.labels);
  }
  const { kind, namespace, name } = automatic.application;
  const owner = `${kind} ${namespace}/${name}`;
  if (pod.controller === undefined)
    return objects(`is the automatic pool of ${owner}, and the pod's controller is unknown`);
  if (servesApplication(automatic, pod.controller)) return accepts(`is the automatic pool of ${owner}, as the pod is`);
  const { controller } = pod;
  return objects(
    `is the automatic pool of ${owner}, and the pod belongs to ${controller.kind} ${controller.namespace}/${controller.name}`,
  );
};

const network: PoolFilter = ({ multusName }, { request: { ifName, cluster }, findNetwork }) => {
  if (multusName.length === 0) return passes('serves every network: it has no multusName');
  const finding = findNetwork();
  if (finding.outcome === 'refused') {
    return objects(`serves the networks of its multusName (${shortList(multusName)}) only. ${finding.failure.message}`);
  }
  const { namespace, name } = finding.network;
  if (namespace === undefined || name === undefined) {
    return objects(
      `serves the networks of its multusName (${shortList(multusName)}) only, and that of NIC ${ifName} is not known: neither annotation v1.multus-cni.io/default-network nor MULTUS_CLUSTER_NETWORK names it`,
    );
  }
  const attached = `${namespace}/${name}`;
  const isListed = multusName.some(
    (entry) => (entry.includes('/') ? entry : `${cluster.namespace}/${entry}`) === attached,
  );
  return isListed
    ? accepts(`has network "${attached}" of NIC ${ifName} in its multusName`)
    : objects(
        `serves other networks: "${attached}" of NIC ${ifName} is not in its multusName (${shortList(multusName)})`,
      );
};

const masterSubnet: PoolFilter = ({ subnet }, { request: { network, masterAddresses = [] } }) => {
  if (network.matchMasterSubnet !== true) return passes('may have any subnet: match_master_subnet is not asked for');
  if ('problem' in masterAddresses) {
    return objects(`cannot be compared with the PF, as match_master_subnet asks: ${masterAddresses.problem}`);
  }
  const inSubnet = masterAddresses.find(({ address }) => cidrContains(subnet, address));
  if (inSubnet !== undefined) return passes(`has the PF's address ${formatCidr(inSubnet)} in its subnet`);
  const found = masterAddresses.length === 0 ? 'it has none' : shortList(masterAddresses.map(formatCidr));
  return objects(
    `has no address of the PF in its subnet ${formatCidr(subnet)}, as match_master_subnet asks (${found})`,
  );
};

function listed(names: readonly string[], field: string, what: string, name: string): Judgement {
  return names.includes(name)
    ? passes(`has ${what} "${name}" in its ${field}`)
    : objects(`serves others: ${what} "${name}" is not in its ${field} (${shortList(names)})`);
}

function selected(selector: LabelSelector | undefined, field: string, what: string, labels?: Labels): Judgement {
  if (selector === undefined) return passes(`has no ${field}`);
  if (selector.outcome === 'invalid') return objects(`has an invalid ${field}: ${selector.problem}`);
  if (labels === undefined) return objects(`has ${field}, and the labels of ${what} are not known`);
  const asked = formatRequirements(selector.requirements) || 'everything';
  return selects(selector.requirements, labels)
    ? passes(`has ${field} (${asked}), which the labels of ${what} match`)
    : objects(`serves others: the labels of ${what} do not match its ${field} (${asked})`);
}

/** A pool may list hundreds of names, and a message is read by people. */
const shortList = (names: readonly string[]): string =>
  [...names.slice(0, 5), ...(names.length > 5 ? [`and ${names.length - 5} more`] : [])].join(', ');

const poolFilters = [
  { name: 'terminating', judge: terminating },
  { name: 'disabled', judge: disabled },
  { name: 'family', judge: otherFamily },
  { name: 'node', judge: node },
  { name: 'namespace', judge: namespace },
  { name: 'pod', judge: pod },
  { name: 'network', judge: network },
  { name: 'master subnet', judge: masterSubnet },
] as const satisfies readonly { readonly name: string; readonly judge: PoolFilter }[];
