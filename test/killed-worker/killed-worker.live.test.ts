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
  let network: TestNetwork;
  let directory: string;
  let deaths: WorkerDeaths;
  beforeAll(() => {
    network = new TestNetwork();
    directory = mkdtempSync('/run/orbweaver-killed-worker-');
    const { node } = network;
    const interfaces = { eth0: underlay(['eth1']) };
    deaths = new WorkerDeaths({ node, pod: `${node}-pod`, hostNetns: node, directory, pools, interfaces });
  });
  afterAll(async () => {
    await deaths.close();
    network.close();
    rmSync(directory, { recursive: true });
  }, minutes);

  it(
    'leaves what its successor makes whole, or takes away: a macvlan, tied to its node',
    async () => {
      await deaths.rehearse();
      const { KILLS: kills = '5' } = process.env;
      for (const death of deaths.choose(kills === 'all' ? kills : Number(kills), new SeededRandom(loadSeed))) {
        await deaths.judge(death);
      }
    },
    30 * minutes,
  );
});
