import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deployment, underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { flags } from '../../deploy/dev/flags.ts';
import { underlay } from '../../deploy/dev/layout.ts';
import type { StackNode } from '../../deploy/dev/node.ts';
import { runCommand } from '../../deploy/dev/run-command.ts';
import { repositoryRoot, toolPath } from '../../deploy/toolchain/parts.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import { nodeNamespace } from '../../temporal-config/queues.ts';
import { loadSeed, SeededRandom } from '../load/seeded-random.ts';
import { expectGolden } from '../testing/golden-file.ts';
import { violationsOf } from './invariants.ts';
import { TestCluster } from './test-cluster.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.stack.apply(
    underlayPool('web-v4', 4, ['10.70.8.1-10.70.8.250']),
    underlayPool('web-v6', 6, ['fd00:70::8:1-fd00:70::8:ff']),
    underlayPool('second', 4, ['10.70.9.1-10.70.9.20'], { default: false }),
    underlayPool('exact', 4, ['10.70.10.1-10.70.10.12'], { default: false }),
    chainedNetwork,
  );
  await cluster.remember();
}, 120_000);
afterAll(() => cluster?.stop(), 60_000);

/** Another plugin makes the interface and asks us for its address only. */
const chainedNetwork = {
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name: 'chained', namespace: 'default' },
  spec: {
    config: JSON.stringify({
      cniVersion: '1.0.0',
      name: 'chained',
      type: 'macvlan',
      master: 'underlay0',
      mode: 'bridge',
      ipam: { type: 'spiderpool', default_ipv4_ippool: ['second'], clean_gateway: true },
    }),
  },
};

interface RunningPod {
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    readonly spec: { readonly nodeName?: string };
    readonly status: {
      readonly phase?: string;
      readonly podIPs?: readonly { readonly ip: string }[];
      readonly containerStatuses?: readonly { readonly ready: boolean }[];
    };
  }[];
}

async function untilRunning(app: string, count: number, seconds: number): Promise<readonly RunningPod[]> {
  return await eventually(`${count} pods of ${app} Running`, seconds, async () => {
    const path = '/api/v1/namespaces/default/pods';
    const { items } = await cluster.api.request<PodList>({
      method: 'GET',
      path,
      query: { labelSelector: `app=${app}` },
      timeoutMs: 5000,
    });
    const isUp = ({ metadata, status }: PodList['items'][number]): boolean =>
      metadata.deletionTimestamp === undefined &&
      status.phase === 'Running' &&
      (status.containerStatuses ?? []).every(({ ready }) => ready);
    if (items.length !== count || !items.every(isUp)) {
      return { state: items.map(({ metadata, status }) => `${metadata.name} ${status.phase}`).join(', ') };
    }
    return {
      value: items.map(({ metadata, spec, status }) => ({
        name: metadata.name,
        node: spec.nodeName ?? '',
        addresses: (status.podIPs ?? []).map(({ ip }) => ip),
      })),
    };
  });
}

const nodeOf = ({ node }: RunningPod): StackNode => {
  const found = cluster.nodes.find((one) => one.node.name === node)?.node;
  if (found === undefined) throw new Error(`No node ${node}`);
  return found;
};

const crictl = (pod: RunningPod, ...args: readonly string[]): Promise<string> => {
  const endpoint = `unix://${nodeOf(pod).paths.criSocket}`;
  return nodeOf(pod).exec([toolPath('crictl'), '--runtime-endpoint', endpoint, '--timeout', '30s', ...args]);
};

const sandboxesOf = async (pod: RunningPod): Promise<readonly string[]> =>
  (await crictl(pod, 'pods', '--name', pod.name, '--state', 'Ready', '--quiet', '--no-trunc'))
    .split('\n')
    .filter((id) => id !== '');

async function runIDs(): Promise<readonly string[]> {
  const claims = await cluster.claims();
  const holders = claims.flatMap(({ spec }) => spec.holders);
  return [
    ...new Set(holders.map(({ namespace, pod, containerID }) => `pod/${namespace}/${pod}/${containerID}`)),
  ].sort();
}

/** Claims, namespaces and runs agree; claims and runs of sandboxes that failed may still be on their way out. */
async function untilAtRest(seconds: number): Promise<void> {
  await eventually('Claims, interfaces and runs agree', seconds, async () => {
    const violations = violationsOf(await cluster.state());
    const [open, wanted] = [await cluster.openRuns(), await runIDs()];
    const odd = [
      ...violations,
      ...open.filter((id) => !wanted.includes(id)).map((id) => `open run without claim: ${id}`),
      ...wanted.filter((id) => !open.includes(id)).map((id) => `claim without open run: ${id}`),
    ];
    return odd.length === 0 ? { value: true } : { state: odd.join('\n') };
  });
}

