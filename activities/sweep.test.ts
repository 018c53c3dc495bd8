import { beforeEach, describe, expect, it } from '@jest/globals';
import type { PodIdentity } from '../contracts/attachment.ts';
import type { NodeCheckRequest } from '../contracts/node-check.ts';
import type { Suspect } from '../contracts/sweep.ts';
import type { IdentityState } from './node-ports.ts';
import { type CheckAnswer, createSweepActivities, type NodeState, type ReadClaim, type SweepPorts } from './sweep.ts';
import type { OpenRun } from './sweep-suspects.ts';

const limits = { suspects: 100, suspectsPerNode: 50 };
const api0 = { namespace: 'pay', name: 'api-0', uid: 'uid-0' };

/** A cluster and its Temporal, as far as a sweep looks at them. */
class World implements SweepPorts {
  readonly stored = new Map<
    string,
    ReadClaim & { readonly pod: PodIdentity; readonly node: string; readonly identity: string }
  >();
  readonly ends = new Map<string, string>();
  readonly running = new Map<string, string>();
  readonly unproven = new Set<string>();
  /** What is said when a claim is ended. */
  refusal: Error | undefined;
  readonly there = new Map<string, PodIdentity>();
  /** There as well, and not in the list of pods yet. */
  readonly late = new Map<string, PodIdentity>();
  readonly open = new Map<string, OpenRun>();
  readonly states = new Map<string, NodeState>();
  readonly asked: { node: string; request: NodeCheckRequest }[] = [];
  answer: CheckAnswer | undefined;
  now = Date.now;

  readonly claims = {
    list: async () =>
      [...this.stored].map(
        ([
          name,
          {
            phase,
            pod,
            node,
            identity,
            holders: [holder],
          },
        ]) => ({
          name,
          phase,
          pool: 'rack7-v4',
          identity,
          node,
          pod,
          containerID: holder?.containerID ?? '',
        }),
      ),
    read: async (name: string) => this.stored.get(name),
    end: async ({ name, uid, version }: { name: string; uid: string; version: string }) => {
      if (this.refusal !== undefined) throw this.refusal;
      const found = this.stored.get(name);
      if (found?.uid !== uid || found.resourceVersion !== version) return 'changed' as const;
      if (this.unproven.has(name)) return 'suspect' as const;
      this.stored.delete(name);
      return 'deleted' as const;
    },
  };
  readonly identities = {
    states: async (texts: readonly string[]) =>
      new Map<string, IdentityState>(
        texts.map((text) => {
          const why = this.ends.get(text);
          return [text, why === undefined ? { state: 'wanted' } : { state: 'ended', why }];
        }),
      ),
  };
  readonly pods = {
    list: async () => ({
      count: this.there.size,
      hasUID: (uid: string) => this.there.has(uid),
      hasName: (namespace: string, name: string) =>
        [...this.there.values()].some((pod) => pod.namespace === namespace && pod.name === name),
    }),
    isThere: async ({ uid }: PodIdentity) => this.there.has(uid) || this.late.has(uid),
    runningUID: async (namespace: string, name: string) => this.running.get(`${namespace}/${name}`),
  };
  readonly runs = {
    listOpen: async () => [...this.open.values()],
    isOpen: async (workflowId: string, runId: string) => this.open.get(workflowId)?.runId === runId,
  };
  readonly nodes = { state: async (name: string): Promise<NodeState> => this.states.get(name) ?? 'ready' };
  readonly checks = {
    ask: async (node: string, request: NodeCheckRequest): Promise<CheckAnswer> => {
      this.asked.push({ node, request });
      const verdicts = request.claims.map(({ name }) => ({
        subject: name,
        outcome: 'released' as const,
        reason: 'no such sandbox',
      }));
      return this.answer ?? { outcome: 'answered', verdicts };
    },
  };

