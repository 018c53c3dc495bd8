import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ImportReport } from '../../cli/import-page.ts';
import { plain } from '../../cli/paint.ts';
import { run } from '../../cli/program.ts';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { SpiderEndpoint } from '../../contracts/crds/spiderendpoint.ts';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { prepareControlWorkers, startControlWorker } from '../../deploy/dev/control-workers.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { HandMadeSandbox } from '../../deploy/dev/hand-made-sandbox.ts';
import type { StackProcess } from '../../deploy/dev/stack-process.ts';
import { monitoringPaths } from '../../workers/metrics/http-server.ts';
import { getFrom } from './monitoring.ts';
import { TestCluster } from './test-cluster.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';
const finalizers = ['spiderpool.spidernet.io'];
const poolName = 'rack';

let cluster: TestCluster;
let agent: Server;
let control: StackProcess;
/** Pods that run since Spiderpool's time, by name. */
const running = new Map<string, HandMadeSandbox>();
const addressOf: Readonly<Record<string, string>> = {
  stays: '10.70.8.20',
  ends: '10.70.8.21',
  restarts: '10.70.8.22',
  vanishes: '10.70.8.23',
};
const sandboxOf = (name: string): HandMadeSandbox => {
  const sandbox = running.get(name);
  if (sandbox === undefined) throw new Error(`No pod ${name} runs`);
  return sandbox;
};

/** A cluster as Spiderpool leaves it: pods with addresses that nobody here gave, its resources as it writes them, its agent. */
beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['n1'], kubelets: false, controlWorkers: 0 });
  await cluster.node.worker.stop();
  agent = createServer(({ url }, response) => response.writeHead(url === '/v1/ipam/healthy' ? 200 : 404).end());
  await new Promise<void>((resolve) => agent.listen(join(cluster.node.node.paths.run, 'spiderpool.sock'), resolve));

  // Room for two more pods than have an address.
  await cluster.stack.apply(underlayPool(poolName, 4, ['10.70.8.20-10.70.8.25']));
  const records: Record<string, { pod: string; podUid: string }> = {};
  for (const [name, address] of Object.entries(addressOf)) {
    const sandbox = await cluster.sandbox(name, {}, 'n1');
    running.set(name, sandbox);
    await sandbox.exec(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other']);
    await sandbox.exec(['ip', 'address', 'add', `${address}/16`, 'dev', 'eth0']);
    records[address] = { pod: `default/${name}`, podUid: sandbox.podUID };
    await post(`${group}/namespaces/default/spiderendpoints`, endpoint(sandbox, address));
  }
  records['10.70.8.24'] = { pod: 'default/long-gone', podUid: '00000000-0000-4000-8000-000000000000' };
  const pool = await readPool();
  const status = {
    allocatedIPs: JSON.stringify(records),
    allocatedIPCount: Object.keys(records).length,
    totalIPCount: 6,
  };
  await put(`${group}/spiderippools/${poolName}/status`, { ...pool, status });
}, 240_000);
afterAll(async () => {
  agent?.close();
  await cluster?.stop();
}, 60_000);

const endpoint = ({ podName, podUID }: HandMadeSandbox, address: string): SpiderEndpoint => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderEndpoint',
  metadata: {
    name: podName,
    finalizers,
    ownerReferences: [
      { apiVersion: 'v1', kind: 'Pod', name: podName, uid: podUID, controller: true, blockOwnerDeletion: true },
    ],
  },
  status: {
    current: {
      uid: podUID,
      node: 'n1',
      ips: [{ interface: 'eth0', ipv4: `${address}/16`, ipv4Pool: poolName, vlan: 0, cleanGateway: false, routes: [] }],
    },
    ownerControllerType: 'Pod',
    ownerControllerName: podName,
  },
});

const post = (path: string, body: object): Promise<unknown> =>
  cluster.api.request({ method: 'POST', path, body, timeoutMs: 10_000 });
const put = (path: string, body: object): Promise<unknown> =>
  cluster.api.request({ method: 'PUT', path, body, timeoutMs: 10_000 });
const readPool = (): Promise<SpiderIPPool> =>
  cluster.api.request<SpiderIPPool>({ method: 'GET', path: `${group}/spiderippools/${poolName}`, timeoutMs: 10_000 });
const recordsIn = ({ status }: SpiderIPPool): readonly string[] =>
  Object.keys(JSON.parse(status?.allocatedIPs ?? '{}') as object).sort();
const claimOf = async (name: string): Promise<IPClaim | undefined> =>
  (await cluster.claims()).find(({ metadata }) => metadata.name === addressOf[name]);

async function orbImport(...args: readonly string[]): Promise<ImportReport> {
  const out: string[] = [];
  const terminal = {
    print: (text: string) => void out.push(text),
    printError: (text: string) => void out.push(text),
    paint: plain,
    paintError: plain,
    columns: 300,
  };
  const code = await run(['import', '-o', 'json', '--kubeconfig', cluster.stack.kubeconfigs.admin, ...args], terminal);
  expect({ code, out: code === 0 ? '' : out.join('\n') }).toEqual({ code: 0, out: '' });
  return JSON.parse(out.join('\n')) as ImportReport;
}

const untilLogged = (process: StackProcess, text: string): Promise<boolean> =>
  eventually(`${process.name} says "${text}"`, 60, () =>
    readFileSync(process.logFile, 'utf8').includes(text) ? { value: true } : { state: process.tail(3) },
  );

