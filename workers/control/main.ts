import { parseConfig } from './config.ts';
import { runControlWorker } from './control-worker.ts';

await runControlWorker(parseConfig(process.env));
