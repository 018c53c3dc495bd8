import { notFound } from '../cli-error.ts';
import { openCluster } from '../cluster.ts';
import { checkObjectName } from '../pod-name.ts';
import { poolPage, poolRows, renderPoolPage, renderPools } from '../pool-table.ts';
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
    // Claims last: a pool may lack what was just given, but no claim can be counted in a pool that was not read.
    const [poolObjects, reservations] = await Promise.all([cluster.pools(), cluster.reservations()]);
    const view = { pools: poolObjects, reservations, claims: await cluster.claims() };
    if (name === undefined) {
      const rows = poolRows(view);
      if (options.output === 'json') return terminal.print(toJSON({ items: rows }));
      if (rows.length > 0) return terminal.print(renderPools(rows, terminal.columns));
      return terminal.printError('There is no pool; make one: kubectl apply -f, kind SpiderIPPool');
    }
    const page = poolPage(view, name);
    if (page === undefined) throw notFound(`There is no pool "${name}"`, 'All pools: orb pools');
    terminal.print(options.output === 'json' ? toJSON(page) : renderPoolPage(page, terminal.paint, terminal.columns));
  } finally {
    await cluster.close();
  }
}
