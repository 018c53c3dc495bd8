import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { CallShares } from '../../workers/node/call-times.ts';
import type { FleetNode } from '../fleet/fleet-node.ts';

/** What a worker says of one call that it answered. */
export interface WorkerShares extends CallShares {
  readonly totalMs: number;
}

/** Where the log of a worker ends now, so that only what comes later is read. */
export const logEnd = async ({ worker }: FleetNode): Promise<number> => (await stat(worker.logFile)).size;

interface LogLine {
  readonly msg?: string;
  readonly command?: string;
  readonly containerID?: string;
  readonly shares?: CallShares;
}

/** What the worker said of its calls since `from`, by command and container ID; of a chain's several calls, the sum. */
export async function readWorkerShares(
  { worker }: FleetNode,
  from: number,
): Promise<ReadonlyMap<string, WorkerShares>> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(worker.logFile, { start: from })) chunks.push(chunk as Buffer);
  const lines = Buffer.concat(chunks).toString().split('\n');
  const found = new Map<string, WorkerShares>();
  for (const line of lines) {
    if (!line.includes('"call answered"')) continue;
    const { command, containerID, shares } = JSON.parse(line) as LogLine;
    if (shares === undefined) continue;
    const key = `${command} ${containerID}`;
    const before = found.get(key);
    found.set(key, before === undefined ? withTotal(shares) : sumOf(before, withTotal(shares)));
  }
  return found;
}

function withTotal(shares: CallShares): WorkerShares {
  const steps = Object.values(shares.stepsMs).reduce((sum, ms) => sum + ms, 0);
  return { ...shares, totalMs: shares.beforeFirstStepMs + steps + shares.betweenStepsMs + shares.afterLastStepMs };
}

function sumOf(a: WorkerShares, b: WorkerShares): WorkerShares {
  const stepsMs: Record<string, number> = { ...a.stepsMs };
  for (const [step, ms] of Object.entries(b.stepsMs)) stepsMs[step] = (stepsMs[step] ?? 0) + ms;
  return {
    beforeFirstStepMs: a.beforeFirstStepMs + b.beforeFirstStepMs,
    stepsMs,
    betweenStepsMs: a.betweenStepsMs + b.betweenStepsMs,
    afterLastStepMs: a.afterLastStepMs + b.afterLastStepMs,
    totalMs: a.totalMs + b.totalMs,
  };
}
