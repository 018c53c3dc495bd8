import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProvisionError } from '../../contracts/failures.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { startStack } from '../../deploy/dev/stack.ts';
import { toHistoryJson } from '../testing/history-json.ts';
import { bundleToday, installQuietRuntime, type Sandbox, SandboxStage } from '../testing/sandbox-stage.ts';

/**
 * Records what runs of this version write, on a real server:
 *
 *     node test/replay/record-histories.ts v0.1 && make fix
 *
 * A recorded version is kept as it is: its runs are still open on somebody's nodes. A release gets a folder of its own.
 */
interface Scenario {
  readonly name: string;
  readonly play: (stage: SandboxStage, sandbox: Sandbox) => Promise<unknown>;
  /** The status in which the run is recorded. */
  readonly until: 'RUNNING' | 'COMPLETED' | 'FAILED';
}

const fail = (type: 'KernelRefused' | 'InterfaceExists' | 'ApiServerUnavailable', message: string): never => {
  throw new ProvisionError({ type, message, remedy: 'See what the node says: orb node' });
};

const failingAt = (call: string, at: 'before' | 'after'): Scenario => ({
  name: `add-failed-${at}-${call.replace('.', '-')}`,
  until: 'FAILED',
  play: async (stage, sandbox) => {
    stage.world.onMoment = (moment) => {
      if (moment.call !== call || moment.at !== at) return;
      stage.world.onMoment = undefined;
      fail('InterfaceExists', `${call} refused`);
    };
    await sandbox.add().catch(() => undefined);
  },
});

const scenarios: readonly Scenario[] = [
  { name: 'add', until: 'RUNNING', play: (_, sandbox) => sandbox.add() },
  failingAt('claims.take', 'before'),
  failingAt('claims.take', 'after'),
  failingAt('kernel.plumb', 'before'),
  failingAt('kernel.plumb', 'after'),
  {
    name: 'two-nics-and-their-dels',
    until: 'COMPLETED',
    play: async (_, sandbox) => {
      await sandbox.add();
      await sandbox.add(sandbox.addRequest('net1'));
      await sandbox.add(sandbox.addRequest('net1'));
      await sandbox.detach(sandbox.detachRequest('net1'));
      await sandbox.detach();
    },
  },
  {
    name: 'second-nic-failed',
    until: 'COMPLETED',
    play: async (stage, sandbox) => {
      await sandbox.add();
      stage.world.onMoment = ({ call }) => {
        if (call === 'kernel.plumb') fail('InterfaceExists', 'net1 exists');
      };
      await sandbox.add(sandbox.addRequest('net1')).catch(() => undefined);
      stage.world.onMoment = undefined;
      await sandbox.detach();
    },
  },
  {
    name: 'detach-while-adding',
    until: 'FAILED',
    play: async (stage, sandbox) => {
      const { reached, release } = stage.holdUp('claims.take');
      const added = sandbox.add();
      added.catch(() => undefined);
      await reached;
      const detached = stage.runs.detach(sandbox.detachRequest());
      await eventually('the run to see the DEL', 20, async () => {
        const { events } = await sandbox.run.fetchHistory();
        const isSeen = events?.some((event) => event.workflowExecutionUpdateAcceptedEventAttributes != null);
        return isSeen === true ? { value: true } : { state: `${events?.length} events` };
      });
      release();
      await detached;
      await added.catch(() => undefined);
    },
  },
  {
    name: 'cancelled-while-attached',
    until: 'COMPLETED',
    play: async (_, sandbox) => {
      await sandbox.add();
      await sandbox.run.cancel();
      await sandbox.detach();
    },
  },
  {
    name: 'unwind-stuck',
    until: 'FAILED',
    play: async (stage, sandbox) => {
      stage.world.onMoment = ({ call, at }) => {
        if (call === 'kernel.plumb' && at === 'after') fail('KernelRefused', 'no room');
        if (call === 'kernel.unplumb' && at === 'before') fail('InterfaceExists', 'it is not ours any more');
      };
      await sandbox.add().catch(() => undefined);
    },
  },
  {
    name: 'undo-retried',
    until: 'FAILED',
    play: async (stage, sandbox) => {
      let undos = 0;
      stage.world.onMoment = ({ call, at }) => {
        if (call === 'kernel.plumb' && at === 'after') fail('KernelRefused', 'no room');
        // The fourth pause is longer than the local retry threshold, so a timer of the server is in the history.
        if (call === 'kernel.unplumb' && at === 'before' && (undos += 1) <= 4) fail('KernelRefused', 'busy');
      };
      await sandbox.add().catch(() => undefined);
    },
  },
  {
    name: 'taken-over',
    until: 'COMPLETED',
    play: async (stage, sandbox) => {
      await sandbox.add();
      const request = sandbox.detachRequest();
      stage.node.calls.open(request.nonce, 'DEL', request.attachment).takeOver();
      await stage.runs.detach(request).catch(() => undefined);
    },
  },
];

const [version] = process.argv.slice(2);
if (version === undefined) {
  console.error('Usage: node test/replay/record-histories.ts VERSION, for example v0.1');
  process.exit(2);
}
installQuietRuntime();
const directory = join(import.meta.dirname, 'histories', version);
await mkdir(directory, { recursive: true });
const bundle = await bundleToday();
const stack = await startStack({ id: randomBytes(3).toString('hex'), nodes: [], kubernetes: false });
try {
  const options = { temporalAddress: stack.temporalAddress, codePath: bundle.codePath, nodeName: 'r7-n1' };
  const stage = await SandboxStage.open(options);
  for (const { name, play, until } of scenarios) {
    const sandbox = stage.sandbox(name);
    await play(stage, sandbox);
    await sandbox.describe(); // answered after everything before it is recorded
    await eventually(`${name} ${until}`, 20, async () => {
      const { status } = await sandbox.run.describe();
      return status.name === until ? { value: true } : { state: status.name };
    });
    stage.world.onMoment = undefined;
    await writeFile(join(directory, `${name}.json`), toHistoryJson(await sandbox.run.fetchHistory()));
    console.log(`recorded ${name}`);
  }
  await stage.close();
} finally {
  await bundle.remove();
  await stack.stop();
}
