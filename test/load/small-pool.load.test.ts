import { describe, expect, it } from '@jest/globals';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { together } from '../../deploy/dev/together.ts';
import { untilNothingIsLeft } from './at-rest.ts';
import { Fight } from './fight.ts';
import { Gate } from './gate.ts';
import { loadFleet } from './load-fleet.ts';
import { callsAtOnce, loadSize } from './load-size.ts';
import { Observer } from './observer.ts';
import { loadSeed, SeededRandom } from './seeded-random.ts';

const judged = [
  { name: 'small', size: 50 },
  { name: 'smaller', size: 40 },
];

const fleet = loadFleet(
  underlayPool('small', 4, ['10.70.8.1-10.70.8.50'], { default: false }),
  underlayPool('smaller', 6, ['fd00:70::8:1-fd00:70::8:28'], { default: false }),
);

describe('100 pods that fight for a pool of 50, deleted and made again', () => {
  it.each([
    { families: 'IPv4', rounds: loadSize(10), fits: 50, pools: '{"ipv4": ["small"]}' },
    {
      families: 'both families, of IPv6 only 40',
      rounds: loadSize(3),
      fits: 40,
      pools: '{"ipv4": ["small"], "ipv6": ["smaller"]}',
    },
  ])(
    '$families: as many run as fit, never more, and none is told "exhausted" while an address is free',
    ({ rounds, fits, pools }) =>
      Observer.during(fleet(), judged, async (observer) => {
        const parts = { fleet: fleet(), observer, random: new SeededRandom(loadSeed), gate: new Gate(callsAtOnce) };
        let before: Fight | undefined;
        for (let round = 1; round <= rounds; round += 1) {
          // The next ones begin while the last ones end, as in a rollout.
          const [fight] = await together([Fight.of(100, pools, parts), before?.deleteAll()]);
          await fight.untilRunning(fits);
          if (round % 2 === 1) {
            await fight.deleteRunning();
            await fight.untilRunning(Math.min(fits, 100 - fits));
          }
          before = fight;
        }
        await before?.deleteAll();
        await untilNothingIsLeft(fleet());

        const exhausted = observer.witness.calls.filter(({ ended }) => ended?.answer.failure === 'PoolExhausted');
        expect(exhausted.length).toBeGreaterThan(0);
        process.stderr.write(
          `seed ${loadSeed}: ${observer.witness.calls.length} calls, ${exhausted.length} times exhausted, ${observer.mostAtOnce} at once, ${observer.dumps} dumps\n`,
        );
      }),
    1_800_000,
  );
});

describe('50 pods of a pool of 50, all made again at once', () => {
  it(
    'run, all of them, every time',
    () =>
      Observer.during(fleet(), judged, async (observer) => {
        const parts = { fleet: fleet(), observer, random: new SeededRandom(loadSeed), gate: new Gate(callsAtOnce) };
        let before: Fight | undefined;
        for (let round = 1; round <= loadSize(20); round += 1) {
          const [fight] = await together([Fight.of(50, '{"ipv4": ["small"]}', parts), before?.deleteAll()]);
          await fight.untilRunning(50);
          before = fight;
        }
        await before?.deleteAll();
        await untilNothingIsLeft(fleet());
      }),
    1_800_000,
  );
});
