import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { kubeconfigText } from './certificates.ts';
import { type ControlPlane, insideApiServer, startControlPlane } from './control-plane.ts';
import { eventually, GivenUp } from './eventually.ts';
import { buildFabric } from './fabric.ts';
import { openHostPorts } from './host-ports.ts';
import { layoutOf, management, ports, type StackLayout, serviceRanges, stackDirectory } from './layout.ts';
import { applyClusterNetwork, applyDefinitions, type NetworkConfiguration, orbweaverNetwork } from './multus.ts';
import { type StackNode, startNode } from './node.ts';
import { Place } from './place.ts';
import type { StackProcess } from './stack-process.ts';
import { findLeftovers, teardown } from './teardown.ts';
import { insideTemporal, startTemporal, untilTemporalReady } from './temporal-server.ts';
import { together } from './together.ts';

export interface StackOptions {
  /** 1 to 12 lower-case letters and digits; by default 4 hexadecimal digits at random. */
  readonly id?: string;
  /** Names of the nodes; default two, none is allowed. */
  readonly nodes?: readonly string[];
  /** Default true. */
  readonly temporal?: boolean;
  /** Default true. Without it there can be no nodes. */
  readonly kubernetes?: boolean;
  /**
   * Default true. Without them the nodes are bare: a network, mounts, a Node object and the CNI executables, for callers who
   * play the runtime; and no controller makes or ends pods. A dozen such nodes start in seconds.
   */
  readonly kubelets?: boolean;
  /** Default false. With it addresses and NodePorts of Services answer, of both families, by kube-proxy in nftables mode; it needs kubelets. */
  readonly kubeProxy?: boolean;
  /** Default false. With it etcd acknowledges a write only once it is on disk, as a cluster's does: for measurements. */
  readonly durable?: boolean;
  /** Where the stack's directory `orbweaver-<id>` is made; default /tmp, or $TMPDIR. */
  readonly under?: string;
  /** The network that every pod gets; default macvlan on `underlay0` by our plugin. */
  readonly defaultNetwork?: NetworkConfiguration;
  readonly onProgress?: (fact: string) => void;
}

/** A running stack. */
export interface Stack {
  readonly id: string;
  readonly directory: string;
  readonly logs: string;
  /** The namespaces of the control plane and of a machine without Kubernetes on the underlay, which is at `underlay.v4.outside`. */
  readonly control: Place;
  readonly outside: Place;
  readonly fabric: Place;
  readonly nodes: readonly StackNode[];
  readonly kubeconfigs: {
    /** Cluster administrator, for use on the host. */
    readonly admin: string;
    /** Node workers by node name, each for use inside its node. */
    readonly nodes: Readonly<Record<string, string>>;
  };
  /** API server, on the host and inside. */
  readonly apiServerUrl: string;
  readonly insideApiServerUrl: string;
  /** Temporal frontend as host:port, on the host and inside. */
  readonly temporalAddress: string;
  readonly insideTemporalAddress: string;
  /** Temporal UI, on the host. */
  readonly uiUrl: string;
  /** Runs kubectl as administrator and gives its output. */
  kubectl(...args: string[]): Promise<string>;
  /** Creates or changes objects, as `kubectl apply` does; again while the API server or a webhook says that it cannot tell. */
  apply(...objects: object[]): Promise<void>;
  /** A part by the name of its log: `etcd`, `kube-apiserver`, `temporal`, `node-a/kubelet`, … To stop, freeze and start it again. */
  part(name: string): StackProcess;
  /** Ends the stack and removes all of it. */
  stop(): Promise<void>;
}