const ping = (targets: readonly string[]): string[] => [
  'sh',
  '-c',
  'for to in "$@"; do busybox ping -c 1 -W 3 "$to" >/dev/null || echo "$to"; done',
  'sh',
  ...targets,
];

const orb = (...args: readonly string[]): Promise<string> =>
  runCommand([process.execPath, join(repositoryRoot, 'cli/orb.ts'), ...args], {
    env: {
      ...(process.env as Record<string, string>),
      KUBECONFIG: cluster.stack.kubeconfigs.admin,
      ORBWEAVER_TEMPORAL_ADDRESS: cluster.stack.temporalAddress,
    },
  });

describe('a Deployment of 6 pods', () => {
  let pods: readonly RunningPod[] = [];
  let first: RunningPod;
  beforeAll(async () => {
    await cluster.stack.apply(deployment('web', 6));
    pods = await untilRunning('web', 6, 120);
    const [one] = pods;
    if (one === undefined) throw new Error('There is no pod');
    first = one;
  }, 180_000);

  it('runs on both nodes, each pod with an address of each pool', () => {
    expect(new Set(pods.map(({ node }) => node))).toEqual(new Set(['node-a', 'node-b']));
    for (const { addresses } of pods) {
      expect(addresses).toEqual([
        expect.stringMatching(/^10\.70\.8\.\d+$/),
        expect.stringMatching(/^fd00:70::8:[0-9a-f]+$/),
      ]);
    }
    expect(new Set(pods.flatMap(({ addresses }) => addresses)).size).toBe(12);
  });

  it('holds every address that is in a namespace, and no other', async () => {
    await untilAtRest(10);
    expect(await cluster.claims()).toHaveLength(12);
  });

  it('reaches its pods across nodes, the gateway and a host outside, in both families', async () => {
    const targets = [
      ...pods.flatMap(({ addresses }) => addresses),
      ...[underlay.v4, underlay.v6].flatMap(({ gateway, outside }) => [gateway, outside]),
    ];
    const others = pods.filter(({ node }) => node !== first.node);
    for (const from of [first, ...others.slice(0, 1)]) {
      expect(await cluster.stack.kubectl('exec', from.name, '--', ...ping(targets))).toBe('');
    }
  }, 60_000);

  it('is reached from a host outside, in both families', async () => {
    expect(await cluster.stack.outside.exec(ping(pods.flatMap(({ addresses }) => addresses)))).toBe('');
  }, 60_000);

  it('has one Running run for each sandbox', async () => {
    const sandboxes = await Promise.all(
      pods.map(async (pod) => (await sandboxesOf(pod)).map((id) => `pod/default/${pod.name}/${id}`)),
    );
    expect(await cluster.openRuns()).toEqual(sandboxes.flat().sort());
    expect(sandboxes.flat()).toHaveLength(6);
  });

  it('shows itself in the Temporal UI, where an address finds its pod', async () => {
    const ui = await fetch(cluster.stack.uiUrl);
    expect(ui.status).toBe(200);
    const [address] = first.addresses;
    const found = await Array.fromAsync(cluster.temporal.workflow.list({ query: `IpAddress = "${address}"` }));
    expect(found.map(({ workflowId }) => workflowId)).toEqual([expect.stringContaining(`/${first.name}/`)]);
  });

  it('is described by each run in words that a person can read', async () => {
    const [containerID = ''] = await sandboxesOf(first);
    const text = await runCommand([
      toolPath('temporal'),
      'workflow',
      'metadata',
      ...flags({
        address: cluster.stack.temporalAddress,
        namespace: nodeNamespace,
        'workflow-id': `pod/default/${first.name}/${containerID}`,
        color: 'never',
      }),
    ]);
    const [v4 = '', v6 = ''] = first.addresses;
    const anonymous = text
      .replaceAll(containerID, 'CONTAINER')
      .replaceAll(first.name, 'POD')
      .replaceAll(first.node, 'NODE')
      .replaceAll(v6, 'IPV6')
      .replaceAll(v4, 'IPV4')
      .replaceAll(/ +$/gm, '');
    expectGolden(new URL('testdata/web-pod.metadata.txt', import.meta.url), anonymous);
  });

  it('is listed by orb pods', async () => {
    const text = await orb('pods', '--namespace', 'default');
    const { items } = JSON.parse(await orb('pods', '-A', '-o', 'json')) as {
      items: readonly { pod: string; node: string; address: string; pool: string; phase: string }[];
    };
    expect(items).toHaveLength(12);
    for (const { name, node, addresses } of pods) {
      for (const [index, address] of addresses.entries()) {
        expect(text).toMatch(
          new RegExp(String.raw`^default\s+${name}\s+${node}\s+eth0\s+${address}/\d+\s+web-v[46]\s+Bound`, 'm'),
        );
        expect(items).toContainEqual(
          expect.objectContaining({
            pod: name,
            node,
            address: `${address}/${index === 0 ? 16 : 64}`,
            pool: index === 0 ? 'web-v4' : 'web-v6',
            phase: 'Bound',
          }),
        );
      }
    }
  });

  it('is counted by orb pools', async () => {
    const text = await orb('pools');
    expect(text).toMatch(/^web-v4\s.*\b250\b/m);
    const pools = JSON.parse(await orb('pools', '-o', 'json')) as { items: readonly object[] };
    expect(pools.items).toHaveLength(4);
    const one = await orb('pools', 'web-v4');
    for (const { name, addresses } of pods) {
      expect(one).toContain(name);
      expect(one).toContain(addresses[0]);
    }
  });

  it('is explained by orb explain pod', async () => {
    const text = await orb('explain', 'pod', `default/${first.name}`);
    const [containerID = ''] = await sandboxesOf(first);
    expect(text).toContain(first.name);
    for (const address of first.addresses) expect(text).toContain(address);
    expect(text).toContain(containerID.slice(0, 13));
    const json = JSON.parse(await orb('explain', 'pod', `default/${first.name}`, '-o', 'json')) as Record<
      string,
      unknown
    >;
    expect(JSON.stringify(json)).toContain(containerID);
    await expect(orb('explain', 'pod', 'default/nobody')).rejects.toThrow('exit code 3');
  });

  it('is shown by orb node on each node', async () => {
    for (const { node } of cluster.nodes) {
      const command = [process.execPath, join(repositoryRoot, 'cli/orb.ts'), 'node', '--run-dir', node.paths.run];
      const text = await node.exec(command);
      expect(text).toContain(`${node.name} is healthy`);
      const report = JSON.parse(await node.exec([...command, '-o', 'json'])) as {
        node: string;
        health: readonly { isHealthy: boolean; name: string }[];
        nics: readonly { name: string }[];
        attachments: readonly { pod: { name: string }; addresses: readonly string[] }[];
      };
      expect(report.node).toBe(node.name);
      expect(report.health.filter(({ isHealthy }) => !isHealthy)).toEqual([]);
      expect(report.nics.map(({ name }) => name)).toContain('underlay0');
      expect(report.attachments.map(({ pod }) => pod.name).sort()).toEqual(
        pods
          .filter((pod) => pod.node === node.name)
          .map(({ name }) => name)
          .sort(),
      );
    }
  });

  it('keeps its addresses when a sandbox ends and kubelet makes the next one', async () => {
    const [before = ''] = await sandboxesOf(first);
    await crictl(first, 'stopp', before);
    const after = await eventually('A new sandbox', 60, async () => {
      const [id] = await sandboxesOf(first);
      return id !== undefined && id !== before ? { value: id } : { state: id ?? 'none' };
    });
    const again = await untilRunning('web', 6, 120);
    expect(again.find(({ name }) => name === first.name)?.addresses).toEqual(first.addresses);
    await untilAtRest(20);
    const handle = cluster.temporal.workflow.getHandle(`pod/default/${first.name}/${before}`);
    expect((await handle.describe()).status.name).toBe('COMPLETED');
    expect(await cluster.openRuns()).toContain(`pod/default/${first.name}/${after}`);
  }, 240_000);

  it('leaves nothing when it is deleted', async () => {
    const ids = await cluster.openRuns();
    await cluster.stack.kubectl('delete', 'deployment', 'web', '--wait=true');
    await cluster.untilAsRemembered(60);
    for (const id of ids) {
      expect((await cluster.temporal.workflow.getHandle(id).describe()).status.name).toBe('COMPLETED');
    }
  }, 90_000);
});

