import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { AddRequest } from '../../contracts/pod-network.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import type { Moment } from './testing/node-world.ts';
import { ReclaimStage } from './testing/reclaim-stage.ts';

let stage: ReclaimStage;
beforeEach(async () => {
  stage = await ReclaimStage.open();
});
afterEach(() => {
  stage.lost.close();
  if (stage.world.violations.length > 0) throw new Error(stage.world.violations.join('\n'));
});

const holds = (): readonly string[] => stage.world.holds;
async function untilHolds(expected: readonly unknown[]): Promise<void> {
  await eventually('The node holds what it should', 5, () => {
    const left = holds();
    return left.length === expected.length && stage.lost.size === 0 ? { value: true } : { state: left.join('\n') };
  });
  expect(holds()).toEqual(expected);
}
/** Waits until every sandbox that is followed was looked at a few times more. */
async function severalLooks(): Promise<void> {
  const looks = (): number => stage.world.trace.filter((call) => call === 'kernel.namespaceState').length;
  const before = looks();
  await eventually('It was looked at again', 5, () =>
    looks() > before + 3 ? { value: true } : { state: `${looks()}` },
  );
}

describe('an address whose DEL never came', () => {
  it('is freed when the namespace goes after the pod', async () => {
    const sandbox = await stage.attach('c1');
    stage.podGone(sandbox);
    await severalLooks();
    expect(holds()).toEqual([
      expect.stringMatching(/^claim .* Bound c1$/),
      expect.stringMatching(/^link .* of c1 /),
      expect.stringMatching(/^record c1 .* done$/),
    ]);
    stage.namespaceGone(sandbox);
    await untilHolds([]);
    expect(stage.detached).toEqual([
      expect.objectContaining({ attachment: sandbox.attachment, pod: sandbox.pod, reason: 'proven-gone' }),
    ]);
  });

  it('is freed when the pod goes after the namespace', async () => {
    const sandbox = await stage.attach('c1');
    stage.namespaceGone(sandbox);
    stage.podGone(sandbox);
    await untilHolds([]);
  });

  it('is freed for every sandbox of the pod, each with its own proof', async () => {
    const old = await stage.attach('c1', 'api-0');
    const young = stage.requestOf('c2', 'api-0');
    await stage.attachAs(young);
    stage.podGone(old);
    stage.namespaceGone(old);
    await eventually('The old one is gone', 5, () =>
      holds().some((line) => line.includes('c1')) ? { state: 'c1' } : { value: true },
    );
    expect(holds()).toContainEqual(expect.stringMatching(/^claim .* Bound c2$/));
    stage.namespaceGone(young);
    await untilHolds([]);
  });

  it('stays while nobody can say that the namespace is gone', async () => {
    const sandbox = await stage.attach('c1');
    stage.world.unproven.add(sandbox.netns);
    stage.podGone(sandbox);
    await severalLooks();
    expect(stage.detached).toEqual([]);
    stage.world.unproven.clear();
    stage.namespaceGone(sandbox);
    await untilHolds([]);
  });

  it('is followed no more when its pod is back: the mirror of a static pod was deleted by hand', async () => {
    const sandbox = await stage.attach('c1');
    stage.podGone(sandbox);
    stage.watched.set(sandbox.pod.uid, { isAlive: true });
    await eventually('It is followed no more', 5, () =>
      stage.lost.size === 0 ? { value: true } : { state: `${stage.lost.size}` },
    );
    expect(holds()).toHaveLength(3);
  });

  it('is freed although the watch missed the end of its pod, when the pods are listed anew', async () => {
    const [gone, alive] = [await stage.attach('c1'), await stage.attach('c22')];
    stage.deletePod(gone);
    stage.namespaceGone(gone);
    stage.watched.delete(gone.pod.uid);
    stage.lost.podsListed();
    await untilHolds(holds().filter((line) => line.includes('c22')));
    expect(stage.watched.has(alive.pod.uid)).toBe(true);
  });

  it('is no reason to ask anybody when its DEL came', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    await stage.del(sandbox);
    const asked = stage.world.trace.length;
    stage.podGone(sandbox);
    await untilHolds([]);
    expect(stage.world.trace).toHaveLength(asked);
  });

  it('is taken away once when its DEL comes while it is followed', async () => {
    const sandbox = await stage.attach('c1');
    stage.podGone(sandbox);
    await severalLooks();
    await stage.del(sandbox);
    stage.namespaceGone(sandbox);
    await untilHolds([]);
    expect(stage.detached).toHaveLength(1);
  });

  it("is not taken from the pod's next sandbox, which took it over while the old one was looked at", async () => {
    const old = await stage.attach('c1', 'api-0');
    const next = stage.requestOf('c2', 'api-0');
    stage.namespaceGone(old);
    let isDone = false;
    stage.world.holdAfter = async (call) => {
      if (call !== 'kernel.namespaceState' || isDone) return;
      isDone = true;
      await stage.attachAs(next); // finds the claim of c1, proves it gone too, and takes it over
    };
    await stage.lost.compare();
    expect(holds().filter((line) => line.startsWith('claim'))).toEqual([expect.stringMatching(/ Bound c2$/)]);
  });
});

