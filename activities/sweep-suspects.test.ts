import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { PodIdentity } from '../contracts/attachment.ts';
import { type ListedClaim, type OpenRun, type PodsSeen, suspicionsOf, withinLimits } from './sweep-suspects.ts';

interface ListedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly mirrored?: string;
}

const podsOf = (pods: readonly ListedPod[]): PodsSeen => {
  const uids = new Set(pods.flatMap(({ uid, mirrored }) => [uid, mirrored ?? uid]));
  const names = new Set(pods.map(({ namespace, name }) => `${namespace}/${name}`));
  return {
    count: pods.length,
    hasUID: (uid) => uids.has(uid),
    hasName: (namespace, name) => names.has(`${namespace}/${name}`),
  };
};

const api0 = { namespace: 'pay', name: 'api-0', uid: 'uid-0' };
const claimOf = (some: Partial<ListedClaim> = {}): ListedClaim => ({
  name: '10.70.8.20',
  phase: 'Bound',
  pool: 'rack7-v4',
  identity: '',
  node: 'r7-n1',
  pod: api0,
  containerID: 'c1',
  ...some,
});
const runOf = (some: Partial<OpenRun> = {}): OpenRun => ({
  workflowId: 'pod/pay/api-0/c1',
  runId: 'r1',
  node: 'r7-n1',
  pod: api0,
  containerID: 'c1',
  ...some,
});
const reasons = (claims: readonly ListedClaim[], runs: readonly OpenRun[], pods: readonly ListedPod[]): string[] =>
  suspicionsOf(claims, runs, podsOf(pods)).map(({ kind, reason }) => `${kind}: ${reason}`);

describe('suspicious is', () => {
  it('a Bound claim whose pod does not exist', () => {
    expect(reasons([claimOf()], [], [])).toEqual(['claim: Bound, and its pod does not exist']);
  });

  it('a Bound claim whose pod was replaced by another of its name', () => {
    const pods = [{ ...api0, uid: 'uid-of-its-successor' }];
    expect(reasons([claimOf()], [], pods)).toEqual(["claim: Bound, and its pod's name belongs to another pod"]);
  });

  it('a Held claim whose pod is gone, unless an identity keeps it', () => {
    const sticky = claimOf({ phase: 'Held', identity: 'StatefulSet/pay/api/0' });
    expect(reasons([claimOf({ phase: 'Held' }), sticky], [], [])).toEqual(['claim: Held, and its pod does not exist']);
  });

  it('an open run whose pod is gone', () => {
    expect(reasons([], [runOf()], [])).toEqual(['run: open, and its pod does not exist']);
  });

  it('an open run without a UID, when no pod has its name', () => {
    const run = runOf({ pod: { ...api0, uid: '' } });
    expect(reasons([], [run], [])).toHaveLength(1);
    expect(reasons([], [run], [{ ...api0, uid: 'whichever' }])).toEqual([]);
  });
});

describe('not suspicious is', () => {
  it('a Bound claim of a living pod without a run: the run was terminated, the pod keeps its address', () => {
    expect(reasons([claimOf()], [], [api0])).toEqual([]);
  });

  it('a claim and a run of a static pod, which its mirror names by annotation', () => {
    const mirror = { ...api0, uid: 'uid-of-the-mirror', mirrored: 'uid-0' };
    expect(reasons([claimOf()], [runOf()], [mirror])).toEqual([]);
  });

  it.each(['Cooling', 'Suspect', 'Conflicted'] as const)('a claim that is %s: its phase ends by itself', (phase) => {
    expect(reasons([claimOf({ phase })], [], [])).toEqual([]);
  });
});

