import { notFound } from '../cli-error.ts';
import { openCluster } from '../cluster.ts';
import { freeRanges, renderFree } from '../free-ranges.ts';
import { checkObjectName } from '../pod-name.ts';
import { readPoolView } from '../pool-view.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface FreeOptions {
  readonly kubeconfig?: string;
  readonly output: OutputFormat;
}

/** `orb free POOL`: which addresses of it nobody has. */
export async function free(name: string, options: FreeOptions, terminal: Terminal): Promise<void> {
  checkObjectName('pool', name);
  const cluster = await openCluster(options.kubeconfig);
  try {
    const found = freeRanges(await readPoolView(cluster), name);
    if (found === undefined) throw notFound(`There is no pool "${name}"`, 'All pools: orb pools');
    terminal.print(options.output === 'json' ? toJSON(found) : renderFree(found, terminal.paint));
  } finally {
    await cluster.close();
  }
}
