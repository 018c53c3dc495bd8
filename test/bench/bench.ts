import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { eventually } from '../../deploy/dev/eventually.ts';
import { repositoryRoot } from '../../deploy/toolchain/parts.ts';
import { Fleet } from '../fleet/fleet.ts';
import { type AdmissionFigures, measureAdmission } from './admission.ts';
import { calibrate } from './calibration.ts';
import { measureControlWorker } from './control-worker.ts';
import { fillPool } from './fill-pool.ts';
import type { CpuRates } from './idle-rates.ts';
import { measureIdleRates, measureRound, type VariantRound } from './measure.ts';
import { type MemoryFigures, measureMemory } from './memory.ts';
import { measureNics, type NicFigures } from './nics.ts';
import { type BenchPool, type PoolName, poolAnnotations, poolObjects, pools } from './pools.ts';
import { failuresOf, toMarkdown } from './report.ts';
import type { PhaseResults, Results } from './results.ts';
import { mean, quantile } from './statistics.ts';
import { type Phase, phases, type Variant } from './variants.ts';

/** `make bench`: ADD and DEL through the real executable against the real stack, in numbers. */
const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    most: { type: 'string' },
  },
});
const isQuick = options.quick;
const rounds = Number(options.rounds ?? (isQuick ? 2 : 5));
/** Claims that a pool is filled with at the most. */
const mostUsed = Number(options.most ?? (isQuick ? 500 : Number.POSITIVE_INFINITY));
const startedAt = performance.now();
const tell = (line: string): void =>
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${line}`);

/** The fleet that is up now, so that an interruption ends it. */
let running: Fleet | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void (running?.stop() ?? Promise.resolve()).finally(() => process.exit(130)));
}

const results: Results = {
  machine: {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    loadBefore: loadavg(),
  },
  startedAt: new Date().toISOString(),
  rounds,
  isQuick,
  ...(Number.isFinite(mostUsed) && { mostUsed }),
  ...(await measureEverything()),
  minutes: (performance.now() - startedAt) / 60_000,
};
const folder = join(repositoryRoot, 'dist/bench');
await mkdir(folder, { recursive: true });
const report = toMarkdown(results);
const name = results.startedAt.replaceAll(/[:.]/g, '-');
await writeFile(join(folder, `${name}.json`), JSON.stringify(results, null, 1));
await writeFile(join(folder, `${name}.md`), report);
console.log(`\n${report}`);
tell(`written: dist/bench/${name}.json and .md`);

async function measureEverything(): Promise<
  Pick<Results, 'phases' | 'executableAlone' | 'calibration' | 'nics' | 'admission' | 'memory'>
> {
  const measured: PhaseResults[] = [];
  let executableAlone: Results['executableAlone'];
  let calibration: Results['calibration'];
  for (const phase of phases.map((one) => selected(one))) {
    if (phase.variants.length === 0 && !isForControlWorker(phase)) continue;
    await onFleet(phase.fleetNodes, async (fleet) => {
      executableAlone ??= await measureExecutableAlone(fleet);
      calibration ??= await calibrate(fleet);
      measured.push(await measurePhase(fleet, phase));
    });
  }
  let nics: NicFigures | undefined;
  if (isWanted('nics')) {
    await onFleet(1, async (fleet) => {
      await warmUp(fleet);
      const plan = { pods: isQuick ? 12 : 100, nics: 8, podsAtOnce: 8 };
      await measureNics(fleet, { ...plan, pods: plan.podsAtOnce }, tell); // the first ones warm up what ties interfaces
      nics = await measureNics(fleet, plan, tell);
    });
  }
  let admission: AdmissionFigures | undefined;
  if (isWanted('admission')) {
    await onFleet(1, async (fleet) => {
      calibration ??= await calibrate(fleet);
      const plan = isQuick ? { neighbours: 10, tries: 5 } : { neighbours: 100, tries: 40 };
      admission = await measureAdmission(fleet.api, plan, tell);
    });
  }
  let memory: MemoryFigures | undefined;
  if (isWanted('memory')) {
    const plan = isQuick
      ? { attached: 50, warmUpPairs: 100, pairs: 400, samplePairs: 100, idleStretchSeconds: 5 }
      : { attached: 200, warmUpPairs: 1000, pairs: 10_000, samplePairs: 500, idleStretchSeconds: 10 };
    await onFleet(1, async (fleet) => {
      memory = await measureMemory(fleet, plan, tell);
    });
  }
  return {
    phases: measured,
    ...(executableAlone === undefined ? {} : { executableAlone }),
    ...(calibration === undefined ? {} : { calibration }),
    ...(nics === undefined ? {} : { nics }),
    ...(admission === undefined ? {} : { admission }),
    ...(memory === undefined ? {} : { memory }),
  };
}

function isWanted(...names: string[]): boolean {
  const { only } = options;
  return only === undefined || only.some((wanted) => names.some((one) => one.includes(wanted)));
}

function isForControlWorker(phase: Phase): boolean {
  return phase.controlWorkerOf !== undefined && isWanted(phase.name, 'control worker');
}

function selected(phase: Phase): Phase {
  const wanted = (variants: readonly Variant[] = []): readonly Variant[] =>
    variants
      .filter((variant) => isWanted(phase.name, variant.name))
      .map((variant) => (isQuick ? quick(variant) : variant));
  return { ...phase, beforeFill: wanted(phase.beforeFill), variants: wanted(phase.variants) };
}

function filling(name: PoolName): BenchPool {
  return { ...pools[name], used: Math.min(pools[name].used, mostUsed) };
}

function quick(variant: Variant): Variant {
  return { ...variant, calls: Math.max(variant.nodes * variant.atOncePerNode, variant.atOncePerNode === 1 ? 10 : 32) };
}

async function onFleet(nodes: number, work: (fleet: Fleet) => Promise<void>): Promise<void> {
  const fleet = await Fleet.start({ nodes, durable: true, faults: false });
  running = fleet;
  tell(`${nodes} node workers, etcd with fsync`);
  try {
    await fleet.stack.apply(...poolObjects());
    await fleet.untilCoordinatorSynced();
    await work(fleet);
  } finally {
    running = undefined;
    await fleet.stop();
  }
}

async function measurePhase(fleet: Fleet, phase: Phase): Promise<PhaseResults> {
  const { beforeFill = [], controlWorkerOf } = phase;
  const before = beforeFill.length === 0 ? [] : (await measureVariants(fleet, phase, beforeFill)).variants;
  for (const filled of phase.filled) {
    // A part is left for the control worker to publish.
    const unpublished = filled === controlWorkerOf ? filling(filled).used / 50 : 0;
    await fillPool(fleet, filling(filled), { unpublished, onProgress: tell });
  }
  const { variants, workerIdleCpuMsPerSecond } = await measureVariants(fleet, phase, phase.variants);
  const controlWorker =
    controlWorkerOf === undefined || !isForControlWorker(phase)
      ? undefined
      : await measureControlWorker(
          fleet,
          { pool: filling(controlWorkerOf), restarts: rounds, idleStretchSeconds: isQuick ? 5 : 10 },
          tell,
        );
  return {
    name: phase.name,
    title: phase.title,
    variants: [...before, ...variants],
    leftOver: await leftOver(fleet),
    workerIdleCpuMsPerSecond,
    notEager: await countNotEager(fleet),
    ...(controlWorker === undefined ? {} : { controlWorker }),
  };
}

async function measureVariants(
  fleet: Fleet,
  { name }: Phase,
  variants: readonly Variant[],
): Promise<Pick<PhaseResults, 'variants' | 'workerIdleCpuMsPerSecond'>> {
  await warmUp(fleet);
  const idle = await measureIdleRates(fleet, isQuick ? 5 : 10, tell);
  const found = new Map<Variant, VariantRound[]>(variants.map((variant) => [variant, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [variant, soFar] of found) {
      const one = await measureRound(fleet, variant, idle);
      soFar.push(one);
      tell(`${name} ${round}/${rounds}  ${variant.name.padEnd(36)} ${inShort(one)}`);
    }
  }
  return {
    variants: [...found].map(([variant, all]) => ({ variant, rounds: all })),
    workerIdleCpuMsPerSecond: meanIdleRate(fleet, idle),
  };
}

/** JavaScript gets fast by running; a node worker in use has done thousands of calls. */
async function warmUp(fleet: Fleet): Promise<void> {
  const perNode = isQuick ? 16 : 100;
  const pods = await fleet.pods(perNode * fleet.nodes.length, undefined, {
    annotations: poolAnnotations('empty', false),
  });
  const outcomes = [...(await fleet.callAll('ADD', pods, 4)), ...(await fleet.removePods(pods, { atOncePerNode: 4 }))];
  const failed = outcomes.filter(({ exitCode }) => exitCode !== 0);
  tell(
    `warmed up with ${perNode} ADD / DEL pairs per node, ${failed.length} calls failed ${JSON.stringify(failed[0] ?? '')}`,
  );
}

function inShort(round: VariantRound): string {
  const { add, del, claimsLeft } = round;
  const figures = ({ p50Ms, p99Ms, perSecond }: VariantRound['add']): string =>
    `${p50Ms.toFixed(1)} / ${p99Ms.toFixed(1)} ms ${perSecond.toFixed(0)}/s`;
  const failures = failuresOf([round]);
  const trouble = [failures === '0' ? '' : failures, claimsLeft === 0 ? '' : `${claimsLeft} claims left`];
  return `ADD ${figures(add).padEnd(28)} DEL ${figures(del).padEnd(28)} ${trouble.filter((text) => text !== '').join('; ')}`;
}

async function measureExecutableAlone(fleet: Fleet): Promise<NonNullable<Results['executableAlone']>> {
  const node = fleet.node();
  const call = {
    command: 'VERSION',
    network: { cniVersion: '1.0.0', name: 'none', type: 'orbweaver' },
    env: { CNI_COMMAND: 'VERSION', CNI_PATH: node.node.paths.cniBin },
  };
  const outcomes = await node.calls(
    Array.from({ length: 100 }, () => call),
    1,
  );
  const durations = outcomes.map(({ durationMs }) => durationMs);
  return {
    p50Ms: quantile(durations, 0.5),
    p99Ms: quantile(durations, 0.99),
    spawnP50Ms: quantile(
      outcomes.map(({ spawnMs }) => spawnMs),
      0.5,
    ),
  };
}

/** What is left once the visibility store, which lags behind, could have caught up. */
async function leftOver(fleet: Fleet): Promise<PhaseResults['leftOver']> {
  let seen = { openRuns: -1, claims: -1 };
  await eventually('Nothing is left', 10, async () => {
    seen = { openRuns: (await fleet.cluster.openRuns()).length, claims: (await fleet.claims()).length };
    return seen.openRuns + seen.claims === 0 ? { value: true } : { state: JSON.stringify(seen) };
  }).catch((error: unknown) => tell(String(error)));
  return seen;
}

function meanIdleRate(fleet: Fleet, idle: CpuRates): number {
  return mean(fleet.nodes.map(({ worker }) => idle.get(worker.pid) ?? Number.NaN));
}

async function countNotEager(fleet: Fleet): Promise<number> {
  const logs = await Promise.all(fleet.nodes.map(({ worker }) => readFile(worker.logFile, 'utf8')));
  return logs.reduce((sum, log) => sum + log.split('"run was not started eagerly"').length - 1, 0);
}
