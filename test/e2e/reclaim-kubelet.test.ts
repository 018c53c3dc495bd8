import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { ClaimHolder } from '../../contracts/ip-claim.ts';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { staticPodsOf } from '../../deploy/dev/kubelet.ts';
import type { StackProcess } from '../../deploy/dev/stack-process.ts';
import { violationsOf } from './invariants.ts';
import { ReclaimTimes } from './reclaim-times.ts';
import { TestCluster } from './test-cluster.ts';

const trials = 10;
/** The 60 s in `make test-long`. */
const kubeletDownSeconds = process.env['ORBWEAVER_LONG'] === '1' ? 60 : 15;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['node-a'], controlWorkers: 0, logLevel: 'info' });
  await cluster.stack.apply(underlayPool('v4', 4, ['10.70.8.1-10.70.8.250']));
}, 180_000);
afterAll(() => cluster?.stop(), 60_000);

const podsPath = '/api/v1/namespaces/default/pods';
const pod = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: {
    nodeName: 'node-a',
    terminationGracePeriodSeconds: 0,
    containers: [
      { name: 'main', image: 'kube.local/busybox:1', imagePullPolicy: 'Never', command: ['sleep', 'infinity'] },
    ],
  },
});

const claimOf = async (podName: string): Promise<IPClaim | undefined> =>
  (await cluster.claims()).find(({ spec }) => spec.holders.some((holder) => holder.pod === podName));
const addressOf = async (podName: string): Promise<string | undefined> => (await claimOf(podName))?.spec.address;

async function deleteNow(name: string): Promise<void> {
  const body = { gracePeriodSeconds: 0 };
  await cluster.api.request({ method: 'DELETE', path: `${podsPath}/${name}`, body, timeoutMs: 5000 });
}

async function untilRunning(names: readonly string[]): Promise<void> {
  await eventually(`${names.length} pods Running`, 120, async () => {
    const { items } = await cluster.api.request<{
      readonly items: readonly {
        readonly metadata: { readonly name: string };
        readonly status: { readonly phase?: string };
      }[];
    }>({ method: 'GET', path: podsPath, timeoutMs: 5000 });
    const waiting = names.filter(
      (name) => !items.some(({ metadata, status }) => metadata.name === name && status.phase === 'Running'),
    );
    return waiting.length === 0 ? { value: true } : { state: waiting.join() };
  });
}

/** Ends a sandbox as a machine does that runs out of memory: its processes and its namespace go, and nobody calls DEL. */
async function kill({ netns }: ClaimHolder): Promise<void> {
  const script = `
    id="net:[$(stat -L -c %i "$0")]"
    for ns in /proc/[0-9]*/ns/net; do
      [ "$(readlink "$ns")" = "$id" ] || continue
      pid=\${ns#/proc/}; kill -9 "\${pid%%/*}"
    done
    umount -l "$0"; rm -f "$0"; [ ! -e "$0" ]`; // containerd may be faster when it sees the sandbox end
  await cluster.node.node.exec(['sh', '-c', script, netns]);
}

describe('a pod that is force-deleted while its kubelet is down', () => {
  const kubelet = (): StackProcess => cluster.stack.part('node-a/kubelet');
  afterAll(() => cluster && kubelet().signal('SIGCONT'));

  it(`keeps its address while its sandbox lives, ${trials} of them for ${kubeletDownSeconds} s, and loses it within 2 s after that`, async () => {
    const names = Array.from({ length: trials }, (_, index) => `forced-${index + 1}`);
    await cluster.stack.apply(...names.map(pod));
    await untilRunning(names);
    const before = await cluster.claims();
    expect(before).toHaveLength(trials);

    kubelet().signal('SIGSTOP');
    await Promise.all(names.map(deleteNow));
    const isThere = (claims: readonly IPClaim[]): readonly string[] =>
      claims.map(({ metadata, spec }) => `${metadata.uid} ${spec.phase}`).sort();
    for (const end = Date.now() + kubeletDownSeconds * 1000; Date.now() < end; await sleep(200)) {
      expect(isThere(await cluster.claims())).toEqual(isThere(before));
    }
    expect(violationsOf(await cluster.state())).toEqual([]); // every one of them still answers for its address

    const holders = before.flatMap(({ spec }) => spec.holders);
    const times = new ReclaimTimes('live sandbox of a force-deleted pod, once it is gone');
    for (const holder of holders) {
      await kill(holder);
      await times.untilFreed(() => cluster.claims(), new Set([holder.containerID]), 2);
    }
    times.print();
    expect(times.count).toBe(trials);
  }, 240_000);
});

describe('a static pod', () => {
  it('has its address for as long as its manifest is there, also when its mirror is deleted by hand', async () => {
    const manifest = join(staticPodsOf(cluster.node.node.paths), 'static.json');
    const name = 'static-node-a';
    const { nodeName: _, ...spec } = pod('static').spec;
    await writeFile(manifest, JSON.stringify({ ...pod('static'), spec }));
    try {
      await untilRunning([name]);
      const address = await addressOf(name);
      expect(address).toBeDefined();
      const uidOfMirror = async (): Promise<string> =>
        (
          await cluster.api.request<{ readonly metadata: { readonly uid: string } }>({
            method: 'GET',
            path: `${podsPath}/${name}`,
            timeoutMs: 5000,
          })
        ).metadata.uid;
      const first = await uidOfMirror();
      expect((await claimOf(name))?.spec.holders[0]?.podUID).not.toBe(first); // the runtime knows it by another UID

      await deleteNow(name);
      // kubelet does it with its next look at the pod: once a minute, when nothing else happens to it.
      await eventually('kubelet made the mirror again', 180, async () => {
        expect(await addressOf(name)).toBe(address);
        const uid = await uidOfMirror();
        return uid === first ? { state: 'the old mirror' } : { value: true };
      });
      expect(violationsOf(await cluster.state())).toEqual([]);
      expect(await addressOf(name)).toBe(address);
    } finally {
      await rm(manifest);
    }
    await eventually('The address is free', 60, async () => {
      const claim = await claimOf(name);
      return claim === undefined ? { value: true } : { state: `${claim.metadata.name} ${claim.spec.phase}` };
    });
  }, 300_000);
});
