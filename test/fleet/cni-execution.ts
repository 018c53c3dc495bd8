import { join } from 'node:path';
import type { CniBody } from '../../deploy/dev/hand-made-sandbox.ts';
import type { Launcher } from './launcher.ts';
import type { LaunchAnswer } from './launcher-frames.ts';
import type { CniCall, CniOutcome } from './runner-messages.ts';

type Plugin = Readonly<Record<string, unknown>>;

/** Makes one call with the real executables, as CNI spec 1.1.0, section 3, has a runtime do it. Never rejects. */
export async function execute(launcher: Launcher, call: CniCall): Promise<CniOutcome> {
  const { command, network } = call;
  const { plugins, ...common } = network;
  const list = Array.isArray(plugins) ? (plugins as readonly Plugin[]) : [common];
  const passed: Plugin = { cniVersion: network.cniVersion, name: network.name };
  let whole: CniOutcome | undefined;
  for (const plugin of command === 'DEL' ? list.toReversed() : list) {
    const prevResult = command === 'ADD' ? whole?.body : call.prevResult;
    const conf = { ...plugin, ...passed, ...(prevResult === undefined ? {} : { prevResult }) };
    const outcome = await run(launcher, call, String(plugin['type']), JSON.stringify(conf));
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

async function run(launcher: Launcher, call: CniCall, type: string, stdin: string): Promise<CniOutcome> {
  const { env, executable = type, killAfterMs, watchesMemory = false } = call;
  const path = join(env['CNI_PATH'] ?? '', executable);
  const launch = { path, env, stdin, watchesMemory, ...(killAfterMs === undefined ? {} : { killAfterMs }) };
  try {
    return asOutcome(path, await launcher.start(launch));
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
}

function asOutcome(
  path: string,
  { ending, code, text, durationMs, spawnMs, startedAtMs, ...seen }: LaunchAnswer,
): CniOutcome {
  if (ending === 'not started') return failed(`Cannot start ${path}: ${text}`);
  const stdout = text.trim();
  const body = parsed(stdout);
  return {
    exitCode: ending === 'exited' ? code : null,
    body,
    ...(body === undefined && stdout !== '' ? { text: stdout } : {}),
    durationMs,
    spawnMs,
    startedAtMs,
    ...(seen.peakRssKiB === undefined ? {} : { peakRssKiB: seen.peakRssKiB }),
  };
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
