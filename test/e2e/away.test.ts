import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { CniAnswer, HandMadeSandbox } from '../../deploy/dev/hand-made-sandbox.ts';
import type { StackProcess } from '../../deploy/dev/stack-process.ts';
import { violationsOf } from './invariants.ts';
import { TestCluster, timed } from './test-cluster.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['node-a'] });
  await cluster.stack.apply(
    underlayPool('v4', 4, ['10.70.8.1-10.70.8.250']),
    underlayPool('v6', 6, ['fd00:70::8:1-fd00:70::8:ff']),
  );
});
afterAll(() => cluster?.stop());
beforeEach(() => cluster.remember());
afterEach(async () => {
  await everythingIsBack();
  await cluster.removeSandboxes();
  await cluster.untilAsRemembered();
});

/** What the last ADDs took that nothing hindered. One alone may have waited for its worker to start. */
const usualSeconds: number[] = [];

async function attached(podName: string): Promise<HandMadeSandbox> {
  const sandbox = await cluster.sandbox(podName);
  const { exitCode, body, seconds } = await timed(sandbox.add());
  expect({ exitCode, msg: body?.msg }).toEqual({ exitCode: 0, msg: undefined });
  usualSeconds.push(seconds);
  return sandbox;
}

/** Ways in which another process is away: it takes connections and never answers, or refuses them. */
const ways = [
  { way: 'does not answer', leave: async (part: StackProcess) => part.signal('SIGSTOP') },
  { way: 'was killed', leave: (part: StackProcess) => part.stop('SIGKILL') },
];
function comeBack(part: StackProcess): void {
  if (part.isRunning) part.signal('SIGCONT');
  else part.start();
}

async function everythingIsBack(): Promise<void> {
  for (const part of [cluster.stack.part('kube-apiserver'), cluster.stack.part('temporal'), cluster.node.worker])
    comeBack(part);
  // One that answers may not have read yet who may do what, and which kinds there are.
  await eventually('The API server is ready', 60, async () => ({
    value: await cluster.stack.kubectl('get', '--raw', '/readyz'),
  }));
  await eventually('Temporal answers', 60, async () => ({ value: await cluster.openRuns() }));
}

/** The limits are for what an outage adds: a busy machine takes longer for a call that nothing hinders, too. */
const mustBe = (seconds: number, limit: number): void => {
  const usual = usualSeconds.length === 0 ? 0 : Math.min(...usualSeconds.slice(-3));
  expect(seconds - usual).toBeLessThan(limit);
};
const code = ({ exitCode, body }: CniAnswer) => ({ exitCode, code: body?.code });

/** Adds as kubelet does: again after an error. */
async function untilAdded(sandbox: HandMadeSandbox): Promise<void> {
  await eventually('An ADD succeeds', 30, async () => {
    const answer = await sandbox.add();
    return answer.exitCode === 0 ? { value: true } : { state: JSON.stringify(answer.body) };
  });
}

async function untilReleased(sandbox: HandMadeSandbox, seconds: number): Promise<void> {
  await eventually(`Claims of ${sandbox.podName} released`, seconds, async () => {
    const claims = await cluster.claimsOf(sandbox);
    return claims.length === 0 ? { value: true } : { state: claims.join() };
  });
}

