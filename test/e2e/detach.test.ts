import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeRequest } from '../../contracts/frame.ts';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { CniAnswer, HandMadeSandbox } from '../../deploy/dev/hand-made-sandbox.ts';
import { ippoolAnnotation } from '../../ipam/pool-annotation.ts';
import { asLines } from './cluster-state.ts';
import { violationsOf } from './invariants.ts';
import { TestCluster, timed } from './test-cluster.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: ['node-a'] });
  await cluster.stack.apply(
    underlayPool('v4', 4, ['10.70.8.1-10.70.8.250']),
    underlayPool('v6', 6, ['fd00:70::8:1-fd00:70::8:ff']),
    underlayPool('fifty', 4, ['10.70.9.1-10.70.9.50'], { default: false }),
  );
}, 120_000);
afterAll(() => cluster?.stop(), 60_000);
beforeEach(() => cluster.remember());
afterEach(() => cluster.removeSandboxes().then(() => cluster.untilAsRemembered()));

const done: CniAnswer = { exitCode: 0, body: undefined };
const v4Only = { [ippoolAnnotation]: '{"ipv4": ["v4"]}' };

async function attached(podName: string, annotations = {}): Promise<HandMadeSandbox> {
  const sandbox = await cluster.sandbox(podName, annotations);
  expect(await sandbox.add()).toMatchObject({ exitCode: 0 });
  return sandbox;
}

/** DEL answers success within 5 s, whatever the state of the world. */
async function expectDone(deleting: Promise<CniAnswer>): Promise<void> {
  const { seconds, ...answer } = await timed(deleting);
  expect(answer).toEqual(done);
  expect(seconds).toBeLessThan(5);
}

describe('a DEL needs nobody', () => {
  it('not the pod object', async () => {
    const sandbox = await attached('pod-gone');
    await cluster.deletePod(sandbox);
    await expectDone(sandbox.del());
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });

  it('not the namespace', async () => {
    const sandbox = await attached('netns-gone');
    await cluster.deletePod(sandbox);
    await sandbox.deleteNamespace();
    await expectDone(sandbox.del());
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });

  it('not CNI_NETNS: the link is found by the record', async () => {
    const sandbox = await attached('no-netns');
    await cluster.deletePod(sandbox);
    await expectDone(sandbox.del({ env: { CNI_NETNS: '' } }));
    expect(await sandbox.look()).not.toContain('eth0');
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
  });

  it('not CNI_ARGS: the pod is found by the record', async () => {
    const sandbox = await attached('no-args');
    await cluster.deletePod(sandbox);
    await expectDone(sandbox.del({ env: { CNI_ARGS: '' } }));
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });

  it('not its run: it was terminated by hand', async () => {
    const sandbox = await attached('terminated');
    await cluster.runOf(sandbox).terminate('by hand');
    await cluster.deletePod(sandbox);
    await expectDone(sandbox.del());
    expect(await sandbox.look()).not.toContain('eth0');
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
  });

  it('not its run, not even when a cancellation was asked for', async () => {
    const sandbox = await attached('cancelled');
    await cluster.runOf(sandbox).cancel();
    expect(violationsOf(await cluster.state())).toEqual([]);
    await cluster.deletePod(sandbox);
    await expectDone(sandbox.del());
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await eventually('The run has ended', 20, async () => {
      const status = await cluster.statusOf(sandbox);
      return status === 'RUNNING' ? { state: status } : { value: true };
    });
  });

  it('not the worker that served its ADD', async () => {
    const sandbox = await attached('restarted');
    await cluster.deletePod(sandbox);
    await cluster.restartWorker();
    // A DEL waits a second for its worker, then it goes on disk and the worker finds it there.
    await expectDone(sandbox.del());
    await eventually('Its claims are released', 20, async () => {
      const claims = await cluster.claimsOf(sandbox);
      return claims.length === 0 ? { value: true } : { state: claims.join() };
    });
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });

  it('not the worker that answered it, which is killed before Temporal has recorded it', async () => {
    const sandboxes = await Promise.all(Array.from({ length: 20 }, (_, index) => attached(`answered-${index}`)));
    await Promise.all(sandboxes.map((sandbox) => cluster.deletePod(sandbox)));
    let answered = 0;
    const enough = Promise.withResolvers<void>();
    const deleting = sandboxes.map(async (sandbox) => {
      await expectDone(sandbox.del());
      answered += 1;
      if (answered === 10) enough.resolve();
    });
    await Promise.race([enough.promise, Promise.all(deleting)]); // one that failed says so, and nobody waits for ten
    await cluster.restartWorker();
    await Promise.all(deleting);
    for (const sandbox of sandboxes) await cluster.untilStatus(sandbox, 'COMPLETED'); // the sweep would take a minute
  }, 60_000);

  it('not its record', async () => {
    const sandbox = await attached('no-record');
    await cluster.deletePod(sandbox);
    await sandbox.node.exec(['rm', '-r', `${sandbox.node.paths.run}/attachments/${sandbox.containerID}`]);
    await expectDone(sandbox.del());
    expect(await sandbox.look()).not.toContain('eth0');
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
  });

  it('none of them at once', async () => {
    const sandbox = await attached('nothing-left');
    await cluster.deletePod(sandbox);
    await sandbox.deleteNamespace();
    await cluster.runOf(sandbox).terminate('by hand');
    await sandbox.node.exec(['rm', '-r', `${sandbox.node.paths.run}/attachments/${sandbox.containerID}`]);
    await expectDone(sandbox.del({ env: { CNI_NETNS: '', CNI_ARGS: '' } }));
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
  });

  it('not an ADD before it', async () => {
    const sandbox = await cluster.sandbox('never-added');
    await expectDone(sandbox.del());
    await expectDone(sandbox.del());
    expect(await sandbox.add()).toMatchObject({ exitCode: 0 });
  });

  it('not to be the first', async () => {
    const sandbox = await attached('twice');
    await cluster.deletePod(sandbox);
    await expectDone(sandbox.del());
    await expectDone(sandbox.del());
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
  });

  it('not to be alone', async () => {
    const sandbox = await attached('at-once');
    await cluster.deletePod(sandbox);
    await Promise.all([1, 2, 3].map(() => expectDone(sandbox.del())));
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });
});

