import { afterAll, beforeAll } from '@jest/globals';
import { Fleet } from '../fleet/fleet.ts';
import { keepLogs } from './keep-logs.ts';

/** Two nodes with these pools, for all tests of a file; what is there before the first one is remembered. Gives the fleet once it is up. */
export function loadFleet(...pools: readonly object[]): () => Fleet {
  let fleet: Fleet | undefined;
  beforeAll(async () => {
    fleet = await Fleet.start({ nodes: 2 });
    await fleet.stack.apply(...pools);
    await fleet.cluster.remember();
  });
  afterAll(async () => {
    if (fleet === undefined) return;
    await keepLogs(fleet);
    await fleet.stop();
  });
  return () => {
    if (fleet === undefined) throw new Error('The fleet is up only while tests run');
    return fleet;
  };
}
