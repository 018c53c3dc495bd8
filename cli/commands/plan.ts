import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { yieldsDefaultRoute } from '../../activities/coordinate.ts';
import type { CoordinationSettings } from '../../contracts/coordination.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import { type PodNetwork, readPodNetworks } from '../../ipam/pod-networks.ts';
import { readPoolCatalogue } from '../../ipam/pool-catalogue.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { CoordinatorReader } from '../../kube/coordinator-reader.ts';
import type { PodView } from '../../kube/pod-view.ts';
import { Surroundings } from '../../kube/surroundings.ts';
import { CliError, usageError } from '../cli-error.ts';
import { openCluster } from '../cluster.ts';
import { type PluginsReading, readPlugins } from '../network-definition.ts';
import { renderPlan } from '../plan-page.ts';
import { checkInterface, checkObjectName, parsePodName } from '../pod-name.ts';
import { findPod, readDefinition, readSettings, readStanding, warningsOf } from '../pod-standing.ts';
import { readPoolView } from '../pool-view.ts';
import { type FoundNetwork, type NodeLook, planNetworks } from '../sandbox-planning.ts';
import { askForReport } from '../worker-socket.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface PlanOptions {
  readonly kubeconfig?: string;
  /** Absent: the pod's own, or the one that this runs on. */
  readonly node?: string;
  /** "namespace/name" of the definition of the pod's default network; absent: as its annotations, or the cluster's default, say. */
  readonly network?: string;
  /** Of the interface that a file is planned for. */
  readonly nic: string;
  readonly runDir: string;
  readonly output: OutputFormat;
}

/** `orb plan NAMESPACE/POD`, `orb plan FILE`: what an ADD would do on this node. Allocates and changes nothing. */
export async function plan(subject: string, options: PlanOptions, terminal: Terminal): Promise<void> {
  const ifName = checkInterface(options.nic);
  if (options.node !== undefined) checkObjectName('node', options.node);
  const settings = readSettings(options.network);
  const file = isFile(subject) ? await readConfiguration(subject) : undefined;
  const name = file === undefined ? parsePodName(subject) : undefined;
  const here = await nodeHere(options.runDir);
  const cluster = await openCluster(options.kubeconfig);
  try {
    const view = await readPoolView(cluster);
    const page = await cluster.asking('pods', async (api) => {
      const pod = name === undefined ? anyPod(cluster.namespace) : await findPod(api, name);
      const node = options.node ?? (pod.node || (here ?? ''));
      if (here !== undefined && node !== here) throw elsewhere(subject, node, here);
      const networks =
        file === undefined
          ? await readNetworks(api, pod, readPodNetworks(pod, settings))
          : [{ ifName, label: file.label, reading: file.reading, wishes: [] }];
      const standing = await readStanding(api, pod, node, settings);
      const coordinators = new CoordinatorReader({ api });
      const evidence = {
        subject,
        node,
        pod,
        annotations: pod.annotations,
        standing,
        networks,
        catalogue: readPoolCatalogue(view.pools, view.reservations),
        claims: view.claims,
        warnings: [
          ...(here === undefined
            ? [`No node worker tells which node this is: its links are taken for ${node || 'the pod'}’s`]
            : []),
          ...(file === undefined ? warningsOf(pod, node) : []),
        ],
      };
      return await withNode((look) =>
        planNetworks(evidence, { ...look, coordinator: (of) => coordinators.recent(of), yieldsDefaultRoute: yields }),
      );
    });
    terminal.print(options.output === 'json' ? toJSON(page) : renderPlan(page, terminal.paint));
  } finally {
    await cluster.close();
  }
}

const yields = (settings: CoordinationSettings | undefined): boolean =>
  yieldsDefaultRoute(settings === undefined ? undefined : { settings });

/** A pod is named namespace/name, and neither ends so. */
const isFile = (subject: string): boolean => /\.(json|conf|conflist)$/.test(subject);

