import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { orbweaverNetwork } from './multus.ts';
import type { StackNode } from './node.ts';
import type { Stack } from './stack.ts';

/** What a call of the CNI executable printed and how it ended. */
export interface CniAnswer {
  readonly exitCode: number;
  /** The JSON on stdout; undefined when there was none. */
  readonly body: CniBody | undefined;
}

export interface CniBody {
  readonly code?: number;
  readonly msg?: string;
  readonly details?: string;
  readonly ips?: readonly { readonly address: string }[];
  readonly interfaces?: readonly { readonly name: string; readonly mac?: string }[];
}

export interface CallOptions {
  /** Environment over the usual one; an empty text leaves a variable out. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whole stdin instead of `conf`. */
  readonly stdin?: string;
  /** Keys over those of the stack's network. */
  readonly conf?: Readonly<Record<string, unknown>>;
  readonly plugin?: 'orbweaver' | 'spiderpool' | 'rdma' | 'coordinator' | 'ifacer' | 'macvlan';
  /** Kills the executable after this time, as a runtime does that gave up. */
  readonly killAfterSeconds?: number;
}

export interface PodName {
  readonly name: string;
  readonly uid: string;
}

/** A pod that stays Pending: no scheduler feels responsible for it, so no kubelet makes a sandbox of its own. */
export const unscheduledPod = (name: string, annotations: Readonly<Record<string, string>> = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', annotations },
  spec: {
    schedulerName: 'nobody',
    containers: [{ name: 'main', image: 'kube.local/busybox:1' }],
    tolerations: [{ operator: 'Exists' }],
  },
});

/**
 * A sandbox without kubelet: a pod object that no scheduler places, a network namespace, and calls of the real CNI executable.
 * It lets a person, or a test, make one call at a time and see what each leaves behind.
 */
export class HandMadeSandbox {
  readonly containerID = randomUUID().replaceAll('-', '');
  readonly podName: string;
  readonly namespace = 'default';
  readonly netns: string;
  readonly node: StackNode;
  readonly podUID: string;
  readonly #stack: Stack;

  private constructor(stack: Stack, node: StackNode, pod: PodName) {
    this.#stack = stack;
    this.node = node;
    this.podName = pod.name;
    this.podUID = pod.uid;
    this.netns = join(node.paths.state, 'netns', this.containerID);
  }

  static async create(
    stack: Stack,
    node: StackNode,
    podName: string,
    annotations: Record<string, string> = {},
  ): Promise<HandMadeSandbox> {
    await stack.apply(unscheduledPod(podName, annotations));
    const uid = await stack.kubectl('get', 'pod', podName, '-o', 'jsonpath={.metadata.uid}');
    return await HandMadeSandbox.inPod(stack, node, { name: podName, uid });
  }

  /** A sandbox of a pod that is there already: also what a runtime makes when the pod's first one has ended. */
  static async inPod(stack: Stack, node: StackNode, pod: PodName): Promise<HandMadeSandbox> {
    const sandbox = new HandMadeSandbox(stack, node, pod);
    await node.exec(['sh', '-c', 'mkdir -p "${0%/*}" && touch "$0" && unshare --net="$0" true', sandbox.netns]);
    return sandbox;
  }

  add(options?: CallOptions): Promise<CniAnswer> {
    return this.call('ADD', options);
  }

  del(options?: CallOptions): Promise<CniAnswer> {
    return this.call('DEL', options);
  }

  /** Calls the executable as a runtime does. */
  async call(
    command: string,
    { env = {}, stdin, conf = {}, plugin = 'orbweaver', killAfterSeconds }: CallOptions = {},
  ): Promise<CniAnswer> {
    const variables = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: this.containerID,
      CNI_NETNS: this.netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: this.node.paths.cniBin,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${this.namespace};K8S_POD_NAME=${this.podName};K8S_POD_UID=${this.podUID};K8S_POD_INFRA_CONTAINER_ID=${this.containerID}`,
      ...env,
    };
    const set = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
    // The exit code comes after the JSON, which has no NUL.
    const script = `"$@"; printf '\\0%d' $?`;
    const limit = killAfterSeconds === undefined ? [] : ['timeout', '-s', 'KILL', String(killAfterSeconds)];
    const out = await this.node.exec(['sh', '-c', script, 'sh', ...limit, join(this.node.paths.cniBin, plugin)], {
      env: set,
      input: stdin ?? JSON.stringify({ ...orbweaverNetwork, ...conf }),
    });
    const [body = '', exitCode = ''] = out.split('\0');
    return { exitCode: Number(exitCode), body: body.trim() === '' ? undefined : (JSON.parse(body) as CniBody) };
  }

  /** Lines of `ip` inside the sandbox: links, addresses and routes, as a person would look. */
  async look(): Promise<string> {
    const script = 'ip -o link | sed "s/ qlen.*//"; ip -o addr; ip route; ip -6 route';
    return await this.node.exec(['nsenter', `--net=${this.netns}`, 'sh', '-c', script]);
  }

  /** Runs a command inside the sandbox's network. */
  exec(command: readonly string[]): Promise<string> {
    return this.node.exec(['nsenter', `--net=${this.netns}`, ...command]);
  }

  /** As a runtime does: also while a process, such as the node worker, has the namespace open. */
  async deleteNamespace(): Promise<void> {
    await this.node.exec(['sh', '-c', 'umount --lazy "$0"; rm -f "$0"', this.netns]);
  }

  async deletePod(): Promise<void> {
    await this.#stack.kubectl(
      'delete',
      'pod',
      this.podName,
      '--ignore-not-found',
      '--wait=true',
      '--grace-period=0',
      '--force',
    );
  }

  async remove(): Promise<void> {
    await this.deletePod();
    await this.deleteNamespace();
  }
}
