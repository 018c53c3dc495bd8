import type { Failure } from '../contracts/failures.ts';
import { invalidAnnotation } from './failures.ts';
import { fieldsOf, parseJson } from './go-json.ts';
import type { Labels, SelectionSettings } from './pool-request.ts';
import { shownValue } from './shown-value.ts';

/** Pod annotation by which Multus attaches further networks. */
export const networksAnnotation = 'k8s.v1.cni.cncf.io/networks';
/** Pod annotation by which Multus replaces the cluster's default network. */
export const defaultNetworkAnnotation = 'v1.multus-cni.io/default-network';

/** One network of a pod, as Multus attaches it. */
export interface PodNetwork {
  /** 0 for the default network, then the order of the annotation. */
  readonly index: number;
  readonly ifName: string;
  /** Of the NetworkAttachmentDefinition. Both are absent for a default network that nobody names. */
  readonly namespace?: string;
  readonly name?: string;
  /** Exact addresses that the annotation asks for, with or without prefix length; texts, not looked at yet. */
  readonly ips?: readonly string[];
  /** Name of an IPAMClaim of the pod's namespace. */
  readonly ipamClaimReference?: string;
}

export type PodNetworksReading =
  | { readonly outcome: 'networks'; readonly networks: readonly PodNetwork[] }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/**
 * Reads which networks Multus (4.2) attaches to a pod and how it names their interfaces: eth0, then net1, net2 … by place,
 * unless the annotation names them. A definition without namespace is in the pod's, for the default network in Multus' own.
 */
export function readPodNetworks(
  pod: { readonly namespace: string; readonly annotations: Labels },
  cluster: Pick<SelectionSettings, 'defaultNetwork' | 'namespace'>,
): PodNetworksReading {
  const [namespace = cluster.namespace, name] = cluster.defaultNetwork?.split('/') ?? [];
  const defaultText = pod.annotations[defaultNetworkAnnotation];
  const defaults = defaultText === undefined ? [name === undefined ? {} : { name }] : readElements(defaultText);
  if ('problem' in defaults) return refused(defaultNetworkAnnotation, defaultText ?? '', defaults.problem);
  const [first = {}, ...surplus] = defaults;
  if (surplus.length > 0) return refused(defaultNetworkAnnotation, defaultText ?? '', 'it names more than one network');

  const text = pod.annotations[networksAnnotation];
  const others = text === undefined ? [] : readElements(text);
  if ('problem' in others) return refused(networksAnnotation, text ?? '', others.problem);
  const networks = [
    toNetwork(first, 0, 'eth0', namespace),
    ...others.map((element, index) => toNetwork(element, index + 1, `net${index + 1}`, pod.namespace)),
  ];
  return { outcome: 'networks', networks };
}

export type PodNetworkFinding =
  | { readonly outcome: 'found'; readonly network: PodNetwork }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/** Finds the network to which a NIC of the pod belongs. */
export function findPodNetwork(
  pod: { readonly namespace: string; readonly annotations: Labels },
  cluster: Pick<SelectionSettings, 'defaultNetwork' | 'namespace'>,
  ifName: string,
): PodNetworkFinding {
  const reading = readPodNetworks(pod, cluster);
  if (reading.outcome === 'refused') return reading;
  const network = reading.networks.find((network) => network.ifName === ifName);
  if (network !== undefined) return { outcome: 'found', network };
  const names = reading.networks.map((network) => network.ifName).join(', ');
  return {
    outcome: 'refused',
    failure: {
      type: 'InvalidAnnotation',
      message: `Cannot tell which network of the pod NIC ${ifName} is: ${networksAnnotation} gives ${shownValue(names)}`,
      remedy: `Name the interface there as it is called: ${networksAnnotation}: 'netops/vlan-80@${ifName}'`,
    },
  };
}

/** A network-selection element; without a name only where nobody named the default network. */
interface Element {
  readonly namespace?: string;
  readonly name?: string;
  readonly ifName?: string;
  readonly ips?: readonly string[];
  readonly ipamClaimReference?: string;
}

interface Problem {
  readonly problem: string;
}

const toNetwork = (element: Element, index: number, ifName: string, namespace: string): PodNetwork => ({
  index,
  ifName,
  ...(element.name === undefined ? {} : { namespace }),
  ...element,
});

/** Multus takes a text with one of these characters for JSON, and every other for a comma list. */
function readElements(text: string): readonly Element[] | Problem {
  if (text === '') return { problem: 'it is empty' };
  if (/[[{"]/.test(text)) return readJsonElements(text);
  const elements: Element[] = [];
  for (const item of text.split(',')) {
    const element = readName(item);
    if (element === undefined) return { problem: `"${item.trim()}" is not [namespace/]name[@interface]` };
    elements.push(element);
  }
  return elements;
}

const unit = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const elementPattern = new RegExp(`^(?:(${unit})\\s*/)?\\s*(${unit})\\s*(?:@\\s*(${unit})?)?$`);

function readName(item: string): Element | undefined {
  const [, namespace, name, ifName] = elementPattern.exec(item.trim()) ?? [];
  if (name === undefined) return undefined;
  return { ...(namespace && { namespace }), name, ...(ifName && { ifName }) };
}

function readJsonElements(text: string): readonly Element[] | Problem {
  const json = parseJson(text);
  if (json.outcome === 'invalid') return { problem: `it ${json.problem}` };
  if (!Array.isArray(json.value)) return { problem: 'it is not a list' };
  const elements: Element[] = [];
  for (const [index, item] of json.value.entries()) {
    const element = readJsonElement(item, `item ${index}`);
    if ('problem' in element) return element;
    elements.push(element);
  }
  return elements;
}

function readJsonElement(item: unknown, what: string): Element | Problem {
  const fields = fieldsOf(item, ['name', 'namespace', 'interface', 'interfacerequest', 'ips', 'ipam-claim-reference']);
  if (fields === undefined) return { problem: `${what} is not an object` };
  const { name, namespace = '', interfacerequest = '', ips = [] } = fields;
  const { interface: ifName = interfacerequest, 'ipam-claim-reference': ipamClaimReference = '' } = fields;
  if (typeof name !== 'string' || name === '') return { problem: `${what} has no name` };
  if (typeof namespace !== 'string') return { problem: `"namespace" of ${what} is not a text` };
  if (typeof ifName !== 'string') return { problem: `"interface" of ${what} is not a text` };
  if (!isTextList(ips)) return { problem: `"ips" of ${what} is not a list of addresses` };
  if (typeof ipamClaimReference !== 'string') return { problem: `"ipam-claim-reference" of ${what} is not a text` };
  return {
    ...(namespace && { namespace }),
    name,
    ...(ifName && { ifName }),
    ...(ips.length > 0 && { ips }),
    ...(ipamClaimReference && { ipamClaimReference }),
  };
}

const isTextList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((text) => typeof text === 'string');

const refused = (annotation: string, text: string, problem: string): PodNetworksReading => ({
  outcome: 'refused',
  failure: invalidAnnotation({
    annotation,
    text,
    problem,
    example: annotation === networksAnnotation ? 'netops/vlan-80@net1, netops/vlan-90' : 'netops/vlan-70',
  }),
});
