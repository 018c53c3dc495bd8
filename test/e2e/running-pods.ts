import { eventually } from '../../deploy/dev/eventually.ts';
import type { TestCluster } from './test-cluster.ts';

/** A pod that kubelet runs until it is deleted. */
export const sleepingPod = (
  name: string,
  annotations: Readonly<Record<string, string>> = {},
  { namespace = 'default', labels = {}, node }: PodPlace = {},
) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels, annotations },
  spec: {
    ...(node === undefined ? {} : { nodeSelector: { 'kubernetes.io/hostname': node } }),
    terminationGracePeriodSeconds: 0,
    containers: [sleepingContainer('main')],
  },
});

interface PodPlace {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly node?: string;
}

export const sleepingContainer = (name: string) => ({
  name,
  image: 'kube.local/busybox:1',
  imagePullPolicy: 'Never',
  command: ['sleep', 'infinity'],
});

export interface RunningPod {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly nics: readonly Nic[];
}

/** One address of one interface, as its claim says. */
export interface Nic {
  readonly name: string;
  readonly pool: string;
  /** Without prefix length. */
  readonly address: string;
}

interface PodObject {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

/** What became of pods, as kubelet and the claims say. Every question waits for its answer. */
export class RunningPods {
  readonly #cluster: TestCluster;

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  async one(name: string, namespace = 'default'): Promise<RunningPod> {
    const [pod] = await this.#running({ namespace, fieldSelector: `metadata.name=${name}` }, 1);
    if (pod === undefined) throw new Error(`No pod ${name}`);
    return pod;
  }

  /** Pods with the label `app`, so many and no more. */
  async ofApp(app: string, count: number, seconds = 120): Promise<readonly RunningPod[]> {
    return await this.#running({ namespace: 'default', labelSelector: `app=${app}` }, count, seconds);
  }

  /** Waits until the pod has been told why it has no network, and takes it away, so that kubelet does not try it again and again. */
  async untilRefused(name: string, told: RegExp, namespace = 'default'): Promise<void> {
    await this.untilTold(name, told, namespace);
    await this.#cluster.stack.kubectl('delete', 'pod', name, '--namespace', namespace, '--wait=false');
  }

  /** Waits for an event of the pod that says why it has no network; one of its tries may have failed for another reason. */
  async untilTold(name: string, told: RegExp, namespace = 'default'): Promise<void> {
    await eventually(`An event of ${namespace}/${name} that says ${told}`, 120, async () => {
      const messages = (await this.refusals(name, namespace)).map(({ message }) => message);
      return messages.some((message) => told.test(message)) ? { value: true } : { state: messages.join('\n') };
    });
  }

  async refusals(name: string, namespace = 'default'): Promise<readonly { message: string; count: number }[]> {
    const { items } = await this.#cluster.api.request<{ items: readonly { message: string; count?: number }[] }>({
      method: 'GET',
      path: `/api/v1/namespaces/${namespace}/events`,
      query: { fieldSelector: `involvedObject.name=${name},reason=FailedCreatePodSandBox` },
      timeoutMs: 5000,
    });
    return items.map(({ message, count = 1 }) => ({ message, count }));
  }

  exec({ name, namespace }: Pick<RunningPod, 'name' | 'namespace'>, ...command: readonly string[]): Promise<string> {
    return this.#cluster.stack.kubectl('exec', '--namespace', namespace, name, '--', ...command);
  }

  async #running(
    { namespace, ...query }: { namespace: string; fieldSelector?: string; labelSelector?: string },
    count: number,
    seconds = 120,
  ): Promise<readonly RunningPod[]> {
    const what = Object.values(query).join();
    const pods = await eventually(`${count} Running in ${namespace} of ${what}`, seconds, async () => {
      const path = `/api/v1/namespaces/${namespace}/pods`;
      const { items } = await this.#cluster.api.request<{ items: readonly PodObject[] }>({
        method: 'GET',
        path,
        query,
        timeoutMs: 5000,
      });
      const isUp = ({ metadata, status }: PodObject): boolean =>
        metadata.deletionTimestamp === undefined && status.phase === 'Running' && (status.podIPs ?? []).length > 0;
      if (items.length === count && items.every(isUp)) return { value: items };
      return { state: items.map(({ metadata, status }) => `${metadata.name} ${status.phase}`).join(', ') };
    });
    const claims = await this.#cluster.claims();
    return pods.map(({ metadata: { name }, spec: { nodeName = '' } }) => ({
      name,
      namespace,
      node: nodeName,
      nics: claims
        .flatMap(({ spec }) => spec.holders.map((holder) => ({ ...spec, holder })))
        .filter(({ phase, holder }) => phase === 'Bound' && holder.pod === name && holder.namespace === namespace)
        .map(({ pool, address, holder }) => ({
          name: holder.interface,
          pool,
          address: address.split('/', 1).join(),
        }))
        .toSorted((a, b) => (`${a.name} ${a.address}` < `${b.name} ${b.address}` ? -1 : 1)),
    }));
  }
}

/** NIC and pool of each address, for example "eth0 rack7-v4". */
export const poolsOf = ({ nics }: RunningPod): readonly string[] => nics.map(({ name, pool }) => `${name} ${pool}`);