describe('for any cluster', () => {
  const uids = fc.nat(40).map((n) => `uid-${n}`);
  const pods = fc.uniqueArray(
    fc.record({
      namespace: fc.constantFrom('pay', 'batch'),
      name: fc.nat(20).map((n) => `p-${n}`),
      uid: uids,
      mirrored: fc.oneof(fc.constant('none'), uids),
    }),
    { selector: ({ namespace, name }) => `${namespace}/${name}`, maxLength: 30 },
  );
  const identity = fc.record({
    namespace: fc.constantFrom('pay', 'batch'),
    name: fc.nat(20).map((n) => `p-${n}`),
    uid: uids,
  });
  const claims = fc.array(
    fc.record({
      pod: identity,
      phase: fc.constantFrom('Bound', 'Held', 'Cooling', 'Suspect', 'Conflicted'),
      identity: fc.constantFrom('', 'StatefulSet/pay/api/0'),
    }),
  );

  it('a claim or a run of a pod that is there is never suspected, and a Bound claim of one that is not always is', () => {
    fc.assert(
      fc.property(pods, claims, fc.array(identity), (there, some, ofRuns) => {
        const listed = there.map(({ mirrored, ...pod }) => (mirrored === 'none' ? pod : { ...pod, mirrored }));
        const isThere = ({ uid }: PodIdentity): boolean =>
          listed.some((pod) => pod.uid === uid || ('mirrored' in pod && pod.mirrored === uid));
        const named = some.map((claim, at) => claimOf({ ...claim, name: `10.70.8.${at}` }));
        const runs = ofRuns.map((pod, at) => runOf({ pod, workflowId: `run-${at}` }));
        const suspected = suspicionsOf(named, runs, podsOf(listed));
        const pod = suspected.map((found) => (found.kind === 'claim' ? found.claim.pod : found.run.pod));
        expect(pod.filter(isThere)).toEqual([]);
        const names = new Set(suspected.flatMap((found) => (found.kind === 'claim' ? [found.claim.name] : [])));
        const garbage = named.filter((claim) => claim.phase === 'Bound' && !isThere(claim.pod));
        expect(garbage.filter(({ name }) => !names.has(name))).toEqual([]);
      }),
    );
  });

  it('thousands are compared in one pass', () => {
    const many = Array.from({ length: 20_000 }, (_, at) => ({ ...api0, name: `p-${at}`, uid: `uid-${at}` }));
    const claimed = many.map((pod, at) => claimOf({ name: `claim-${at}`, pod }));
    const gone = new Set(['uid-7', 'uid-19999']);
    const found = suspicionsOf(claimed, [], podsOf(many.filter(({ uid }) => !gone.has(uid))));
    expect(found.map((one) => one.kind === 'claim' && one.claim.pod.uid)).toEqual(['uid-7', 'uid-19999']);
  });
});

describe('one sweep', () => {
  const limits = { suspects: 10, suspectsPerNode: 4 };
  const nodes = (...counts: number[]): ReadonlyMap<string, readonly string[]> =>
    new Map(counts.map((count, node) => [`n${node}`, Array.from({ length: count }, (_, at) => `n${node}-${at}`)]));

  it('takes of every node before it takes more of one', () => {
    expect(withinLimits(nodes(100, 1, 2), limits, 0)).toEqual(['n0-0', 'n1-0', 'n2-0', 'n0-1', 'n2-1', 'n0-2', 'n0-3']);
  });

  it('begins elsewhere each time, so that those which are kept do not keep others waiting for good', () => {
    const seen = new Set([0, 0.25, 0.5, 0.75].flatMap((start) => withinLimits(nodes(16), limits, start)));
    expect(seen.size).toBe(16);
  });

  it('takes each once, and never more than the limits', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(30), { maxLength: 12 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (counts, start) => {
          const taken = withinLimits(nodes(...counts), limits, start);
          expect(new Set(taken).size).toBe(taken.length);
          const possible = counts.reduce((sum, count) => sum + Math.min(count, limits.suspectsPerNode), 0);
          expect(taken).toHaveLength(Math.min(limits.suspects, possible));
        },
      ),
    );
  });
});