async function readConfiguration(path: string): Promise<{ readonly label: string; readonly reading: PluginsReading }> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw usageError(`Cannot read ${path}: ${(cause as Error).message}`, 'Name a CNI configuration, or NAMESPACE/POD');
  }
  const reading = readPlugins(text, basename(path).replace(/\.[^.]+$/, ''));
  if (reading.outcome === 'unreadable') {
    throw usageError(`${path} is no CNI configuration: ${reading.problem}`, 'As in /etc/cni/net.d: .conf or .conflist');
  }
  return { label: reading.name, reading };
}

/** For whom a file is planned: nobody in particular. */
const anyPod = (namespace: string): PodView => ({
  namespace,
  name: 'any-pod',
  uid: '',
  node: '',
  annotations: {},
  labels: {},
  ownerReferences: [],
  isAlive: true,
  isFinished: false,
});

/** Name of the node that this runs on, as its worker says; without a worker nobody knows. */
async function nodeHere(runDirectory: string): Promise<string | undefined> {
  try {
    return (await askForReport(runDirectory)).node;
  } catch {
    return undefined;
  }
}

const elsewhere = (subject: string, node: string, here: string): CliError =>
  new CliError(`Cannot plan ${subject} for node ${node || '(none yet)'} here: the links of ${here} are in sight`, {
    remedy:
      node === ''
        ? `Plan it as if it were here: --node ${here}`
        : `Run it on ${node}, or plan as if it were here: --node ${here}`,
  });

async function readNetworks(
  api: ApiClient,
  pod: PodView,
  networks: ReturnType<typeof readPodNetworks>,
): Promise<readonly FoundNetwork[]> {
  if (networks.outcome === 'refused') throw new CliError(networks.failure.message, networks.failure);
  const around = new Surroundings({ api, node: pod.node });
  return await Promise.all(networks.networks.map((network) => readNetwork(api, around, pod, network)));
}

async function readNetwork(
  api: ApiClient,
  around: Surroundings,
  pod: PodView,
  { ifName, namespace, name, ips = [], ipamClaimReference: claim }: PodNetwork,
): Promise<FoundNetwork> {
  if (namespace === undefined || name === undefined) {
    return {
      ifName,
      label: 'not known',
      problem: `nobody names it: --network NAMESPACE/NAME, or MULTUS_CLUSTER_NETWORK`,
    };
  }
  const label = `${namespace}/${name}`;
  const config = await readDefinition(api, namespace, name);
  if (config === undefined) return { ifName, label, problem: 'there is no such NetworkAttachmentDefinition' };
  const wishes = [
    ...(ips.length === 0 ? [] : [{ source: `ips of ${ifName} in the pod's annotation`, ips }]),
    ...(claim === undefined
      ? []
      : [{ source: `IPAMClaim "${claim}"`, ips: await around.ipamClaimIPs(pod.namespace, claim) }]),
  ];
  return { ifName, label, reading: readPlugins(config, name), wishes };
}

/** What a new namespace of the node begins with. */
const inherited = ['all', 'default'].flatMap((name) =>
  ['rp_filter', 'src_valid_mark'].map((setting) => `net.ipv4.conf.${name}.${setting}`),
);

/** Looks at the node that this runs on. */
async function withNode<Result>(work: (node: NodeLook) => Promise<Result>): Promise<Result> {
  const { openKernel } = await import('../../kernel/kernel.ts');
  const kernel = openKernel({ threads: 1 });
  try {
    const sysctls: Record<string, string> = {};
    for (const key of inherited) {
      const value = await readFile(`/proc/sys/${key.replaceAll('.', '/')}`, 'utf8').catch(() => undefined);
      if (value !== undefined) sysctls[key] = value.trim();
    }
    return await work({
      sysctls,
      inspectNode: (of) => lookingAt(kernel, of),
      masterAddresses: (of) => kernel.masterAddresses(of),
    });
  } finally {
    await kernel.close();
  }
}

async function lookingAt(kernel: Kernel, of: Parameters<Kernel['inspectNode']>[0]) {
  try {
    return await kernel.inspectNode(of);
  } catch (cause) {
    if (!(cause instanceof ProvisionError)) throw cause;
    throw new CliError(`Cannot look at the links of this node: ${cause.message}`, {
      remedy: 'Run it on the node, as root',
      cause,
    });
  }
}
