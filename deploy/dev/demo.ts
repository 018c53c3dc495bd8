import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Client, Connection } from '@temporalio/client';
import { nodeNamespace } from '../../temporal-config/queues.ts';
import { type Cluster, type ClusterNode, deployment, startCluster, underlayPool } from './cluster.ts';
import { idle, leftOf, type Podlike, readPods } from './demo-cluster-view.ts';
import { eventually } from './eventually.ts';
import { faultFile, faultMoments } from './faulty-node-worker.ts';
import { HandMadeSandbox } from './hand-made-sandbox.ts';
import { underlay } from './layout.ts';

/**
 * `make demo`: a cluster of our own, pods on it, and then what makes it worth having, told line by line. Everything that is
 * said was seen by this program just before; the first thing that is not as promised ends it with exit code 1.
 *
 * EXIT=1 ends it when the story is told; otherwise it waits, so that a person can look around.
 */
const isToldOnly = process.env['EXIT'] === '1';
const startedAt = performance.now();

const chapter = (title: string): void => console.log(`\n${bold(title)}`);
const tell = (line: string): void => console.log(`  ${dim(clock())} ${line}`);
const clock = (): string => `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s`;
const styled = (code: number) => (text: string) => (process.stdout.isTTY ? `\x1b[${code}m${text}\x1b[0m` : text);
const bold = styled(1);
const dim = styled(2);

class Broken extends Error {}

/** Says a fact that must hold; the story ends where it does not. */
function expectFact(holds: boolean, fact: string, found: string): void {
  if (!holds) throw new Broken(`Not as promised: ${fact}\nFound: ${found}`);
  tell(fact);
}

async function begin(): Promise<Cluster> {
  chapter('A cluster of two nodes, on this machine and in network namespaces of its own');
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  const started = await startCluster({ onProgress: tell });
  once(interrupted.signal, 'abort').then(
    async () => {
      await started.stop();
      process.exit(130);
    },
    () => undefined,
  );
  await started.stack.apply(
    underlayPool('demo-v4', 4, ['10.70.1.10-10.70.1.109']),
    underlayPool('demo-v6', 6, ['fd00:70::100-fd00:70::163']),
  );
  tell('Pools demo-v4 and demo-v6 with 100 addresses each are the default of the cluster');
  return started;
}

async function podsGetTheirNetwork(on: Cluster, client: Client): Promise<void> {
  chapter('A Deployment of 6 pods, through kubelet, containerd and Multus');
  await on.stack.apply(deployment('web', 6));
  const pods = await untilRunning(on, 'web', 6);
  for (const pod of pods) tell(`${pod.name} on ${pod.node}: ${pod.addresses.join(', ')}`);
  const nodesUsed = new Set(pods.map(({ node }) => node));
  expectFact(nodesUsed.size === 2, 'All 6 are Running, on both nodes', [...nodesUsed].join());
  const all = pods.flatMap(({ addresses }) => addresses);
  expectFact(new Set(all).size === 12, 'They hold 12 different addresses of the two pools', all.join());

  const [from, ...others] = pods;
  if (from === undefined) throw new Broken('No pod');
  const targets = [...others.flatMap(({ addresses }) => addresses), underlay.v4.gateway, underlay.v6.gateway];
  for (const target of targets) await on.stack.kubectl('exec', from.name, '--', 'ping', '-c', '1', '-W', '2', target);
  tell(`${from.name} reaches all others on both nodes and the gateway, by IPv4 and IPv6`);
  for (const target of all) await on.stack.outside.exec(['busybox', 'ping', '-c', '1', '-W', '2', target]);
  tell('A host outside the cluster reaches every pod, by IPv4 and IPv6');

  const ui = await fetch(on.stack.uiUrl);
  expectFact(ui.status === 200, `The Temporal UI answers at ${on.stack.uiUrl}`, `HTTP ${ui.status}`);
  const runs = await Array.fromAsync(client.workflow.list({ query: 'ExecutionStatus="Running"' }));
  expectFact(
    runs.length === 6,
    'There is one run for each sandbox. This is what one says of itself:',
    `${runs.length} runs`,
  );
  const run = runs.find(({ workflowId }) => workflowId.startsWith(`pod/default/${from.name}/`));
  const details = run === undefined ? '' : await currentDetails(client, run.workflowId);
  expectFact(details.includes(from.addresses[0] ?? '?'), indented(details), details);
}

