import { describe, expect, it } from '@jest/globals';
import { type CleanReport, type CleanReportItem, renderClean } from './clean-page.ts';
import { plain } from './paint.ts';
import { golden } from './testing/golden.ts';

const items: readonly CleanReportItem[] = [
  {
    what: 'link eth0 (macvlan)',
    netns: '/run/netns/cni-7',
    outcome: 'removed',
    why: 'of pay/api-0, in which no process is',
    commands: ['ip -n cni-7 link del dev eth0'],
  },
  { what: 'record of pay/api-0, eth0', outcome: 'removed', why: 'no process is in it', commands: [] },
  { what: 'vlan eno1.120, which pods share', outcome: 'kept', why: 'used by pay/api-1, eth0', commands: [] },
];
const show = (some: Partial<CleanReport>): string =>
  renderClean({ isDryRun: false, items, warnings: [], ...some }, plain, 160);

describe('the report of orb node clean', () => {
  it('tells each thing, what became of it and why', async () => {
    const printed = show({});
    expect(printed).toBe(await golden('clean.txt', printed));
  });

  it('of a dry run tells what would be done', async () => {
    const foretold = items.map((item) =>
      item.outcome === 'removed' ? { ...item, outcome: 'to be removed' as const } : item,
    );
    const printed = show({ isDryRun: true, items: foretold, warnings: ['A node worker runs here'] });
    expect(printed).toBe(await golden('clean-dry-run.txt', printed));
  });

  it('is one sentence when there is nothing', () => {
    expect(show({ items: [] })).toBe('Nothing of ours is on this node');
  });
});