describe('a comparison', () => {
  it('takes nothing from a sandbox that lives', async () => {
    await stage.attach('c1');
    const before = holds();
    expect(await stage.lost.compare()).toMatchObject({ detached: 0, freed: 0 });
    expect(holds()).toEqual(before);
    expect(stage.lost.size).toBe(0);
  });

  it.each([
    ['record and claim', () => undefined],
    ['its record only', () => undefined],
    ['its claim only', () => stage.world.records.clear()],
  ])('takes away what is left of a sandbox that is gone: %s', async (left, prepare) => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    if (left === 'its record only') await stage.worker.claims.release({ ...heldBy(sandbox), disposition: 'delete' });
    prepare();
    stage.namespaceGone(sandbox);
    await stage.restart();
    expect(await stage.lost.compare()).toMatchObject({ detached: 1, freed: 0 });
    expect(holds()).toEqual([]);
  });

  it('holds the address of a pod that lives, although its sandbox is gone', async () => {
    stage.namespaceGone(await stage.attach('c1'));
    expect(await stage.lost.compare()).toMatchObject({ detached: 1, freed: 0 });
    expect(holds()).toEqual([expect.stringMatching(/^claim .* Held$/)]);
  });

  it('follows a sandbox that lives although its pod is gone', async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    stage.watched.clear();
    await stage.restart();
    expect(await stage.lost.compare()).toMatchObject({ detached: 0, freed: 0 });
    expect(stage.lost.size).toBe(1);
    stage.namespaceGone(sandbox);
    await untilHolds([]);
  });

  it.each([
    ['of an earlier boot of this machine is gone, whatever stands at its path', { bootID: 'b0' }, []],
    [
      "of another machine that had this node's name is left alone",
      { machineID: 'm0', bootID: 'b0' },
      ['claim 10.70.8.30 Bound c1'],
    ],
  ])('finds that a claim %s', async (_, more, expected) => {
    const holder = { ...holderOf('c1'), ...more };
    stage.world.namespaces.set(holder.netns, { cookie: holder.netnsCookie, links: new Map() });
    await stage.world.putClaim('10.70.8.30', 'Bound', holder);
    await stage.restart();
    await stage.lost.compare();
    expect(holds()).toEqual(expected);
  });

  it('believes the record of a living sandbox, not a claim that somebody wrote by hand', async () => {
    const sandbox = await stage.attach('c1');
    await stage.world.putClaim('10.70.8.59', 'Bound', { ...holderOf('c1'), netns: '/run/netns/invented' });
    await stage.restart();
    await stage.lost.compare();
    expect(stage.detached).toEqual([]);
    expect(holds()).toContainEqual(`record ${sandbox.attachment.containerID} underlay/eth0/attach done`);
  });

  it('goes on after a sandbox that cannot be taken away, and comes back to it', async () => {
    const both = [await stage.attach('c1'), await stage.attach('c22')];
    for (const sandbox of both) {
      stage.podGone(sandbox);
      stage.namespaceGone(sandbox);
    }
    await stage.restart();
    stage.refusals.push(new Error('the disk is full'));
    expect(await stage.lost.compare()).toMatchObject({ detached: 1, freed: 0 });
    await untilHolds([]);
  });

  it('at start is repeated until it succeeds', async () => {
    const sandbox = await stage.attach('c1');
    stage.podGone(sandbox);
    stage.namespaceGone(sandbox);
    await stage.restart();
    const refusal = new Error('the API server does not answer');
    jest.spyOn(stage.world.api, 'request').mockRejectedValueOnce(refusal).mockRejectedValueOnce(refusal);
    await stage.lost.start();
    await untilHolds([]);
  });
});

