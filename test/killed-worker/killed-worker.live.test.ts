import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { TestNetwork } from '../../kernel/testing/test-network.ts';
import { loadSeed, SeededRandom } from '../load/seeded-random.ts';
import { pools, underlay } from './attachments.ts';
import { WorkerDeaths } from './worker-deaths.ts';

const minutes = 60_000;
const whenNft = spawnSync('nft', ['--version']).status === 0 ? describe : describe.skip;

whenNft('needs nft(8) on PATH: a worker that dies after an effect of an attachment', () => {
  let deaths: WorkerDeaths;
  const leftovers = new AsyncDisposableStack();
  beforeAll(() => {
    const network = leftovers.adopt(new TestNetwork(), (made) => made.close());
    const directory = leftovers.adopt(mkdtempSync('/run/orbweaver-killed-worker-'), (made) =>
      rmSync(made, { recursive: true }),
    );
    const { node } = network;
    network.ip(node, 'addr add 10.70.8.2/22 dev eth1'); // so the pod has a neighbour, and a way through it
    const interfaces = { eth0: underlay(['eth1'], { coordinator: { podMACPrefix: '0a:1b', podRPFilter: 2 } }) };
    deaths = new WorkerDeaths({ node, pod: `${node}-pod`, hostNetns: node, directory, pools, interfaces });
    leftovers.defer(() => deaths.close());
  });
  afterAll(() => leftovers.disposeAsync(), minutes);

  it(
    'leaves what its successor makes whole, or takes away: a macvlan, tied to its node',
    async () => {
      await deaths.rehearse();
      const { KILLS: kills = '5' } = process.env;
      for (const death of deaths.choose(kills, new SeededRandom(loadSeed))) await deaths.judge(death);
    },
    30 * minutes,
  );
});
