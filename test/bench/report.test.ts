import { describe, expect, it } from '@jest/globals';
import type { ControlWorkerFigures } from './control-worker.ts';
import type { CommandRound, VariantRound } from './measure.ts';
import type { NicCommandFigures } from './nics.ts';
import { toMarkdown } from './report.ts';
import type { Results } from './results.ts';
import { phases } from './variants.ts';

const shares = {
  executableMs: 2,
  spawnMs: 1,
  beforeFirstStepMs: 6,
  claimMs: 4,
  betweenStepsMs: 1,
  kernelMs: 1.5,
  afterLastStepMs: 0.1,
};
const command = (p50Ms: number, failures: Readonly<Record<string, number>> = {}): CommandRound => ({
  p50Ms,
  p90Ms: p50Ms + 5,
  p99Ms: p50Ms + 10,
  perSecond: 1000 / p50Ms,
  failures,
  cpuMs: { 'node worker': 7, 'idle node worker': 0.02 },
  etcdWalBytes: 2900,
  shares,
});
const round = (p50Ms: number, failures?: Readonly<Record<string, number>>, claimsLeft = 0): VariantRound => ({
  add: command(p50Ms, failures),
  del: command(p50Ms - 4),
  claimsLeft,
  etcdDatabaseBytes: 2 ** 21,
});

const [oneNode] = phases;
const [variant] = oneNode?.variants ?? [];
if (oneNode === undefined || variant === undefined) throw new Error('No variant');

const resultsOf = (...rounds: readonly VariantRound[]): Results => ({
  machine: { processor: 'a CPU', cores: 2, memoryGiB: 4, kernel: '6.1', node: '24', loadBefore: [0.1, 0.1, 0.1] },
  startedAt: '2026-11-21T10:00:00.000Z',
  minutes: 3,
  rounds: rounds.length,
  isQuick: false,
  phases: [
    {
      ...oneNode,
      variants: [{ variant, rounds }],
      leftOver: { openRuns: 0, claims: 0 },
      workerIdleCpuMsPerSecond: 12,
      notEager: 0,
    },
  ],
});

/** The cells of the first table row that begins so. */
const row = (markdown: string, first: string): readonly string[] =>
  markdown
    .split('\n')
    .find((line) => line.startsWith(`| ${first} |`))
    ?.split('|')
    .map((cell) => cell.trim())
    .slice(1, -1) ?? [];

describe('the report', () => {
  it('shows the median of the rounds with the smallest and the largest, beside what Spiderpool takes', () => {
    const cells = row(toMarkdown(resultsOf(round(14), round(12), round(20))), variant.name);
    expect(cells[1]).toBe('**14.0** (12.0–20.0) / 19.0 / 24.0');
    expect(cells.slice(5, 8)).toEqual(['0', '0', '40 / 48 / 58; DEL 31 / 48']);
  });

  it('says whether a target is met, and leaves out those that were not measured', () => {
    const markdown = toMarkdown(resultsOf(round(14), round(12), round(20)));
    const p50 = 'ADD one at a time, addresses, p50';
    expect(row(markdown, p50)).toEqual([p50, '≤ 15 ms', '14.0 ms', '14.0 ms', 'met']);
    expect(row(toMarkdown(resultsOf(round(16))), p50).at(-1)).toBe('**missed**');
    expect(markdown).not.toContain('12 nodes');
    expect(markdown).not.toContain('NaN');
  });

  it('says when pools were filled with less than their variants say', () => {
    const isSaid = (results: Results): boolean => toMarkdown(results).includes('No pool was filled with more than 500');
    expect([isSaid({ ...resultsOf(round(14)), mostUsed: 500 }), isSaid(resultsOf(round(14)))]).toEqual([true, false]);
  });

  it('scales times by the speed of the machine, and says when a target is met only so', () => {
    const calibration = { create: 3.6, createTaken: 3.8, read: 2.4, remove: 4 };
    const markdown = toMarkdown({ ...resultsOf(round(16)), calibration });
    expect(markdown).toContain('2.00 times slower');
    expect(row(markdown, 'ADD one at a time, addresses, p50').slice(2)).toEqual([
      '16.0 ms',
      '8.0 ms',
      'missed here, met at the reference speed',
    ]);
  });

  it('adds up failures by reason and what was left over all rounds', () => {
    const markdown = toMarkdown(resultsOf(round(14, { '11: busy': 2 }), round(14, { '11: busy': 1 }, 3)));
    expect(row(markdown, variant.name).slice(5, 7)).toEqual(['3 × ADD 11: busy', '3']);
    expect(row(markdown, 'failed calls').slice(2)).toEqual(['3 calls', '', '**missed**']);
    expect(row(markdown, 'DELs that freed nothing').slice(2)).toEqual(['3 claims', '', '**missed**']);
  });
});

