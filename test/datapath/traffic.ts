import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { eventually } from '../../deploy/dev/eventually.ts';

export interface PingCount {
  readonly sent: number;
  readonly received: number;
  /** Longest time without an answer between two answers. */
  readonly longestGapMs: number;
}

export interface PingOrder {
  readonly count?: number;
  readonly intervalMs?: number;
  /** Interface or address to send from. */
  readonly from?: string;
}

/** Sends echo requests from a namespace, by IPv4 or IPv6, and counts the answers. */
export async function ping(netns: string, address: string, order: PingOrder = {}): Promise<PingCount> {
  const { count = 3, intervalMs = 200, from } = order;
  const source = from === undefined ? [] : ['-I', from];
  const options = ['-D', '-n', '-c', String(count), '-i', String(intervalMs / 1000), '-W', '1', ...source];
  return readPing((await inNamespace(netns, ['ping', ...options, address])).said);
}

/** Waits until an address answers, for example until a carrier is there or a bond has its partner. */
export async function reaches(netns: string, address: string, seconds = 10, from?: string): Promise<void> {
  await eventually(`${address} answers`, seconds, async () => {
    const { received } = await ping(netns, address, { count: 1, ...(from === undefined ? {} : { from }) });
    return received === 1 ? { value: undefined } : { state: 'no answer' };
  });
}

/** Whether an address answers one of a few requests. */
export const answers = async (netns: string, address: string): Promise<boolean> =>
  (await ping(netns, address, { count: 2, intervalMs: 100 })).received > 0;

/** What `ping -D` printed, as counts. */
export function readPing(said: string): PingCount {
  const summary = /(\d+) packets transmitted, (\d+) received/.exec(said);
  if (summary === null) throw new Error(`ping sent nothing: ${said.trim()}`);
  const answeredAt = [...said.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from/gm)].map(([, time]) => Number(time) * 1000);
  const gaps = answeredAt.slice(1).map((time, index) => time - (answeredAt[index] ?? time));
  return { sent: Number(summary[1]), received: Number(summary[2]), longestGapMs: Math.round(Math.max(0, ...gaps)) };
}

/** Whether somebody in the link's network has an IPv4 address: RFC 5227's probe, as arping(8) does it. */
export async function isTaken(netns: string, link: string, address: string): Promise<boolean> {
  const { code } = await inNamespace(netns, ['arping', '-D', '-q', '-c', '2', '-w', '2', '-I', link, address]);
  return code !== 0;
}

export interface EchoCount {
  readonly sent: number;
  readonly answered: number;
  /** Longest time between two answers. */
  readonly longestGapMs: number;
}

/** Talks over one TCP connection between two namespaces, a numbered line each few milliseconds, and counts what comes back. */
export async function tcpEcho(
  client: string,
  server: string,
  address: string,
  { count = 20, intervalMs = 20 }: { readonly count?: number; readonly intervalMs?: number } = {},
): Promise<EchoCount> {
  const program = new URL('tcp-echo.ts', import.meta.url).pathname;
  const serving = spawnIn(server, ['node', program, 'serve', address]);
  const ended = once(serving, 'exit');
  try {
    if (serving.stdout === null) throw new Error('no output to read the port from');
    const [port] = (await once(serving.stdout, 'data')) as [Buffer];
    const asking = ['node', program, 'ask', address, port.toString().trim(), String(count), String(intervalMs)];
    const { said, code } = await inNamespace(client, asking);
    if (code !== 0) throw new Error(`the echo's client ended with ${code}: ${said}`);
    return JSON.parse(said) as EchoCount;
  } finally {
    serving.kill();
    await ended;
  }
}

/** Runs a program in a namespace to its end. */
export async function inNamespace(
  netns: string,
  command: readonly string[],
): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawnIn(netns, command);
  const closed = once(child, 'close') as Promise<[number | null]>;
  const [said, [code]] = await Promise.all([text(both(child)), closed]);
  return { code, said };
}

export const spawnIn = (netns: string, command: readonly string[]): ChildProcess =>
  spawn('setpriv', ['--pdeathsig', 'KILL', 'nsenter', `--net=${netns}`, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });

async function* both({ stdout, stderr }: ChildProcess): AsyncGenerator<Buffer> {
  const [out, err] = await Promise.all([stdout, stderr].map((stream) => Array.fromAsync(stream ?? [])));
  yield Buffer.concat([...(out ?? []), ...(err ?? [])] as Buffer[]);
}
