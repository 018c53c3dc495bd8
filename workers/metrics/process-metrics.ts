import { monitorEventLoopDelay } from 'node:perf_hooks';

interface Gauge {
  set(labels: Readonly<Record<string, string>>, value: number): void;
  set(value: number): void;
}
interface Counter {
  reset(): void;
  inc(by: number): void;
}

export interface ProcessInstruments {
  gauge(name: 'orbweaver_event_loop_delay_seconds' | 'orbweaver_process_resident_memory_bytes'): Gauge;
  counter(name: 'orbweaver_process_cpu_seconds_total'): Counter;
}

/** Ten wake-ups a second: a loop that is stuck for 5 ms now and then shows, and an idle process stays idle. */
const resolutionMs = 100;

/** Watches this process; what it gives brings the metrics up to date. */
export function watchProcess(instruments: ProcessInstruments): () => void {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  return () => {
    const late = instruments.gauge('orbweaver_event_loop_delay_seconds');
    for (const quantile of [0.5, 0.99])
      late.set({ quantile: String(quantile) }, seconds(delay.percentile(quantile * 100)));
    late.set({ quantile: '1' }, seconds(delay.max));
    delay.reset();
    instruments.gauge('orbweaver_process_resident_memory_bytes').set(process.memoryUsage.rss());
    const { user, system } = process.cpuUsage();
    const cpu = instruments.counter('orbweaver_process_cpu_seconds_total');
    cpu.reset();
    cpu.inc((user + system) / 1e6);
  };
}

/** What the histogram measures is the whole interval; what counts is by how much it was too long. */
const seconds = (intervalNs: number): number => Math.max(0, intervalNs / 1e9 - resolutionMs / 1000);
