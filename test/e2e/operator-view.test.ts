import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { plain } from '../../cli/paint.ts';
import { run } from '../../cli/program.ts';
import type { WhyPage } from '../../cli/why-page.ts';
import { controlMetrics, nodeMetrics } from '../../contracts/metrics.ts';
import { agentMetrics, controllerMetrics } from '../../contracts/testing/spiderpool-metrics.ts';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { orbweaverNetwork } from '../../deploy/dev/multus.ts';
import { monitoringPaths } from '../../workers/metrics/http-server.ts';
import { getFrom, samplesOf } from './monitoring.ts';
import { TestCluster } from './test-cluster.ts';

const ports = { metrics: '127.0.0.1:5711', health: '127.0.0.1:5710' };
const controlPorts = { metrics: '127.0.0.1:5721', health: '127.0.0.1:5720' };

/** What Multus would attach as eth0; bare nodes have none, and their runtime is this test. */
const definition = {
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { namespace: 'orbweaver-system', name: 'underlay' },
  spec: { config: JSON.stringify(orbweaverNetwork) },
};

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['n1'], kubelets: false });
  await cluster.stack.apply(definition);
  await cluster.stack.apply(underlayPool('wide', 4, ['10.70.8.1-10.70.8.50']));
  await cluster.stack.apply(underlayPool('one', 4, ['10.70.9.1'], { default: false }));
  await cluster.stack.apply(underlayPool('elsewhere', 4, ['10.70.9.9'], { default: false, nodeName: ['n9'] }));
}, 240_000);
afterAll(() => cluster?.stop(), 60_000);
afterEach(() => cluster.removeSandboxes());

async function orb(...args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  const out: string[] = [];
  const code = await run([...args, '--kubeconfig', cluster.stack.kubeconfigs.admin], {
    print: (text) => out.push(text),
    printError: (text) => out.push(text),
    paint: plain,
    paintError: plain,
    columns: 300,
  });
  return { code, text: out.join('\n') };
}
const from = (...ipv4: readonly string[]) => ({ 'ipam.spidernet.io/ippool': JSON.stringify({ ipv4 }) });

describe('the metrics of real workers', () => {
  it('K00001: are answered with 200 by both, and so is their health', async () => {
    const node = cluster.node.node;
    const { control } = cluster.stack;
    expect(await getFrom(node, ports.metrics, monitoringPaths.metrics)).toMatchObject({ status: 200 });
    expect(await getFrom(node, ports.health, monitoringPaths.readiness)).toEqual({ status: 200, text: 'ok\n' });
    expect(await getFrom(node, ports.health, monitoringPaths.liveness)).toMatchObject({ status: 200 });
    await eventually('The control worker answers', 60, async () => {
      const { status } = await getFrom(control, controlPorts.metrics, monitoringPaths.metrics);
      return status === 200 ? { value: true } : { state: String(status) };
    });
    expect(await getFrom(control, controlPorts.health, monitoringPaths.startup)).toMatchObject({ status: 200 });
  });

  it('§12.3 #29: have every documented name with its documented type', async () => {
    const { text: ofNode } = await getFrom(cluster.node.node, ports.metrics, monitoringPaths.metrics);
    const { text: ofControl } = await getFrom(cluster.stack.control, controlPorts.metrics, monitoringPaths.metrics);
    const typesIn = (text: string): ReadonlyMap<string, string> =>
      new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
    const [node, control] = [typesIn(ofNode), typesIn(ofControl)];
    for (const [name, type] of agentMetrics) expect({ name, type: node.get(name) }).toEqual({ name, type });
    for (const [name, type] of controllerMetrics) expect({ name, type: control.get(name) }).toEqual({ name, type });
    expect([...node.keys()].sort()).toEqual(Object.keys(nodeMetrics).sort());
    expect([...control.keys()].sort()).toEqual(Object.keys(controlMetrics).sort());
  });

  it('§12.3 #29: count what their names say', async () => {
    const node = cluster.node.node;
    const before = await samplesOf(node, ports.metrics);
    const good = await cluster.sandbox('good', from('wide'), 'n1');
    const first = await cluster.sandbox('first', from('one'), 'n1');
    const second = await cluster.sandbox('second', from('one'), 'n1');
    const lost = await cluster.sandbox('lost', from('elsewhere'), 'n1');
    const wrong = await cluster.sandbox('wrong', { 'ipam.spidernet.io/ippool': '{' }, 'n1');
    const codes = [];
    for (const sandbox of [good, first, second, lost, wrong]) codes.push((await sandbox.add()).exitCode);
    expect(codes).toEqual([0, 0, 1, 1, 1]);
    await cluster.deletePod(good);
    expect((await good.del()).exitCode).toBe(0);

    const after = await samplesOf(node, ports.metrics);
    const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    const allocation = (name: string): number => grown(`spiderpool_ipam_allocation_${name}`);
    expect({
      received: allocation('counts'),
      failed: allocation('failure_counts'),
      noPool: allocation('err_no_available_pool_counts'),
      usedOut: allocation('err_ip_used_out_counts'),
      retries: allocation('err_retries_exhausted_counts'),
      internal: allocation('err_internal_counts'),
      timed: allocation('duration_seconds_count'),
      turns: allocation('limit_duration_seconds_count'),
      wrongInput: grown('orbweaver_call_failures_total{command="ADD",type="InvalidAnnotation"}'),
      released: grown('spiderpool_ipam_release_counts'),
      notReleased: grown('spiderpool_ipam_release_failure_counts'),
    }).toEqual({
      received: 5,
      failed: 3,
      noPool: 1,
      usedOut: 1,
      retries: 0,
      internal: 0,
      timed: 5,
      turns: 5,
      wrongInput: 1,
      released: 1,
      notReleased: 0,
    });
    expect(after.get('orbweaver_node_claims{phase="Bound"}')).toBe(1);
    expect(after.get('orbweaver_ready')).toBe(1);
    for (const which of ['average', 'max', 'min', 'latest']) {
      expect(after.get(`spiderpool_ipam_allocation_${which}_duration_seconds`)).toBeGreaterThan(0);
    }
  });

  it('tell of the cluster on the leader', async () => {
    const taken = await cluster.sandbox('taken', from('wide'), 'n1');
    expect((await taken.add()).exitCode).toBe(0);
    const seen = await eventually('The leader saw the claim', 60, async () => {
      const samples = await samplesOf(cluster.stack.control, controlPorts.metrics);
      const bound = samples.get('orbweaver_claims{phase="Bound"}');
      return bound === 1 ? { value: samples } : { state: `leader ${samples.get('orbweaver_leader')}, bound ${bound}` };
    });
    expect(seen.get('orbweaver_leader')).toBe(1);
    expect(seen.get('spiderpool_total_ippool_counts')).toBe(3);
    expect(seen.get('spiderpool_total_subnet_counts')).toBe(0);
  });
});

