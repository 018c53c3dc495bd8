import type { ClusterNode } from '../../deploy/dev/cluster.ts';
import type { StackNode } from '../../deploy/dev/node.ts';
import type { StackProcess } from '../../deploy/dev/stack-process.ts';
import { netnsDirectoryOf, Runner } from './runner.ts';
import type { CniCall, CniOutcome, SandboxAddresses } from './runner-messages.ts';

interface Sandbox {
  readonly containerID: string;
}

/** One node of the fleet: its worker is real, its runtime is the runner. */
export class FleetNode {
  readonly name: string;
  readonly node: StackNode;
  readonly worker: StackProcess;
  readonly runner: Runner;
  readonly netnsDirectory: string;

  constructor({ node, worker }: ClusterNode) {
    this.name = node.name;
    this.node = node;
    this.worker = worker;
    this.runner = new Runner(node);
    this.netnsDirectory = netnsDirectoryOf(node);
  }

  async makeNamespaces(sandboxes: readonly Sandbox[]): Promise<void> {
    await this.runner.ask('make', { containerIDs: sandboxes.map(({ containerID }) => containerID) });
  }

  /** Succeeds for those that are gone already. */
  async removeNamespaces(sandboxes: readonly Sandbox[]): Promise<void> {
    await this.runner.ask('remove', { containerIDs: sandboxes.map(({ containerID }) => containerID) });
  }

  /** Makes calls on this node, `atOnce` of them open at any time until the last ones. Outcomes are in the order of the calls. */
  calls(calls: readonly CniCall[], atOnce: number): Promise<readonly CniOutcome[]> {
    return this.runner.ask('calls', { calls, atOnce });
  }

  /** What is inside the live namespaces of this node, or of some of them, now. One that goes meanwhile is left out. */
  addresses(sandboxes?: readonly Sandbox[]): Promise<readonly SandboxAddresses[]> {
    return this.runner.ask(
      'addresses',
      sandboxes ? { containerIDs: sandboxes.map(({ containerID }) => containerID) } : {},
    );
  }

  async restartWorker(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.worker.stop(signal);
    this.worker.start();
  }
}
