/** `node deploy/dev/up.ts [--id ID] [--nodes node-a,node-b]`: brings up a stack, tells how to use it, and leaves it running. */
import { parseArgs } from 'node:util';
import { startStack } from './stack.ts';

const { values } = parseArgs({ options: { id: { type: 'string' }, nodes: { type: 'string' } } });
const startedAt = Date.now();
const stack = await startStack({
  ...(values.id === undefined ? {} : { id: values.id }),
  ...(values.nodes === undefined ? {} : { nodes: values.nodes.split(',').filter((name) => name !== '') }),
  onProgress: (fact) => console.log(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${fact}`),
});
console.log(`
Stack ${stack.id} runs. Its logs: ${stack.logs}
  export KUBECONFIG=${stack.kubeconfigs.admin}
  Temporal:    ${stack.temporalAddress}
  Temporal UI: ${stack.uiUrl}
End it with: node deploy/dev/down.ts ${stack.id}`);
