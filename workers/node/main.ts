import { parseConfig } from './config.ts';
import { runNodeWorker } from './node-worker.ts';

await runNodeWorker(parseConfig(process.env));
