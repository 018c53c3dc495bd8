#!/usr/bin/env node
import { processTerminal } from './commands/terminal.ts';
import { run } from './program.ts';

// `orb pods | head`: whoever reads has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.exitCode = await run(process.argv.slice(2), processTerminal());