describe('moving over from Spiderpool', () => {
  it('leaves its records alone until they are imported', async () => {
    const kubeconfig = await prepareControlWorkers(cluster.stack);
    const workflowBundle = join(cluster.stack.directory, 'workflows.js');
    control = startControlWorker(cluster.stack, 0, { kubeconfig, workflowBundle, logLevel: 'info' });
    await untilLogged(control, 'nothing is published before that');
    expect(recordsIn(await readPool())).toHaveLength(5);
  });

  it('serves no node on which its agent answers', async () => {
    const { node, worker } = cluster.node;
    worker.start();
    await untilLogged(worker, 'a Spiderpool agent serves this node, waiting for its end');
    const { status, text } = await getFrom(node, '127.0.0.1:5710', monitoringPaths.readiness);
    expect({ status, text }).toEqual({ status: 503, text: expect.stringContaining('a Spiderpool agent answers at') });
  });

  it('tells beforehand what it would claim, and claims nothing', async () => {
    const report = await orbImport('--dry-run');
    expect(report.created.map(({ name }) => name).sort()).toEqual(Object.values(addressOf).sort());
    expect(await cluster.claims()).toEqual([]);
  });

  it('claims the addresses of all pods, and says which record does not fit', async () => {
    const report = await orbImport();
    expect(report.created).toHaveLength(4);
    expect(report.misfits).toEqual([
      expect.objectContaining({ address: '10.70.8.24', pod: 'default/long-gone', pool: poolName }),
    ]);
    const claims = await cluster.claims();
    expect(claims.map(({ spec }) => spec.holders[0]?.pod ?? '').sort()).toEqual(Object.keys(addressOf).sort());
  });

  it('does nothing the second time', async () => {
    const before = (await cluster.claims()).map(({ metadata }) => metadata.resourceVersion);
    expect(await orbImport()).toMatchObject({ created: [], present: 4, withdrawn: [] });
    expect((await cluster.claims()).map(({ metadata }) => metadata.resourceVersion)).toEqual(before);
  });

  it('serves when the agent is gone, and finds the sandboxes of the imported pods', async () => {
    await new Promise((resolve) => agent.close(resolve));
    await cluster.node.node.untilReady();
    for (const [name, sandbox] of running) {
      const holder = await eventually(`The worker found ${name}`, 60, async () => {
        const found = (await claimOf(name))?.spec.holders[0];
        return found?.netns === '' || found === undefined ? { state: JSON.stringify(found) } : { value: found };
      });
      expect(holder).toMatchObject({ netns: sandbox.netns, node: 'n1', podUID: sandbox.podUID });
    }
  });

  it('gives new pods what is left, and nothing twice', async () => {
    const answers = [];
    for (const name of ['new-0', 'new-1', 'new-2']) answers.push(await (await cluster.sandbox(name, {}, 'n1')).add());
    expect(answers.map(({ exitCode }) => exitCode)).toEqual([0, 0, 1]);
    expect(answers[2]?.body?.msg).toContain(`pool "${poolName}": all 6 are in use`);
    expect((await cluster.claims()).map(({ metadata }) => metadata.name)).toHaveLength(6);
  });

  it('hears no DEL of a sandbox that the pod had long ago', async () => {
    const old = { env: { CNI_CONTAINERID: 'f'.repeat(64), CNI_NETNS: '/run/netns/cni-of-old' } };
    expect((await sandboxOf('stays').del(old)).exitCode).toBe(0);
    expect((await claimOf('stays'))?.spec.phase).toBe('Bound');
  });

  it('frees the address of an imported pod at its DEL, whatever its container is called', async () => {
    const ends = sandboxOf('ends');
    await cluster.deletePod(ends);
    expect((await ends.del()).exitCode).toBe(0);
    expect(await claimOf('ends')).toBeUndefined();
    expect(await ends.look()).not.toContain('10.70.8.21');
  });

  it('keeps the address of an imported pod for its next sandbox', async () => {
    const restarts = sandboxOf('restarts');
    expect((await restarts.del()).exitCode).toBe(0);
    expect((await claimOf('restarts'))?.spec.phase).toBe('Held');
    await restarts.deleteNamespace();
    const next = await cluster.successorOf(restarts);
    const { exitCode, body } = await next.add();
    expect({ exitCode, address: body?.ips?.[0]?.address }).toEqual({ exitCode: 0, address: '10.70.8.22/16' });
    expect((await claimOf('restarts'))?.spec.holders[0]?.containerID).toBe(next.containerID);
  });

  it('frees the address of an imported pod that went without its DEL', async () => {
    const vanishes = sandboxOf('vanishes');
    await cluster.deletePod(vanishes);
    await vanishes.deleteNamespace();
    await eventually('Its address is free', 30, async () => {
      const claim = await claimOf('vanishes');
      return claim === undefined ? { value: true } : { state: JSON.stringify(claim.spec.holders) };
    });
  });

  it('publishes what the claims say from then on', async () => {
    await eventually('The pool shows its claims', 60, async () => {
      const [shown, claims] = await Promise.all([readPool(), cluster.claims()]);
      const names = claims.map(({ metadata }) => metadata.name).sort();
      return recordsIn(shown).join() === names.join() ? { value: true } : { state: recordsIn(shown).join() };
    });
    await eventually('Endpoints are those of pods with addresses', 60, async () => {
      const path = `${group}/spiderendpoints`;
      const { items } = await cluster.api.request<{ items: readonly SpiderEndpoint[] }>({
        method: 'GET',
        path,
        timeoutMs: 10_000,
      });
      const names = items.map(({ metadata }) => metadata.name).sort();
      return names.join() === 'new-0,new-1,restarts,stays' ? { value: true } : { state: names.join() };
    });
    expect(control.isRunning).toBe(true);
  });
});
