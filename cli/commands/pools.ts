import { notFound } from '../cli-error.ts';
import { openCluster } from '../cluster.ts';
import { checkObjectName } from '../pod-name.ts';
import { poolPage, poolRows, renderPoolPage, renderPools } from '../pool-table.ts';
import { readPoolView } from '../pool-view.ts';
import { wallClock } from '../wall-clock.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface PoolsOptions {
  readonly kubeconfig?: string;
  readonly output: OutputFormat;
}

/** `orb pools [NAME]`: how full they are; with a name also who has which address. */
export async function pools(name: string | undefined, options: PoolsOptions, terminal: Terminal): Promise<void> {
  if (name !== undefined) checkObjectName('pool', name);
  const cluster = await openCluster(options.kubeconfig);
  try {
    const view = await readPoolView(cluster);
    if (name === undefined) {
      const rows = poolRows(view);
      if (options.output === 'json') return terminal.print(toJSON({ items: rows }));
      if (rows.length > 0) return terminal.print(renderPools(rows, terminal.columns));
      return terminal.printError('There is no pool; make one: kubectl apply -f, kind SpiderIPPool');
    }
    const page = poolPage(view, name);
    if (page === undefined) throw notFound(`There is no pool "${name}"`, 'All pools: orb pools');
    if (options.output === 'json') return terminal.print(toJSON(page));
    terminal.print(renderPoolPage(page, wallClock(Date.now()), terminal.paint, terminal.columns));
  } finally {
    await cluster.close();
  }
}
