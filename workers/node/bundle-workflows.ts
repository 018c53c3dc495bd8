import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

/** Bundles the workflows of the node worker into one file, so that no worker has to do it when it starts. */
export async function bundleWorkflows(output: string): Promise<void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: new URL('../../workflows/index.ts', import.meta.url).pathname,
    logger: new DefaultLogger('ERROR'),
  });
  await mkdir(dirname(output), { recursive: true });
  await writeFile(`${output}.new`, code);
  await rename(`${output}.new`, output);
}

if (import.meta.main) {
  const [output] = process.argv.slice(2);
  if (output === undefined) {
    console.error('Usage: node workers/node/bundle-workflows.ts OUTPUT.js');
    process.exit(2);
  }
  await bundleWorkflows(output);
}