async function failedAddsLeaveNothing(on: Cluster, client: Client): Promise<void> {
  chapter('An ADD that fails after any of its steps leaves nothing');
  const { node } = nodeAt(on, 0);
  const sandbox = await HandMadeSandbox.create(on.stack, node, 'demo-fault');
  const before = await leftOf(on, client, sandbox);
  tell('Before, in the sandbox and among the claims:');
  tell(indented(before));
  for (const moment of faultMoments) {
    await writeFile(join(node.paths.run, faultFile), moment);
    const { exitCode, body } = await sandbox.add();
    expectFact(exitCode === 1 && (body?.msg ?? '').includes(moment), `ADD fails: ${body?.msg}`, JSON.stringify(body));
    await idle(on, client, sandbox);
    const after = await leftOf(on, client, sandbox);
    expectFact(after === before, '  … and everything is as before', after);
  }
  const added = await sandbox.add();
  expectFact(
    added.exitCode === 0,
    `The same ADD without a fault gets ${added.body?.ips?.map(({ address }) => address).join(', ')}`,
    JSON.stringify(added),
  );
  const removed = await sandbox.del();
  await idle(on, client, sandbox);
  const after = await leftOf(on, client, sandbox);
  // The pod object lives on, as it does when a sandbox is restarted: its addresses are held for it.
  expectFact(
    removed.exitCode === 0 && after.includes('Held'),
    'Its DEL removes the interface; the addresses are Held for the pod',
    after,
  );
  await sandbox.remove();
}

async function aKilledWorkerLosesNothing(on: Cluster, client: Client): Promise<void> {
  chapter('A node worker is killed with -9 while 20 pods start');
  await on.stack.apply(deployment('crowd', 20));
  await eventually('The first of the 20 pods has a claim', 60, async () => {
    const claims = await on.stack.kubectl('get', 'ipclaims', '-o', 'jsonpath={.items[*].spec.holders[0].pod}');
    const begun = claims.split(' ').filter((pod) => pod.startsWith('crowd-'));
    return begun.length > 0 ? { value: true } : { state: 'none has yet' };
  });
  const { node, worker } = nodeAt(on, 0);
  await worker.stop('SIGKILL');
  tell(`kill -9 of the worker of ${node.name}, in the middle`);
  worker.start();
  tell('… and it is started again');
  const pods = await untilRunning(on, 'crowd', 20, 180);
  const all = (await readPods(on)).flatMap(({ addresses }) => addresses);
  expectFact(pods.length === 20, 'All 20 reach Running', String(pods.length));
  expectFact(
    new Set(all).size === all.length,
    `${all.length} addresses on ${all.length / 2} pods, none twice`,
    all.join(),
  );
  await eventually('Claims are those of the pods', 60, async () => {
    const claims = await claimNames(on);
    return claims.length === all.length
      ? { value: true }
      : { state: `${claims.length} claims for ${all.length} addresses` };
  });
  tell(`${all.length} claims: none too many, none too few`);
  await eventually('Open runs are those of the pods', 60, async () => {
    const { count } = await client.workflow.count('ExecutionStatus="Running"');
    return count === all.length / 2 ? { value: true } : { state: `${count} runs for ${all.length / 2} pods` };
  });
  tell(`${all.length / 2} open runs: one for each sandbox`);
}