describe('a sticky address whose DEL never came', () => {
  const identity = 'VirtualMachineInstance/pay/vm-1';
  const attachMachine = async (containerID: string): Promise<AddRequest> => {
    const request = stage.requestOf(containerID, `virt-launcher-vm-1-${containerID}`);
    const owner = {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachineInstance',
      name: 'vm-1',
      uid: 'v',
      controller: true,
    };
    const { namespace, name, uid } = request.pod;
    stage.world.pods.set(`${namespace}/${name}`, { uid, annotations: {}, isAlive: true, ownerReferences: [owner] });
    stage.watched.set(uid, { isAlive: true });
    await stage.attachAs(request);
    return request;
  };

  it('§12.3 #22: of a machine is found by the UID of its pod, and held for the machine', async () => {
    const request = await attachMachine('c1');
    stage.podGone(request);
    stage.namespaceGone(request);
    await untilHolds([expect.stringMatching(/^claim .* Held$/)]);
    expect(await stage.lost.compare()).toMatchObject({ detached: 0, freed: 0 });
    expect(holds()).toHaveLength(1);
  });

  it('is freed when the machine is gone too', async () => {
    stage.world.identities.set(identity, { state: 'ended', why: 'by the test' });
    const request = await attachMachine('c1');
    stage.podGone(request);
    stage.namespaceGone(request);
    await untilHolds([]);
  });
});

describe('an address that is held', () => {
  const held = async (more = {}): Promise<void> => {
    await stage.world.putClaim('10.70.8.30', 'Held', { ...holderOf('c1'), ...more });
    await stage.restart();
  };

  it('is freed with its pod', async () => {
    await held();
    stage.lost.podGone({ namespace: 'pay', name: 'pod-of-c1', uid: 'uid-of-pod-of-c1' });
    await untilHolds([]);
  });

  it('is freed by a comparison when its pod is gone', async () => {
    await held();
    expect(await stage.lost.compare()).toMatchObject({ detached: 0, freed: 1 });
    expect(holds()).toEqual([]);
  });

  it('stays while its pod lives', async () => {
    stage.world.pods.set('pay/pod-of-c1', { uid: 'uid-of-pod-of-c1', annotations: {}, isAlive: true });
    await held();
    expect(await stage.lost.compare()).toMatchObject({ detached: 0, freed: 0 });
    expect(holds()).toEqual(['claim 10.70.8.30 Held']);
  });

  it('is not one that is Cooling, Suspect or Conflicted', async () => {
    for (const [at, phase] of (['Cooling', 'Suspect', 'Conflicted'] as const).entries()) {
      await stage.world.putClaim(`10.70.8.3${at}`, phase, holderOf('c1'));
    }
    await stage.restart();
    expect(await stage.lost.compare()).toMatchObject({ detached: 0, freed: 0 });
    expect(holds()).toHaveLength(3);
  });
});

describe('every moment of a reclaim', () => {
  const prepared = async () => {
    const sandbox = await stage.attach('c1');
    stage.deletePod(sandbox);
    stage.watched.clear();
    stage.namespaceGone(sandbox);
    return sandbox;
  };

  it('may fail once, before or after it took effect, or see the worker killed', async () => {
    const sandbox = await prepared();
    const moments: Moment[] = [];
    stage.world.onMoment = (moment) => void moments.push({ ...moment, moment: moments.length });
    stage.lost.podGone(sandbox.pod);
    await untilHolds([]);
    expect(moments.map(({ call }) => call)).toEqual(
      expect.arrayContaining(['kernel.namespaceState', 'claims.release', 'records.remove']),
    );

    for (const { moment } of moments) {
      for (const way of ['fails', 'dies'] as const) {
        stage.lost.close();
        stage = await ReclaimStage.open();
        const { pod } = await prepared();
        let count = 0;
        stage.world.onMoment = () => {
          count += 1;
          if (count !== moment + 1) return;
          if (way === 'fails') throw new Error(`moment ${moment}`);
          stage.worker.die();
        };
        stage.lost.podGone(pod);
        if (way === 'dies') {
          await eventually(`moment ${moment}`, 5, () => (count > moment ? { value: true } : { state: `${count}` }));
          await stage.restart();
          await stage.lost.compare();
        }
        await untilHolds([]);
        expect(stage.world.violations).toEqual([]);
      }
    }
  }, 20_000);
});

const holderOf = (containerID: string) => ({
  namespace: 'pay',
  pod: `pod-of-${containerID}`,
  podUID: `uid-of-pod-of-${containerID}`,
  interface: 'eth0',
  network: 'underlay',
  containerID,
  netns: `/run/netns/${containerID}`,
  netnsCookie: '1',
  node: 'r7-n1',
  machineID: 'm1',
  bootID: 'b1',
});

const heldBy = ({ attachment }: { attachment: { containerID: string; ifName: string; network: string } }) => ({
  containerID: attachment.containerID,
  interface: attachment.ifName,
  network: attachment.network,
});
