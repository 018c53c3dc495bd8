import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { NodePorts } from '../../activities/node-activities.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import { parseConfig } from '../../workers/node/config.ts';
import { runNodeWorker } from '../../workers/node/node-worker.ts';

/** In the run directory; holds one of `faultMoments` and is removed when the fault strikes. */
export const faultFile = 'inject-fault';

/** Every effect of an ADD and of its undo, before and after it is taken, in the order in which an ADD comes to them. */
export const faultMoments = [
  'before records.write',
  'after records.write',
  'before claims.take',
  'after claims.take',
  'before kernel.plumb',
  'after kernel.plumb',
] as const;

export type FaultMoment = (typeof faultMoments)[number] | `${'before' | 'after'} ${'kernel.unplumb' | 'claims.release'}`;

/**
 * The real node worker, in which an effect fails on demand: the dev stack runs this one, so that people and tests can watch
 * what a failure leaves behind.
 */
if (import.meta.main) {
  const config = parseConfig(process.env);
  await runNodeWorker(config, withFaults(join(config.runDirectory, faultFile)));
}

function withFaults(file: string): (ports: NodePorts) => NodePorts {
  const strike = (moment: string): void => {
    if (wantedFault(file) !== moment) return;
    rmSync(file);
    throw new ProvisionError({ type: 'KernelRefused', message: `Injected failure ${moment}`, remedy: 'None: it was asked for' });
  };
  const faulty =
    <Args extends unknown[], Result>(name: string, effect: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      strike(`before ${name}`);
      const result = await effect(...args);
      strike(`after ${name}`);
      return result;
    };
  return (ports) => {
    const { records, claims, kernel } = ports;
    return {
      ...ports,
      records: { read: (a) => records.read(a), remove: (a) => records.remove(a), write: faulty('records.write', (r) => records.write(r)) },
      claims: {
        ownOf: (...of) => claims.ownOf(...of),
        read: (name) => claims.read(name),
        adopt: (...what) => claims.adopt(...what),
        giveBack: (...what) => claims.giveBack(...what),
        releaseHeld: (...what) => claims.releaseHeld(...what),
        takenNames: (...of) => claims.takenNames(...of),
        take: faulty('claims.take', (want) => claims.take(want)),
        release: faulty('claims.release', (want) => claims.release(want)),
      },
      kernel: {
        ...kernel,
        plumb: faulty('kernel.plumb', (spec) => kernel.plumb(spec)),
        unplumb: faulty('kernel.unplumb', (spec) => kernel.unplumb(spec)),
      },
    };
  };
}

function wantedFault(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined; // none is wanted
  }
}
