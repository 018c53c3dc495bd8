import { describe, expect, it } from '@jest/globals';
import { Client } from '@temporalio/client';
import { applicationPoolWorkflow } from '../../contracts/application-pool.ts';
import type { ObjectMeta } from '../../contracts/crds/object-meta.ts';
import type { SpiderIPPool } from '../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../contracts/crds/spidersubnet.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { underlay } from '../../deploy/dev/layout.ts';
import { together } from '../../deploy/dev/together.ts';
import { addressesOf } from '../../ipam/auto-pools/subnet-ledger.ts';
import { automaticPoolLabels } from '../../ipam/automatic-pool.ts';
import { ObjectFeed } from '../../kube/object-feed.ts';
import { silent } from '../../kube/testing/claim-fixtures.ts';
import { controlNamespace } from '../../temporal-config/queues.ts';
import type { FleetPod } from '../fleet/fleet-pod.ts';
import { untilNothingIsLeft } from './at-rest.ts';
import { loadFleet } from './load-fleet.ts';
import { callsAtOnce, loadSize } from './load-size.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';
const fleet = loadFleet({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderSubnet',
  metadata: { name: 'rack7' },
  spec: { subnet: underlay.v4.subnet, gateway: underlay.v4.gateway, ips: ['10.70.8.1-10.70.23.250'] },
});
const applications = loadSize(200);

const annotations = {
  'ipam.spidernet.io/subnet': '{"ipv4": ["rack7"]}',
  'ipam.spidernet.io/ippool-ip-number': '+0',
};
const path = '/apis/apps/v1/namespaces/default/replicasets';
const replicaSet = (name: string, replicas: number, metadata: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { ...metadata, name, namespace: 'default' },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name }, annotations },
      spec: { containers: [{ name: 'main', image: 'kube.local/busybox:1' }] },
    },
  },
});

/** When the pool of each application had so many addresses, as a watch showed it. */
class PoolSizes {
  readonly #sizes = new Map<string, bigint>();
  readonly #waiting = new Set<() => void>();
  readonly #stopped = new AbortController();
  readonly #feed: ObjectFeed<SpiderIPPool, { readonly application: string; readonly size: bigint }>;

  constructor() {
    this.#feed = new ObjectFeed({
      api: fleet().api,
      path: `${group}/spiderippools`,
      log: silent,
      rowOf: (pool: SpiderIPPool) => ({
        application: pool.metadata.labels?.[automaticPoolLabels.applicationName] ?? '',
        size: addressesOf(pool).size,
      }),
      onChange: (_name, before, after) => {
        if (after) this.#sizes.set(after.application, after.size);
        else if (before) this.#sizes.delete(before.application);
        for (const look of this.#waiting) look();
      },
    });
    void this.#feed.follow(this.#stopped.signal);
  }

  get count(): number {
    return this.#sizes.size;
  }

  /** Milliseconds from now until the pool has this size. */
  until(application: string, size: bigint): Promise<number> {
    const beganAt = performance.now();
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#sizes.get(application) !== size) return;
        this.#waiting.delete(look);
        resolve(performance.now() - beganAt);
      };
      this.#waiting.add(look);
      look();
    });
  }

  stop(): void {
    this.#stopped.abort();
  }
}

/** Adds all of them; those that meet error 11, because the API server is busy with the pools, again as kubelet does. */
async function addAll(pods: readonly FleetPod[]): Promise<{ readonly repeated: number }> {
  let waiting = pods;
  for (let repeated = 0; ; repeated += waiting.length) {
    const answers = await fleet().callAll('ADD', waiting, callsAtOnce / 2);
    const refused = answers.filter(({ exitCode, body }) => exitCode !== 0 && body?.code !== 11);
    expect(refused).toEqual([]);
    waiting = waiting.filter((_, at) => answers[at]?.exitCode !== 0);
    if (waiting.length === 0) return { repeated };
    expect(repeated).toBeLessThan(5 * pods.length);
  }
}

const figures = (waitsMs: readonly number[]): string => {
  const sorted = waitsMs.toSorted((a, b) => a - b);
  const at = (share: number): string => `${Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)} ms`;
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`;
};

describe(`I00006, I00008: ${applications} applications with automatic pools, created, scaled and deleted at once`, () => {
  it('each gets its pool, each pod an address of it, and in the end nothing is left', async () => {
    const { api, temporal } = fleet();
    const sizes = new PoolSizes();
    const names = Array.from({ length: applications }, (_, at) => `app-${at}`);
    const pods = new Map<string, FleetPod[]>(names.map((name) => [name, []]));
    let repeated = 0;
    const write = <Answer>(method: 'POST' | 'PUT' | 'DELETE', at: string, body?: object): Promise<Answer> =>
      api.request<Answer>({ method, path: at, body, timeoutMs: 60_000 });
    try {
      const made = await together(
        names.map(async (name) => {
          const { metadata } = await write<{ metadata: ObjectMeta }>('POST', path, replicaSet(name, 1));
          return { metadata, waitMs: await sizes.until(name, 1n) };
        }),
      );
      const metadataOf = new Map(made.map(({ metadata }) => [metadata.name, metadata]));
      const startPods = async (): Promise<void> => {
        const started = await together(
          names.map(async (name, at) => {
            const owner = {
              apiVersion: 'apps/v1',
              kind: 'ReplicaSet',
              name,
              uid: metadataOf.get(name)?.uid ?? '',
              controller: true,
            };
            const node = fleet().node(at % fleet().nodes.length);
            const pod = await fleet().pod(node, { prefix: name, annotations, ownerReferences: [owner] });
            pods.get(name)?.push(pod);
            return pod;
          }),
        );
        repeated += (await addAll(started)).repeated;
      };
      await startPods();

      const grown = await together(
        names.map(async (name) => {
          await write('PUT', `${path}/${name}`, replicaSet(name, 2, { uid: metadataOf.get(name)?.uid }));
          return await sizes.until(name, 2n);
        }),
      );
      await startPods();
      const claims = await fleet().cluster.claims();
      expect(new Set(claims.map(({ metadata }) => metadata.name)).size).toBe(2 * applications);

      await together(names.map((name) => write('DELETE', `${path}/${name}`)));
      const ended = await fleet().removePods([...pods.values()].flat());
      expect(ended.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
      await eventually('All pools are gone', 120, () =>
        sizes.count === 0 ? { value: true } : { state: `${sizes.count} are left` },
      );
      await eventually('The Subnet has given nothing', 120, async () => {
        const { status } = await api.request<SpiderSubnet>({
          method: 'GET',
          path: `${group}/spidersubnets/rack7`,
          timeoutMs: 5000,
        });
        return status?.controlledIPPools === undefined ? { value: true } : { state: status.controlledIPPools };
      });
      const control = new Client({ connection: temporal.connection, namespace: controlNamespace });
      await eventually('No run is open', 60, async () => {
        const { count } = await control.workflow.count(
          `WorkflowType = '${applicationPoolWorkflow}' AND ExecutionStatus = 'Running'`,
        );
        return count === 0 ? { value: true } : { state: `${count} are` };
      });
      await untilNothingIsLeft(fleet());

      process.stderr.write(
        `${applications} pools made after ${figures(made.map(({ waitMs }) => waitMs))}; grown after ${figures(grown)}; ${repeated} ADDs repeated\n`,
      );
    } finally {
      sizes.stop();
    }
  }, 600_000);
});
