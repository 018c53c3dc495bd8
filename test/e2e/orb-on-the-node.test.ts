import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { CleanReport } from '../../cli/clean-page.ts';
import type { Explanation } from '../../cli/explanation.ts';
import type { PlanPage } from '../../cli/plan-page.ts';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { orbweaverNetwork } from '../../deploy/dev/multus.ts';
import type { StackNode } from '../../deploy/dev/node.ts';
import { repositoryRoot } from '../../deploy/toolchain/parts.ts';
import { asLines, readNodeState } from './cluster-state.ts';
import { TestCluster } from './test-cluster.ts';

let cluster: TestCluster;
let node: StackNode;
let kubeconfig: string;

const network = { ...orbweaverNetwork, default_ipv4_ippool: ['wide'], coordinator: { hijackCIDR: ['10.96.0.0/12'] } };
/** What Multus would attach as eth0; bare nodes have none, and their runtime is this test. */
const definition = {
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { namespace: 'orbweaver-system', name: 'underlay' },
  spec: { config: JSON.stringify(network) },
};

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['n1'], kubelets: false });
  ({ node } = cluster.node);
  await cluster.stack.apply(definition, underlayPool('wide', 4, ['10.70.8.1-10.70.8.50'], { default: false }));
  await cluster.stack.kubectl('wait', 'spidercoordinator', 'default', '--for=create', '--timeout=60s');
  const explicit = { spec: { podCIDRType: 'none', serviceCIDR: [] } };
  await cluster.stack.kubectl('patch', 'spidercoordinator', 'default', '--type=merge', '-p', JSON.stringify(explicit));
  const isSynced = '--for=jsonpath={.status.phase}=Synced';
  await cluster.stack.kubectl('wait', 'spidercoordinator', 'default', isSynced, '--timeout=60s');
  // Who looks after nodes has rights of their own, and reaches the API server as the node does.
  kubeconfig = join(node.paths.root, 'operator.kubeconfig');
  const admin = await readFile(cluster.stack.kubeconfigs.admin, 'utf8');
  await writeFile(kubeconfig, admin.replace(cluster.stack.apiServerUrl, cluster.stack.insideApiServerUrl), {
    mode: 0o600,
  });
}, 240_000);
afterAll(() => cluster?.stop(), 60_000);
afterEach(() => cluster.removeSandboxes());

/** Runs on the node, as root there. A non-zero exit code is thrown. */
const orb = (...args: readonly string[]): Promise<string> =>
  node.exec([process.execPath, join(repositoryRoot, 'cli/orb.ts'), ...args, '--run-dir', node.paths.run], {
    env: { KUBECONFIG: kubeconfig, ORBWEAVER_TEMPORAL_ADDRESS: cluster.stack.insideTemporalAddress },
  });
const asked = async <Answer>(...args: readonly string[]): Promise<Answer> =>
  JSON.parse(await orb(...args, '-o', 'json')) as Answer;
const commandsOf = ({ nics }: PlanPage): string[] =>
  nics.flatMap(({ steps }) => steps.flatMap(({ commands }) => commands));

