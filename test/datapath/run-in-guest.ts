/**
 * Runs a command in a guest kernel that has bond, VLAN, ipvlan, SR-IOV and RDMA:
 * `run-in-guest.ts [--timeout SECONDS] [--memory MIB] [--env NAME]… [--share FOLDER] -- COMMAND [ARGUMENT…]`.
 * The guest sees this machine's files read-only, and works in the present folder; `--share` is a folder to write to, /run/share in
 * the guest. Exit code: the command's, 124 when its time is over, 125 when the guest died, 2 when the call is wrong.
 */
import { parseArgs } from 'node:util';
import { ensureParts, guestPath } from '../../deploy/toolchain/parts.ts';
import { formatProgress } from '../../deploy/toolchain/progress.ts';
import { runGuest } from './guest.ts';

const stop = new AbortController();
let stopCode: number | undefined;
for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
  process.once(signal, () => {
    stopCode ??= code;
    stop.abort();
  });
}

const { values, positionals } = parseArgs({
  options: {
    timeout: { type: 'string', default: '600' },
    memory: { type: 'string', default: '1024' },
    env: { type: 'string', multiple: true, default: [] },
    share: { type: 'string' },
  },
  allowPositionals: true,
});
if (positionals.length === 0) {
  console.error(
    'Which command? run-in-guest.ts [--timeout SECONDS] [--env NAME]… [--share FOLDER] -- COMMAND [ARGUMENT…]',
  );
  process.exit(2);
}

await ensureParts(['guest'], (progress) => {
  const line = formatProgress(progress);
  if (line !== undefined) console.error(`parts: ${line}`);
});
if (stopCode !== undefined) process.exit(stopCode);
const passed = ['PATH', 'HOME', 'ORBWEAVER_CACHE', ...values.env];
const code = await runGuest({
  system: guestPath(),
  command: positionals,
  directory: process.cwd(),
  environment: Object.fromEntries(passed.flatMap((name) => variable(name))),
  timeoutSeconds: Number(values.timeout),
  memoryMiB: Number(values.memory),
  ...(values.share === undefined ? {} : { share: values.share }),
  stdout: process.stdout,
  stderr: process.stderr,
  stop: stop.signal,
});
process.exitCode = stopCode ?? code;

function variable(name: string): readonly (readonly [string, string])[] {
  const value = process.env[name];
  return value === undefined ? [] : [[name, value]];
}
