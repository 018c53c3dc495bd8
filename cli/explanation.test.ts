import { describe, expect, it } from '@jest/globals';
import type { AddRequest, PodNetworkState } from '../contracts/pod-network.ts';
import { toJSON } from './commands/terminal.ts';
import { type Evidence, type Explanation, explain, type RunSummary } from './explanation.ts';
import { renderExplanation, verdict } from './explanation-page.ts';
import { plain } from './paint.ts';
import { podRows } from './pod-table.ts';
import { type RunEvent, type RunHistory, readRunHistory } from './run-history.ts';
import { claimOf } from './testing/claims.ts';
import { golden } from './testing/golden.ts';
import { readHistory } from './testing/history-file.ts';
import { wallClock } from './wall-clock.ts';

const summary = (history: RunHistory, changes: Partial<RunSummary> = {}): RunSummary => ({
  workflowID: `pod/pay/${history.first.pod.name}/${history.first.attachment.containerID}`,
  runID: 'run-1',
  containerID: history.first.attachment.containerID,
  startedAtMs: history.startedAtMs,
  status: 'RUNNING',
  addresses: [],
  ...changes,
});

const evidenceOf = (history: RunHistory, changes: Partial<Evidence> = {}): Evidence => ({
  namespace: 'pay',
  name: history.first.pod.name,
  run: summary(history),
  history,
  others: [],
  claims: undefined,
  warnings: [],
  ...changes,
});

const recorded = async (name: string): Promise<RunHistory> => readRunHistory(await readHistory(name));
const inUTC = wallClock(Date.UTC(2026, 10, 21, 23), 'UTC');
const page = (explanation: Explanation): string => renderExplanation(explanation, inUTC, plain);
const sentence = (explanation: Explanation): string => verdict(explanation, inUTC);

describe('the explanation of a recorded run', () => {
  it.each([
    ['attached', 'attached'],
    ['dual-stack', 'attached'],
    ['exhausted', 'failed'],
    ['undo-repeated', 'failed'],
    ['unwind-stuck', 'failed'],
    ['released', 'none'],
    ['second-interface-failed', 'failed'],
    ['terminated', 'none'],
    ['no-worker', 'waiting'],
  ])('"%s" stands as %s and reads as its golden file', async (name, standing) => {
    const explanation = explain(evidenceOf(await recorded(name)));
    expect(explanation.standing).toBe(standing);
    expect(page(explanation)).toBe(await golden(`${name}.explanation.txt`, page(explanation)));
    expect(toJSON(explanation)).toBe(await golden(`${name}.explanation.json`, toJSON(explanation)));
  });

  it('fits 120 columns except where a message is longer', async () => {
    const lines = page(explain(evidenceOf(await recorded('undo-repeated')))).split('\n');
    expect(lines.filter((line) => line.length > 120)).toEqual([]);
  });
});

describe('claims and runs', () => {
  it('agree silently', async () => {
    const claims = podRows([claimOf('10.70.8.20')]);
    expect(explain(evidenceOf(await recorded('attached'), { claims })).warnings).toEqual([]);
  });

  it('make a warning when an attached address is claimed by nobody, or by another sandbox', async () => {
    const history = await recorded('attached');
    const foreign = podRows([claimOf('10.70.8.20', {}, { containerID: 'beef' })]);
    for (const claims of [[], foreign]) {
      const [warning] = explain(evidenceOf(history, { claims })).warnings;
      expect(warning).toMatch('The run has 10.70.8.20/22, but no claim of this sandbox holds it');
    }
  });

  it('make a warning when a closed run left a claim', async () => {
    const history = await recorded('released');
    const claims = podRows([claimOf('10.70.8.20', {}, { containerID: history.first.attachment.containerID })]);
    const [warning] = explain(evidenceOf(history, { claims })).warnings;
    expect(warning).toMatch('The run is closed, but its sandbox still holds 10.70.8.20/22');
  });

  it('are not compared when the claims could not be read', async () => {
    const warnings = ['Claims are not shown. Cannot list ipclaims'];
    expect(explain(evidenceOf(await recorded('attached'), { warnings })).warnings).toEqual(warnings);
  });

  it('are told without a run when Temporal has forgotten it', () => {
    const claims = podRows([claimOf('10.70.8.20')]);
    const explanation = explain({ namespace: 'pay', name: 'api-0', others: [], claims, warnings: [] });
    expect(sentence(explanation)).toBe(
      'pay/api-0 holds 10.70.8.20/22, but Temporal knows no run of it: its history has expired, or it was never here',
    );
    expect(page(explanation)).toMatch(/\nClaims\nNAMESPACE .*\npay /);
  });
});

