import type { StackLayout } from './layout.ts';
import { type CommandOptions, runCommand } from './run-command.ts';
import { environment, StackProcess, type StartOptions } from './stack-process.ts';

/** Somewhere in a stack where commands run: a network namespace and, for a node, its mounts as well. */
export class Place {
  readonly netns: string;
  readonly #layout: StackLayout;
  readonly #mounts: StackProcess | undefined;

  /** `mounts`: a process whose mount namespace is the place's. */
  constructor(layout: StackLayout, netns: string, mounts?: StackProcess) {
    this.#layout = layout;
    this.netns = netns;
    this.#mounts = mounts;
  }

  /** Runs a command to its end and gives its standard output; throws with what it said when it fails. */
  exec(command: readonly string[], options: CommandOptions = {}): Promise<string> {
    return runCommand([...this.#enter(), ...command], { ...options, env: environment(this.#layout, options.env) });
  }

  /** Starts a process that stays until it is stopped or the stack ends, whatever becomes of the caller. */
  spawn(name: string, command: readonly string[], options: StartOptions = {}): StackProcess {
    return new StackProcess(this.#layout, name, [...this.#enter(), ...command], options);
  }

  /** nsenter and not `ip netns exec`: that one mounts a /sys of its own and hides the cgroups. */
  #enter(): string[] {
    if (this.#mounts === undefined) return ['nsenter', `--net=/run/netns/${this.netns}`];
    // The node's own /run hides /run/netns, so both namespaces are named by the process that holds them.
    const { pid } = this.#mounts;
    return ['nsenter', `--net=/proc/${pid}/ns/net`, `--mount=/proc/${pid}/ns/mnt`];
  }
}
