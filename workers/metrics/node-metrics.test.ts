import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { nodeMetrics } from '../../contracts/metrics.ts';
import { NodeMetrics } from './node-metrics.ts';
import { readSamples } from './testing/samples.ts';

function open() {
  let nowMs = 0;
  const metrics = new NodeMetrics(() => nowMs);
  return {
    metrics,
    pass: (ms: number) => {
      nowMs += ms;
    },
    samples: async () => readSamples(await metrics.text()),
  };
}
const allocation = (name: string): string => `spiderpool_ipam_allocation_${name}`;

describe('the metrics of a node worker', () => {
  it('are all there before anything has happened, each with its type', async () => {
    const { metrics } = open();
    const text = await metrics.text();
    for (const [name, { type }] of Object.entries(nodeMetrics)) expect(text).toContain(`# TYPE ${name} ${type}\n`);
  });

  it('count an ADD when it arrives, and know its time when it ends', async () => {
    const { metrics, pass, samples } = open();
    const call = metrics.watchCall('ADD', 'c1');
    expect((await samples()).get(allocation('counts'))).toBe(1);
    pass(250);
    call.ended();
    const seen = await samples();
    for (const which of ['average', 'max', 'min', 'latest']) {
      expect(seen.get(allocation(`${which}_duration_seconds`))).toBe(0.25);
    }
    expect(seen.get(`${allocation('duration_seconds')}_bucket{le="0.1"}`)).toBe(0);
    expect(seen.get(`${allocation('duration_seconds')}_bucket{le="0.3"}`)).toBe(1);
    expect(seen.get(allocation('failure_counts'))).toBe(0);
    expect(seen.get('orbweaver_call_duration_seconds_count{command="ADD",outcome="done"}')).toBe(1);
  });

  it('keep average, longest, shortest and latest apart', async () => {
    const { metrics, pass, samples } = open();
    for (const ms of [100, 700, 400]) {
      const call = metrics.watchCall('DEL', 'c1');
      pass(ms);
      call.ended();
    }
    const seen = await samples();
    const release = (which: string): number | undefined =>
      seen.get(`spiderpool_ipam_release_${which}_duration_seconds`);
    const rounded = (which: string): string | undefined => release(which)?.toFixed(6);
    expect(['average', 'max', 'min', 'latest'].map(rounded)).toEqual(['0.400000', '0.700000', '0.100000', '0.400000']);
  });

  it.each([
    ['NoPool', 'err_no_available_pool_counts'],
    ['PoolExhausted', 'err_ip_used_out_counts'],
    ['ApiServerUnavailable', 'err_retries_exhausted_counts'],
    ['Internal', 'err_internal_counts'],
    ['InvalidAnnotation', undefined],
  ] as const)('count %s once, as what it is', async (type, counter) => {
    const { metrics, samples } = open();
    metrics.watchCall('ADD', 'c1').ended({ type, message: '' });
    const seen = await samples();
    const errors = [...seen].filter(([name, value]) => name.startsWith(allocation('err_')) && value > 0);
    expect(errors).toEqual(counter === undefined ? [] : [[allocation(counter), 1]]);
    expect(seen.get(allocation('failure_counts'))).toBe(1);
    expect(seen.get(`orbweaver_call_failures_total{command="ADD",type="${type}"}`)).toBe(1);
  });

  it('do not blame the addresses for an interface that could not be made', async () => {
    const { metrics, samples } = open();
    metrics.watchCall('ADD', 'c1').ended({ type: 'KernelRefused', message: '' });
    const seen = await samples();
    expect(seen.get(allocation('failure_counts'))).toBe(0);
    expect(seen.get('orbweaver_call_failures_total{command="ADD",type="KernelRefused"}')).toBe(1);
  });

  it('count a DEL that waits on disk as a release that failed, though its caller heard of success', async () => {
    const { metrics, samples } = open();
    const call = metrics.watchCall('DEL', 'c1');
    call.kept({ type: 'ApiServerUnavailable', message: '' });
    call.ended();
    const seen = await samples();
    expect(seen.get('spiderpool_ipam_release_failure_counts')).toBe(1);
    expect(seen.get('spiderpool_ipam_release_err_retries_exhausted_counts')).toBe(1);
    expect(seen.get('orbweaver_deletes_kept_total')).toBe(1);
    expect(seen.get('orbweaver_call_duration_seconds_count{command="DEL",outcome="kept"}')).toBe(1);
  });

  it('tell for how long an ADD waited behind another of its sandbox, and that others did not', async () => {
    const { metrics, pass, samples } = open();
    const first = metrics.watchCall('ADD', 'c1');
    const second = metrics.watchCall('ADD', 'c1');
    const elsewhere = metrics.watchCall('ADD', 'c2');
    pass(200);
    first.ended();
    await nextTurn(); // the first's end reaches the second
    pass(50);
    second.ended();
    elsewhere.ended();
    const seen = await samples();
    expect(seen.get(allocation('max_limit_duration_seconds'))).toBe(0.2);
    expect(seen.get(allocation('min_limit_duration_seconds'))).toBe(0);
    expect(seen.get(`${allocation('limit_duration_seconds')}_count`)).toBe(3);
  });

  it('show what is looked up when somebody asks', async () => {
    const { metrics, samples } = open();
    metrics.lookUp(() => ({
      callsOpen: 2,
      deletesWaiting: 3,
      isReady: true,
      isTemporalConnected: false,
      claimPhases: () => ['Bound', 'Bound', 'Held'],
    }));
    const seen = await samples();
    expect(seen.get('orbweaver_calls_open')).toBe(2);
    expect(seen.get('orbweaver_deletes_waiting')).toBe(3);
    expect(seen.get('orbweaver_ready')).toBe(1);
    expect(seen.get('orbweaver_temporal_connected')).toBe(0);
    expect(seen.get('orbweaver_node_claims{phase="Bound"}')).toBe(2);
    expect(seen.get('orbweaver_node_claims{phase="Suspect"}')).toBe(0);
  });

  it('count a sandbox that went without its DEL', async () => {
    const { metrics, samples } = open();
    metrics.reclaimed('pod gone', 0.5);
    metrics.reclaimFailed();
    const seen = await samples();
    expect(seen.get('spiderpool_ip_gc_counts')).toBe(1);
    expect(seen.get('spiderpool_ip_gc_failure_counts')).toBe(1);
    expect(seen.get('orbweaver_reclaim_duration_seconds_count{reason="pod gone"}')).toBe(1);
  });
});
