import { renderNode } from '../node-page.ts';
import { wallClock } from '../wall-clock.ts';
import { askForReport } from '../worker-socket.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface NodeOptions {
  readonly runDir: string;
  readonly output: OutputFormat;
}

/** `orb node`: what the worker of this node says of it. Runs on the node. */
export async function node({ runDir, output }: NodeOptions, terminal: Terminal): Promise<void> {
  const report = await askForReport(runDir);
  const nowMs = Date.now();
  terminal.print(
    output === 'json' ? toJSON(report) : renderNode(report, nowMs, wallClock(nowMs), terminal.paint, terminal.columns),
  );
}
