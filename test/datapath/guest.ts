import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Accelerator, chooseAccelerator, type GuestHardware, qemuArguments } from './qemu-command.ts';

export interface GuestCommand {
  /** The part `guest`. */
  readonly system: string;
  readonly command: readonly string[];
  /** Where it runs, a folder of this machine. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
  readonly memoryMiB: number;
  /** A folder that the command may write to: /run/share in the guest. */
  readonly share?: string;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Ends the guest at once. */
  readonly stop: AbortSignal;
}

/** Exit codes that are no command's. */
export const guestTimedOut = 124;
export const guestDied = 125;

/** A guest that is not up by then will not come. Under TCG it is up within 5 to 15 s. */
const kvmPatienceSeconds = 30;

/**
 * Boots a guest that sees this machine's files read-only, runs one command as root in it, and gives the command's exit code, or one
 * of the two above. What the command writes is lost, except below `share`. QEMU dies with us, also when we are killed.
 */
export async function runGuest(order: GuestCommand): Promise<number> {
  const scratch = await mkdtemp(join(tmpdir(), 'orbweaver-guest-'));
  try {
    await writeCommand(order, scratch);
    const guest = new Guest(order, scratch);
    const accelerator = accelerate();
    let end = await guest.run(accelerator);
    if (end === 'never-up' && !order.stop.aborted) {
      order.stderr.write('guest: it does not come up under KVM, so it runs emulated\n');
      end = await guest.run('tcg');
    }
    return await verdict(end, order, scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function writeCommand(order: GuestCommand, scratch: string): Promise<void> {
  const { command, directory, environment, timeoutSeconds } = order;
  const variables = Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  const own = `GUEST_DIRECTORY=${quoted(directory)}\nGUEST_SECONDS=${timeoutSeconds}\n`;
  await writeFile(join(scratch, 'environment'), `${variables.join('')}${own}`);
  await writeFile(join(scratch, 'command'), `exec ${command.map(quoted).join(' ')}\n`);
  await copyFile(new URL('start.sh', import.meta.url), join(scratch, 'start.sh'));
}

/** One word of a shell. */
export const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

function accelerate(): Accelerator {
  return chooseAccelerator({
    canWriteKvm: canWrite('/dev/kvm'),
    cpuinfo: readFileSync('/proc/cpuinfo', 'utf8'),
    hasKvmPvm: existsSync('/sys/module/kvm_pvm'),
  });
}

function canWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

type GuestEnd = 'ended' | 'timed-out' | 'never-up';

/** One boot after the other of the same command. */
class Guest {
  readonly #order: GuestCommand;
  readonly #scratch: string;

  constructor(order: GuestCommand, scratch: string) {
    this.#order = order;
    this.#scratch = scratch;
  }

  async run(accelerator: Accelerator): Promise<GuestEnd> {
    const { stdout, stderr, timeoutSeconds, stop } = this.#order;
    const output = [
      await StreamSocket.open(join(this.#scratch, 'stdout'), stdout),
      await StreamSocket.open(join(this.#scratch, 'stderr'), stderr),
    ];
    const qemu = this.#start(accelerator);
    let end: GuestEnd = 'ended';
    const late = setTimeout(() => {
      end = 'timed-out';
      qemu.kill('SIGKILL');
    }, timeoutSeconds * 1000);
    const exited = once(qemu, 'exit');
    const stopped = () => qemu.kill('SIGKILL');
    stop.addEventListener('abort', stopped);
    if (stop.aborted) stopped();
    if (accelerator === 'kvm' && !(await this.#comesUp(qemu))) {
      end = 'never-up';
      qemu.kill('SIGKILL');
    }
    await exited;
    clearTimeout(late);
    stop.removeEventListener('abort', stopped);
    await Promise.all(output.map((stream) => stream.end()));
    return end;
  }

  #start(accelerator: Accelerator): ChildProcess {
    const { system, memoryMiB, share } = this.#order;
    const hardware: GuestHardware = { accelerator, memoryMiB, cpus: 2 };
    const site = { system, scratch: this.#scratch, ...(share === undefined ? {} : { share }) };
    const qemu = join(system, 'qemu');
    const libraries = ['usr/lib', 'lib'].map((folder) => join(qemu, folder, 'x86_64-linux-gnu')).join(':');
    const program = join(qemu, 'usr/bin/qemu-system-x86_64');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...qemuArguments(hardware, site)], {
      env: { ...process.env, LD_LIBRARY_PATH: libraries },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (!line.includes('is not connected to host network')) this.#order.stderr.write(`guest: ${line}\n`);
    });
    return child;
  }

  async #comesUp(qemu: ChildProcess): Promise<boolean> {
    const deadline = performance.now() + kvmPatienceSeconds * 1000;
    while (performance.now() < deadline && qemu.exitCode === null && qemu.signalCode === null) {
      if (existsSync(join(this.#scratch, 'up'))) return true;
      await sleep(100);
    }
    return existsSync(join(this.#scratch, 'up'));
  }
}

/** A socket on which the guest's output arrives. QEMU connects to it; its end is the output's end. */
class StreamSocket {
  readonly #server: Server;
  #ended: Promise<unknown> = Promise.resolve();

  private constructor(server: Server, target: Writable) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#ended = once(socket, 'close');
      socket.pipe(target, { end: false });
    });
  }

  static async open(path: string, target: Writable): Promise<StreamSocket> {
    rmSync(path, { force: true });
    const server = createServer();
    const stream = new StreamSocket(server, target);
    server.listen(path);
    await once(server, 'listening');
    return stream;
  }

  /** Waits for what is still under way. */
  async end(): Promise<void> {
    await this.#ended;
    this.#server.close();
  }
}

async function verdict(end: GuestEnd, order: GuestCommand, scratch: string): Promise<number> {
  const code = join(scratch, 'code');
  if (existsSync(code)) return Number.parseInt(await readFile(code, 'utf8'), 10);
  if (order.stop.aborted) return guestDied;
  const isLate = end === 'timed-out';
  const what = isLate ? `its time is over (${order.timeoutSeconds} s)` : 'it ended without an exit code';
  const log = join(scratch, 'console.log');
  const said = existsSync(log) ? await readFile(log, 'utf8') : '';
  const lastLines = said.trimEnd().split('\n').slice(-15).join('\n');
  order.stderr.write(`guest: ${what}. The end of its console:\n${lastLines}\n`);
  return isLate ? guestTimedOut : guestDied;
}
