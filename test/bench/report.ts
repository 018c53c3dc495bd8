import type { AdmissionFigures } from './admission.ts';
import { type Calibration, calibrationOfReference, slowness } from './calibration.ts';
import type { ControlWorkerFigures } from './control-worker.ts';
import type { CommandRound, Shares, VariantRound } from './measure.ts';
import type { Latency, NicFigures } from './nics.ts';
import type { Memory } from './process-usage.ts';
import { spiderpool } from './reference-figures.ts';
import type { PhaseResults, Results } from './results.ts';
import { type Spread, spreadOf } from './statistics.ts';
import { judge } from './targets.ts';

/** The results as Markdown: the tables of docs/benchmarks.md. */
export function toMarkdown(results: Results): string {
  const { machine, executableAlone, calibration, nics, admission, memory } = results;
  const sections = [
    `Measured ${results.startedAt.slice(0, 10)}: ${machine.cores} cores (${machine.processor}), ${machine.memoryGiB} GiB, Linux ${machine.kernel}, ` +
      `Node ${machine.node}; ${results.rounds} rounds${results.isQuick ? ' of a quick run' : ''} in ${results.minutes.toFixed(0)} minutes, ` +
      `load before ${machine.loadBefore.map((load) => load.toFixed(2)).join(' / ')}.`,
    ...(results.mostUsed === undefined
      ? []
      : [`**No pool was filled with more than ${results.mostUsed} claims**, whatever the names below say.`]),
    ...(calibration === undefined ? [] : [calibrationText(calibration)]),
    section('Targets', ['target', 'asked', 'found', 'at the reference speed', ''], judge(results)),
    ...results.phases.flatMap((phase) => [
      ...(phase.variants.length === 0 ? [] : [latencySection(phase), costSection(phase), sharesSection(phase)]),
      ...(phase.controlWorker === undefined ? [] : [controlWorkerSection(phase.controlWorker)]),
    ]),
  ];
  if (executableAlone !== undefined) {
    sections.push(
      `Our executable alone (\`CNI_COMMAND=VERSION\`, no worker): p50 ${ms(executableAlone.p50Ms)} ms, p99 ${ms(executableAlone.p99Ms)} ms, ` +
        `of which starting it holds the starter ${ms(executableAlone.spawnP50Ms)} ms.`,
    );
  }
  if (nics !== undefined) sections.push(nicsSection(nics));
  if (admission !== undefined) sections.push(admissionSection(admission));
  if (memory !== undefined) sections.push(memorySection(memory));
  return `${sections.join('\n\n')}\n`;
}

function calibrationText(found: Calibration): string {
  const shown = (of: Calibration): string =>
    `${of.create} ms for a create, ${of.createTaken} for one that is taken, ${of.read} for a read, ${of.remove} for a delete`;
  return (
    `**This machine is ${slowness(found).toFixed(2)} times slower than the one of the reference figures**: single requests to the API server ` +
    `take ${shown(found)}; there they took ${shown(calibrationOfReference)} (p50, one at a time). "At the reference speed" is what was ` +
    'found, divided by that for times and multiplied by it for rates.'
  );
}

function latencySection({ title, variants, leftOver, notEager }: PhaseResults): string {
  const rows = variants.map(({ variant, rounds }) => {
    const {
      addMs = '',
      addPerSecond = '',
      delMs = '',
      failed = '',
      freedNothing = '',
    } = spiderpool[variant.name] ?? {};
    return [
      variant.name,
      latency(rounds, 'add'),
      range(
        spread(rounds, ({ add }) => add.perSecond),
        0,
      ),
      latency(rounds, 'del'),
      range(
        spread(rounds, ({ del }) => del.perSecond),
        0,
      ),
      failuresOf(rounds),
      String(total(rounds, ({ claimsLeft }) => claimsLeft)),
      [addMs, delMs === '' ? '' : `DEL ${delMs}`].filter((text) => text !== '').join('; '),
      addPerSecond,
      [failed, freedNothing].filter((text) => text !== '').join(' · '),
    ];
  });
  const columns = [
    'variant',
    'ADD p50 / p90 / p99 ms',
    'ADD/s',
    'DEL p50 / p90 / p99 ms',
    'DEL/s',
    'failed',
    'claims left',
    'Spiderpool ms',
    'ADD/s',
    'failed ADDs · DELs that freed nothing',
  ];
  const after = `After all rounds: ${leftOver.claims} claims and ${leftOver.openRuns} open runs left; ${notEager} runs were not started eagerly.`;
  return `${section(title, columns, rows)}\n\n${after}`;
}

