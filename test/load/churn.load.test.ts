import { describe, expect, it } from '@jest/globals';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { violationsOf } from '../e2e/invariants.ts';
import { untilConsistent, untilNothingIsLeft } from './at-rest.ts';
import { badlyBehaved, Churn, killInTurn, wellBehaved } from './churn.ts';
import { loadFleet } from './load-fleet.ts';
import { callsAtOnce, loadSize } from './load-size.ts';
import { Observer } from './observer.ts';
import { loadSeed, SeededRandom } from './seeded-random.ts';

const size = 300;
const judged = [
  { name: 'v4', size },
  { name: 'v6', size },
];

const fleet = loadFleet(
  underlayPool('v4', 4, ['10.70.8.1-10.70.9.44'], { default: false }),
  underlayPool('v6', 6, ['fd00:70::8:1-fd00:70::8:12c'], { default: false }),
);

describe(`pods that come and go, ${callsAtOnce} calls at once on two nodes, from pools of 300`, () => {
  it.each([
    { pods: loadSize(2000), families: 'an IPv4 address', pools: '{"ipv4": ["v4"]}', perPod: 1 },
    {
      pods: loadSize(300),
      families: 'addresses of both families',
      pools: '{"ipv4": ["v4"], "ipv6": ["v6"]}',
      perPod: 2,
    },
  ])(
    '$pods of them all get $families of their own at the first try and leave nothing',
    ({ pods, pools, perPod }) =>
      Observer.during(fleet(), judged, async (observer) => {
        const random = new SeededRandom(loadSeed);
        const options = { fleet: fleet(), observer, random, pools, pods, atOnce: callsAtOnce, mostPods: size };
        const churn = new Churn({ ...options, manners: wellBehaved, retries: false });
        await churn.run();
        expect(violationsOf(await fleet().cluster.state())).toEqual([]);
        expect(await fleet().cluster.claims()).toHaveLength(churn.standing.length * perPod); // the others are free
        await churn.end();
        await untilNothingIsLeft(fleet());
        const { answered, looked } = observer.witness.proven;
        expect({ answered, looked }).toEqual({ answered: pods, looked: pods });
        process.stderr.write(`${figures(observer, churn)}\n`);
      }),
    1_800_000,
  );

  it(
    'all get one in the end while workers are killed and DELs come repeated, early, late and out of order',
    () =>
      Observer.during(fleet(), judged, async (observer) => {
        const random = new SeededRandom(loadSeed);
        const options = {
          fleet: fleet(),
          observer,
          random,
          pools: '{"ipv4": ["v4"]}',
          pods: loadSize(1000),
          atOnce: callsAtOnce,
        };
        const churn = new Churn({ ...options, mostPods: 200, manners: badlyBehaved, retries: true });
        const kills = killInTurn(fleet().nodes, 20, (node) => churn.attachedOn(node));
        try {
          await churn.run(() => kills.count() >= 4);
        } finally {
          await kills.stop();
        }
        await untilConsistent(fleet(), 15);
        await churn.end();
        await untilNothingIsLeft(fleet());
        process.stderr.write(`${figures(observer, churn)}; ${kills.count()} kills\n`);
      }),
    1_800_000,
  );
});

function figures({ witness, mostAtOnce, dumps }: Observer, churn: Churn): string {
  const adds = witness.calls.filter(({ command }) => command === 'ADD').length;
  const repeated = [...churn.repeated].map(([failure, count]) => `${failure} ${count}`).join(', ') || 'none';
  return `seed ${loadSeed}: ${adds} ADDs and ${witness.calls.length - adds} DELs, ${mostAtOnce} at once; repeated: ${repeated}; ${dumps} dumps, ${witness.proven.looked} of ${witness.proven.answered} answers looked at`;
}