describe('orb, for who looks at pools', () => {
  it('orb free gives what nobody has, and not what was just given', async () => {
    const one = await cluster.sandbox('one', from('one'), 'n1');
    expect((await orb('free', 'one')).text).toBe('one: 1 of 1 addresses are free\n10.70.9.1');
    expect((await one.add()).exitCode).toBe(0);
    expect((await orb('free', 'one')).text).toBe('one: 0 of 1 addresses are free\nWho has them: orb pools one');
    expect((await orb('pools', 'one')).text).toContain('default/one');
    expect(await orb('free', 'none')).toMatchObject({ code: 3 });
  });

  it('orb why says beforehand what the ADD then does, and allocates nothing', async () => {
    const sandbox = await cluster.sandbox('asks', from('elsewhere', 'wide'), 'n1');
    const network = ['--network', 'orbweaver-system/underlay'];
    const { code, text } = await orb('why', 'default/asks', ...network, '-o', 'json');
    expect(code).toBe(0);
    const page = JSON.parse(text) as WhyPage;
    expect(page).toMatchObject({ outcome: 'selected', node: 'n1', network: 'orbweaver-system/underlay', warnings: [] });
    const [ipv4] = page.families;
    expect(ipv4?.pools.map(({ name, place }) => [name, place])).toEqual([
      ['elsewhere', undefined],
      ['wide', 1],
    ]);
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    expect((await sandbox.add()).exitCode).toBe(0);
    const claim = (await cluster.claims()).find(({ spec }) => spec.holders[0]?.pod === 'asks');
    expect(claim?.spec.pool).toBe('wide');
    expect((await orb('why', 'default/asks', ...network)).text).toMatch(
      /^Has already {2}10\.70\.8\.\d+\/16 of wide \(Bound\)$/m,
    );
  });

  it('orb why says of a pod without an address what its event says', async () => {
    const sandbox = await cluster.sandbox('refused', from('elsewhere'), 'n1');
    const { text } = await orb('why', 'default/refused', '--network', 'orbweaver-system/underlay');
    const { body } = await sandbox.add();
    const [said] = /Cannot choose .*?(?=\. Correct these pools)/.exec(body?.msg ?? '') ?? ['nothing'];
    expect(text).toContain(said);
    expect(await orb('why', 'default/nobody')).toMatchObject({ code: 3 });
  });
});