describe('a DEL and an ADD of one sandbox at once', () => {
  it.each([0, 5, 10, 15, 20, 30, 50])('end with nothing left when the DEL comes %d ms later', async (laterMs) => {
    const sandbox = await cluster.sandbox('both');
    const adding = sandbox.add();
    await new Promise((resolve) => setTimeout(resolve, laterMs));
    await expectDone(sandbox.del());
    const { exitCode, body } = await adding;
    if (exitCode !== 0) expect(body).toMatchObject({ code: 11 });

    await cluster.deletePod(sandbox);
    // A runtime ends a failed ADD with a DEL of its own, and an ADD that came after the DEL stays.
    await expectDone(sandbox.del());
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    expect(await sandbox.look()).not.toContain('eth0');
  });
});

describe('a sandbox that is restarted', () => {
  it('gets the address of its predecessor again', async () => {
    const first = await attached('restart');
    const addresses = await cluster.claimsOf(first);
    expect(addresses).toHaveLength(2);
    await expectDone(first.del());
    expect(await cluster.claimsOf(first)).toEqual(addresses.map((claim) => claim.replace('Bound', 'Held')));

    const second = await cluster.successorOf(first);
    expect(await second.add()).toMatchObject({ exitCode: 0 });
    expect(await cluster.claimsOf(second)).toEqual(addresses);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('keeps its address when the DEL of the predecessor comes late, again and again', async () => {
    const first = await attached('late-del');
    await expectDone(first.del());
    const second = await cluster.successorOf(first);
    expect(await second.add()).toMatchObject({ exitCode: 0 });
    const before = asLines(await cluster.state());

    await expectDone(first.del());
    await cluster.deletePod(first);
    await expectDone(first.del());
    await first.deleteNamespace();
    await expectDone(first.del());
    expect(asLines(await cluster.state()).filter((line) => line.includes(second.containerID))).toEqual(
      before.filter((line) => line.includes(second.containerID)),
    );
  });

  it('gets another address while its predecessor lives, and neither loses its own', async () => {
    const first = await attached('overlap', v4Only);
    const second = await cluster.successorOf(first);
    expect(await second.add()).toMatchObject({ exitCode: 0 });
    expect(violationsOf(await cluster.state())).toEqual([]);
    await cluster.deletePod(first);
    await expectDone(first.del());
    expect(await cluster.claimsOf(first)).toEqual([]);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('takes over the address of a predecessor whose namespace is gone and whose DEL never came', async () => {
    const first = await attached('no-del', v4Only);
    const claims = await cluster.claimsOf(first);
    await first.deleteNamespace();
    const second = await cluster.successorOf(first);
    expect(await second.add()).toMatchObject({ exitCode: 0 });
    expect(await cluster.claimsOf(second)).toEqual(claims);
    await expectDone(first.del());
    expect(await cluster.claimsOf(second)).toEqual(claims);
  });

  it('whose ADD fails leaves the address held for the pod', async () => {
    const first = await attached('failed-restart', v4Only);
    const claims = await cluster.claimsOf(first);
    await expectDone(first.del());
    const second = await cluster.successorOf(first);
    await cluster.inject('before kernel.plumb');
    expect(await second.add()).toMatchObject({ exitCode: 1, body: { code: 101 } });
    const third = await cluster.successorOf(first);
    expect(await third.add()).toMatchObject({ exitCode: 0 });
    expect(await cluster.claimsOf(third)).toEqual(claims);
  });
});

describe('a sandbox with two interfaces', () => {
  const second = { env: { CNI_IFNAME: 'net1' }, conf: { name: 'second', clean_gateway: true } };

  it('has one run, which ends with the last of them', async () => {
    const sandbox = await attached('two');
    expect(await sandbox.add(second)).toMatchObject({ exitCode: 0, body: { interfaces: [{ name: 'net1' }] } });
    expect(await cluster.claimsOf(sandbox)).toHaveLength(4);
    expect(
      (await cluster.untilAttached(sandbox, 2)).interfaces.map(({ ifName, phase }) => `${ifName} ${phase}`),
    ).toEqual(['eth0 Attached', 'net1 Attached']);
    await cluster.deletePod(sandbox);

    await expectDone(sandbox.del());
    expect(await sandbox.look()).not.toContain('eth0');
    expect(await sandbox.look()).toContain('net1');
    expect(await cluster.claimsOf(sandbox)).toHaveLength(2);
    expect(await cluster.statusOf(sandbox)).toBe('RUNNING');
    expect(violationsOf(await cluster.state())).toEqual([]);

    await expectDone(sandbox.del(second));
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });

  it('keeps the first when the second cannot be made', async () => {
    const sandbox = await attached('second-fails');
    await cluster.inject('before kernel.plumb');
    expect(await sandbox.add(second)).toMatchObject({ exitCode: 1, body: { code: 101 } });
    expect(await cluster.claimsOf(sandbox)).toHaveLength(2);
    expect(await sandbox.call('CHECK')).toEqual(done);
    expect(await cluster.statusOf(sandbox)).toBe('RUNNING');
    await cluster.deletePod(sandbox);
    await expectDone(sandbox.del());
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });
});

describe('an ADD that is repeated', () => {
  it('gets the same answer, also from another worker', async () => {
    const sandbox = await cluster.sandbox('repeated');
    const first = await sandbox.add();
    expect(first.exitCode).toBe(0);
    expect(await sandbox.add()).toEqual(first);
    await cluster.restartWorker();
    expect(await sandbox.add()).toEqual(first);
  });

  it('gets the same answer when it comes several times at once', async () => {
    const sandbox = await cluster.sandbox('several');
    const answers = await Promise.all([1, 2, 3, 4].map(() => sandbox.add()));
    expect(answers[0]?.exitCode).toBe(0);
    expect(answers).toEqual(answers.map(() => answers[0]));
    expect(await cluster.claimsOf(sandbox)).toHaveLength(2);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });
});

describe('two sandboxes of one pod', () => {
  it('that ask at once get addresses of their own', async () => {
    const one = await cluster.sandbox('rivals');
    const other = await cluster.successorOf(one);
    const answers = await Promise.all([one.add(), other.add()]);
    expect(answers.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });

  it('whose pods only have the name in common have nothing else in common', async () => {
    const old = await attached('namesake');
    await cluster.deletePod(old);
    const young = await cluster.sandbox('namesake');
    expect(await young.add()).toMatchObject({ exitCode: 0 });
    const claims = await cluster.claimsOf(young);
    await expectDone(old.del());
    expect(await cluster.claimsOf(old)).toEqual([]);
    expect(await cluster.claimsOf(young)).toEqual(claims);
    expect(violationsOf(await cluster.state())).toEqual([]);
  });
});

describe('a runtime that does not pass the UID of the pod', () => {
  it('is served for the pod that has the name now', async () => {
    const sandbox = await cluster.sandbox('no-uid');
    const env = { CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=no-uid' };
    expect(await sandbox.add({ env })).toMatchObject({ exitCode: 0 });
    const holders = (await cluster.claims()).flatMap(({ spec }) => spec.holders);
    expect(
      holders.filter(({ containerID }) => containerID === sandbox.containerID).map(({ podUID }) => podUID),
    ).toEqual([sandbox.podUID, sandbox.podUID]);
    await expectDone(sandbox.del({ env }));
    expect(await cluster.claimsOf(sandbox)).toEqual([expect.stringMatching(/ Held$/), expect.stringMatching(/ Held$/)]);
  });
});

it('whoever sends nonsense to the socket gets no answer, and nobody else notices', async () => {
  const path = join(cluster.node.node.paths.run, 'socket');
  const nonsense = [
    Buffer.alloc(0),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.alloc(100_000, 0xff),
    Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 32, 0, 0, 0]), // an environment of 4 GiB
    encodeRequest({ environment: new Map(), stdin: new Uint8Array(), nonce: '0'.repeat(32) }).subarray(0, 20),
  ];
  for (const bytes of nonsense) {
    const socket = createConnection(path);
    socket.on('error', () => undefined); // a reset is no answer either
    const closed = new Promise((resolve) => socket.resume().once('close', resolve));
    socket.end(bytes);
    await closed;
    expect(socket.bytesRead).toBe(0);
  }
  await attached('after-nonsense');
});

describe('an address that is held for a pod', () => {
  it('is freed when the pod is deleted', async () => {
    const kubelet = cluster.stack.part('node-a/kubelet');
    kubelet.signal('SIGSTOP'); // the pod is the node's, as the worker sees, and kubelet makes no sandbox of its own
    try {
      const sandbox = await cluster.sandbox('held', {}, 'node-a');
      expect(await sandbox.add()).toMatchObject({ exitCode: 0 });
      await expectDone(sandbox.del());
      expect(await cluster.claimsOf(sandbox)).toEqual([
        expect.stringMatching(/ Held$/),
        expect.stringMatching(/ Held$/),
      ]);
      await cluster.deletePod(sandbox);
      await eventually('The claims are gone', 20, async () => {
        const claims = await cluster.claimsOf(sandbox);
        return claims.length === 0 ? { value: true } : { state: claims.join() };
      });
    } finally {
      kubelet.signal('SIGCONT');
    }
  });
});

describe('the IPAM plugin', () => {
  const ipam = (sandbox: HandMadeSandbox, command: string) =>
    sandbox.call(command, {
      plugin: 'spiderpool',
      stdin: JSON.stringify({
        cniVersion: '1.0.0',
        name: 'chained',
        type: 'macvlan',
        ipam: { type: 'spiderpool', default_ipv4_ippool: ['fifty'] },
      }),
    });

  it('gives addresses and no interface, and takes them off the interface of the other plugin before it frees them', async () => {
    const sandbox = await cluster.sandbox('ipam');
    const { exitCode, body } = await ipam(sandbox, 'ADD');
    expect({ exitCode, interfaces: body?.interfaces }).toEqual({ exitCode: 0, interfaces: undefined });
    const address = body?.ips?.[0]?.address ?? '';
    expect(address).toMatch(/^10\.70\.9\.\d+\/16$/);
    await sandbox.exec(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other']);
    await sandbox.exec(['ip', 'addr', 'add', address, 'dev', 'eth0']);
    expect(await ipam(sandbox, 'CHECK')).toEqual(done);
    await cluster.deletePod(sandbox);

    await expectDone(ipam(sandbox, 'DEL'));
    expect(await sandbox.look()).not.toContain(address);
    expect(await sandbox.look()).toContain('eth0'); // not ours
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await cluster.untilStatus(sandbox, 'COMPLETED');
  });

  it.each([
    'after records.write',
    'before claims.take',
    'after claims.take',
    'skip before records.write\nbefore records.write',
  ])('leaves nothing of an ADD that fails "%s"', async (fault) => {
    const sandbox = await cluster.sandbox('ipam-fault');
    await cluster.inject(fault);
    expect(await ipam(sandbox, 'ADD')).toMatchObject({ exitCode: 1, body: { code: 101 } });
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
    await cluster.untilStatus(sandbox, 'FAILED');
    expect(await ipam(sandbox, 'ADD')).toMatchObject({ exitCode: 0 });
    await cluster.deletePod(sandbox);
    await expectDone(ipam(sandbox, 'DEL'));
    expect(await cluster.claimsOf(sandbox)).toEqual([]);
  });
});

describe('CHECK', () => {
  const check = (sandbox: HandMadeSandbox) => sandbox.call('CHECK');

  it('finds nothing right after the ADD', async () => {
    expect(await check(await attached('intact'))).toEqual(done);
  });

  it('says so when there was no ADD', async () => {
    const sandbox = await cluster.sandbox('never');
    expect(await check(sandbox)).toMatchObject({ exitCode: 1, body: { code: 103 } });
  });

  const breaks: readonly { name: string; how: (sandbox: HandMadeSandbox) => Promise<unknown>; tells: RegExp }[] = [
    { name: 'the link is gone', how: (sandbox) => sandbox.exec(['ip', 'link', 'del', 'eth0']), tells: /eth0/ },
    {
      name: 'the link is down',
      how: (sandbox) => sandbox.exec(['ip', 'link', 'set', 'eth0', 'down']),
      tells: /down|not up/,
    },
    {
      name: 'an IPv4 address is removed',
      how: async (sandbox) => sandbox.exec(['ip', '-4', 'addr', 'flush', 'dev', 'eth0']),
      tells: /10\.70\.8\.\d+\/16/,
    },
    {
      name: 'an IPv6 address is removed',
      how: async (sandbox) => sandbox.exec(['ip', '-6', 'addr', 'flush', 'dev', 'eth0', 'scope', 'global']),
      tells: /fd00:70::8:[0-9a-f]+\/64/,
    },
    {
      name: 'the default route is removed',
      how: (sandbox) => sandbox.exec(['ip', 'route', 'del', 'default']),
      tells: /0\.0\.0\.0\/0|default/,
    },
    { name: 'a claim is deleted', how: (sandbox) => deleteClaims(sandbox), tells: /not claimed/ },
  ];
  it.each(breaks)('finds that $name', async ({ how, tells }) => {
    const sandbox = await attached('broken');
    await how(sandbox);
    const { exitCode, body } = await check(sandbox);
    expect({ exitCode, code: body?.code }).toEqual({ exitCode: 1, code: 103 });
    expect(body?.msg).toMatch(tells);
  });

  async function deleteClaims(sandbox: HandMadeSandbox): Promise<void> {
    for (const claim of await cluster.claimsOf(sandbox))
      await cluster.stack.kubectl('delete', 'ipclaim', claim.split(' ', 1).join());
  }
});

describe('GC', () => {
  const collect = (of: HandMadeSandbox, valid: readonly HandMadeSandbox[], network = 'underlay') =>
    of.call('GC', {
      conf: {
        name: network,
        'cni.dev/valid-attachments': valid.map(({ containerID }) => ({ containerID, ifname: 'eth0' })),
      },
    });

  it('removes what is not listed and proven gone, and nothing else', async () => {
    const [listed, living, gone] = [await attached('listed'), await attached('living'), await attached('gone')];
    for (const sandbox of [listed, living, gone]) await cluster.deletePod(sandbox);
    await gone.deleteNamespace();
    await listed.deleteNamespace();

    expect(await collect(gone, [listed], 'other')).toEqual(done);
    expect(await cluster.claimsOf(gone)).toHaveLength(2);
    expect(await collect(gone, [listed])).toEqual(done);
    expect(await cluster.claimsOf(gone)).toEqual([]);
    await cluster.untilStatus(gone, 'COMPLETED');
    expect(await cluster.claimsOf(listed)).toHaveLength(2);
    expect(await cluster.claimsOf(living)).toHaveLength(2);
    expect(await living.look()).toContain('eth0');
  });

  it('without a list removes nothing and says so', async () => {
    const sandbox = await attached('no-list');
    await sandbox.deleteNamespace();
    expect(await sandbox.call('GC')).toMatchObject({ exitCode: 1, body: { code: 7 } });
    expect(await cluster.claimsOf(sandbox)).toHaveLength(2);
  });
});

it('of 60 sandboxes that ask at once for one of 50 addresses exactly 50 get one, and 10 are told the exact number', async () => {
  const annotations = { [ippoolAnnotation]: '{"ipv4": ["fifty"]}' };
  const sandboxes: HandMadeSandbox[] = [];
  for (let index = 0; index < 60; index += 1) sandboxes.push(await cluster.sandbox(`crowd-${index}`, annotations));

  const answers = await Promise.all(sandboxes.map((sandbox) => sandbox.add()));
  const failures = answers.filter(({ exitCode }) => exitCode !== 0).map(({ body }) => body);
  expect(failures.map((body) => body?.msg)).toEqual(
    Array(10).fill(
      'Cannot claim an IPv4 address from pool "fifty": all 50 are in use. Extend spec.ips of SpiderIPPool "fifty", or see who holds them: orb pools fifty',
    ),
  );
  expect(failures.map((body) => body?.code)).toEqual(Array(10).fill(11));
  const addresses = answers.flatMap(({ body }) => body?.ips ?? []).map(({ address }) => address);
  expect(new Set(addresses).size).toBe(50);
  expect(violationsOf(await cluster.state())).toEqual([]);

  await Promise.all(sandboxes.map((sandbox) => cluster.deletePod(sandbox)));
  for (const answer of await Promise.all(sandboxes.map((sandbox) => sandbox.del()))) expect(answer).toEqual(done);
  expect((await cluster.claims()).filter(({ spec }) => spec.pool === 'fifty')).toEqual([]);
}, 120_000);
