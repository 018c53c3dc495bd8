import { slowness } from './calibration.ts';
import type { VariantRound } from './measure.ts';
import type { Latency } from './nics.ts';
import type { Results } from './results.ts';
import { spreadOf } from './statistics.ts';

type Row = readonly [target: string, asked: string, found: string, atReferenceSpeed: string, verdict: string];

/** Each target with what was found; those whose variants were not run are left out. */
export function judge({ phases, calibration, nics, admission, memory }: Results): readonly Row[] {
  const variants = new Map(
    phases.flatMap(({ variants: some }) => some.map(({ variant, rounds }) => [variant.name, rounds] as const)),
  );
  const of = (name: string, figure: (round: VariantRound) => number): number =>
    spreadOf((variants.get(name) ?? []).map(figure)).median;
  const everyRound = [...variants.values()].flat();
  const failed = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((sum, count) => sum + count, 0);
  const sum = (figure: (round: VariantRound) => number): number =>
    everyRound.reduce((soFar, round) => soFar + figure(round), 0);
  const p50 = (round: VariantRound): number => round.add.p50Ms;
  const rate = (round: VariantRound): number => round.add.perSecond;

  const rows: Row[] = [];
  const factor = calibration === undefined ? 1 : slowness(calibration);
  const isTime = (unit: string): boolean => unit === 'ms';
  const atMost = (target: string, limit: number, found: number, unit: string, digits = 1): void => {
    if (!Number.isFinite(found)) return;
    const scaled = isTime(unit) ? found / factor : found;
    const shown = isTime(unit) ? `${scaled.toFixed(digits)} ${unit}` : '';
    rows.push([
      target,
      `≤ ${limit} ${unit}`,
      `${found.toFixed(digits)} ${unit}`,
      shown,
      verdict(found <= limit, scaled <= limit),
    ]);
  };
  const atLeast = (target: string, limit: number, found: number, unit: string): void => {
    if (!Number.isFinite(found)) return;
    const scaled = found * factor;
    rows.push([
      target,
      `≥ ${limit.toFixed(0)} ${unit}`,
      `${found.toFixed(0)} ${unit}`,
      `${scaled.toFixed(0)} ${unit}`,
      verdict(found >= limit, scaled >= limit),
    ]);
  };
  atMost('ADD one at a time, addresses, p50', 15, of('addresses, 1 at once', p50), 'ms');
  atMost(
    'ADD one at a time, addresses, p99',
    60,
    of('addresses, 1 at once', ({ add }) => add.p99Ms),
    'ms',
  );
  atMost('whole macvlan attachment, one at a time, p50', 30, of('whole, 1 at once', p50), 'ms');
  const tied = of('tied whole, 1 at once', p50);
  atMost('the same tied to its node, one at a time, p50', 24, tied, 'ms');
  const chained = of('tied chain, 1 at once', p50);
  if (Number.isFinite(tied) && Number.isFinite(chained)) {
    const found = `${((tied / chained) * 100).toFixed(0)} % (${tied.toFixed(1)} against ${chained.toFixed(1)} ms)`;
    const isMet = tied <= chained / 2;
    rows.push([
      'of what macvlan, our IPAM and our coordinator take as a chain',
      '≤ 50 %',
      found,
      '',
      verdict(isMet, false),
    ]);
  }
  atLeast('32 at once on one node', 66, of('addresses, 32 at once', rate), 'ADD/s');
  const onOne = of('addresses, 1 × 32', rate);
  const notLessThanOnOne = (nodes: number, found: number): void => {
    const asked = `≥ ${onOne.toFixed(0)} ADD/s`;
    if (Number.isFinite(found) && Number.isFinite(onOne))
      rows.push([
        `the same on ${nodes} nodes, not less than on one`,
        asked,
        `${found.toFixed(0)} ADD/s`,
        '',
        verdict(found >= onOne, false),
      ]);
  };
  notLessThanOnOne(4, of('addresses, 4 × 8', rate));
  notLessThanOnOne(12, of('addresses, 12 × 3', rate));
  const ratioOfP50 = (target: string, name: string, base: string): void => ratio(target, of(name, p50), of(base, p50));
  const ratio = (target: string, found: number, among: number): void => {
    const percent = (found / among - 1) * 100;
    if (!Number.isFinite(percent)) return;
    const sign = percent < 0 ? '−' : '+';
    rows.push([
      target,
      '≤ +25 %',
      `${sign}${Math.abs(percent).toFixed(0)} % (${found.toFixed(1)} against ${among.toFixed(1)} ms)`,
      '',
      verdict(percent <= 25, false),
    ]);
  };
  ratioOfP50('p50 in a /8 above a /24', 'pool of a /8, 1 at once', 'pool of a /24, 1 at once');
  ratioOfP50('p50 in an IPv6 /64 above a /24', 'pool of a IPv6 /64, 1 at once', 'pool of a /24, 1 at once');
  for (const [called, name] of [
    ['p50', 'addresses, 1 at once'],
    ['p50 of 8 at once', 'addresses, 8 at once'],
  ] as const) {
    ratioOfP50(`${called} beside 100,000 claims`, `100,000 claims elsewhere, ${name}`, `no claims elsewhere, ${name}`);
  }
  const growth = of('4,000 of 8,189 in use, 1 at once', p50) - of('0 of 8,189 in use, 1 at once', p50);
  atMost('p50 with 4,000 of 8,189 in use above empty', 3, growth, 'ms');
  if (everyRound.length > 0) {
    atMost(
      'failed calls',
      0,
      sum(({ add, del }) => failed(add.failures) + failed(del.failures)),
      'calls',
      0,
    );
    atMost(
      'DELs that freed nothing',
      0,
      sum(({ claimsLeft }) => claimsLeft),
      'claims',
      0,
    );
  }
  const singleStack = [...variants.keys()].filter((name) => !name.includes('dual stack'));
  atMost(
    'to etcd per ADD, one address, at any fill',
    4,
    Math.max(...singleStack.map((name) => of(name, ({ add }) => add.etcdWalBytes))) / 1000,
    'KB',
  );
  atMost('CPU of an idle worker per ADD of others, mean of all variants', 0.1, idleWorkerCpuMs(phases), 'ms', 2);
  for (const { controlWorker } of phases) {
    if (controlWorker === undefined) continue;
    const { claims, atRest, restarts } = controlWorker;
    const at = `control worker at ${claims.toLocaleString('en')} claims`;
    atMost(`${at}, resident`, 600, (atRest.rssMiB * 2 ** 20) / 1e6, 'MB', 0);
    const seconds = restarts.map(({ verdictSeconds, publishedSeconds }) => Math.max(verdictSeconds, publishedSeconds));
    atMost(`${at}, from kill -9 to verdicts and views`, 15, spreadOf(seconds).max, 's');
  }
  if (nics !== undefined) {
    const { add, del, claimsLeft } = nics;
    const of = `${nics.pods} pods with ${nics.nics} interfaces`;
    atMost(`${of}, failed calls`, 0, failed(add.failures) + failed(del.failures), 'calls', 0);
    atMost(`${of}, claims left`, 0, claimsLeft, 'claims', 0);
    const growth = (title: string, some: readonly Latency[]): void => {
      // From the second on: the first interface of a pod is another one's work, the veth pair of them all.
      const [base = Number.NaN, last = Number.NaN] = [some[1]?.p50Ms, some.at(-1)?.p50Ms];
      ratio(`${of}, ${title}`, last, base);
    };
    growth('p50 of the last interface above the second', add.byNic);
    growth('p50 in the last quarter of the pods above the second', add.byQuarter);
    const late = Math.max(add.eventLoopDelayMs.p99, del.eventLoopDelayMs.p99);
    atMost(`${of}, delay of the event loop, p99`, 20, late, 'ms');
  }
  for (const { name, p50Ms } of admission?.kinds ?? []) {
    if (name.startsWith('65,536')) atMost(`admission of a pool of ${name}, p50`, 50, p50Ms, 'ms');
  }
  if (memory !== undefined) {
    atMost('node worker with 200 pods', 280, memory.workerWithPods.rssMiB, 'MiB', 0);
    atMost('executable, memory', 1, memory.executablePeakKiB / 1024, 'MiB', 2);
    atMost('growth of the node worker per 1,000 pairs', 1, memory.growth.slopeMiBPer1000, 'MiB', 2);
  }
  return rows;
}

/** Over all ADDs of all variants that leave workers idle: CPU time comes in ticks of 10 ms, too coarse for the few ADDs of one round. */
function idleWorkerCpuMs(phases: Results['phases']): number {
  const known = phases
    .flatMap(({ variants }) => variants)
    .flatMap(({ variant, rounds }) =>
      rounds.flatMap(({ add }) => {
        const cpuMs = add.cpuMs['idle node worker'];
        return cpuMs === undefined ? [] : [{ cpuMs: cpuMs * variant.calls, calls: variant.calls }];
      }),
    );
  return known.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / known.reduce((sum, { calls }) => sum + calls, 0);
}

const verdict = (isMet: boolean, isMetAtReferenceSpeed: boolean): string =>
  isMet ? 'met' : isMetAtReferenceSpeed ? 'missed here, met at the reference speed' : '**missed**';
