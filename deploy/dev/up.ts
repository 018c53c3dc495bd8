import { parseArgs } from 'node:util';
import { startCluster } from './cluster.ts';

const usage = `Usage: node deploy/dev/up.ts [--id ID] [--nodes node-a,node-b]
Brings up a cluster with our node workers, tells how to use it, and leaves it running.`;

const { id, nodes } = readArguments();
const startedAt = Date.now();
const { stack } = await startCluster({
  ...(id === undefined ? {} : { id }),
  ...(nodes === undefined ? {} : { nodes: nodes.split(',').filter((name) => name !== '') }),
  onProgress: (fact) => console.log(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${fact}`),
});
console.log(`
Stack ${stack.id} runs. Its logs: ${stack.logs}
  export KUBECONFIG=${stack.kubeconfigs.admin}
  export ORBWEAVER_TEMPORAL_ADDRESS=${stack.temporalAddress}
  Temporal UI: ${stack.uiUrl}
End it with: node deploy/dev/down.ts ${stack.id}`);

function readArguments(): { readonly id?: string | undefined; readonly nodes?: string | undefined } {
  try {
    const { values } = parseArgs({
      options: { id: { type: 'string' }, nodes: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help !== true) return values;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
    process.exit(2);
  }
}
