import type { Client } from '@temporalio/client';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { OwnerReference } from '../../contracts/crds/object-meta.ts';
import { ipClaimLabels } from '../../contracts/ip-claim.ts';
import type { ClusterOptions } from '../../deploy/dev/cluster.ts';
import type { Stack } from '../../deploy/dev/stack.ts';
import { together } from '../../deploy/dev/together.ts';
import { ensureParts } from '../../deploy/toolchain/parts.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { hasStatus } from '../../kube/api-error.ts';
import { labelHash } from '../../kube/label-hash.ts';
import { TestCluster } from '../e2e/test-cluster.ts';
import { FleetNode } from './fleet-node.ts';
import { type CniCommand, FleetPod, type PodCallOptions } from './fleet-pod.ts';
import { placedPod } from './placed-pod.ts';
import type { CniOutcome } from './runner-messages.ts';

export interface FleetOptions extends Omit<ClusterOptions, 'nodes' | 'kubelets'> {
  /** How many (n1, n2, …), or their names. */
  readonly nodes: number | readonly string[];
}

export interface PodsOptions {
  /** Their names are this, a dash and a number that no other pod of the fleet has. Default `pod`. */
  readonly prefix?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** Nodes with real node workers, on which the caller plays the container runtime. */
export class Fleet {
  readonly cluster: TestCluster;
  readonly nodes: readonly FleetNode[];
  #lastPod = 0;

  private constructor(cluster: TestCluster) {
    this.cluster = cluster;
    this.nodes = cluster.nodes.map((node) => new FleetNode(node));
  }

  static async start({ nodes, ...options }: FleetOptions): Promise<Fleet> {
    const names = typeof nodes === 'number' ? Array.from({ length: nodes }, (_, index) => `n${index + 1}`) : nodes;
    await ensureParts(['fleet-launcher'], () => undefined);
    return new Fleet(
      await TestCluster.start({ logLevel: 'info', faults: false, ...options, nodes: names, kubelets: false }),
    );
  }

  async stop(): Promise<void> {
    await together(this.nodes.map(({ runner }) => runner.stop()));
    await this.cluster.stop();
  }

  get stack(): Stack {
    return this.cluster.stack;
  }

  /** Cluster administrator, from the host. */
  get api(): ApiClient {
    return this.cluster.api;
  }

  get temporal(): Client {
    return this.cluster.temporal;
  }

  node(index = 0): FleetNode {
    const node = this.nodes[index];
    if (node === undefined) throw new RangeError(`The fleet has ${this.nodes.length} nodes, none at ${index}`);
    return node;
  }

  /** Makes pods through the API, each with a sandbox: on one node, or in turn on all. */
  async pods(count: number, node?: FleetNode, { prefix = 'pod', ...metadata }: PodsOptions = {}): Promise<FleetPod[]> {
    const first = this.#lastPod + 1;
    this.#lastPod += count;
    const pods = await together(
      Array.from({ length: count }, async (_, index) => {
        const name = `${prefix}-${first + index}`;
        const on = node ?? this.node(index % this.nodes.length);
        const body = placedPod(on.name, { name, ...metadata });
        const made = await this.api.request<{ readonly metadata: { readonly uid: string } }>({
          method: 'POST',
          path: podsPath,
          body,
          timeoutMs,
        });
        return new FleetPod(on, name, made.metadata.uid);
      }),
    );
    await onEachNode(pods, (on, some) => on.makeNamespaces(some));
    return pods;
  }

  /** Waits until the cluster's coordinator knows what pods that are tied to their node need of it. */
  async untilCoordinatorSynced(): Promise<void> {
    const { stack } = this.cluster;
    await stack.kubectl('wait', '--for=create', 'spidercoordinator/default', '--timeout=60s');
    await stack.kubectl('wait', 'spidercoordinator/default', '--for=jsonpath={.status.phase}=Synced', '--timeout=60s');
  }

  /** One pod with a sandbox. */
  async pod(node?: FleetNode, options?: PodsOptions): Promise<FleetPod> {
    const [pod] = await this.pods(1, node, options);
    if (pod === undefined) throw new Error('No pod was made');
    return pod;
  }