describe('what is asked of many claims', () => {
  const named = (name: string, ...rounds: readonly VariantRound[]) => ({ variant: { ...variant, name }, rounds });
  const withClaims = (p50Ms: number, controlWorker?: ControlWorkerFigures): Results => {
    const results = resultsOf(round(14));
    const [phase] = results.phases;
    if (phase === undefined) throw new Error('No phase');
    const variants = [
      named('no claims elsewhere, addresses, 1 at once', round(20)),
      named('100,000 claims elsewhere, addresses, 1 at once', round(p50Ms)),
    ];
    return { ...results, phases: [{ ...phase, variants, ...(controlWorker && { controlWorker }) }] };
  };

  it('is a p50 at most a quarter above that without them', () => {
    const target = 'p50 beside 100,000 claims';
    const shown = (p50Ms: number): readonly string[] => row(toMarkdown(withClaims(p50Ms)), target).slice(2);
    expect(shown(24)).toEqual(['+20 % (24.0 against 20.0 ms)', '', 'met']);
    expect(shown(26)).toEqual(['+30 % (26.0 against 20.0 ms)', '', '**missed**']);
  });

  it('is a control worker that stays small and is soon back: its slowest restart counts', () => {
    const restart = { verdictSeconds: 2, publishedSeconds: 9, peakRssMiB: 400 };
    const markdown = toMarkdown(
      withClaims(20, {
        claims: 100_000,
        atRest: { rssMiB: 300, anonymousMiB: 200 },
        peakRssMiB: 500,
        sweepSeconds: 0.4,
        idleCpuMsPerSecond: { 'API server': 30 },
        restarts: [restart, { ...restart, publishedSeconds: 16 }],
      }),
    );
    const at = 'control worker at 100,000 claims';
    expect(row(markdown, `${at}, resident`).slice(1)).toEqual(['≤ 600 MB', '315 MB', '', 'met']);
    expect(row(markdown, `${at}, from kill -9 to verdicts and views`).slice(2)).toEqual(['16.0 s', '', '**missed**']);
    expect(row(markdown, 'a sweep')[1]).toBe('0.4 s');
  });
});

describe('what is asked of a whole attachment that is tied to its node', () => {
  it('is half of what the chain takes, at most', () => {
    const results = resultsOf(round(14));
    const [phase] = results.phases;
    if (phase === undefined) throw new Error('No phase');
    const among = (whole: number, chain: number): string => {
      const variants = Object.entries({ whole, chain }).map(([mode, p50Ms]) => ({
        variant: { ...variant, name: `tied ${mode}, 1 at once` },
        rounds: [round(p50Ms)],
      }));
      return toMarkdown({ ...results, phases: [{ ...phase, variants }] });
    };
    const ofChain = 'of what macvlan, our IPAM and our coordinator take as a chain';
    expect(row(among(22, 50), ofChain).slice(2)).toEqual(['44 % (22.0 against 50.0 ms)', '', 'met']);
    expect(row(among(26, 50), ofChain).at(-1)).toBe('**missed**');
    expect(row(among(26, 50), 'the same tied to its node, one at a time, p50').slice(1, 3)).toEqual([
      '≤ 24 ms',
      '26.0 ms',
    ]);
  });
});

describe('what is asked of many interfaces', () => {
  const command = (last: number, changes: Partial<NicCommandFigures> = {}): NicCommandFigures => {
    const latency = (p50Ms: number) => ({ p50Ms, p99Ms: p50Ms * 2 });
    return {
      byNic: [latency(30), latency(20), latency(last)],
      byQuarter: [30, 20, 20, 21].map(latency),
      perSecond: 20,
      failures: {},
      eventLoopDelayMs: { p50: 1, p99: 12, max: 40 },
      ...changes,
    };
  };
  const shown = (add: NicCommandFigures, title: string): readonly string[] => {
    const nics = { pods: 100, nics: 3, podsAtOnce: 8, add, del: command(20), claimsLeft: 0 };
    return row(toMarkdown({ ...resultsOf(round(14)), nics }), `100 pods with 3 interfaces, ${title}`).slice(2);
  };

  it('is no error, a time that does not grow, and an event loop that is never late', () => {
    expect(shown(command(22), 'failed calls')).toEqual(['0 calls', '', 'met']);
    expect(shown(command(20, { failures: { '11: busy': 1 } }), 'failed calls').at(-1)).toBe('**missed**');
    const growth = 'p50 of the last interface above the second';
    expect(shown(command(22), growth)).toEqual(['+10 % (22.0 against 20.0 ms)', '', 'met']);
    expect(shown(command(30), growth).at(-1)).toBe('**missed**');
    expect(shown(command(20), 'p50 in the last quarter of the pods above the second').at(-1)).toBe('met');
    const late = command(20, { eventLoopDelayMs: { p50: 1, p99: 21, max: 40 } });
    expect(shown(late, 'delay of the event loop, p99')).toEqual(['21.0 ms', '21.0 ms', '**missed**']);
  });
});

it('a large pool is to be admitted within 50 ms, however its addresses are written down', () => {
  const kind = (name: string, p50Ms: number) => ({ name, p50Ms, minMs: p50Ms / 2, p99Ms: p50Ms * 2 });
  const kinds = [kind('one address', 60), kind('65,536 addresses, one range', 20), kind('65,536, one by one', 70)];
  const markdown = toMarkdown({ ...resultsOf(round(14)), admission: { neighbours: 100, tries: 40, kinds } });
  const target = (name: string): string => `admission of a pool of ${name}, p50`;
  expect(row(markdown, target('65,536 addresses, one range')).slice(1)).toEqual([
    '≤ 50 ms',
    '20.0 ms',
    '20.0 ms',
    'met',
  ]);
  expect(row(markdown, target('65,536, one by one')).at(-1)).toBe('**missed**');
  expect(row(markdown, target('one address'))).toEqual([]);
  expect(row(markdown, '65,536 addresses, one range').slice(1)).toEqual(['20.0', '10.0', '40.0']);
});

describe('the variants', () => {
  it('have names of their own, and call on nodes that their fleet has', () => {
    const all = phases.flatMap(({ beforeFill = [], variants, fleetNodes }) =>
      [...beforeFill, ...variants].map((one) => ({ ...one, fleetNodes })),
    );
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    for (const { nodes, fleetNodes } of all) expect(nodes).toBeLessThanOrEqual(fleetNodes);
  });
});
