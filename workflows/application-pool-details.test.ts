import { expect, it } from '@jest/globals';
import { expectGolden } from '../test/testing/golden-file.ts';
import { toMarkdown } from './application-pool-details.ts';

it('the current details of an application’s pool say how it stands, why, and which pools there are', () => {
  const text = toMarkdown({
    state: 'Replacing',
    why: '"auto4-api-eth0-3f2a1" goes when no address is in use any more',
    wanted: 4,
    pools: [
      { name: 'auto4-api-eth0-3f2a1-2', subnet: 'rack8', size: 4, role: 'serves' },
      { name: 'auto4-api-eth0-3f2a1', subnet: 'rack7', size: 4, role: 'is to go' },
    ],
    done: ['made pool "auto4-api-eth0-3f2a1-2": 10.70.16.10-10.70.16.13 of SpiderSubnet "rack8"'],
  });
  expectGolden(new URL('testdata/application-pool-details.md', import.meta.url), `${text}\n`);
});

it('the current details are one line each where there is nothing', () => {
  expect(toMarkdown({ state: 'Gone', why: '', pools: [], done: [] })).toBe('- State: Gone\n- Wanted: no pool');
});
