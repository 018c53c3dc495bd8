import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CniBody } from '../../deploy/dev/hand-made-sandbox.ts';
import type { CniCall, CniOutcome } from './runner-messages.ts';

type Plugin = Readonly<Record<string, unknown>>;

/** Makes one call with the real executables, as CNI spec 1.1.0, section 3, has a runtime do it. Never rejects. */
export async function execute(call: CniCall): Promise<CniOutcome> {
  const { command, network } = call;
  const { plugins, ...common } = network;
  const list = Array.isArray(plugins) ? (plugins as readonly Plugin[]) : [common];
  const passed: Plugin = { cniVersion: network.cniVersion, name: network.name };
  let whole: CniOutcome | undefined;
  for (const plugin of command === 'DEL' ? list.toReversed() : list) {
    const prevResult = command === 'ADD' ? whole?.body : call.prevResult;
    const conf = { ...plugin, ...passed, ...(prevResult === undefined ? {} : { prevResult }) };
    const outcome = await run(call, String(plugin['type']), JSON.stringify(conf));
    whole = {
      ...outcome,
      durationMs: outcome.durationMs + (whole?.durationMs ?? 0),
      spawnMs: outcome.spawnMs + (whole?.spawnMs ?? 0),
      startedAtMs: whole?.startedAtMs ?? outcome.startedAtMs,
    };
    if (outcome.exitCode !== 0) break;
  }
  return whole ?? failed('The list has no plugin');
}

function run(call: CniCall, type: string, stdin: string): Promise<CniOutcome> {
  const executable = join(call.env['CNI_PATH'] ?? '', call.executable ?? type);
  return new Promise((resolve) => {
    const startedAtMs = Date.now();
    const startedAt = performance.now();
    const child = spawn(executable, [], { env: call.env, stdio: ['pipe', 'pipe', 'inherit'] });
    const spawnMs = performance.now() - startedAt;
    const chunks: Buffer[] = [];
    let durationMs = 0;
    let peakRssKiB: number | undefined;
    const timers = [
      call.killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), call.killAfterMs),
      call.watchesMemory === true
        ? setInterval(() => {
            peakRssKiB = peakRssOf(child.pid) ?? peakRssKiB;
          }, 1)
        : undefined,
    ];
    child.stdin.on('error', () => undefined); // it may end without reading
    child.stdin.end(stdin);
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (error) => resolve(failed(error.message)));
    child.on('exit', () => {
      durationMs = performance.now() - startedAt;
      for (const timer of timers) clearTimeout(timer);
    });
    child.on('close', (exitCode) => {
      const stdout = Buffer.concat(chunks).toString().trim();
      const body = parsed(stdout);
      resolve({
        exitCode,
        body,
        ...(body === undefined && stdout !== '' ? { text: stdout } : {}),
        durationMs,
        spawnMs,
        startedAtMs,
        ...(peakRssKiB === undefined ? {} : { peakRssKiB }),
      });
    });
  });
}

const failed = (text: string): CniOutcome => ({
  exitCode: null,
  body: undefined,
  text,
  durationMs: 0,
  spawnMs: 0,
  startedAtMs: Date.now(),
});

function parsed(stdout: string): CniBody | undefined {
  try {
    return stdout === '' ? undefined : (JSON.parse(stdout) as CniBody);
  } catch {
    return undefined;
  }
}

function peakRssOf(pid: number | undefined): number | undefined {
  try {
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return peak === undefined ? undefined : Number(peak);
  } catch {
    return undefined; // it has ended
  }
}
