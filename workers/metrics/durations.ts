/** What a histogram of prom-client does for us, and a gauge. */
interface Histogram {
  observe(seconds: number): void;
}
interface Gauge {
  set(seconds: number): void;
}

export interface DurationMetrics {
  readonly histogram: Histogram;
  readonly average: Gauge;
  readonly max: Gauge;
  readonly min: Gauge;
  readonly latest: Gauge;
}

/** One kind of duration in the five ways in which Spiderpool's users look at it. */
export class Durations {
  readonly #metrics: DurationMetrics;
  #count = 0;
  #sum = 0;
  #max = 0;
  #min = Number.POSITIVE_INFINITY;
  #latest = 0;

  constructor(metrics: DurationMetrics) {
    this.#metrics = metrics;
  }

  observe(seconds: number): void {
    this.#metrics.histogram.observe(seconds);
    this.#count += 1;
    this.#sum += seconds;
    this.#max = Math.max(this.#max, seconds);
    this.#min = Math.min(this.#min, seconds);
    this.#latest = seconds;
  }

  /** Brings the gauges up to date: when they are read, not on the way of a call. */
  collect(): void {
    if (this.#count === 0) return;
    const { average, max, min, latest } = this.#metrics;
    average.set(this.#sum / this.#count);
    max.set(this.#max);
    min.set(this.#min);
    latest.set(this.#latest);
  }
}
