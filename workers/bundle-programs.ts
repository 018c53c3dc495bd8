import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Loaded from node_modules at run time: native code, and the SDK, which finds its own files beside itself. */
const external = ['@temporalio/*', 'koffi'];

/**
 * Bundles the node worker into one file and the programs of its threads, `kernel-thread.js` and `probe-thread.js`, into others
 * beside it. A node then keeps 130 MB instead of 200 before its first call: most of the Kubernetes client is not loaded. Takes a second or two.
 *
 * @param directory Where the files go. What is `external` is looked for from there upwards, in `node_modules`.
 * @param program The node worker, from the root of the repository: the shipped one unless a test needs another.
 * @returns The path of the node worker's program.
 */
export async function bundleNodeWorker(directory: string, program = 'workers/node/main.ts'): Promise<string> {
  const sources = join(dirname(fileURLToPath(import.meta.url)), '..');
  await build({
    entryPoints: {
      'node-worker': join(sources, program),
      'kernel-thread': join(sources, 'kernel/kernel-thread.ts'),
      'probe-thread': join(sources, 'kernel/probe-thread.ts'),
    },
    outdir: directory,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    external,
    sourcemap: true,
    // CommonJS inside a bundle asks for `require`, which a module does not have.
    banner: {
      js: "import { createRequire as orbweaverRequire } from 'node:module'; const require = orbweaverRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return join(directory, 'node-worker.js');
}
