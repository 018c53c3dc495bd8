import { describe, expect, it } from '@jest/globals';
import type { ClaimPhase } from '../../contracts/ip-claim.ts';
import { controlMetrics } from '../../contracts/metrics.ts';
import type { Suspect, SweepActivities, SweepVerdict } from '../../contracts/sweep.ts';
import type { PoolFigures } from '../../kube/publish-views.ts';
import { ControlMetrics } from './control-metrics.ts';
import { readSamples } from './testing/samples.ts';

const cluster = {
  pools: (): readonly PoolFigures[] => [
    { name: 'rack7-v4', total: 71, claimed: 3 },
    { name: 'rack7-typo', claimed: 0 },
  ],
  claimPhases: (): readonly ClaimPhase[] => ['Bound', 'Bound', 'Held'],
};
const open = (withDebug: boolean): ControlMetrics =>
  new ControlMetrics({
    withDebug,
    subnets: async () => [{ name: 'sub-a', pools: 2, total: 100, allocated: 40 }],
    isTemporalConnected: () => true,
  });
const samplesOf = async (metrics: ControlMetrics) => readSamples(await metrics.text());

describe('the metrics of a control worker', () => {
  it('are all there from the start, each with its type', async () => {
    const text = await open(false).text();
    for (const [name, { type }] of Object.entries(controlMetrics)) expect(text).toContain(`# TYPE ${name} ${type}\n`);
  });

  it('tell of the cluster on the leader only: others would look like an empty cluster', async () => {
    const metrics = open(true);
    expect((await samplesOf(metrics)).get('spiderpool_total_ippool_counts')).toBeUndefined();
    metrics.lead(cluster);
    const leading = await samplesOf(metrics);
    expect(leading.get('orbweaver_leader')).toBe(1);
    expect(leading.get('spiderpool_total_ippool_counts')).toBe(2);
    expect(leading.get('spiderpool_total_subnet_counts')).toBe(1);
    expect(leading.get('orbweaver_claims{phase="Bound"}')).toBe(2);
    metrics.lead(undefined);
    const after = await samplesOf(metrics);
    expect(after.get('orbweaver_leader')).toBe(0);
    expect([...after.keys()].filter((name) => /ippool|subnet|orbweaver_claims/.test(name))).toEqual([]);
  });

  it('§12.3 #29: give a pool its counts as they are, however often they are read', async () => {
    const metrics = open(true);
    metrics.lead(cluster);
    await metrics.text();
    const seen = await samplesOf(metrics);
    expect(seen.get('spiderpool_debug_ippool_total_ip_counts{SpiderIPPool="rack7-v4"}')).toBe(71);
    expect(seen.get('spiderpool_debug_ippool_available_ip_counts{SpiderIPPool="rack7-v4"}')).toBe(68);
    expect(seen.get('spiderpool_debug_ippool_total_ip_counts{SpiderIPPool="rack7-typo"}')).toBeUndefined();
    expect(seen.get('spiderpool_debug_subnet_ippool_counts{SpiderSubnet="sub-a"}')).toBe(2);
    expect(seen.get('spiderpool_debug_subnet_available_ip_counts{SpiderSubnet="sub-a"}')).toBe(60);
  });

  it('forget a pool that is gone, and have none of one pool unless asked', async () => {
    const [metrics, quiet] = [open(true), open(false)];
    metrics.lead(cluster);
    await metrics.text();
    metrics.lead({ ...cluster, pools: () => [] });
    quiet.lead(cluster);
    for (const seen of [await samplesOf(metrics), await samplesOf(quiet)]) {
      expect([...seen.keys()].filter((name) => name.includes('SpiderIPPool'))).toEqual([]);
    }
  });

  it('count what the nodes said to a sweep, and only claims as collected', async () => {
    const metrics = open(false);
    const suspect = (kind: Suspect['kind'], subject: string) => ({ kind, subject }) as Suspect;
    const said: readonly SweepVerdict[] = [
      { subject: '10.70.8.20', node: 'n1', pod: 'pay/a', outcome: 'released', reason: '' },
      { subject: 'pod/pay/a/c1', node: 'n1', pod: 'pay/a', outcome: 'released', reason: '' },
      { subject: '10.70.8.21', node: 'n1', pod: 'pay/b', outcome: 'unanswered', reason: '' },
    ];
    const { checkNode } = metrics.counting({ checkNode: async () => said } as unknown as SweepActivities);
    const suspects = [suspect('claim', '10.70.8.20'), suspect('run', 'pod/pay/a/c1'), suspect('claim', '10.70.8.21')];
    expect(await checkNode('n1', suspects)).toBe(said);
    const seen = await samplesOf(metrics);
    expect(seen.get('spiderpool_ip_gc_counts')).toBe(1);
    expect(seen.get('spiderpool_ip_gc_failure_counts')).toBe(1);
    expect(seen.get('orbweaver_sweep_verdicts_total{outcome="released"}')).toBe(2);
  });
});