describe('the word of the node worker', () => {
  it('goes before the history, which still says since when', async () => {
    const history = await recorded('attached');
    const live: PodNetworkState = {
      pod: history.first.pod,
      node: 'r7-n1',
      containerID: history.first.attachment.containerID,
      interfaces: [
        { network: 'vlan70', ifName: 'eth0', kind: 'attach', phase: 'Attached', addresses: [address('10.70.8.20/22')] },
        { network: 'vlan71', ifName: 'net1', kind: 'attach', phase: 'Attaching', addresses: [] },
      ],
    };
    const explanation = explain(evidenceOf(history, { live }));
    expect(explanation).toMatchObject({ source: 'worker', standing: 'waiting' });
    expect(sentence(explanation)).toMatch(
      /^pay\/api-0 has 10\.70\.8\.20 on eth0 since .* \(attached in .*\); waits for net1: the worker of node r7-n1 is at it$/,
    );
  });
});

const address = (text: string) => ({ family: 4, address: text, pool: 'rack7-v4', routes: [] }) as const;
const second = 1000;
const request = (ifName: string, nonce: string): AddRequest => ({
  attachment: { containerID: 'c0ffee', network: 'vlan70', ifName, kind: 'attach' },
  pod: { namespace: 'pay', name: 'api-0', uid: '9c1f' },
  node: 'r7-n1',
  netns: '/run/netns/x',
  netnsCookie: '1',
  nonce,
  arrivedAtMs: second,
  network: { provides: 'interface', defaultIPv4Pools: [], defaultIPv6Pools: [], cleanGateway: false },
});
const step = (
  name: string,
  startedAtMs: number,
  changes: Partial<Extract<RunEvent, { kind: 'step' }>> = {},
): RunEvent => ({
  kind: 'step',
  name,
  startedAtMs,
  endedAtMs: startedAtMs + 2,
  lastAttemptMs: 2,
  attempts: 1,
  isRetrying: false,
  ...changes,
});
const history = (...events: readonly RunEvent[]): RunHistory => {
  const first = request('eth0', '1');
  return {
    first,
    startedAtMs: second,
    events: [{ kind: 'add', id: 'start', atMs: second, request: first }, ...events],
  };
};
const claimed = step('claimAddresses', second + 1, { result: [address('10.70.8.20/22')] });
const plumbed = step('plumbLink', second + 4, { result: { interfaces: [{ name: 'eth0', mac: '0e:5b' }] } });