describe.each(ways)('while the API server $way', ({ leave }) => {
  const apiServer = (): StackProcess => cluster.stack.part('kube-apiserver');

  it('an ADD fails with error 11 and the cause within 3 s, leaves nothing, and succeeds once it is back', async () => {
    const sandbox = await cluster.sandbox('add-api');
    await attached('warm'); // connections are open, pools and pods were read
    await leave(apiServer());

    const { seconds, ...answer } = await timed(sandbox.add());
    expect(code(answer)).toEqual({ exitCode: 1, code: 11 });
    expect(answer.body?.msg).toMatch(/API server/i);
    expect(answer.body?.details).toBe('ApiServerUnavailable');
    mustBe(seconds, 3);
    expect(await sandbox.look()).not.toContain('eth0');

    await everythingIsBack();
    await cluster.untilStatus(sandbox, 'FAILED', 30);
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await untilAdded(sandbox);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('a CHECK says so with error 11 within 3 s, and finds nothing wrong once it is back', async () => {
    const sandbox = await attached('check-api');
    await leave(apiServer());
    const { seconds, ...answer } = await timed(sandbox.call('CHECK'));
    expect(code(answer)).toEqual({ exitCode: 1, code: 11 });
    mustBe(seconds, 3);
    await everythingIsBack();
    expect(await sandbox.call('CHECK')).toEqual({ exitCode: 0, body: undefined });
  });

  it('a DEL succeeds within 5 s: the interface is gone at once, the addresses when it is back', async () => {
    const sandbox = await attached('del-api');
    await cluster.deletePod(sandbox);
    await leave(apiServer());

    const { seconds, ...answer } = await timed(sandbox.del());
    expect(answer).toEqual({ exitCode: 0, body: undefined });
    mustBe(seconds, 5);
    expect(await sandbox.look()).not.toContain('eth0');

    await everythingIsBack();
    await untilReleased(sandbox, 30);
    await cluster.untilStatus(sandbox, 'COMPLETED', 30);
  });
});

describe.each(ways)('while Temporal $way', ({ leave }) => {
  const temporal = (): StackProcess => cluster.stack.part('temporal');

  it('ADDs fail with error 11 within 3 s and leave nothing, and succeed once it is back', async () => {
    const [sandbox, next] = [await cluster.sandbox('add-temporal'), await cluster.sandbox('add-temporal-next')];
    await attached('warm');
    await leave(temporal());

    for (const one of [sandbox, next]) {
      const { seconds, ...answer } = await timed(one.add());
      expect(answer.body).toMatchObject({ code: 11, details: 'TemporalUnavailable' });
      expect(answer.body?.msg).toMatch(/Temporal does not answer/);
      mustBe(seconds, 3);
      expect(await one.look()).not.toContain('eth0');
      expect(await cluster.claimsOf(one)).toEqual([]);
    }

    await everythingIsBack();
    await untilAdded(sandbox);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('a DEL succeeds within 5 s and everything on the node is gone at once; its run ends once Temporal is back', async () => {
    const sandbox = await attached('del-temporal');
    await cluster.untilRecorded(sandbox);
    await cluster.deletePod(sandbox);
    await leave(temporal());

    const { seconds, ...answer } = await timed(sandbox.del());
    expect(answer).toEqual({ exitCode: 0, body: undefined });
    mustBe(seconds, 5);
    expect(await sandbox.look()).not.toContain('eth0');
    expect(await cluster.claimsOf(sandbox)).toEqual([]);

    await everythingIsBack();
    await cluster.untilStatus(sandbox, 'COMPLETED', 30);
  });
});

describe('while the API server and Temporal do not answer', () => {
  const both = (): readonly StackProcess[] => ['kube-apiserver', 'temporal'].map((name) => cluster.stack.part(name));

  it('a DEL still succeeds within 5 s of a worker that is there, and even one that is killed then forgets nothing', async () => {
    const [sandbox, other] = [await attached('del-alone'), await attached('del-restarted')];
    for (const one of [sandbox, other]) await cluster.deletePod(one);
    for (const part of both()) part.signal('SIGSTOP');

    const first = await timed(sandbox.del());
    expect(first).toMatchObject({ exitCode: 0, body: undefined });
    mustBe(first.seconds, 5);
    expect(await sandbox.look()).not.toContain('eth0');

    await cluster.restartWorker();
    const second = await timed(other.del());
    expect(second).toMatchObject({ exitCode: 0, body: undefined });
    mustBe(second.seconds, 6); // its own 5 s begin when the worker is there, for which the executable waits 1 s

    await everythingIsBack();
    for (const one of [sandbox, other]) {
      await untilReleased(one, 30);
      expect(await one.look()).not.toContain('eth0');
      await cluster.untilStatus(one, 'COMPLETED', 30);
    }
  });

  it.each(['kube-apiserver', 'temporal'])(
    'an ADD to a worker that started without %s fails with error 11, and succeeds once it is back',
    async (name) => {
      const sandbox = await cluster.sandbox('add-alone');
      cluster.stack.part(name).signal('SIGSTOP');
      await cluster.restartWorker();
      expect(code(await sandbox.add())).toEqual({ exitCode: 1, code: 11 });
      expect(await sandbox.look()).not.toContain('eth0');

      await everythingIsBack();
      await untilAdded(sandbox);
      expect(violationsOf(await cluster.state())).toEqual([]);
    },
  );
});

describe('while the node worker is away', () => {
  const worker = (): StackProcess => cluster.node.worker;

  it('an ADD waits 10 s for it and fails with error 11, and one of a kubelet that tries again succeeds', async () => {
    const sandbox = await cluster.sandbox('add-worker');
    await worker().stop('SIGKILL');
    const { seconds, ...answer } = await timed(sandbox.add());
    expect(code(answer)).toEqual({ exitCode: 1, code: 11 });
    expect(answer.body?.msg).toMatch(/^No answer from the node worker at .*\/socket: /);
    expect(seconds).toBeGreaterThan(10);
    expect(await sandbox.look()).not.toContain('eth0');
    worker().start();
    expect(await (await cluster.successorOf(sandbox)).add()).toMatchObject({ exitCode: 0 });
  });

  it('an ADD succeeds when it comes back in time', async () => {
    const sandbox = await cluster.sandbox('add-in-time');
    await worker().stop('SIGKILL');
    const adding = sandbox.add();
    worker().start();
    expect(await adding).toMatchObject({ exitCode: 0 });
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it.each([0, 20, 60])('ADDs that are open when it is ended with SIGTERM succeed, after %d ms', async (afterMs) => {
    const sandboxes: HandMadeSandbox[] = [];
    for (let index = 0; index < 8; index += 1) sandboxes.push(await cluster.sandbox(`drain-${index}`));
    const adding = sandboxes.map((sandbox) => sandbox.add());
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await worker().stop('SIGTERM');
    worker().start();
    const answers = await Promise.all(adding);
    expect(answers.map(({ body }) => body?.msg)).toEqual(answers.map(() => undefined));
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('a DEL succeeds within 5 s, waits on disk, and is done within 10 s after the start', async () => {
    const sandbox = await attached('del-worker');
    await cluster.deletePod(sandbox);
    await worker().stop('SIGKILL');
    const { seconds, ...answer } = await timed(sandbox.del());
    expect(answer).toEqual({ exitCode: 0, body: undefined });
    mustBe(seconds, 5);
    expect((await cluster.state()).nodes[0]?.waiting).toHaveLength(1);

    worker().start();
    await untilReleased(sandbox, 10);
    expect(await sandbox.look()).not.toContain('eth0');
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });

  it('an ADD after a DEL that waits on disk does not pass it', async () => {
    const sandbox = await attached('re-add');
    await worker().stop('SIGKILL');
    expect(await sandbox.del()).toEqual({ exitCode: 0, body: undefined });
    worker().start();
    const successor = await cluster.successorOf(sandbox);
    expect(await successor.add()).toMatchObject({ exitCode: 0 });
    await eventually('The DEL is done', 30, async () => {
      const { waiting = [] } = (await cluster.state()).nodes[0] ?? {};
      return waiting.length === 0 ? { value: true } : { state: waiting.join() };
    });
    expect(await cluster.claimsOf(successor)).toHaveLength(2);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('STATUS is fine for a while, and error 50 once it was silent for 30 s', async () => {
    const sandbox = await cluster.sandbox('status');
    expect(await sandbox.call('STATUS')).toEqual({ exitCode: 0, body: undefined });
    await worker().stop('SIGKILL');
    expect(await sandbox.call('STATUS')).toEqual({ exitCode: 0, body: undefined });
    await sandbox.node.exec(['touch', '-d', '31 seconds ago', join(sandbox.node.paths.run, 'alive')]);
    expect(await sandbox.call('STATUS')).toMatchObject({ exitCode: 1, body: { code: 50 } });
    worker().start();
    await eventually('STATUS is fine again', 30, async () => {
      const answer = await sandbox.call('STATUS');
      return answer.exitCode === 0 ? { value: true } : { state: JSON.stringify(answer.body) };
    });
  });

  it('a sandbox that went with its pod is released within 10 s after the start', async () => {
    const [gone, alive] = [await attached('went'), await attached('stays')];
    await worker().stop('SIGKILL');
    await cluster.deletePod(gone);
    await gone.deleteNamespace();
    worker().start();
    await untilReleased(gone, 10);
    await cluster.untilStatus(gone, 'COMPLETED');
    expect(await cluster.claimsOf(alive)).toHaveLength(2);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('a sandbox whose pod is deleted and whose namespace stays keeps its address', async () => {
    const sandbox = await attached('no-proof');
    await worker().stop('SIGKILL');
    await cluster.deletePod(sandbox);
    worker().start();
    const next = await cluster.sandbox('after-start');
    expect(await next.add()).toMatchObject({ exitCode: 0 }); // it has compared by now
    expect(await cluster.claimsOf(sandbox)).toEqual([
      expect.stringMatching(/ Bound$/),
      expect.stringMatching(/ Bound$/),
    ]);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('an address that was held for a pod deleted meanwhile is freed within 10 s after the start', async () => {
    const sandbox = await attached('held');
    expect(await sandbox.del()).toEqual({ exitCode: 0, body: undefined });
    expect(await cluster.claimsOf(sandbox)).toHaveLength(2);
    await worker().stop('SIGKILL');
    await cluster.deletePod(sandbox);
    worker().start();
    await untilReleased(sandbox, 10);
  });

  it('a node that booted again releases what it held before, and holds it for pods that live', async () => {
    const [gone, alive] = [await attached('before-boot'), await attached('lives-on')];
    for (const sandbox of [gone, alive]) await cluster.untilRecorded(sandbox); // a run that knows of nothing only unwinds
    const kept = await cluster.claimsOf(alive);
    const { paths } = cluster.node.node;
    await worker().stop('SIGKILL');
    await cluster.deletePod(gone);
    for (const sandbox of [gone, alive]) await sandbox.deleteNamespace();
    await cluster.node.node.exec(['sh', '-c', 'rm -rf "$0"/*', paths.run]);
    await writeFile(paths.bootIdFile, `${crypto.randomUUID()}\n`);
    worker().start();

    await untilReleased(gone, 10);
    await eventually('The living pod has its addresses held', 10, async () => {
      const claims = await cluster.claimsOf(alive);
      const isHeld = claims.join() === kept.map((claim) => claim.replace('Bound', 'Held')).join();
      return isHeld ? { value: true } : { state: claims.join() };
    });
    await cluster.untilStatus(gone, 'COMPLETED');
    await cluster.untilStatus(alive, 'COMPLETED');

    const again = await cluster.successorOf(alive);
    expect(await again.add()).toMatchObject({ exitCode: 0 });
    expect(await cluster.claimsOf(again)).toEqual(kept);
  });
});
