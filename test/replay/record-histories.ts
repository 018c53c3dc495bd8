import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProvisionError } from '../../contracts/failures.ts';
import {
  type NodeCheckRequest,
  type NodeCheckVerdict,
  nodeCheckId,
  nodeCheckWorkflow,
} from '../../contracts/node-check.ts';
import type { AddRequest } from '../../contracts/pod-network.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { nodeQueue } from '../../temporal-config/queues.ts';
import { toHistoryJson } from '../testing/history-json.ts';
import { type Sandbox, SandboxStage } from '../testing/sandbox-stage.ts';
import { beginRecording } from './recording.ts';

/**
 * Records what runs of this version write, on a real server:
 *
 *     node test/replay/record-histories.ts v0.1 [SCENARIO…] && make fix
 *
 * A recorded version is kept as it is: its runs are still open on somebody's nodes. A release gets a folder of its own; until
 * then, a new scenario is recorded alone, by its name.
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

/** A whole interface that is tied to its node. */
function tied(sandbox: Sandbox): AddRequest {
  const request = sandbox.addRequest();
  return { ...request, network: { ...request.network, coordination: { conf: {}, coordinator: 'default' } } };
}

/** What ties the interface of another plugin to the node. */
function onlyTied(sandbox: Sandbox, ifName: string): AddRequest {
  const request = sandbox.addRequest(ifName);
  const { link: _, ...network } = request.network;
  return {
    ...request,
    attachment: { ...request.attachment, kind: 'coordinate' },
    network: { ...network, provides: 'coordination', coordination: { conf: {}, coordinator: 'default' } },
  };
}

const failingAt = (
  call: string,
  at: 'before' | 'after',
  ask = (sandbox: Sandbox): AddRequest => sandbox.addRequest(),
): Scenario => ({
  name: `add-failed-${at}-${call.replace('.', '-')}`,
  until: 'FAILED',
  play: async (stage, sandbox) => {
    stage.world.onMoment = (moment) => {
      if (moment.call !== call || moment.at !== at) return;
      stage.world.onMoment = undefined;
      fail('InterfaceExists', `${call} refused`);
    };
    await sandbox.add(ask(sandbox)).catch(() => undefined);
  },
});

/** The scenario that is a run of its own, and no sandbox's. */
const nodeCheckScenario = 'node-check';
const suspects: NodeCheckRequest = {
  reason: 'zombieSweep: the pod is gone',
  claims: [{ name: '10.70.8.20', uid: '9c1f0000-0000-4000-8000-000000000001' }],
  runs: [
    {
      workflowId: 'pod/pay/api-0/5bc0ffee',
      pod: { namespace: 'pay', name: 'api-0', uid: '9c1f0000-0000-4000-8000-000000000002' },
      containerID: '5bc0ffee',
    },
  ],
};
const verdicts: readonly NodeCheckVerdict[] = [
  { subject: '10.70.8.20', outcome: 'released', reason: 'its network namespace is gone' },
  { subject: 'pod/pay/api-0/5bc0ffee', outcome: 'absent', reason: 'it has ended' },
];

const scenarios: readonly Scenario[] = [
  { name: 'add', until: 'RUNNING', play: (_, sandbox) => sandbox.add() },
  failingAt('claims.take', 'before'),
  failingAt('claims.take', 'after'),
  failingAt('kernel.plumb', 'before'),
  failingAt('kernel.plumb', 'after'),
  failingAt('kernel.applyCoordination', 'before', tied),
  failingAt('kernel.applyCoordination', 'after', tied),
  {
    name: 'coordinated-and-its-dels',
    until: 'COMPLETED',
    play: async (stage, sandbox) => {
      const { attachment } = onlyTied(sandbox, 'net1');
      stage.world.namespaces
        .get(sandbox.netns)
        ?.links.set('net1', { owner: '', addresses: new Set(['10.70.12.1/24']) });
      await sandbox.add(tied(sandbox));
      await sandbox.add(onlyTied(sandbox, 'net1'));
      await sandbox.detach({ ...sandbox.detachRequest('net1'), attachment });
      await sandbox.detach();
    },
  },
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

const [version, ...only] = process.argv.slice(2);
const isWanted = (name: string): boolean => only.length === 0 || only.includes(name);
const { directory, bundle, stack } = await beginRecording(
  version,
  'Usage: node test/replay/record-histories.ts VERSION [SCENARIO…], for example v0.1',
);
try {
  const nodeName = 'r7-n1';
  const checkSuspects = async (): Promise<readonly NodeCheckVerdict[]> => verdicts;
  const options = { temporalAddress: stack.temporalAddress, codePath: bundle.codePath, nodeName, checkSuspects };
  const stage = await SandboxStage.open(options);
  for (const { name, play, until } of scenarios.filter((scenario) => isWanted(scenario.name))) {
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
  if (isWanted(nodeCheckScenario)) {
    const run = await stage.client.workflow.start(nodeCheckWorkflow, {
      taskQueue: nodeQueue(nodeName),
      workflowId: nodeCheckId(nodeName),
      args: [suspects],
    });
    await run.result();
    await writeFile(join(directory, `${nodeCheckScenario}.json`), toHistoryJson(await run.fetchHistory()));
    console.log(`recorded ${nodeCheckScenario}`);
  }
  await stage.close();
} finally {
  await bundle.remove();
  await stack.stop();
}