async function deletedPodsLeaveNothing(on: Cluster, client: Client): Promise<void> {
  chapter('All pods are deleted');
  await on.stack.kubectl('delete', 'deployment', 'web', 'crowd', '--wait=true');
  await eventually('Nothing is left', 60, async () => {
    const pods = await on.stack.kubectl('get', 'pods', '-o', 'name');
    const claims = await claimNames(on);
    const { count } = await client.workflow.count('ExecutionStatus="Running"');
    const isNothing = pods.trim() === '' && claims.length === 0 && count === 0;
    return isNothing
      ? { value: true }
      : { state: `${pods.trim().split('\n').length} pods, ${claims.length} claims, ${count} runs` };
  });
  for (const { node } of on.nodes) {
    const files = await node.exec([
      'sh',
      '-c',
      'find "$0/attachments" "$1" -type f 2>/dev/null || true',
      node.paths.run,
      node.paths.queue,
    ]);
    expectFact(files.trim() === '', `${node.name}: no record and no waiting DEL is left`, files);
  }
  tell('No claim and no open run is left');
}

async function untilRunning(on: Cluster, app: string, count: number, seconds = 120): Promise<readonly Podlike[]> {
  return await eventually(`${count} pods of ${app} Running`, seconds, async () => {
    const pods = (await readPods(on)).filter((pod) => pod.app === app);
    const running = pods.filter((pod) => pod.isRunning);
    return running.length === count && pods.length === count
      ? { value: running }
      : { state: pods.map(({ name, isRunning }) => `${name}: ${isRunning ? 'Running' : 'not running'}`).join(', ') };
  });
}

async function currentDetails(client: Client, workflowId: string): Promise<string> {
  const metadata = await client.workflow
    .getHandle(workflowId)
    .query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  return metadata.currentDetails ?? '';
}

async function claimNames(on: Cluster): Promise<readonly string[]> {
  const names = await on.stack.kubectl('get', 'ipclaims', '-o', 'jsonpath={.items[*].metadata.name}');
  return names.split(' ').filter((name) => name !== '');
}

function nodeAt(on: Cluster, index: number): ClusterNode {
  const node = on.nodes[index];
  if (node === undefined) throw new Broken(`The cluster has no node ${index}`);
  return node;
}

async function keepLogs(cluster: Cluster): Promise<string> {
  const kept = `${cluster.stack.directory}-logs`;
  await cluster.stack.control.exec(['cp', '-r', cluster.stack.logs, kept]);
  return kept;
}

/** Further lines of a text stand under its first, beside the clock. */
const indented = (text: string): string => text.trimEnd().replaceAll('\n', `\n${' '.repeat(11)}`);

async function tellStory(): Promise<void> {
  const cluster = await begin();
  try {
    const temporal = await Connection.connect({ address: cluster.stack.temporalAddress });
    const client = new Client({ connection: temporal, namespace: nodeNamespace });
    await podsGetTheirNetwork(cluster, client);
    await failedAddsLeaveNothing(cluster, client);
    await aKilledWorkerLosesNothing(cluster, client);
    await deletedPodsLeaveNothing(cluster, client);
    chapter('Look around');
    tell(`Temporal UI, every sandbox that there was:  ${cluster.stack.uiUrl}/namespaces/${nodeNamespace}/workflows`);
    tell(`kubectl:  export KUBECONFIG=${cluster.stack.kubeconfigs.admin}; .tools/bin/kubectl get ipclaims`);
    tell(
      `orb:      export ORBWEAVER_TEMPORAL_ADDRESS=${cluster.stack.temporalAddress}; .tools/node/bin/node cli/orb.ts pools`,
    );
    if (!isToldOnly)
      await createInterface({ input: process.stdin, output: process.stdout }).question('\nEnter ends the demo. ');
    await temporal.close();
  } catch (error) {
    console.error(
      `\n${error instanceof Broken ? error.message : String(error instanceof Error ? error.stack : error)}`,
    );
    console.error(`Logs are copied to ${await keepLogs(cluster)}`);
    process.exitCode = 1;
  } finally {
    tell('The stack ends');
    await cluster.stop();
    tell('Nothing of it is left on this machine');
  }
}

await tellStory();