function costSection({ title, variants, workerIdleCpuMsPerSecond }: PhaseResults): string {
  const kinds = [
    'node worker',
    'Temporal',
    'API server',
    'etcd',
    'control worker',
    'executable and runner',
    'idle node worker',
  ];
  const rows = variants.map(({ variant, rounds }) => {
    const { cpuMsPerAdd = '', walBytesPerAdd = '' } = spiderpool[variant.name] ?? {};
    return [
      variant.name,
      ...kinds.map((kind) => {
        const found = spread(rounds, ({ add }) => add.cpuMs[kind] ?? Number.NaN);
        return Number.isNaN(found.median) ? '–' : found.median.toFixed(kind.startsWith('idle') ? 2 : 1);
      }),
      kilobytes(spread(rounds, ({ add }) => add.etcdWalBytes)),
      kilobytes(spread(rounds, ({ del }) => del.etcdWalBytes)),
      (spread(rounds, ({ etcdDatabaseBytes }) => etcdDatabaseBytes).max / 2 ** 20).toFixed(0),
      [cpuMsPerAdd === '' ? '' : `${cpuMsPerAdd} ms`, walBytesPerAdd].filter((text) => text !== '').join(', '),
    ];
  });
  const columns = [
    'CPU ms per ADD',
    ...kinds,
    'etcd WAL KB per ADD',
    'per DEL',
    'database MB',
    'Spiderpool: CPU, WAL per ADD',
  ];
  const idle = `A node worker to which nothing happens takes ${workerIdleCpuMsPerSecond.toFixed(1)} ms of CPU per second, which is taken off above.`;
  return `${section(`${title}: cost`, columns, rows)}\n\n${idle}`;
}

const shareColumns: readonly (readonly [string, (shares: Shares) => number])[] = [
  ['executable', ({ executableMs }) => executableMs],
  ['(its spawn)', ({ spawnMs }) => spawnMs],
  ['until first step', ({ beforeFirstStepMs }) => beforeFirstStepMs],
  ['claim', ({ claimMs }) => claimMs],
  ['between steps', ({ betweenStepsMs }) => betweenStepsMs],
  ['kernel', ({ kernelMs }) => kernelMs],
  ['reply', ({ afterLastStepMs }) => afterLastStepMs],
];

function sharesSection({ title, variants }: PhaseResults): string {
  const rows = variants.flatMap(({ variant, rounds }) =>
    (['add', 'del'] as const).map((command) => [
      `${variant.name}: ${command.toUpperCase()}`,
      ms(spread(rounds, (round) => round[command].p50Ms).median),
      ...shareColumns.map(([, figure]) => ms(spread(rounds, (round) => figure(round[command].shares)).median)),
    ]),
  );
  return section(`${title}: where the time goes`, ['ms', 'p50', ...shareColumns.map(([name]) => name)], rows);
}

function memorySection(memory: NonNullable<Results['memory']>): string {
  const { idle, workerAtStart, workerWithPods, executablePeakKiB, workerIdleCpuMsPerSecond, growth } = memory;
  const shown = ({ rssMiB, anonymousMiB }: Memory): string =>
    `${rssMiB.toFixed(0)} MiB, ${anonymousMiB.toFixed(0)} of them no file's`;
  const rows = [
    ['node worker, just started', shown(workerAtStart)],
    ...Object.entries(idle).map(([kind, found]) => [`${kind}, no pod attached`, shown(found)]),
    [`node worker, ${workerWithPods.pods} pods attached`, shown(workerWithPods)],
    ['executable, VmHWM', `${executablePeakKiB} KiB`],
    ['CPU of the node worker when nothing happens', `${workerIdleCpuMsPerSecond.toFixed(1)} ms per second`],
    [
      `node worker over ${growth.pairs} ADD / DEL pairs, 16 at once`,
      `${signed(growth.slopeMiBPer1000)} MiB per 1,000 pairs; failed: ${reasonsOf(growth.failures)}; ${(growth.pairs / growth.seconds).toFixed(0)} pairs/s`,
    ],
    ['its samples', growth.samples.map(([pairs, miB]) => `${pairs}: ${miB.toFixed(0)}`).join(', ')],
  ];
  return section('Memory', ['resident memory', ''], rows);
}