  claim(name: string, pod: PodIdentity = api0, node = 'r7-n1', ...others: ReadClaim['holders']): void {
    const holders = [{ podUID: pod.uid, containerID: 'c1', node }, ...others];
    const uid = `uid-of-${name}`;
    this.stored.set(name, { uid, resourceVersion: '1', phase: 'Bound', holders, pod, node, identity: '' });
  }

  held(name: string, identity: string, node = 'r7-n1'): void {
    this.claim(name, api0, node);
    const claim = this.stored.get(name);
    if (claim !== undefined) this.stored.set(name, { ...claim, phase: 'Held', identity });
  }

  change(name: string, change: Partial<ReadClaim>): void {
    const claim = this.stored.get(name);
    if (claim !== undefined) this.stored.set(name, { ...claim, ...change });
  }

  run(workflowId: string, pod: PodIdentity = api0, node = 'r7-n1'): void {
    this.open.set(workflowId, { workflowId, runId: 'r1', node, pod, containerID: 'c1' });
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

const firstLook = () => createSweepActivities(world).findSuspects(limits);
const secondLook = async (suspects: readonly Suspect[]) =>
  (await createSweepActivities(world).checkNode('r7-n1', suspects))
    .map(({ subject, outcome, reason }) => `${subject} ${outcome}: ${reason}`)
    .sort();

describe('the first look', () => {
  it('counts what it saw and names what nobody owns', async () => {
    world.there.set('uid-1', { ...api0, name: 'api-1', uid: 'uid-1' });
    world.claim('10.70.8.20');
    world.claim('10.70.8.21', { ...api0, name: 'api-1', uid: 'uid-1' });
    world.run('pod/pay/api-0/c1');
    const { seen, suspects, left } = await firstLook();
    expect(seen).toEqual({ claims: 2, openRuns: 1, pods: 1 });
    expect(suspects.map(({ subject, uid, version }) => [subject, uid, version].join(' ')).sort()).toEqual([
      '10.70.8.20 uid-of-10.70.8.20 1',
      'pod/pay/api-0/c1 r1 ',
    ]);
    expect(left).toEqual([]);
  });

  it('suspects nothing whose pod is there after all: names may be a moment old', async () => {
    world.claim('10.70.8.20');
    world.run('pod/pay/api-0/c1');
    world.late.set('uid-0', api0);
    expect((await firstLook()).suspects).toEqual([]);
  });

  it('leaves to the node guardian what is on nodes that are lost', async () => {
    world.states.set('r7-n8', 'absent');
    world.states.set('r7-n9', 'not ready');
    for (let at = 0; at < 25; at += 1) world.claim(`10.70.8.${at}`, api0, 'r7-n8');
    world.claim('10.70.9.1', api0, 'r7-n9');
    world.run('pod/pay/api-0/c1', api0, '');
    const { suspects, left } = await firstLook();
    expect(suspects).toEqual([]);
    expect(left.map(({ node, why, count, subjects }) => [node, why, count, subjects.length])).toEqual([
      ['r7-n8', "its node does not exist: the node guardian's", 25, 10],
      ['r7-n9', "its node is not Ready: the node guardian's", 1, 1],
      ['', 'it names no node', 1, 1],
    ]);
  });

  it('does not suspect a claim that somebody else holds too', async () => {
    world.claim('10.70.8.20', api0, 'r7-n1', { podUID: 'uid-of-the-target', containerID: 'c2', node: 'r7-n2' });
    expect((await firstLook()).suspects).toEqual([]);
  });

  it('does not suspect a claim that changed hands since it was listed', async () => {
    world.claim('10.70.8.20');
    const read = world.claims.read;
    Object.assign(world.claims, {
      read: async (name: string) => {
        world.change(name, { holders: [{ podUID: 'uid-1', containerID: 'c2', node: 'r7-n1' }] });
        return await read(name);
      },
    });
    expect((await firstLook()).suspects).toEqual([]);
  });

  it('says how many are left for the next sweep', async () => {
    for (let at = 0; at < 60; at += 1) world.claim(`10.70.8.${at}`);
    expect(await firstLook()).toMatchObject({ postponed: 10, suspects: { length: 50 } });
  });
});

describe('a claim that is Cooling or Conflicted', () => {
  const past = '2026-11-21T12:00:00Z';
  const blocked = (name: string, phase: 'Cooling' | 'Conflicted', until: string): void => {
    world.claim(name, api0, 'r7-n9'); // its node may be lost: nobody has the address
    world.change(name, { phase, until });
  };

  it.each(['Cooling', 'Conflicted'] as const)('ends when its time is over: %s', async (phase) => {
    blocked('10.70.8.20', phase, past);
    blocked('10.70.8.21', phase, '9999-12-31T23:59:59Z');
    const { expired, suspects } = await firstLook();
    expect([expired, suspects]).toEqual([['10.70.8.20'], []]);
    expect([...world.stored.keys()]).toEqual(['10.70.8.21']);
  });

  it('ends by the clock of whoever sweeps', async () => {
    blocked('10.70.8.20', 'Conflicted', '2026-11-21T12:00:10Z');
    world.now = () => Date.parse('2026-11-21T12:00:09Z');
    expect((await firstLook()).expired).toBeUndefined();
    world.now = () => Date.parse('2026-11-21T12:00:10Z');
    expect((await firstLook()).expired).toEqual(['10.70.8.20']);
  });

  it('is left to the next sweep when the API server is away for a moment', async () => {
    blocked('10.70.8.20', 'Conflicted', past);
    world.refusal = new Error('away');
    expect((await firstLook()).expired).toBeUndefined();
    world.refusal = undefined;
    expect((await firstLook()).expired).toEqual(['10.70.8.20']);
  });
});

describe('the second look clears', () => {
  let suspects: readonly Suspect[];
  beforeEach(async () => {
    world.claim('10.70.8.20');
    ({ suspects } = await firstLook());
  });

  it.each<[string, string, () => void]>([
    ['a claim that is gone', 'the claim is gone', () => world.stored.clear()],
    ['a claim that was made anew', 'the claim was made anew', () => world.change('10.70.8.20', { uid: 'another' })],
    [
      'a claim whose holders changed',
      'the claim was changed meanwhile',
      () => world.change('10.70.8.20', { resourceVersion: '2', holders: [] }),
    ],
    ['a claim whose pod is there', 'its pod is there', () => void world.there.set('uid-0', api0)],
  ])('%s, and asks nobody', async (_, reason, meanwhile) => {
    meanwhile();
    expect(await secondLook(suspects)).toEqual([`10.70.8.20 cleared: ${reason}`]);
    expect(world.asked).toEqual([]);
  });

  it('a run that has ended, and one that began anew', async () => {
    world.stored.clear();
    world.run('pod/pay/api-0/c1');
    world.run('pod/pay/api-0/c2');
    const runs = (await firstLook()).suspects;
    world.open.delete('pod/pay/api-0/c1');
    world.open.set('pod/pay/api-0/c2', { ...(world.open.get('pod/pay/api-0/c2') as OpenRun), runId: 'r2' });
    expect(await secondLook(runs)).toEqual([
      'pod/pay/api-0/c1 cleared: the run has ended',
      'pod/pay/api-0/c2 cleared: the run has ended',
    ]);
  });
});

describe("the node's word", () => {
  it('is asked once for all that looks as it did, by name and UID', async () => {
    world.claim('10.70.8.20');
    world.claim('10.70.8.21');
    world.run('pod/pay/api-0/c1');
    const { suspects } = await firstLook();
    world.change('10.70.8.21', { resourceVersion: '2' });
    expect(await secondLook(suspects)).toEqual([
      '10.70.8.20 released: no such sandbox',
      '10.70.8.21 cleared: the claim was changed meanwhile',
      'pod/pay/api-0/c1 unanswered: its worker answered, but not about this',
    ]);
    expect(world.asked).toEqual([
      {
        node: 'r7-n1',
        request: {
          reason: 'zombieSweep: the pod is gone',
          claims: [{ name: '10.70.8.20', uid: 'uid-of-10.70.8.20' }],
          runs: [{ workflowId: 'pod/pay/api-0/c1', pod: api0, containerID: 'c1' }],
        },
      },
    ]);
  });

  it('is not replaced by anything when it does not come', async () => {
    world.claim('10.70.8.20');
    const { suspects } = await firstLook();
    world.answer = { outcome: 'unanswered', why: 'its worker did not answer within 20 s' };
    expect(await secondLook(suspects)).toEqual(['10.70.8.20 unanswered: its worker did not answer within 20 s']);
    expect(world.stored.size).toBe(1);
  });
});

describe('a claim that is Held for an identity', () => {
  const identity = 'StatefulSet/pay/api/0';
  const gone = 'StatefulSet pay/api does not exist';
  const both = async (meanwhile: () => void = () => undefined): Promise<readonly string[]> => {
    const { suspects } = await firstLook();
    meanwhile();
    return await secondLook(suspects);
  };

  it('is left alone while somebody may come back for it', async () => {
    world.held('10.70.8.20', identity);
    expect((await firstLook()).suspects).toEqual([]);
  });

  it('is deleted when that has ended, without a word of its node, which may be lost', async () => {
    world.states.set('r7-n9', 'absent');
    world.held('10.70.8.20', identity, 'r7-n9');
    world.ends.set(identity, gone);
    expect(await both()).toEqual([`10.70.8.20 released: Held for ${identity}, and ${gone}`]);
    expect(world.stored.size).toBe(0);
    expect(world.asked).toEqual([]);
  });

  it('becomes Suspect instead when nobody has said that its last sandbox is silent', async () => {
    world.held('10.70.8.20', identity);
    world.ends.set(identity, gone);
    world.unproven.add('10.70.8.20');
    expect(await both()).toEqual([expect.stringMatching(/^10\.70\.8\.20 kept: .* it is Suspect now$/)]);
  });

  it.each<[string, string, () => void]>([
    ['it is wanted again', `nobody says any more that ${identity} has ended`, () => world.ends.clear()],
    ['it was taken', 'the claim was changed meanwhile', () => world.change('10.70.8.20', { resourceVersion: '2' })],
    ['its pod is there after all', 'its pod is there', () => void world.there.set('uid-0', api0)],
  ])('stays when %s at the second look', async (_, reason, meanwhile) => {
    world.held('10.70.8.20', identity);
    world.ends.set(identity, gone);
    expect(await both(meanwhile)).toEqual([`10.70.8.20 cleared: ${reason}`]);
    expect(world.stored.size).toBe(1);
  });

  it('§12.3 #18: stays while its pod terminates, whatever the pod says of its addresses', async () => {
    world.held('10.70.8.20', identity);
    world.ends.set(identity, gone);
    world.there.set('uid-0', api0);
    expect((await firstLook()).suspects).toEqual([]);
  });

  it('goes when the pod of its ordinal runs without it: another interface, another pool, or no network of ours', async () => {
    world.held('10.70.8.20', identity);
    world.running.set('pay/api-0', 'uid-of-its-successor');
    expect(await both()).toEqual([`10.70.8.20 released: Held for ${identity}, and pod pay/api-0 runs without it`]);
  });

  it('stays when the pod that runs is the one that had it', async () => {
    world.held('10.70.8.20', identity);
    world.running.set('pay/api-0', 'uid-0');
    expect((await firstLook()).suspects).toEqual([]);
  });

  it('stays, and it is said why, when it could not be deleted', async () => {
    world.held('10.70.8.20', identity);
    world.ends.set(identity, gone);
    world.refusal = new Error('403 Forbidden');
    expect(await both()).toEqual(['10.70.8.20 kept: it could not be released: 403 Forbidden']);
  });
});
