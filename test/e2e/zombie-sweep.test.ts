import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@temporalio/client';
import { plain } from '../../cli/paint.ts';
import { run } from '../../cli/program.ts';
import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { ClaimHolder } from '../../contracts/ip-claim.ts';
import { type SweepReport, zombieSweepSchedule } from '../../contracts/sweep.ts';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { HandMadeSandbox } from '../../deploy/dev/hand-made-sandbox.ts';
import { controlNamespace } from '../../temporal-config/queues.ts';
import { TestCluster } from './test-cluster.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['n1', 'n2'], kubelets: false, controlWorkers: 2 });
  await cluster.stack.apply(underlayPool('v4', 4, ['10.70.8.1-10.70.9.250']));
}, 240_000);
afterAll(() => cluster?.stop(), 60_000);

interface Printed {
  readonly code: number;
  readonly text: string;
}

/** `orb`, as a person on the host calls it. */
async function orb(...args: readonly string[]): Promise<Printed> {
  const out: string[] = [];
  const { stack } = cluster;
  const places = ['--kubeconfig', stack.kubeconfigs.admin, '--temporal-address', stack.temporalAddress];
  const code = await run([...args, ...places], {
    print: (text) => out.push(text),
    printError: (text) => process.stderr.write(`${text}\n`),
    paint: plain,
    paintError: plain,
    columns: 300,
  });
  return { code, text: out.join('\n') };
}

/** A pod on each node, with its sandbox attached; its claim is what the node's own worker wrote. */
async function attachedOnEachNode(): Promise<readonly HandMadeSandbox[]> {
  const sandboxes = await Promise.all(
    cluster.nodes.map(({ node }) => HandMadeSandbox.create(cluster.stack, node, `lives-on-${node.name}`)),
  );
  for (const sandbox of sandboxes) expect(await sandbox.add()).toMatchObject({ exitCode: 0 });
  return sandboxes;
}

const claimOf = async ({ containerID }: HandMadeSandbox): Promise<IPClaim> => {
  const found = (await cluster.claims()).find(({ spec }) => spec.holders[0]?.containerID === containerID);
  if (found === undefined) throw new Error(`No claim of sandbox ${containerID}`);
  return found;
};
const namesOf = (claims: readonly IPClaim[]): readonly string[] => claims.map(({ metadata }) => metadata.name);

/** Writes claims that nobody will ever release, beside what the pool gives: of pods that do not exist, in sandboxes that never were. */
async function litter(holders: readonly ClaimHolder[], addresses: readonly string[]): Promise<readonly string[]> {
  await Promise.all(
    addresses.map(async (address, at) => {
      const containerID = randomUUID().replaceAll('-', '');
      const nobody = {
        pod: `ghost-${at}`,
        podUID: randomUUID(),
        containerID,
        netns: `/run/netns/never-${containerID}`,
        netnsCookie: '999999999',
      };
      const body = {
        apiVersion: 'orbweaver.io/v1alpha1',
        kind: 'IPClaim',
        metadata: { name: address },
        spec: {
          address: `${address}/22`,
          pool: 'v4',
          phase: 'Bound',
          holders: [{ ...holders[at % holders.length], ...nobody }],
        },
      };
      await cluster.api.request({
        method: 'POST',
        path: '/apis/orbweaver.io/v1alpha1/ipclaims',
        body,
        timeoutMs: 5000,
      });
    }),
  );
  return addresses;
}

/** Waits until each of these is gone, and tells how long after its birth that was. */
async function untilGone(births: ReadonlyMap<string, number>, limitSeconds: number): Promise<readonly number[]> {
  const waiting = new Map(births);
  const tookMs: number[] = [];
  while (waiting.size > 0) {
    const there = new Set(namesOf(await cluster.claims()));
    for (const [name, bornAt] of waiting) {
      const ageMs = performance.now() - bornAt;
      if (!there.has(name)) {
        tookMs.push(ageMs);
        waiting.delete(name);
      } else if (ageMs > limitSeconds * 1000) {
        throw new Error(`Not released within ${limitSeconds} s: ${[...waiting.keys()].join(' ')}`);
      }
    }
    await sleep(100);
  }
  return tookMs.sort((one, other) => one - other);
}

const finishedSweeps = async (): Promise<number> => {
  const control = new Client({ connection: cluster.temporal.connection, namespace: controlNamespace });
  const query = `TemporalScheduledById = '${zombieSweepSchedule}' AND ExecutionStatus = 'Completed'`;
  return (await control.workflow.count(query)).count;
};

