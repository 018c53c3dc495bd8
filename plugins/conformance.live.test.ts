import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { decodeRequest, encodeReply, frameLimits, QUEUE_FILE_NAME } from '../contracts/frame.ts';
import { compile, install, isBetweenAttempts, start } from './testing/executable.ts';
import { type Answer, reply, serve } from './testing/test-worker.ts';

const versions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];
const attachment = { CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/n1', CNI_IFNAME: 'eth0', CNI_PATH: '/opt/cni/bin' };
const add = { CNI_COMMAND: 'ADD', ...attachment };
const del = { CNI_COMMAND: 'DEL', ...attachment };
const done = { code: 0, signal: null, stdout: '' };

const directory = mkdtempSync(join(tmpdir(), 'orbweaver-compiled-'));
/** Waits as long as a release, and for a DEL longer: for tests in which an answer comes. */
const patient = join(directory, 'patient');
/** For tests in which no answer comes. */
const hasty = join(directory, 'hasty');
const hastyRun = join(directory, 'default-run');

beforeAll(() => {
  compile(patient, { DEL_RECONNECT_MS: '10000' });
  compile(hasty, {
    RECONNECT_MS: '150',
    DEL_RECONNECT_MS: '100',
    ANSWER_MS: '2000',
    DEL_ANSWER_MS: '1000',
    RUN_DIRECTORY: `"${hastyRun}"`,
    QUEUE_DIRECTORY: `"${join(directory, 'default-queue')}"`,
  });
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let resources = new AsyncDisposableStack();
beforeEach(() => {
  resources = new AsyncDisposableStack();
});
afterEach(async () => resources.disposeAsync());
const installed = (compiled: string, name?: string) => resources.use(install(compiled, name));
const serving = async (runDirectory: string, answer: Answer) => resources.use(await serve(runDirectory, answer));

async function run(executable: string, environment: Record<string, string>, stdin?: string | Uint8Array) {
  return start(executable, environment, stdin).exit;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited 30 s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The CNI error of a call that failed as libcni expects it: exit code 1 and one JSON object on stdout. */
async function errorOf(executable: string, environment: Record<string, string>, stdin?: string | Uint8Array) {
  const { stdout, ...exit } = await run(executable, environment, stdin);
  expect(exit).toEqual({ code: 1, signal: null });
  return JSON.parse(stdout) as { cniVersion: string; code: number; msg: string; details: string };
}

describe('VERSION', () => {
  it.each(versions)('answers %s in itself, without a worker', async (cniVersion) => {
    const cni = installed(patient);
    const exit = await run(cni.executable, { CNI_COMMAND: 'VERSION' }, JSON.stringify({ cniVersion }));
    const stdout = `{"cniVersion":"${cniVersion}","supportedVersions":${JSON.stringify(versions)}}\n`;
    expect(exit).toEqual({ ...done, stdout });
  });

  it.each([
    ['an empty stdin', '', '1.1.0'],
    ['garbage', '\0\xff{{{"\\', '1.1.0'],
    ['a megabyte of garbage', '{"\\'.repeat(350_000), '1.1.0'],
    ['an array', '["cniVersion","0.4.0"]', '1.1.0'],
    ['a number', '{"cniVersion":1.0,"name":"0.4.0"}', '1.1.0'],
    ['an object', '{"cniVersion":{"cniVersion":"0.3.0"},"name":"0.4.0"}', '1.1.0'],
    ['an empty version', '{"cniVersion":""}', '1.1.0'],
    ['a nested version before the real one', '{"ipam":{"cniVersion":"0.3.0"},"cniVersion":"0.4.0"}', '0.4.0'],
    ['a nested version after the real one', '{"cniVersion":"0.4.0","prevResult":{"cniVersion":"0.3.0"}}', '0.4.0'],
    ['only nested versions', '{"list":[{"cniVersion":"0.3.0"}],"a":{"b":{"cniVersion":"0.3.1"}}}', '1.1.0'],
    ['a version inside a string', '{"name":"\\"cniVersion\\":\\"0.3.0\\"","cniVersion":"1.0.0"}', '1.0.0'],
    ['brackets inside a string', '{"name":"}]\\\\","cniVersion":"0.3.1"}', '0.3.1'],
    ['the word as a value', '{"name":"cniVersion","type":"0.3.0"}', '1.1.0'],
    ['two versions, of which JSON.parse takes the last', '{"cniVersion":"0.3.0","cniVersion":"0.4.0"}', '0.4.0'],
    ['spaces and line ends', ' {\r\n\t"cniVersion" :\n "0.3.1" } ', '0.3.1'],
    ['a future version', '{"cniVersion":"9.9.9"}', '9.9.9'],
    ['a version that tries to break out', '{"cniVersion":"\\",\\"x\\":\\"y"}', String.raw`\",\"x\":\"y`],
  ])('reads the version from %s', async (_, stdin, cniVersion) => {
    const cni = installed(patient);
    const { code, stdout } = await run(cni.executable, { CNI_COMMAND: 'VERSION' }, stdin);
    expect({ code, ...JSON.parse(stdout) }).toEqual({ code: 0, cniVersion, supportedVersions: versions });
  });
});

describe('STATUS', () => {
  const status = { CNI_COMMAND: 'STATUS', CNI_PATH: '/opt/cni/bin' };
  const touched = (runDirectory: string, secondsAgo: number) => {
    const path = join(runDirectory, 'alive');
    writeFileSync(path, '');
    const time = Date.now() / 1000 - secondsAgo;
    utimesSync(path, time, time);
  };

  it.each([0, 25, -3600])('is fine when the worker was alive %d s ago', async (secondsAgo) => {
    const cni = installed(patient);
    touched(cni.runDirectory, secondsAgo);
    expect(await run(cni.executable, status)).toEqual(done);
  });

  it('is error 50 when the worker was last alive 31 s ago', async () => {
    const cni = installed(patient);
    touched(cni.runDirectory, 31);
    expect(await errorOf(cni.executable, status)).toEqual({
      cniVersion: '1.0.0',
      code: 50,
      msg: `The node worker has not run for 31 s: see the time of ${cni.runDirectory}/alive`,
      details: 'Start the Orbweaver node worker of this node, or see in its log why it does not answer',
    });
  });

  it('is error 50 when no worker ran in this boot', async () => {
    const cni = installed(patient);
    const { code, msg } = await errorOf(cni.executable, status);
    expect({ code, msg }).toEqual({
      code: 50,
      msg: `The node worker has not run since this boot: ${cni.runDirectory}/alive: No such file or directory`,
    });
  });

  it.each(['2.0.0', '0.2.0', 'newest', '1.1.0000000000000000000000000000000000000000000000'])(
    'is error 1 in CNI version %s, which we do not speak',
    async (cniVersion) => {
      const cni = installed(patient);
      touched(cni.runDirectory, 0);
      const error = await errorOf(cni.executable, status, JSON.stringify({ cniVersion }));
      expect(error).toMatchObject({ cniVersion: '1.1.0', code: 1, details: `Supported: ${versions.join(', ')}` });
    },
  );

  it('is fine without a configuration', async () => {
    const cni = installed(patient);
    touched(cni.runDirectory, 0);
    expect(await run(cni.executable, status, '')).toEqual(done);
  });
});

describe('a call that the executable refuses itself', () => {
  it('without CNI_COMMAND is error 4, in the version of the configuration', async () => {
    const cni = installed(patient);
    expect(await errorOf(cni.executable, attachment, '{"cniVersion":"0.3.1"}')).toEqual({
      cniVersion: '0.3.1',
      code: 4,
      msg: 'CNI_COMMAND is not set',
      details: 'The container runtime sets it to ADD, DEL, CHECK, GC, STATUS or VERSION',
    });
  });

  it.each(['', 'add', 'ADD ', 'a"\\\n\u{7f}é', 'x'.repeat(100_000)])(
    'with an unknown CNI_COMMAND is error 4 (case %#)',
    async (command) => {
      const cni = installed(patient);
      const { code, msg } = await errorOf(cni.executable, { CNI_COMMAND: command });
      expect({ code, msg: Buffer.from(msg, 'latin1').toString() }).toEqual({
        code: 4,
        msg: `CNI_COMMAND has an unknown value: "${command.slice(0, 99)}"`,
      });
    },
  );

  it.each(['ADD', 'DEL', 'CHECK', 'GC'])('%s with a stdin above 512 KiB is error 6', async (command) => {
    const cni = installed(hasty);
    const stdin = `{"cniVersion":"0.4.0"}${' '.repeat(1 << 20)}`;
    const error = await errorOf(cni.executable, { ...add, CNI_COMMAND: command }, stdin);
    expect(error).toMatchObject({ cniVersion: '0.4.0', code: 6, msg: expect.stringContaining('at most 524288 bytes') });
  });

  it('with an environment above 64 KiB is error 4, naming the variable', async () => {
    const cni = installed(hasty);
    const { code, msg } = await errorOf(cni.executable, { ...add, CNI_ARGS: 'x'.repeat(frameLimits.environmentBytes) });
    expect({ code, msg }).toEqual({ code: 4, msg: 'The environment is too large: CNI_ARGS exceeds its 65536 bytes' });
  });
});

describe('a call that the worker answers', () => {
  it('carries the variables of CNI, the trace and nothing else', async () => {
    const cni = installed(patient);
    const worker = await serving(cni.runDirectory, reply(0, '{}'));
    const sent = { ...add, CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=p', TRACEPARENT: '00-0af7-b7ad-01' };
    await run(cni.executable, { ...sent, PATH: '/bin', HOME: '/root', ORBWEAVER_PLUGIN: 'forged' });
    expect(worker.requests[0]?.environment).toEqual(
      new Map(Object.entries({ ...sent, ORBWEAVER_PLUGIN: 'orbweaver' })),
    );
  });

  it('tells a variable that is not set from an empty one', async () => {
    const cni = installed(patient);
    const worker = await serving(cni.runDirectory, reply(0, '{}'));
    await run(cni.executable, { CNI_COMMAND: 'DEL', CNI_NETNS: '' });
    const sent = { CNI_COMMAND: 'DEL', CNI_NETNS: '', ORBWEAVER_PLUGIN: 'orbweaver' };
    expect(worker.requests[0]?.environment).toEqual(new Map(Object.entries(sent)));
  });

  it.each(['orbweaver', 'spiderpool', 'rdma', 'coordinator', 'ifacer'])(
    'says that it was called as %s',
    async (name) => {
      const cni = installed(patient, name);
      const worker = await serving(cni.runDirectory, reply(0, '{}'));
      await run(cni.executable, add);
      expect(worker.requests[0]?.environment.get('ORBWEAVER_PLUGIN')).toBe(name);
    },
  );

  it.each([0, 1, 65_536, frameLimits.stdinBytes])('carries a stdin of %d bytes', async (size) => {
    const cni = installed(patient);
    const worker = await serving(cni.runDirectory, reply(0, '{}'));
    const stdin = Buffer.alloc(size, 'orbweaver');
    await run(cni.executable, add, stdin);
    expect(stdin.equals(worker.requests[0]?.stdin ?? Buffer.of(0))).toBe(true);
  });

  it.each(['ADD', 'DEL', 'CHECK', 'GC'])('%s passes on exit code and stdout', async (command) => {
    const cni = installed(patient);
    const worker = await serving(cni.runDirectory, reply(7, '{"code":7}'));
    const exit = await run(cni.executable, { ...add, CNI_COMMAND: command });
    expect(exit).toEqual({ code: 7, signal: null, stdout: '{"code":7}' });
    expect(worker.requests).toHaveLength(1);
    expect(readdirSync(cni.queueDirectory)).toEqual([]);
  });

  it('passes on the largest stdout', async () => {
    const cni = installed(patient);
    const stdout = 'x'.repeat(frameLimits.stdoutBytes);
    const worker = await serving(cni.runDirectory, reply(0, stdout));
    const exit = await run(cni.executable, add);
    expect(exit.code).toBe(0);
    expect(exit.stdout === stdout).toBe(true);
    expect(worker.requests).toHaveLength(1);
  });

  it('passes on a reply that comes byte by byte', async () => {
    const cni = installed(patient);
    const worker = await serving(cni.runDirectory, (_, connection) => {
      connection.setNoDelay(true);
      for (const byte of encodeReply({ exitCode: 3, stdout: Buffer.from('slow') })) connection.write(Buffer.of(byte));
    });
    expect(await run(cni.executable, add)).toEqual({ code: 3, signal: null, stdout: 'slow' });
    expect(worker.requests).toHaveLength(1);
  });

  it('passes on the reply of a worker that refused the request half-way', async () => {
    const cni = installed(patient);
    const server = createServer({ pauseOnConnect: true }, (connection) => {
      connection.on('error', () => {});
      connection.end(encodeReply({ exitCode: 1, stdout: Buffer.from('refused') }), () => connection.destroy());
    });
    await new Promise<void>((listening) => server.listen(join(cni.runDirectory, 'socket'), listening));
    try {
      const exit = await run(cni.executable, add, Buffer.alloc(frameLimits.stdinBytes));
      expect(exit).toEqual({ code: 1, signal: null, stdout: 'refused' });
    } finally {
      server.close();
    }
  });

  it('ends without a signal when nobody reads its stdout any more', async () => {
    const cni = installed(patient);
    const worker = await serving(cni.runDirectory, () => {});
    const call = start(cni.executable, add);
    await until(() => worker.requests.length === 1, 'the request arrived');
    call.hangUp();
    const stdout = Buffer.alloc(200_000);
    for (const connection of worker.openConnections) connection.end(encodeReply({ exitCode: 0, stdout }));
    expect(await call.exit).toEqual({ code: 1, signal: null, stdout: '' });
  });

  it('is one of a hundred at once, each with its own nonce and its own answer', async () => {
    const cni = installed(patient);
    const worker = await serving(cni.runDirectory, (request, connection) =>
      reply(0, request.environment.get('CNI_CONTAINERID') ?? '')(request, connection),
    );
    const containers = Array.from({ length: 100 }, (_, index) => `c${index}`);
    const exits = await Promise.all(
      containers.map(async (container) => run(cni.executable, { ...add, CNI_CONTAINERID: container })),
    );
    expect(exits.map(({ stdout }) => stdout)).toEqual(containers);
    expect(new Set(worker.requests.map(({ nonce }) => nonce)).size).toBe(100);
  });
});

describe('a worker that restarts', () => {
  it.each(['ADD', 'CHECK', 'GC'])('and appears late gets the %s', async (command) => {
    const cni = installed(patient);
    const call = start(cni.executable, { ...add, CNI_COMMAND: command });
    await until(() => isBetweenAttempts(call.pid), 'the first attempt failed');
    const worker = await serving(cni.runDirectory, reply(0, 'late'));
    expect(await call.exit).toEqual({ ...done, stdout: 'late' });
    expect(worker.requests).toHaveLength(1);
  });

  it.each([
    ['before its reply', 0],
    ['within the header of its reply', 5],
    ['within the body of its reply', 14],
  ])('%s gets the same request with the same nonce again', async (_, bytes) => {
    const cni = installed(patient);
    const whole = encodeReply({ exitCode: 0, stdout: Buffer.from('{"ips":[]}') });
    const dying = await serve(cni.runDirectory, (_, connection) => connection.end(whole.subarray(0, bytes)));
    const call = start(cni.executable, add);
    await until(() => dying.requests.length > 0, 'the request arrived');
    await dying[Symbol.asyncDispose]();
    const worker = await serving(cni.runDirectory, reply(0, '{"ips":[]}'));
    expect(await call.exit).toEqual({ ...done, stdout: '{"ips":[]}' });
    expect(worker.requests[0]).toEqual(dying.requests[0]);
  });
});

describe('a worker that does not answer', () => {
  const noAnswer = (runDirectory: string, why: string) => ({
    cniVersion: '1.0.0',
    code: 11,
    msg: `No answer from the node worker at ${runDirectory}/socket: ${why}`,
    details: 'Start the Orbweaver node worker of this node, or see in its log why it does not answer',
  });

  it.each(['ADD', 'CHECK', 'GC'])('because it is absent makes %s error 11', async (command) => {
    const cni = installed(hasty);
    const error = await errorOf(cni.executable, { ...add, CNI_COMMAND: command });
    expect(error).toEqual(noAnswer(cni.runDirectory, 'No such file or directory'));
    expect(readdirSync(cni.queueDirectory)).toEqual([]);
  });

  it('because it died and left its socket makes ADD error 11', async () => {
    const cni = installed(hasty);
    const socket = join(cni.runDirectory, 'socket');
    execFileSync(process.execPath, ['-e', `require('net').createServer().listen('${socket}', () => process.exit())`]);
    // (a process that exits so leaves its socket file behind, as kill -9 does)
    expect(await errorOf(cni.executable, add)).toEqual(noAnswer(cni.runDirectory, 'Connection refused'));
  });

  it.each(['ADD', 'CHECK', 'GC'])('in time makes %s error 11, and its connection is closed', async (command) => {
    const cni = installed(hasty);
    const worker = await serving(cni.runDirectory, () => {});
    const error = await errorOf(cni.executable, { ...add, CNI_COMMAND: command });
    expect(error).toEqual(noAnswer(cni.runDirectory, 'it did not answer in time'));
    await until(() => worker.openConnections.size === 0, 'the connection was closed');
    expect(worker.requests).toHaveLength(1);
  });

  it('and does not even read makes ADD error 11', async () => {
    const cni = installed(hasty);
    const server = createServer({ pauseOnConnect: true }, (connection) => connection.on('error', () => {}));
    await new Promise<void>((listening) => server.listen(join(cni.runDirectory, 'socket'), listening));
    try {
      const error = await errorOf(cni.executable, add, Buffer.alloc(frameLimits.stdinBytes));
      expect(error.msg).toContain('it did not take the request in time');
    } finally {
      server.close();
    }
  });

  const header = (...values: number[]) => new Uint8Array(new Uint32Array(values).buffer);
  it.each([
    ['is cut off', header(1, 0, 5), 'it closed the connection before the whole reply'],
    ['is too large', header(1, 0, frameLimits.stdoutBytes + 1), 'its reply is too large'],
    ['is of another version', header(2, 0, 0), 'its reply has another frame version'],
    ['would turn a failure into exit code 0', header(1, 256, 0), 'its reply has an exit code above 255'],
    ['is no frame', Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 'its reply has another frame version'],
  ])('but with something that %s makes ADD error 11 and queues a DEL', async (_, bytes, why) => {
    const cni = installed(hasty);
    const worker = await serving(cni.runDirectory, (_, connection) => connection.end(bytes));
    expect(await errorOf(cni.executable, add)).toEqual(noAnswer(cni.runDirectory, why));
    expect(new Set(worker.requests.map(({ nonce }) => nonce)).size).toBe(1);
    expect(worker.requests.length).toBeGreaterThan(1);
    expect(await run(cni.executable, del)).toEqual(done);
    expect(readdirSync(cni.queueDirectory)).toHaveLength(1);
  });

  it('and cuts connections while a request is on its way ends no call by a signal', async () => {
    const cni = installed(hasty);
    const server = createServer((connection) => connection.destroy());
    await new Promise<void>((listening) => server.listen(join(cni.runDirectory, 'socket'), listening));
    try {
      const error = await errorOf(cni.executable, add, Buffer.alloc(frameLimits.stdinBytes));
      expect(error.code).toBe(11);
    } finally {
      server.close();
    }
  });
});

describe('a DEL that finds no worker', () => {
  const queued = (queueDirectory: string) =>
    readdirSync(queueDirectory)
      .sort()
      .map((name) => ({ name, frame: decodeRequest(readFileSync(join(queueDirectory, name))) }));

  it('succeeds and waits on disk as its request frame, readable by root only', async () => {
    const cni = installed(hasty, 'spiderpool');
    const stdin = Buffer.from('{"cniVersion":"1.0.0"}\0\xff', 'latin1');
    expect(await run(cni.executable, del, stdin)).toEqual(done);
    const [only, ...others] = queued(cni.queueDirectory);
    expect(others).toEqual([]);
    expect(only?.frame).toEqual({
      environment: new Map(Object.entries({ ...del, ORBWEAVER_PLUGIN: 'spiderpool' })),
      stdin: new Uint8Array(stdin),
      nonce: QUEUE_FILE_NAME.exec(only?.name ?? '')?.groups?.['nonce'],
    });
    expect(statSync(join(cni.queueDirectory, only?.name ?? '')).mode & 0o777).toBe(0o600);
  });

  it('stands in the queue behind the DELs before it', async () => {
    const cni = installed(hasty);
    const before = BigInt(Date.now()) * 1_000_000n;
    for (const container of ['c1', 'c2', 'c3']) await run(cni.executable, { ...del, CNI_CONTAINERID: container });
    const waiting = queued(cni.queueDirectory);
    expect(waiting.map(({ frame }) => frame !== 'incomplete' && frame.environment.get('CNI_CONTAINERID'))).toEqual([
      'c1',
      'c2',
      'c3',
    ]);
    const first = BigInt(QUEUE_FILE_NAME.exec(waiting[0]?.name ?? '')?.groups?.['unixNanoseconds'] ?? 0);
    expect(first).toBeGreaterThanOrEqual(before);
    expect(first).toBeLessThanOrEqual(BigInt(Date.now() + 1) * 1_000_000n);
  });

  it('that was taken but not answered waits on disk under the nonce that the worker knows', async () => {
    const cni = installed(hasty);
    const worker = await serving(cni.runDirectory, () => {});
    expect(await run(cni.executable, del)).toEqual(done);
    expect(queued(cni.queueDirectory).map(({ frame }) => frame)).toEqual(worker.requests);
  });

  it('reaches a worker that appears in time, and is not queued', async () => {
    const cni = installed(patient);
    const call = start(cni.executable, del);
    await until(() => isBetweenAttempts(call.pid), 'the first attempt failed');
    const worker = await serving(cni.runDirectory, reply(0, ''));
    expect(await call.exit).toEqual(done);
    expect(worker.requests).toHaveLength(1);
    expect(readdirSync(cni.queueDirectory)).toEqual([]);
  });

  it.each([
    ['is absent', (queue: string) => rmSync(queue, { recursive: true }), 'No such file or directory'],
    ['is a file', (queue: string) => (rmSync(queue, { recursive: true }), writeFileSync(queue, '')), 'Not a directory'],
  ])('fails with error 11 when the queue directory %s', async (_, breakQueue, why) => {
    const cni = installed(hasty);
    breakQueue(cni.queueDirectory);
    const { code, msg } = await errorOf(cni.executable, del);
    expect({ code, msg }).toEqual({
      code: 11,
      msg:
        `No answer from the node worker at ${cni.runDirectory}/socket (No such file or directory), ` +
        `and DEL cannot be queued in ${cni.queueDirectory}: ${why}`,
    });
  });

  it('fails with error 11 when the disk is full, and leaves no half frame behind', () => {
    const cni = installed(hasty);
    const script = `mount -t tmpfs -o size=64k none "$2" && head -c 200000 /dev/zero | "$1"; ls -A "$2"`;
    const stdout = execFileSync('unshare', ['-m', 'sh', '-c', script, 'sh', cni.executable, cni.queueDirectory], {
      env: { ...del, PATH: process.env['PATH'] },
      encoding: 'utf8',
    });
    expect(JSON.parse(stdout)).toMatchObject({ code: 11, msg: expect.stringContaining('No space left on device') });
  });
});

describe('orbweaver.conf', () => {
  /** Where an ADD looks for the worker, or the error that keeps it from looking. */
  const messageWith = async (conf: string | undefined, environment: Record<string, string> = {}) => {
    const cni = installed(hasty);
    const path = join(cni.directory, 'orbweaver.conf');
    if (conf === undefined) rmSync(path);
    else writeFileSync(path, conf);
    const { code, msg } = await errorOf(cni.executable, { ...add, ...environment });
    return `${code}: ${msg.replace(cni.directory, 'DIR')}`;
  };
  const looksIn = (runDirectory: string) =>
    `11: No answer from the node worker at ${runDirectory}/socket: No such file or directory`;

  it.each([
    ['plain', 'run = /a', '/a'],
    ['without spaces, with line ends of another system', 'run=/a\r\nqueue=/b\r\n', '/a'],
    ['with spaces around and inside', '  run \t=  /a b  \n', '/a b'],
    [
      'with unknown keys, comments and empty lines',
      '# run = /x\n\nrunner = /y\nrun x = /z\nrun = /a\n= /v\nrun\n',
      '/a',
    ],
    ['with a key twice: the last counts', 'run = /x\nrun = /a', '/a'],
    ['with an equals sign in the path', 'run = /a=b', '/a=b'],
  ])('is read: %s', async (_, conf, runDirectory) => {
    expect(await messageWith(conf)).toBe(looksIn(runDirectory));
  });

  it.each([
    ['the file is absent', undefined],
    ['the file is empty', ''],
    ['its key is absent', 'queue = /q\n'],
  ])('leaves the default when %s', async (_, conf) => {
    expect(await messageWith(conf)).toBe(looksIn(hastyRun));
  });

  it('is not replaced by the environment, which is not trusted', async () => {
    const path = join(directory, 'forged.conf');
    writeFileSync(path, 'run = /forged');
    expect(await messageWith('run = /a', { ORBWEAVER_CONF: path, run: '/forged' })).toBe(looksIn('/a'));
  });

  it('takes the longest run directory that leaves room for a socket path', async () => {
    const longest = `/${'r'.repeat(99)}`;
    expect(await messageWith(`run = ${longest}`)).toBe(looksIn(longest));
  });

  it.each([
    [
      'a run directory too long for a socket path',
      `run = /${'r'.repeat(100)}`,
      '`run` has 101 bytes, a socket path takes 100',
    ],
    ['a relative run directory', 'run = a', 'a path is not absolute'],
    ['an empty run directory', 'run =', 'a path is not absolute'],
    ['a relative queue', 'queue = q', 'a path is not absolute'],
    ['more than 4 KiB', '\n'.repeat(5000), 'it is too large'],
  ])('with %s is error 7', async (_, conf, why) => {
    expect(await messageWith(conf)).toBe(`7: Cannot use DIR/orbweaver.conf: ${why}`);
  });

  it('that cannot be read is error 7 for a DEL too, and no success', async () => {
    const cni = installed(hasty);
    const path = join(cni.directory, 'orbweaver.conf');
    rmSync(path);
    mkdirSync(path);
    expect(await errorOf(cni.executable, del)).toMatchObject({
      code: 7,
      msg: `Cannot read ${path}`,
      details: 'Is a directory',
    });
  });

  it('is not needed for VERSION', async () => {
    const cni = installed(patient);
    writeFileSync(join(cni.directory, 'orbweaver.conf'), 'run = nonsense');
    expect(await run(cni.executable, { CNI_COMMAND: 'VERSION' }, '')).toMatchObject({ code: 0 });
  });
});

it('whatever the runtime sends arrives as it was sent', async () => {
  const cni = installed(patient);
  const worker = await serving(cni.runDirectory, (request, connection) =>
    connection.end(encodeReply({ exitCode: request.stdin.length % 256, stdout: request.stdin })),
  );
  const value = fc.string({ unit: 'binary', maxLength: 2000 }).filter((text) => !text.includes('\0'));
  const variables = fc.record(
    {
      CNI_CONTAINERID: value,
      CNI_NETNS: value,
      CNI_IFNAME: value,
      CNI_ARGS: value,
      CNI_PATH: value,
      TRACEPARENT: value,
    },
    { requiredKeys: [], noNullPrototype: true },
  );
  const command = fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC');
  const stdin = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.json().map((text) => new Uint8Array(Buffer.from(text))),
  );
  await fc.assert(
    fc.asyncProperty(command, variables, stdin, async (CNI_COMMAND, sent, bytes) => {
      const exit = await run(cni.executable, { ...sent, CNI_COMMAND }, bytes);
      const arrived = worker.requests.at(-1);
      expect(Object.fromEntries(arrived?.environment ?? [])).toEqual({
        ...sent,
        CNI_COMMAND,
        ORBWEAVER_PLUGIN: 'orbweaver',
      });
      expect(arrived?.stdin).toEqual(bytes);
      expect(exit).toEqual({ code: bytes.length % 256, signal: null, stdout: Buffer.from(bytes).toString() });
    }),
    { numRuns: 300, seed: 1 },
  );
}, 60_000);
