import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { namePrefix } from './layout.ts';
import { type ProcStat, parseProcStat } from './proc-stat.ts';
import { stackVariable } from './stack-process.ts';

/** A running process and why it counts as one of the stack. */
export interface Member extends ProcStat {
  readonly command: string;
  readonly reason: 'recorded' | 'network namespace' | 'cgroup' | 'environment' | 'working directory';
}

/** Directory of network namespaces that `ip netns` keeps. */
const netnsDirectory = '/run/netns';

/** Names of the network namespaces that begin with `prefix`. */
export async function findNetns(prefix: string): Promise<string[]> {
  const names = await readdir(netnsDirectory).catch(() => []);
  return names.filter((name) => name.startsWith(prefix));
}

/** Every process that belongs to the stack, whoever started it. Zombies do not count: nothing of theirs is left but their exit code. */
export async function findProcesses(id: string, directory: string): Promise<Member[]> {
  const recorded = await readRecords(join(directory, 'processes'));
  const netns = new Set(
    await Promise.all(
      (await findNetns(namePrefix(id))).map(async (name) => `net:[${(await stat(join(netnsDirectory, name))).ino}]`),
    ),
  );
  const members = await Promise.all(
    (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map((pid) => look(pid)),
  );
  return members.filter((member) => member !== undefined);

  async function look(pid: string): Promise<Member | undefined> {
    if (Number(pid) === process.pid) return undefined;
    const read = (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
    const link = (name: string): Promise<string> => readlink(`/proc/${pid}/${name}`).catch(() => '');
    const seen = parseProcStat(await read('stat'));
    if (seen === undefined || seen.state === 'Z' || seen.state === 'X') return undefined;
    const cwd = await link('cwd');
    const reasons: readonly (readonly [Member['reason'], boolean])[] = [
      ['recorded', recorded.has(identity(seen))],
      ['network namespace', netns.has(await link('ns/net'))],
      ['cgroup', (await read('cgroup')).includes(`:/${namePrefix(id)}`)],
      ['environment', (await read('environ')).split('\0').includes(`${stackVariable}=${id}`)],
      ['working directory', cwd === directory || cwd.startsWith(`${directory}/`)],
    ];
    const reason = reasons.find(([, holds]) => holds)?.[0];
    return reason === undefined
      ? undefined
      : { ...seen, reason, command: (await read('cmdline')).replaceAll('\0', ' ').trim() };
  }
}

const identity = ({ pid, startTicks }: ProcStat): string => `${pid}@${startTicks}`;

async function readRecords(directory: string): Promise<Set<string>> {
  const files = await readdir(directory).catch(() => []);
  const records = await Promise.all(
    files.map(async (file) => parseProcStat(await readFile(join(directory, file), 'utf8').catch(() => ''))),
  );
  return new Set(records.filter((record) => record !== undefined).map((record) => identity(record)));
}

/** Mount points below `directory` in this mount namespace, the deepest first. */
export async function findMounts(directory: string): Promise<string[]> {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map((line) => line.split(' ')[4] ?? '');
  return mounts.filter((mount) => mount === directory || mount.startsWith(`${directory}/`)).toReversed();
}