/** Brings up a stack. It runs until `stop` or `down.ts`, also when the caller ends. After a failure nothing of it is left. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const id = options.id ?? randomBytes(2).toString('hex');
  const layout = layoutOf(
    id,
    stackDirectory(id, options.under),
    options.kubernetes === false ? [] : (options.nodes ?? ['node-a', 'node-b']),
  );
  const others = await findLeftovers(id, layout.directory);
  if (others.length > 0) {
    const remedy = `node deploy/dev/down.ts ${layout.directory}`;
    throw new Error(`Stack id ${id} is taken:\n  ${others.join('\n  ')}\nEnd it with: ${remedy}`);
  }
  await mkdir(layout.directory);
  try {
    return await start(layout, options);
  } catch (error) {
    await teardown(id, layout.directory);
    throw error;
  }
}

async function start(layout: StackLayout, options: StackOptions): Promise<Stack> {
  const {
    kubernetes = true,
    kubelets = true,
    kubeProxy = false,
    temporal = true,
    durable = false,
    onProgress = () => undefined,
  } = options;
  for (const directory of [layout.logs, layout.processes]) await mkdir(directory);
  await buildFabric(layout);
  const control = new Place(layout, layout.netns.control);
  onProgress(`stack ${layout.id}: network namespaces made`);

  const inside = (port: number) => ({ host: management.control, port });
  const [apiPort = 0, temporalPort = 0, uiPort = 0] = await openHostPorts(control, [
    inside(ports.apiServer),
    inside(ports.temporal),
    inside(ports.temporalUi),
  ]);
  const uiUrl = `http://127.0.0.1:${uiPort}`;
  const parts: StackProcess[] = [];

  const bringTemporal = async (): Promise<void> => {
    const server = startTemporal(layout, control);
    parts.push(server);
    await untilTemporalReady(server, uiUrl);
    onProgress(`Temporal answers at ${uiUrl}`);
  };
  const bringKubernetes = async (): Promise<{ controlPlane: ControlPlane; nodes: StackNode[] }> => {
    const controllers = kubelets && layout.nodes.length > 0;
    const controlPlane = await startControlPlane(layout, control, apiPort, {
      controllers,
      // Without kube-proxy nodes have no IPv6 of their own either, and every ADD would warn that it cannot hand those Services to its node.
      serviceRanges: kubeProxy ? Object.values(serviceRanges) : [serviceRanges.v4],
      durable,
    });
    parts.push(...controlPlane.parts);
    await applyDefinitions(controlPlane);
    onProgress('API server is ready and knows our resources');
    const nodes = kubelets
      ? await startNodes(layout, controlPlane, { network: options.defaultNetwork ?? orbweaverNetwork, kubeProxy })
      : await startBareNodes(layout, controlPlane);
    for (const node of nodes) onProgress(`${node.name} is registered`);
    return { controlPlane, nodes };
  };
  const [cluster] = await together([
    kubernetes ? bringKubernetes() : undefined,
    temporal ? bringTemporal() : undefined,
  ]);
  const kubectl: ControlPlane['kubectl'] = (...args) => {
    if (cluster === undefined) throw new Error('This stack runs without Kubernetes');
    return cluster.controlPlane.kubectl(...args);
  };
  const nodes = cluster?.nodes ?? [];
  parts.push(...nodes.flatMap((node) => node.parts));

  return {
    id: layout.id,
    directory: layout.directory,
    logs: layout.logs,
    control,
    outside: new Place(layout, layout.netns.outside),
    fabric: new Place(layout, layout.netns.fabric),
    nodes,
    kubeconfigs: {
      admin: cluster?.controlPlane.adminKubeconfig ?? '',
      nodes: Object.fromEntries(nodes.map((node) => [node.name, node.paths.workerKubeconfig])),
    },
    apiServerUrl: `https://127.0.0.1:${apiPort}`,
    insideApiServerUrl: insideApiServer,
    temporalAddress: `127.0.0.1:${temporalPort}`,
    insideTemporalAddress: insideTemporal,
    uiUrl,
    kubectl: (...args) => kubectl(args),
    apply: async (...items) => {
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
      await eventually('Objects applied', 60, async () => ({
        value: await kubectl(['apply', '--server-side', '--filename', '-'], list).catch(giveUpUnlessInternal),
      }));
    },
    part(name) {
      const found = parts.find((part) => part.name === name);
      if (found !== undefined) return found;
      throw new RangeError(`No part ${name}; there are ${parts.map((part) => part.name).join(', ')}`);
    },
    stop: () => teardown(layout.id, layout.directory),
  };
}

/** Admission asks the API server in its turn, which may be too busy to answer in time. */
function giveUpUnlessInternal(error: Error): never {
  if (error.message.includes('(InternalError)')) throw error;
  throw new GivenUp(error.message, { cause: error });
}

async function startBareNodes(layout: StackLayout, controlPlane: ControlPlane): Promise<StackNode[]> {
  if (layout.nodes.length === 0) return [];
  // Pods are refused without it, and the controller that makes it does not run.
  await controlPlane.kubectl(['create', 'serviceaccount', 'default', '--namespace', 'default']);
  return together(layout.nodes.map((node) => startNode({ layout, controlPlane, multusKubeconfig: undefined }, node)));
}

async function startNodes(
  layout: StackLayout,
  controlPlane: ControlPlane,
  { network, kubeProxy }: { readonly network: NetworkConfiguration; readonly kubeProxy: boolean },
): Promise<StackNode[]> {
  if (layout.nodes.length === 0) return [];
  const [token] = await together([
    controlPlane.kubectl(['create', 'token', 'multus', '--namespace', 'orbweaver-system', '--duration', '8760h']),
    applyClusterNetwork(controlPlane, network),
  ]);
  const multusKubeconfig = await kubeconfigText(insideApiServer, controlPlane.authority, { token: token.trim() });
  return together(layout.nodes.map((node) => startNode({ layout, controlPlane, multusKubeconfig, kubeProxy }, node)));
}
