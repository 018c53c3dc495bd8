import { usageError } from './cli-error.ts';

/** RFC 1123 label: what a namespace is called. */
const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
/** RFC 1123 subdomain: what pods, nodes and our cluster-scoped objects are called. */
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** Reads "NAMESPACE/NAME". Throws a usage error for anything else, so a name is safe inside a visibility query. */
export function parsePodName(text: string): PodName {
  const [namespace = '', name = '', ...rest] = text.split('/');
  if (rest.length > 0 || !label.test(namespace) || !isObjectName(name)) {
    throw usageError(
      `"${text}" does not name a pod`,
      'Write it as NAMESPACE/NAME, for example: orb explain pod default/web-0',
    );
  }
  return { namespace, name };
}

export function checkNamespace(text: string): string {
  if (!label.test(text)) throw usageError(`"${text}" is not a namespace`, 'Names: kubectl get namespaces');
  return text;
}

export function checkObjectName(kind: 'node' | 'pool', text: string): string {
  if (!isObjectName(text)) throw usageError(`"${text}" is not the name of a ${kind}`, namesOf[kind]);
  return text;
}

/** A container ID or its beginning, as `crictl pods` and `orb pods` print it. */
export function checkSandbox(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(text)) {
    throw usageError(
      `"${text}" is not a container ID`,
      'Give the ID of a sandbox, or its beginning, as orb pods prints it',
    );
  }
  return text;
}

/** Name of an interface inside a pod: at most 15 bytes, as the kernel takes it. */
export function checkInterface(text: string): string {
  if (!/^(?!\.{1,2}$)[^\s/:%]{1,15}$/.test(text)) {
    throw usageError(`"${text}" is not the name of an interface`, 'As the pod has it: eth0, net1');
  }
  return text;
}

const isObjectName = (text: string): boolean => text.length <= 253 && subdomain.test(text);
const namesOf = { node: 'Names: kubectl get nodes', pool: 'Names: orb pools' } as const;