describe('on a cluster of living nodes', () => {
  let living: readonly HandMadeSandbox[];
  let kept: readonly IPClaim[];
  beforeAll(async () => {
    living = await attachedOnEachNode();
    kept = await Promise.all(living.map(claimOf));
  });
  const expectUntouched = async (): Promise<void> => {
    const now = await Promise.all(living.map(claimOf));
    expect(now.map(({ metadata }) => metadata.uid)).toEqual(kept.map(({ metadata }) => metadata.uid));
    expect(now.map(({ spec }) => spec)).toEqual(kept.map(({ spec }) => spec));
  };

  it('foreign garbage is gone within a minute, and a pod whose run was terminated keeps its address', async () => {
    const [victim] = living;
    if (victim === undefined) throw new Error('No node');
    await cluster.runOf(victim).terminate('by hand');
    const sweepsBefore = await finishedSweeps();

    const holders = kept.map(({ spec }) => spec.holders[0]).filter((holder) => holder !== undefined);
    const births = new Map<string, number>();
    for (let event = 0; event < 5; event += 1) {
      const names = await litter(
        holders,
        Array.from({ length: 10 }, (_, at) => `10.70.10.${100 + event * 10 + at}`),
      );
      for (const name of names) births.set(name, performance.now());
      if (event === 0) {
        const { code, text } = await orb('reclaim', '--dry-run');
        expect(code).toBe(0);
        for (const name of names) expect(text).toMatch(new RegExp(`^${name} .*Bound, and its pod does not exist`, 'm'));
        for (const { metadata } of kept) expect(text).not.toContain(`${metadata.name} `);
        expect((await orb('ip', names[0] ?? '')).text).toContain('Pod default/ghost-0 does not exist');
      }
      await sleep(4000); // an event at another phase of the schedule
    }
    const tookMs = await untilGone(births, 60);
    const at = (share: number): string =>
      `${((tookMs[Math.ceil(share * tookMs.length) - 1] ?? 0) / 1000).toFixed(1)} s`;
    process.stdout.write(
      `foreign garbage: ${tookMs.length} claims in 5 events, gone after p50 ${at(0.5)}, p90 ${at(0.9)}, longest ${at(1)}\n`,
    );

    await eventually('Two sweeps since the run was terminated', 70, async () => {
      const sweeps = (await finishedSweeps()) - sweepsBefore;
      return sweeps >= 2 ? { value: true } : { state: `${sweeps} sweeps` };
    });
    await expectUntouched();
    const address = kept[0]?.metadata.name ?? '';
    const { text } = await orb('ip', address);
    expect(text).toContain('the run was terminated');
    expect(text).toMatch(/ default\/lives-on-n1 +n1 +terminated /);
  }, 180_000);

  it('orb reclaim sweeps now and shows what each node said', async () => {
    const holders = kept.map(({ spec }) => spec.holders[0]).filter((holder) => holder !== undefined);
    const names = await litter(holders, ['10.70.10.200', '10.70.10.201']);
    const { code, text } = await orb('reclaim', '-o', 'json');
    expect(code).toBe(0);
    const { verdicts } = JSON.parse(text) as SweepReport;
    // A sweep of the schedule may be quicker: what it took away is absent then, or was when orb looked a second time.
    const outcomes = verdicts.filter(({ subject }) => names.includes(subject)).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => !['released', 'absent', 'cleared'].includes(outcome))).toEqual([]);
    expect(namesOf(await cluster.claims()).filter((name) => names.includes(name))).toEqual([]);
    await expectUntouched();
  }, 60_000);

  it('a run of which nothing is left ends, although its node has forgotten it', async () => {
    const gone = await cluster.sandbox('forgotten', {}, 'n1');
    expect(await gone.add()).toMatchObject({ exitCode: 0 });
    const { metadata } = await claimOf(gone);
    const { worker } = cluster.node;
    await worker.stop('SIGKILL');
    await cluster.deletePod(gone);
    await gone.deleteNamespace();
    await gone.node.exec(['rm', '-r', `${gone.node.paths.run}/attachments/${gone.containerID}`]);
    const path = `/apis/orbweaver.io/v1alpha1/ipclaims/${metadata.name}`;
    await cluster.api.request({ method: 'DELETE', path, timeoutMs: 5000 });
    worker.start();
    await eventually('The run has ended', 75, async () => {
      const status = await cluster.statusOf(gone);
      return status === 'RUNNING' ? { state: status } : { value: true };
    });
    await expectUntouched();
  }, 90_000);

  it('the DEL of a pod whose run was terminated frees its address', async () => {
    await Promise.all(living.map((sandbox) => sandbox.deletePod()));
    for (const sandbox of living) expect(await sandbox.del()).toMatchObject({ exitCode: 0 });
    expect(namesOf(await cluster.claims()).filter((name) => namesOf(kept).includes(name))).toEqual([]);
    await Promise.all(living.map((sandbox) => sandbox.deleteNamespace()));
    const { code, text } = await orb('ip', kept[0]?.metadata.name ?? '');
    expect({ code, verdict: text.split('\n')[0] }).toMatchObject({
      code: 0,
      verdict: expect.stringMatching(/ {2}free$/),
    });
  });
});