  /** Deletes pod objects at once, as a force delete does. Succeeds for those that are gone already. */
  async deletePods(pods: readonly FleetPod[]): Promise<void> {
    await together(
      pods.map(async ({ name, uid }) => {
        const body = { gracePeriodSeconds: 0, preconditions: { uid } };
        try {
          await this.api.request({ method: 'DELETE', path: `${podsPath}/${name}`, body, timeoutMs });
        } catch (error) {
          if (!hasStatus(error, 404)) throw error;
        }
      }),
    );
  }

  /** Calls for many sandboxes, `atOncePerNode` open at any time on each node. Outcomes are in the order of the pods. */
  async callAll(
    command: CniCommand,
    pods: readonly FleetPod[],
    atOncePerNode: number,
    options?: PodCallOptions,
  ): Promise<readonly CniOutcome[]> {
    const outcomes = new Map<FleetPod, CniOutcome>();
    await onEachNode(pods, async (node, some) => {
      const calls = some.map((pod) => pod.asCall(command, options));
      const answers = await node.calls(calls, atOncePerNode);
      for (const [index, pod] of some.entries()) {
        const answer = answers[index];
        if (answer !== undefined) outcomes.set(pod, answer);
      }
    });
    return pods.map((pod) => {
      const outcome = outcomes.get(pod);
      if (outcome === undefined) throw new Error(`No outcome for ${pod.name}`);
      return outcome;
    });
  }

  /** Claims that this fleet's nodes hold; claims of strangers, as fillers of pools make them, are left out. */
  async claims(): Promise<readonly IPClaim[]> {
    const hashes = this.nodes.map(({ name }) => labelHash(name));
    const { items } = await this.api.request<{ readonly items: readonly IPClaim[] }>({
      method: 'GET',
      path: '/apis/orbweaver.io/v1alpha1/ipclaims',
      query: { labelSelector: `${ipClaimLabels.node} in (${hashes.join(',')})` },
      timeoutMs,
    });
    return items;
  }

  /** The whole end of pods: object, DEL, namespace, in this order, so that the DEL releases. Gives the outcomes of the DELs. */
  async removePods(
    pods: readonly FleetPod[],
    { atOncePerNode = 16, ...options }: PodCallOptions & { readonly atOncePerNode?: number } = {},
  ): Promise<readonly CniOutcome[]> {
    await this.deletePods(pods);
    const outcomes = await this.callAll('DEL', pods, atOncePerNode, options);
    await onEachNode(pods, (node, some) => node.removeNamespaces(some));
    return outcomes;
  }

  /**
   * Addresses that two live sandboxes have at the same moment, a sentence each. Namespaces are read one after the other, so
   * whatever looks like a duplicate is read again, twice: an address that went from one to the other in between is none.
   */
  async duplicates(): Promise<readonly string[]> {
    const seen = await together(
      this.nodes.map(async (node) => (await node.addresses()).map((sandbox) => ({ node, ...sandbox }))),
    );
    const held = seen
      .flat()
      .flatMap(({ addresses, ...sandbox }) => addresses.map((address) => ({ ...sandbox, address })));
    const suspects = [...Map.groupBy(held, ({ address }) => address)].filter(([, holders]) => holders.length > 1);
    const proven = await together(
      suspects.map(async ([address, holders]) => {
        const stillThere: typeof holders = [];
        // Whoever has it in the first and in the third look had it in the second, unless it was given back and taken again.
        const looks = [];
        for (let look = 0; look < 3; look += 1) {
          const holding = new Set<string>();
          for (const { node, containerID } of holders) {
            const [now] = await node.addresses([{ containerID }]);
            if (now?.addresses.includes(address) === true) holding.add(containerID);
          }
          looks.push(holding);
        }
        for (const holder of holders) if (looks.every((look) => look.has(holder.containerID))) stillThere.push(holder);
        if (stillThere.length < 2) return [];
        return [`${address} is in ${stillThere.map((one) => `${one.node.name} ${one.containerID}`).join(' and ')}`];
      }),
    );
    return proven.flat();
  }
}

const podsPath = '/api/v1/namespaces/default/pods';
const timeoutMs = 60_000; // many are sent at once

async function onEachNode(
  pods: readonly FleetPod[],
  work: (node: FleetNode, pods: readonly FleetPod[]) => Promise<void>,
): Promise<void> {
  await together([...Map.groupBy(pods, ({ node }) => node)].map(([node, some]) => work(node, some)));
}