describe('a run', () => {
  it('that was attached counts from the arrival of the ADD to the end of its last step', () => {
    const { interfaces } = explain(evidenceOf(history(claimed, plumbed)));
    expect(interfaces).toMatchObject([{ ifName: 'eth0', phase: 'Attached', attachedInMs: 6, sinceMs: second + 6 }]);
  });

  it('whose caller repeats an ADD is told once', () => {
    const again: RunEvent = { kind: 'add', id: '9', atMs: second + 9, request: request('eth0', '2') };
    const { run, interfaces } = explain(
      evidenceOf(history(claimed, plumbed, again, { kind: 'answer', to: '9', atMs: second + 9 })),
    );
    expect(run?.calls.map(({ outcome, steps }) => [outcome, steps.length])).toEqual([
      ['attached', 2],
      ['attached', 0],
    ]);
    expect(interfaces).toMatchObject([{ addresses: [{ address: '10.70.8.20/22' }], attachedInMs: 6 }]);
  });

  it('gives the steps of a DEL that overtook its ADD to the ADD first', () => {
    const { attachment, pod, nonce } = request('eth0', '1');
    const explanation = explain(
      evidenceOf(
        history(
          claimed,
          { kind: 'detach', id: '5', atMs: second + 3, request: { attachment, pod, nonce, reason: 'detach' } },
          step('plumbLink', second + 4, { failure: { type: 'Cancelled', message: 'The attachment was cancelled' } }),
          step('removeLink', second + 6),
          step('releaseAddresses', second + 8),
          step('answerFailure', second + 10),
          step('removeLink', second + 12),
          step('releaseAddresses', second + 14),
          { kind: 'answer', to: '5', atMs: second + 16 },
        ),
      ),
    );
    const told = explanation.run?.calls.map(({ command, outcome, steps }) => [
      command,
      outcome,
      steps.map(({ name, isUndo }) => `${name}${isUndo ? '!' : ''}`).join(' '),
    ]);
    expect(told).toEqual([
      ['add', 'failed', 'claimAddresses plumbLink removeLink! releaseAddresses! answerFailure'],
      ['detach', 'detached', 'removeLink releaseAddresses'],
    ]);
    expect(explanation.interfaces).toEqual([]);
  });

  it('that was brought back after its worker was killed shows the incident where it happened', () => {
    const why = 'the node worker took up the run and was not heard of again in time';
    const stall: RunEvent = { kind: 'stall', atMs: second + 3, why };
    const told = page(explain(evidenceOf(history(stall, claimed, plumbed)))).split('\n');
    const [first, incident, last] = ['claim addresses', why, 'make the interface'].map((text) =>
      told.findIndex((line) => line.includes(text)),
    );
    expect([first, incident, last]).toEqual([first, (first ?? 0) + 1, (first ?? 0) + 2]);
    expect(told[incident ?? 0]).toMatch(/^ +\+3\.0 ms {2}the node worker/);
  });

  it('tells of an incident between two calls at its own time', () => {
    const cancel: RunEvent = { kind: 'cancel-requested', atMs: second + 5000 };
    expect(page(explain(evidenceOf(history(claimed, plumbed, cancel))))).toMatch(
      '00:00:06.000  somebody asked for the run to be cancelled',
    );
  });

  it('that is trying again says so, and why', () => {
    const failure = { type: 'Internal', message: 'netlink socket closed' } as const;
    const explanation = explain(
      evidenceOf(history(claimed, step('plumbLink', second + 4, { failure, isRetrying: true, attempts: 3 }))),
    );
    expect(sentence(explanation)).toMatch(
      'waits for eth0 since 1970-01-01 00:00:01: "make the interface" is tried again, because netlink socket closed',
    );
  });

  it('that was closed before an ADD was done does not call it running', () => {
    const closed: RunEvent = { kind: 'closed', atMs: second + 50, how: 'Terminated', reason: 'by hand' };
    const explanation = explain(evidenceOf(history(claimed, closed)));
    expect(explanation.run?.calls).toMatchObject([{ outcome: 'unanswered' }]);
    expect(sentence(explanation)).toBe(
      'pay/api-0 has no network: its run was terminated at 1970-01-01 00:00:01, because by hand',
    );
  });

  it('from a newer worker keeps the names of steps that are unknown here', () => {
    expect(page(explain(evidenceOf(history(claimed, step('enslaveBond', second + 4)))))).toMatch('enslaveBond');
  });

  it('is followed by the others, a line each, the newest ten', async () => {
    const others = Array.from({ length: 12 }, (_, index) =>
      summary(history(), {
        startedAtMs: index * second,
        closedAtMs: index * second + 31,
        status: 'FAILED',
        phase: 'Failed',
        node: 'r7-n1',
      }),
    ).toReversed();
    const told = page(explain(evidenceOf(history(claimed, plumbed), { others })));
    expect(told).toMatch('1970-01-01 00:00:11.000  c0ffee  on r7-n1  for 31 ms  failed\n');
    expect(told).toMatch(/… and 2 more: -o json$/);
  });
});
