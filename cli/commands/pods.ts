import { openCluster } from '../cluster.ts';
import { checkNamespace, checkObjectName } from '../pod-name.ts';
import { podRows, renderPods } from '../pod-table.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface PodsOptions {
  readonly kubeconfig?: string;
  /** Absent: that of the kubeconfig's context. */
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly node?: string;
  readonly output: OutputFormat;
}

/** `orb pods`: who has which address. */
export async function pods(options: PodsOptions, terminal: Terminal): Promise<void> {
  const asked = options.namespace === undefined ? undefined : checkNamespace(options.namespace);
  const node = options.node === undefined ? undefined : checkObjectName('node', options.node);
  const cluster = await openCluster(options.kubeconfig);
  try {
    const namespace = options.allNamespaces === true ? undefined : (asked ?? cluster.namespace);
    const rows = podRows(await cluster.claims(), {
      ...(namespace === undefined ? {} : { namespace }),
      ...(node === undefined ? {} : { node }),
    });
    if (options.output === 'json') return terminal.print(toJSON({ items: rows }));
    if (rows.length > 0) return terminal.print(renderPods(rows, terminal.columns));
    const where = [
      namespace === undefined ? '' : ` in namespace ${namespace}`,
      node === undefined ? '' : ` on node ${node}`,
    ].join('');
    terminal.printError(
      `No pod${where} has an address${namespace === undefined ? '' : '; all namespaces: orb pods -A'}`,
    );
  } finally {
    await cluster.close();
  }
}