describe('a Deployment of exactly as many pods as its pool has addresses', () => {
  const rounds = process.env['ORBWEAVER_LONG'] === '1' ? 20 : 2; // each ends with kubelet's next try, 12 to 15 s after a refusal
  const everyAddress = Array.from({ length: 12 }, (_, at) => `10.70.10.${at + 1}`);
  const random = new SeededRandom(loadSeed);

  it(
    `has all of them Running again, each time that all are deleted at once, ${rounds} times (seed ${loadSeed})`,
    async () => {
      await cluster.stack.apply(deployment('exact', 12, { [ippoolAnnotation]: '{"ipv4": ["exact"]}' }));
      let before = await untilRunning('exact', 12, 240);
      const seconds: string[] = [];
      for (let round = 1; round <= rounds; round += 1) {
        const startedAt = performance.now();
        // 0: the objects are gone at once, and their sandboxes end later.
        const gracePeriodSeconds = Math.floor(random.between(0, 3));
        await cluster.api.request({
          method: 'DELETE',
          path: '/api/v1/namespaces/default/pods',
          query: { labelSelector: 'app=exact' },
          body: { gracePeriodSeconds },
          timeoutMs: 10_000,
        });
        const after = await untilRunning('exact', 12, 240);
        expect(after.filter(({ name }) => before.some((pod) => pod.name === name))).toEqual([]);
        expect(new Set(after.flatMap(({ addresses }) => addresses))).toEqual(new Set(everyAddress));
        before = after;
        seconds.push(`${((performance.now() - startedAt) / 1000).toFixed(0)} (grace ${gracePeriodSeconds})`);
      }
      process.stderr.write(`12 pods of 12 addresses again after, in seconds: ${seconds.join(', ')}\n`);
      await cluster.stack.kubectl('delete', 'deployment', 'exact', '--wait=true');
      await cluster.untilAsRemembered(60);
    },
    rounds * 250_000 + 400_000,
  );
});