function nicsSection({ pods, nics, podsAtOnce, add, del, claimsLeft }: NicFigures): string {
  const commands = Object.entries({ ADD: add, DEL: del });
  const rows = [
    ...Array.from({ length: nics }, (_, nic) => [
      `interface ${nic + 1} of each pod`,
      ...commands.map(([, { byNic }]) => shownLatency(byNic[nic])),
    ]),
    ...[0, 1, 2, 3].map((quarter) => [
      `all of quarter ${quarter + 1} of the pods`,
      ...commands.map(([, { byQuarter }]) => shownLatency(byQuarter[quarter])),
    ]),
    ['per second', ...commands.map(([, { perSecond }]) => perSecond.toFixed(0))],
    [
      "delay of the node worker's event loop, p50 / p99 / most, ms",
      ...commands.map(
        ([
          ,
          {
            eventLoopDelayMs: { p50, p99, max },
          },
        ]) => [p50, p99, max].map(ms).join(' / '),
      ),
    ],
    ['failed', ...commands.map(([, { failures }]) => reasonsOf(failures))],
    ['claims left', '', String(claimsLeft)],
  ];
  const title = `${pods} pods with ${nics} interfaces each, tied to their node, ${podsAtOnce} pods at once`;
  return section(title, ['p50 / p99 ms', ...commands.map(([command]) => command)], rows);
}

function admissionSection({ neighbours, tries, kinds }: AdmissionFigures): string {
  const rows = kinds.map(({ name, p50Ms, minMs, p99Ms }) => [name, ...[p50Ms, minMs, p99Ms].map(ms)]);
  const title = `A pool is created, with ${neighbours} others; ${tries} times each, in turns`;
  return section(title, ['ms', 'p50', 'quickest', 'p99'], rows);
}

const shownLatency = (found: Latency | undefined): string =>
  found === undefined ? '–' : `${ms(found.p50Ms)} / ${ms(found.p99Ms)}`;

function controlWorkerSection(found: ControlWorkerFigures): string {
  const { claims, atRest, peakRssMiB, sweepSeconds, idleCpuMsPerSecond, restarts } = found;
  const cpu = Object.entries(idleCpuMsPerSecond).map(([kind, rate]) => `${kind} ${rate.toFixed(1)}`);
  const rows = [
    [
      'resident, all published and a sweep over',
      `${atRest.rssMiB.toFixed(0)} MiB, ${atRest.anonymousMiB.toFixed(0)} of them no file's`,
    ],
    ['the most that it ever had', `${peakRssMiB.toFixed(0)} MiB`],
    ['a sweep', `${sweepSeconds.toFixed(1)} s`],
    ['CPU when nothing happens, sweeps included, ms per second', cpu.join(', ')],
    [
      'after kill -9, seconds until a verdict',
      restarts.map(({ verdictSeconds }) => verdictSeconds.toFixed(1)).join(', '),
    ],
    [
      '… until a new claim is published',
      restarts.map(({ publishedSeconds }) => publishedSeconds.toFixed(1)).join(', '),
    ],
    ['… and the most that it had by then, MiB', restarts.map((one) => one.peakRssMiB.toFixed(0)).join(', ')],
  ];
  return section(`Control worker at ${claims.toLocaleString('en')} claims`, ['', ''], rows);
}

function section(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const all = [columns, columns.map(() => '---'), ...rows];
  return `### ${title}\n\n${all.map((cells) => line(cells)).join('\n')}`;
}

const latency = (rounds: readonly VariantRound[], command: 'add' | 'del'): string =>
  (['p50Ms', 'p90Ms', 'p99Ms'] as const)
    .map((figure: keyof Pick<CommandRound, 'p50Ms' | 'p90Ms' | 'p99Ms'>, index) => {
      const found = spread(rounds, (round) => round[command][figure]);
      return index === 0 ? range(found, found.median < 100 ? 1 : 0) : ms(found.median);
    })
    .join(' / ');

const spread = (rounds: readonly VariantRound[], figure: (round: VariantRound) => number): Spread =>
  spreadOf(rounds.map(figure));

const range = ({ median, min, max }: Spread, digits: number): string =>
  `**${median.toFixed(digits)}** (${min.toFixed(digits)}–${max.toFixed(digits)})`;

const ms = (value: number): string => (Number.isNaN(value) ? '–' : value.toFixed(value < 100 ? 1 : 0));
const kilobytes = ({ median }: Spread): string => (median / 1000).toFixed(1);
const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;

const total = (rounds: readonly VariantRound[], figure: (round: VariantRound) => number): number =>
  rounds.reduce((sum, round) => sum + figure(round), 0);

/** What failed, with how often; "0" when nothing did. */
export function failuresOf(rounds: readonly VariantRound[]): string {
  const all: Record<string, number> = {};
  for (const { add, del } of rounds) {
    for (const [command, { failures }] of Object.entries({ ADD: add, DEL: del })) {
      for (const [reason, count] of Object.entries(failures)) {
        all[`${command} ${reason}`] = (all[`${command} ${reason}`] ?? 0) + count;
      }
    }
  }
  return reasonsOf(all);
}

function reasonsOf(failures: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(failures).map(([reason, count]) => `${count} × ${reason}`);
  return reasons.length === 0 ? '0' : reasons.join('; ');
}
