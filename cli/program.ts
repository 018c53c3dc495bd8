import { Command, CommanderError, Option } from 'commander';
import { controlNamespace, nodeNamespace } from '../temporal-config/queues.ts';
import { CliError, exitCodes } from './cli-error.ts';
import type { Terminal } from './commands/terminal.ts';

/** Runs one command line (without interpreter and script) and gives the exit code; prints everything itself. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await createProgram(terminal).parseAsync([...args], { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    // Commander has printed its own: help and version with 0, everything else is wrong usage.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const { message, remedy, exitCode } = error instanceof CliError ? error : unexpected(error);
    terminal.printError(`${terminal.paintError('bad', 'Error:')} ${message}`);
    if (remedy !== undefined) terminal.printError(`${terminal.paintError('bold', 'Remedy:')} ${remedy}`);
    return exitCode;
  }
}

/** A command's code is loaded when it is asked for: `orb node` needs neither Temporal's client nor Kubernetes'. */
function createProgram(terminal: Terminal): Command {
  const program = new Command('orb')
    .description('See and explain the networks of pods on Orbweaver nodes')
    .configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      writeErr: (text) => terminal.printError(text.trimEnd()),
    })
    .addHelpText('after', '\nExit codes: 0 done, 1 could not be done, 2 wrong usage, 3 not found')
    .showHelpAfterError('(orb --help shows what there is)')
    .enablePositionalOptions() // `orb node` and `orb node clean` each have a --run-dir
    .exitOverride();

  program
    .command('pods')
    .description('list pods with their addresses')
    .option('-n, --namespace <name>', "namespace; the kubeconfig's when absent")
    .option('-A, --all-namespaces', 'pods of all namespaces')
    .option('--node <name>', 'only pods of this node')
    .addOption(kubeconfig())
    .addOption(output())
    .action(async (options) => await (await import('./commands/pods.ts')).pods(options, terminal));

  program
    .command('pools')
    .description('list address pools; with a name, who has which address')
    .argument('[name]', 'name of a pool')
    .addOption(kubeconfig())
    .addOption(output())
    .action(async (name, options) => await (await import('./commands/pools.ts')).pools(name, options, terminal));

  program
    .command('free')
    .description('list the addresses of a pool that nobody has, as ranges')
    .argument('<pool>', 'name of a pool')
    .addOption(kubeconfig())
    .addOption(output())
    .action(async (name, options) => await (await import('./commands/free.ts')).free(name, options, terminal));

  program
    .command('why')
    .description('tell which pools a pod would get an address from now, and why; allocates nothing')
    .argument('<namespace/name>', 'the pod')
    .option('--nic <name>', 'its interface', 'eth0')
    .option('--node <name>', "as if it were on this node; the pod's own when absent")
    .option('--network <namespace/name>', "definition of the cluster's default network (MULTUS_CLUSTER_NETWORK)")
    .addOption(kubeconfig())
    .addOption(output())
    .action(async (name, options) => await (await import('./commands/why.ts')).why(name, options, terminal));

  program
    .command('plan')
    .description('tell what an ADD would do on this node, as ip(8) commands; changes nothing')
    .argument('<namespace/name | file>', 'the pod; or a CNI configuration: .json, .conf, .conflist')
    .option('--nic <name>', 'the interface that a file is planned for', 'eth0')
    .option('--node <name>', "as if it were on this node; the pod's own when absent")
    .option('--network <namespace/name>', "definition of the cluster's default network (MULTUS_CLUSTER_NETWORK)")
    .addOption(runDirectory())
    .addOption(kubeconfig())
    .addOption(output())
    .action(async (subject, options) => await (await import('./commands/plan.ts')).plan(subject, options, terminal));

  program
    .command('ip')
    .description('tell who has an address, and who had it')
    .argument('<address>', 'IPv4 or IPv6, in any spelling')
    .addOption(temporalAddress())
    .addOption(temporalNamespace())
    .addOption(kubeconfig())
    .addOption(output())
    .action(async (address, options) => await (await import('./commands/ip.ts')).ip(address, options, terminal));

  program
    .command('reclaim')
    .description('let the control worker look for abandoned addresses and runs now')
    .option('--dry-run', 'only list what it would ask the nodes about')
    .addOption(temporalAddress())
    .addOption(temporalNamespace())
    .addOption(
      new Option('--control-namespace <name>', 'Temporal namespace of the control workers')
        .env('ORBWEAVER_TEMPORAL_CONTROL_NAMESPACE')
        .default(controlNamespace),
    )
    .addOption(kubeconfig())
    .addOption(output())
    .action(async (options) => await (await import('./commands/reclaim.ts')).reclaim(options, terminal));

  program
    .command('import')
    .description('claim the addresses that a live Spiderpool has given; may be repeated')
    .option('--dry-run', 'only tell what it would do')
    .addOption(kubeconfig())
    .addOption(output())
    .action(async (options) => await (await import('./commands/import.ts')).importSpiderpool(options, terminal));

  const node = program
    .command('node')
    .enablePositionalOptions()
    .description('show NICs, health and attachments of the node that this runs on')
    .addOption(runDirectory())
    .addOption(output())
    .action(async (options) => await (await import('./commands/node.ts')).node(options, terminal));

  node
    .command('clean')
    .description('take away what is ours on the node that this runs on and that no living pod uses, found by its marks')
    .option('--dry-run', 'only tell what it would do')
    .option('--force', 'also what living pods use, and although a node worker runs')
    .addOption(runDirectory())
    .addOption(output())
    .action(async (options) => await (await import('./commands/node-clean.ts')).nodeClean(options, terminal));

  program
    .command('explain')
    .description('tell what happened, why, and what to do')
    .command('pod')
    .description("tell the story of a pod's network")
    .argument('<namespace/name>', 'the pod; it need not exist any more')
    .option('--sandbox <id>', 'container ID of the sandbox, or its beginning; the newest when absent')
    .addOption(runDirectory())
    .addOption(temporalAddress())
    .addOption(temporalNamespace())
    .addOption(kubeconfig())
    .addOption(output())
    .action(async (name, options) => await (await import('./commands/explain.ts')).explainPod(name, options, terminal));

  return program;
}

const runDirectory = (): Option =>
  new Option('--run-dir <path>', "the node worker's directory").env('ORBWEAVER_RUN_DIR').default('/run/orbweaver');

const kubeconfig = (): Option =>
  new Option('--kubeconfig <file>', 'as for kubectl; KUBECONFIG or ~/.kube/config when absent');

const temporalAddress = (): Option =>
  new Option('--temporal-address <host:port>', 'Temporal').env('ORBWEAVER_TEMPORAL_ADDRESS').default('127.0.0.1:7233');

const temporalNamespace = (): Option =>
  new Option('--temporal-namespace <name>', 'its namespace').env('ORBWEAVER_TEMPORAL_NAMESPACE').default(nodeNamespace);

const output = (): Option =>
  new Option('-o, --output <format>', 'for people or for scripts').choices(['text', 'json']).default('text');

/** Ours to fix, and still no stack trace: the message and where to say it. */
const unexpected = (error: unknown): CliError =>
  new CliError(`Unexpected: ${error instanceof Error ? error.message : String(error)}`, {
    remedy: 'This is a defect of orb: report the command and this line',
    cause: error,
  });
