import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type PodIdentity, podNetworkId } from '../../contracts/attachment.ts';
import type { NetworkConfiguration } from '../../deploy/dev/multus.ts';
import type { FleetNode } from './fleet-node.ts';
import { wholeNetwork } from './networks.ts';
import type { CniCall, CniOutcome } from './runner-messages.ts';

export type CniCommand = 'ADD' | 'DEL' | 'CHECK';

/** How a sandbox's network is called. */
export interface PodCallOptions {
  /** Default `wholeNetwork`. */
  readonly network?: NetworkConfiguration;
  /** Name of the executable; default the network's `type`. */
  readonly executable?: string;
  /** Default `eth0`. */
  readonly ifName?: string;
  /** Environment over the usual one; an empty text leaves a variable out. */
  readonly env?: Readonly<Record<string, string>>;
  /** Result of the ADD, for a DEL or CHECK; a chain's plugins expect it. */
  readonly prevResult?: unknown;
  readonly killAfterMs?: number;
  readonly watchesMemory?: boolean;
}

/** A pod of the API server with one sandbox of it on a node: a namespace and a container ID. */
export class FleetPod implements PodIdentity {
  readonly namespace = 'default';
  readonly name: string;
  readonly uid: string;
  readonly node: FleetNode;
  readonly containerID = randomBytes(32).toString('hex');
  readonly netns: string;

  constructor(node: FleetNode, name: string, uid: string) {
    this.node = node;
    this.name = name;
    this.uid = uid;
    this.netns = join(node.netnsDirectory, this.containerID);
  }

  /** ID of its Temporal run. */
  get workflowId(): string {
    return podNetworkId(this, this.containerID);
  }

  add(options?: PodCallOptions): Promise<CniOutcome> {
    return this.call('ADD', options);
  }

  del(options?: PodCallOptions): Promise<CniOutcome> {
    return this.call('DEL', options);
  }

  check(options?: PodCallOptions): Promise<CniOutcome> {
    return this.call('CHECK', options);
  }

  /** Calls the network's executable on the pod's node. */
  async call(command: CniCommand, options?: PodCallOptions): Promise<CniOutcome> {
    const [outcome] = await this.node.calls([this.asCall(command, options)], 1);
    if (outcome === undefined) throw new Error('A runner answered nothing');
    return outcome;
  }

  /** The call as a value, for many at once. */
  asCall(command: CniCommand, options: PodCallOptions = {}): CniCall {
    const { network = wholeNetwork, ifName = 'eth0', env = {}, ...rest } = options;
    const variables = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: this.containerID,
      CNI_NETNS: this.netns,
      CNI_IFNAME: ifName,
      CNI_PATH: this.node.node.paths.cniBin,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${this.namespace};K8S_POD_NAME=${this.name};K8S_POD_UID=${this.uid};K8S_POD_INFRA_CONTAINER_ID=${this.containerID}`,
      ...env,
    };
    const set = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
    return { command, network, env: set, ...rest };
  }

  /** The sandbox that a runtime makes for the same pod after this one; its namespace is made. */
  async successor(): Promise<FleetPod> {
    const next = new FleetPod(this.node, this.name, this.uid);
    await next.node.makeNamespaces([next]);
    return next;
  }

  /** The end of the sandbox as far as the kernel knows. */
  async removeNamespace(): Promise<void> {
    await this.node.removeNamespaces([this]);
  }
}
