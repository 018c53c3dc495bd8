import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodePorts } from '../../activities/node-activities.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import { parseConfig } from '../../workers/node/config.ts';
import { runNodeWorker } from '../../workers/node/node-worker.ts';

/**
 * In the run directory; holds one fault a line, each of which strikes once and is then removed: a moment, at which the effect
 * fails; `kill` and a moment, at which the worker dies as by kill -9; `skip` and a moment, which lets the next one pass.
 */
export const faultFile = 'inject-fault';

/** Every effect of an ADD, before and after it is taken, in the order in which an ADD comes to them. */
export const faultMoments = [
  'before records.write',
  'after records.write',
  'before claims.take',
  'after claims.take',
  'before kernel.plumb',
  'after kernel.plumb',
] as const;

/** Every effect of a DEL, and of the undo of an ADD. */
export const undoMoments = [
  'before kernel.unplumb',
  'after kernel.unplumb',
  'before claims.release',
  'after claims.release',
  'before records.remove',
  'after records.remove',
] as const;

/** What an ADD comes to beside these when it asks for coordination, and its undo. */
export const coordinationMoments = [
  'before kernel.applyCoordination',
  'after kernel.applyCoordination',
  'before kernel.uncoordinate',
  'after kernel.uncoordinate',
] as const;

export type FaultMoment =
  | (typeof faultMoments)[number]
  | (typeof undoMoments)[number]
  | (typeof coordinationMoments)[number];

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
    const faults = wantedFaults(file);
    const index = faults.findIndex((fault) => fault.replace(/^(kill|skip) /, '') === moment);
    const fault = faults[index];
    if (fault === undefined) return;
    const left = faults.toSpliced(index, 1);
    if (left.length === 0) rmSync(file);
    else writeFileSync(file, left.join('\n'));
    if (fault.startsWith('skip ')) return;
    if (fault.startsWith('kill ')) process.kill(process.pid, 'SIGKILL');
    throw new ProvisionError({
      type: 'KernelRefused',
      message: `Injected failure ${moment}`,
      remedy: 'None: it was asked for',
    });
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
      records: {
        read: (attachment) => records.read(attachment),
        list: (containerID) => records.list(containerID),
        remove: faulty('records.remove', (attachment) => records.remove(attachment)),
        write: faulty('records.write', (record) => records.write(record)),
      },
      claims: {
        ownOf: (...of) => claims.ownOf(...of),
        keptFor: (...of) => claims.keptFor(...of),
        identitiesOf: (held) => claims.identitiesOf(held),
        readWhole: (name) => claims.readWhole(name),
        adopt: (...what) => claims.adopt(...what),
        setConflicted: (...what) => claims.setConflicted(...what),
        giveBack: (...what) => claims.giveBack(...what),
        releaseHeld: (...what) => claims.releaseHeld(...what),
        recallTaken: (pool) => claims.recallTaken(pool),
        takenNames: (...of) => claims.takenNames(...of),
        take: faulty('claims.take', (want) => claims.take(want)),
        release: faulty('claims.release', (want) => claims.release(want)),
      },
      kernel: {
        ...kernel,
        plumb: faulty('kernel.plumb', (spec) => kernel.plumb(spec)),
        applyCoordination: faulty('kernel.applyCoordination', (work) => kernel.applyCoordination(work)),
        uncoordinate: faulty('kernel.uncoordinate', (work) => kernel.uncoordinate(work)),
        unplumb: faulty('kernel.unplumb', (spec) => kernel.unplumb(spec)),
      },
    };
  };
}

function wantedFaults(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  } catch {
    return []; // none is wanted
  }
}
