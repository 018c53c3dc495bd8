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

/** What the worker said of its calls since `from`, by command and container ID. */
export async function readWorkerShares(
  { worker }: FleetNode,
  from: number,
): Promise<ReadonlyMap<string, WorkerShares>> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(worker.logFile, { start: from })) chunks.push(chunk as Buffer);
  const lines = Buffer.concat(chunks).toString().split('\n');
  return new Map(
    lines.flatMap((line) => {
      if (!line.includes('"call answered"')) return [];
      const { command, containerID, shares } = JSON.parse(line) as LogLine;
      if (shares === undefined) return [];
      const steps = Object.values(shares.stepsMs).reduce((sum, ms) => sum + ms, 0);
      const totalMs = shares.beforeFirstStepMs + steps + shares.betweenStepsMs + shares.afterLastStepMs;
      return [[`${command} ${containerID}`, { ...shares, totalMs }] as const];
    }),
  );
}
