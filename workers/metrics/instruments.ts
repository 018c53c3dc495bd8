import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { MetricDefinition, MetricTable } from '../../contracts/metrics.ts';

type NameOf<Table extends MetricTable, Type extends MetricDefinition['type']> = {
  [Name in keyof Table & string]: Table[Name]['type'] extends Type ? Name : never;
}[keyof Table & string];

/** Seconds. Spiderpool's buckets, which begin at 0.1, and finer ones below: an ADD takes some 15 ms. */
const buckets = [0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 1, 3, 5, 7, 10, 15, 20, 30, 60, 90, 120];

/** All metrics of a table, registered from the start: a dashboard shows 0 where nothing has happened yet, not a gap. */
export class Instruments<Table extends MetricTable> {
  readonly registry = new Registry();
  readonly #byName = new Map<string, Counter | Gauge | Histogram>();

  constructor(table: Table) {
    for (const [name, { type, help, labels = [] }] of Object.entries(table)) {
      const configuration = { name, help, labelNames: [...labels], registers: [this.registry] };
      if (type === 'counter') this.#byName.set(name, new Counter(configuration));
      else if (type === 'gauge') this.#byName.set(name, new Gauge(configuration));
      else this.#byName.set(name, new Histogram({ ...configuration, buckets }));
    }
  }

  counter(name: NameOf<Table, 'counter'>): Counter {
    return this.#byName.get(name) as Counter; // the table says so
  }

  gauge(name: NameOf<Table, 'gauge'>): Gauge {
    return this.#byName.get(name) as Gauge;
  }

  histogram(name: NameOf<Table, 'histogram'>): Histogram {
    return this.#byName.get(name) as Histogram;
  }
}
