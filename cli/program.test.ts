import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { plain } from './paint.ts';
import { run } from './program.ts';

interface Printed {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Runs a command line and keeps what it printed. */
async function orb(...args: readonly string[]): Promise<Printed> {
  const [out, error]: [string[], string[]] = [[], []];
  const code = await run(args, {
    print: (text) => out.push(text),
    printError: (text) => error.push(text),
    paint: plain,
    paintError: plain,
    columns: 120,
  });
  return { code, out: out.join('\n'), error: error.join('\n') };
}

let directory: string;
/** Accepts every connection and never says a word. */
let mute: Server;
const sockets = new Set<Socket>();
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

const kubeconfigFor = async (port: number): Promise<string> => {
  const path = join(directory, `kubeconfig-${port}`);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'x',
    clusters: [{ name: 'x', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'x', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'x', user: 'x', namespace: 'pay' } }],
  };
  await writeFile(path, JSON.stringify(config));
  return path;
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'orb-'));
  mute = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  mute.close();
  await rm(directory, { recursive: true });
});

describe('wrong usage', () => {
  it.each([
    [['frobnicate'], 'unknown command'],
    [['pods', '--nope'], 'unknown option'],
    [['pods', '-o', 'yaml'], 'Allowed choices are text, json'],
    [['pods', '-n', 'Not_A_Namespace'], '"Not_A_Namespace" is not a namespace'],
    [['pods', '--node', 'a/b'], '"a/b" is not the name of a node'],
    [['pools', 'a', 'b'], 'too many arguments'],
    [['pools', '../secret'], '"../secret" is not the name of a pool'],
    [['free'], 'missing required argument'],
    [['free', 'a/b'], '"a/b" is not the name of a pool'],
    [['why', 'api-0'], '"api-0" does not name a pod'],
    [['why', 'pay/api-0', '--nic', 'a/b'], '"a/b" is not the name of an interface'],
    [['why', 'pay/api-0', '--network', 'vlan70'], 'MULTUS_CLUSTER_NETWORK is "vlan70"'],
    [['ip'], 'missing required argument'],
    [['ip', '10.70.8.0/22'], '"10.70.8.0/22" is not an address'],
    [['ip', "10.70.8.20' OR PodName != '"], 'is not an address'],
    [['reclaim', '10.70.8.20'], 'too many arguments'],
    [['plan'], 'missing required argument'],
    [['plan', 'api-0'], '"api-0" does not name a pod'],
    [['plan', '/none/such.conflist'], 'Cannot read /none/such.conflist'],
    [['plan', 'pay/api-0', '--nic', 'a/b'], '"a/b" is not the name of an interface'],
    [['node', 'clean', 'all'], 'too many arguments'],
    [['explain', 'pod'], 'missing required argument'],
    [['explain', 'pod', 'api-0'], '"api-0" does not name a pod'],
    [['explain', 'pod', "pay/a' OR PodName != '"], 'does not name a pod'],
    [['explain', 'pod', 'pay/api-0', '--sandbox', "'"], '"\'" is not a container ID'],
  ])('orb %j exits with 2 and says what is wrong', async (args, message) => {
    const { code, out, error } = await orb(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(error).toContain(message);
  });

  it('of no command at all shows what there is', async () => {
    const { code, error } = await orb();
    expect(code).toBe(2);
    expect(error).toMatch(/Usage: orb .*\bpods\b.*\bpools\b.*\bnode\b.*\bexplain\b/s);
  });
});

it('exits with 0 after showing its help', async () => {
  expect(await orb('--help')).toMatchObject({ code: 0, out: expect.stringContaining('Exit codes: 0 done') });
});

describe('a server that is away', () => {
  /** All at once, because each takes the 3 s that a command waits. */
  let silent: Promise<Printed>;
  let refused: Promise<Printed>;
  let temporal: Readonly<Record<'refuses' | 'is silent', Promise<Printed>>>;
  let closedPort: number;

  beforeAll(async () => {
    const closing = createServer();
    await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', resolve));
    closedPort = portOf(closing);
    await new Promise((resolve) => closing.close(resolve));
    const [toSilence, toRefusal] = [await kubeconfigFor(portOf(mute)), await kubeconfigFor(closedPort)];
    const explain = (port: number): Promise<Printed> =>
      orb('explain', 'pod', 'pay/api-0', '--temporal-address', `127.0.0.1:${port}`, '--kubeconfig', toRefusal);
    silent = orb('pods', '-A', '--kubeconfig', toSilence);
    refused = orb('pods', '-A', '--kubeconfig', toRefusal);
    temporal = { refuses: explain(closedPort), 'is silent': explain(portOf(mute)) };
  });

  it('is named with what to do, when the API server refuses', async () => {
    const { code, error } = await refused;
    expect(code).toBe(1);
    expect(error).toMatch(
      /^Error: Cannot list ipclaims at http:\/\/127.0.0.1:\d+: .*ECONNREFUSED.*\nRemedy: .*--kubeconfig/,
    );
  });

  it('is given up after 3 s, when the API server is silent', async () => {
    const { code, error } = await silent;
    expect(code).toBe(1);
    expect(error).toMatch(/^Error: Cannot list ipclaims .* none within 3000 ms\nRemedy: /);
  });

  it.each(['refuses', 'is silent'] as const)(
    'is named with what to do, when Temporal %s',
    async (how) => {
      const { code, error } = await temporal[how];
      expect(code).toBe(1);
      expect(error).toMatch(/^Error: Cannot ask Temporal at 127.0.0.1:\d+: .*\nRemedy: .*--temporal-address/);
      expect(error).not.toMatch(/^ +at /m);
    },
    10_000,
  );

  it('is not asked when the kubeconfig is missing', async () => {
    const { code, error } = await orb('pools', '--kubeconfig', join(directory, 'none'));
    expect(code).toBe(1);
    expect(error).toMatch(/^Error: Cannot read the kubeconfig: ENOENT.*\nRemedy: Give one with --kubeconfig/);
  });

  it('is the node worker, when there is no socket', async () => {
    const { code, error } = await orb('node', '--run-dir', directory);
    expect({ code, error }).toEqual({
      code: 1,
      error: expect.stringMatching(/^Error: No node worker runs here.*\nRemedy: Run orb node on a node/),
    });
  });
});