describe('a pod with a second interface by another plugin, which asks us for its address', () => {
  it('has one run for both, and leaves nothing', async () => {
    await cluster.stack.apply(deployment('chained', 2, { 'k8s.v1.cni.cncf.io/networks': 'default/chained' }));
    const pods = await untilRunning('chained', 2, 120);
    await untilAtRest(10);
    const claims = await cluster.claims();
    expect(claims.filter(({ spec }) => spec.pool === 'second').map(({ spec }) => spec.holders[0]?.interface)).toEqual([
      'net1',
      'net1',
    ]);
    expect(claims).toHaveLength(6);
    expect(await cluster.openRuns()).toHaveLength(2);
    const second = claims
      .filter(({ spec }) => spec.pool === 'second')
      .map(({ spec }) => spec.address.split('/', 1).join());
    expect(await cluster.stack.outside.exec(ping([...pods.flatMap(({ addresses }) => addresses), ...second]))).toBe('');

    await cluster.stack.kubectl('delete', 'deployment', 'chained', '--wait=true');
    await cluster.untilAsRemembered(60);
  }, 240_000);
});

describe('a pod that has done its work', () => {
  it('returns its addresses while its object is still there', async () => {
    await cluster.stack.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'finished', namespace: 'default' },
      spec: {
        restartPolicy: 'Never',
        containers: [{ name: 'main', image: 'kube.local/busybox:1', imagePullPolicy: 'Never', command: ['true'] }],
      },
    });
    await cluster.stack.kubectl('wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/finished', '--timeout=60s');
    await cluster.untilAsRemembered(30);
    await cluster.stack.kubectl('delete', 'pod', 'finished', '--wait=true');
    await cluster.untilAsRemembered();
  }, 120_000);
});

describe('20 pods whose node workers are killed with -9 while they start', () => {
  it('all reach Running with addresses of their own, and leave nothing', async () => {
    await cluster.stack.apply(deployment('crowd', 20));
    for (const [index, { node, worker }] of cluster.nodes.entries()) {
      await eventually(`ADDs on ${node.name} are under way`, 60, async () => {
        const begun = (await cluster.claims()).filter(({ spec }) => spec.holders[0]?.node === node.name);
        return begun.length >= 2 + 4 * index ? { value: true } : { state: `${begun.length} claims` };
      });
      await worker.stop('SIGKILL');
      worker.start();
    }
    const pods = await untilRunning('crowd', 20, 180);
    expect(new Set(pods.flatMap(({ addresses }) => addresses)).size).toBe(40);
    await untilAtRest(30);
    expect(await cluster.claims()).toHaveLength(40);
    expect(await cluster.openRuns()).toHaveLength(20);

    await cluster.stack.kubectl('delete', 'deployment', 'crowd', '--wait=true');
    await cluster.untilAsRemembered(90);
  }, 300_000);
});