describe('orb on the node', () => {
  it('plan tells the commands of an ADD, and changes nothing', async () => {
    const sandbox = await cluster.sandbox('planned', {}, 'n1');
    const before = asLines(await cluster.state());
    const plan = (): Promise<PlanPage> => asked('plan', 'default/planned', '--network', 'orbweaver-system/underlay');
    const first = await plan();
    expect(asLines(await cluster.state())).toEqual(before);
    expect(first).toMatchObject({ node: 'n1', warnings: [] });
    expect(commandsOf(first)).toEqual(
      expect.arrayContaining([
        'ip link add link underlay0 name eth0 netns <sandbox> group 28530 type macvlan mode bridge',
        'ip -n <sandbox> addr add <eth0:wide>/16 dev eth0',
        expect.stringMatching(
          /^ip -n <sandbox> route add 10\.96\.0\.0\/12 via \S+ dev veth0 src <eth0:wide> proto 79$/,
        ),
        'ip route add <eth0:wide>/32 dev veth<sandbox> table 500 proto 79',
      ]),
    );
    const { body } = await sandbox.add({ conf: network });
    const address = body?.ips?.[0]?.address ?? 'none';
    const second = await plan();
    expect(second.nics[0]?.addresses).toEqual([{ address, pool: 'wide', isKnown: true }]);
    expect(commandsOf(second)).toContain(`ip -n <sandbox> addr add ${address} dev eth0`);
  }, 60_000);

  it('plan of a file is that of its network for anybody', async () => {
    const file = join(node.paths.root, '10-underlay.conflist');
    await writeFile(file, JSON.stringify({ cniVersion: '1.1.0', name: 'underlay', plugins: [network] }));
    const page = await asked<PlanPage>('plan', file, '--nic', 'net1');
    expect(page.nics.map(({ ifName, network }) => [ifName, network])).toEqual([['net1', 'underlay']]);
    expect(commandsOf(page)).toContain('ip -n <sandbox> addr add <net1:wide>/16 dev net1');
  });

  it('explain shows links, routes, rules and tables, and what is not as it should be', async () => {
    const sandbox = await cluster.sandbox('looked-at', {}, 'n1');
    expect((await sandbox.add({ conf: network })).exitCode).toBe(0);
    const look = async () => (await asked<Explanation>('explain', 'pod', 'default/looked-at')).onNode ?? [];
    const [whole] = await look();
    expect(whole?.differences).toEqual([]);
    expect(whole?.facts.filter(({ state }) => state !== 'right')).toEqual([]);
    const texts = whole?.facts.map(({ at, what }) => `${at} ${what}`) ?? [];
    expect(texts).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^pod link eth0 macvlan mode bridge mtu \d+ up alias orbweaver:/),
        'pod rule fwmark 0x1 lookup 100 pref 1000 proto 79',
        'node rule lookup 500 pref 1000 proto 79',
      ]),
    );
    await sandbox.exec(['ip', 'link', 'set', 'dev', 'eth0', 'mtu', '1300']);
    await sandbox.exec(['ip', 'rule', 'del', 'pref', '1000']);
    const [harmed] = await look();
    const wrong = harmed?.facts
      .filter(({ state }) => state !== 'right')
      .map(({ at, what, state }) => `${state} ${at} ${what}`);
    expect(wrong).toContain('missing pod rule fwmark 0x1 lookup 100 pref 1000 proto 79');
    expect(harmed?.differences.join()).toContain('fwmark 0x1 lookup 100');
    expect(await orb('explain', 'pod', 'default/looked-at')).toMatch(/^\+ pod {3}rule fwmark 0x1 lookup 100/m);
  }, 60_000);

  it('node clean leaves nothing of ours, once no worker runs and no process is in the pod', async () => {
    const sandbox = await cluster.sandbox('cleaned', {}, 'n1');
    const before = asLines({ claims: [], nodes: [await readNodeState(node)] });
    expect((await sandbox.add({ conf: network })).exitCode).toBe(0);
    await expect(orb('node', 'clean')).rejects.toThrow('exit code 1');
    const foretold = await asked<CleanReport>('node', 'clean', '--dry-run');
    expect(foretold.warnings).toEqual([expect.stringContaining('A node worker runs here')]);
    await cluster.node.worker.stop();
    try {
      const report = await asked<CleanReport>('node', 'clean');
      expect(report.items.map(({ outcome }) => outcome)).not.toContain('failed');
      expect(report.items.map(({ what }) => what)).toEqual(foretold.items.map(({ what }) => what));
      expect(
        asLines({ claims: [], nodes: [await readNodeState(node)] }).filter((line) => !before.includes(line)),
      ).toEqual([]);
      expect((await asked<CleanReport>('node', 'clean')).items).toEqual([]);
    } finally {
      cluster.node.worker.start();
    }
  }, 90_000);
});
