import type { Client } from '@temporalio/client';
import type { Cluster } from './cluster.ts';
import { eventually } from './eventually.ts';
import type { HandMadeSandbox } from './hand-made-sandbox.ts';

/** A pod as the story tells of it. */
export interface Podlike {
  readonly name: string;
  readonly app: string;
  readonly node: string;
  readonly isRunning: boolean;
  readonly addresses: readonly string[];
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
    readonly spec: { readonly nodeName?: string };
    readonly status: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] };
  }[];
}

/** The pods of applications, as the API server shows them. */
export async function readPods({ stack }: Cluster): Promise<readonly Podlike[]> {
  const { items } = JSON.parse(await stack.kubectl('get', 'pods', '-l', 'app', '-o', 'json')) as PodList;
  return items.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    app: metadata.labels?.['app'] ?? '',
    node: spec.nodeName ?? '',
    isRunning: status.phase === 'Running',
    addresses: (status.podIPs ?? []).map(({ ip }) => ip),
  }));
}

/** Everything that an ADD of this sandbox can leave behind: links, addresses, routes, claims, record, queue, open run. */
export async function leftOf({ stack }: Cluster, client: Client, sandbox: HandMadeSandbox): Promise<string> {
  const { paths } = sandbox.node;
  const [look, claims, files, { count }] = await Promise.all([
    sandbox.look(),
    stack.kubectl(
      'get',
      'ipclaims',
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.spec.phase} {.spec.holders[0].pod}{"\\n"}{end}',
    ),
    sandbox.node.exec(['sh', '-c', 'find "$0/attachments" "$1" -type f 2>/dev/null || true', paths.run, paths.queue]),
    client.workflow.count(`PodName="${sandbox.podName}" AND ExecutionStatus="Running"`),
  ]);
  const own = claims.split('\n').filter((line) => line.endsWith(` ${sandbox.podName}`));
  const records = files.split('\n').filter((line) => line.includes(sandbox.containerID));
  return [
    look.trim().replaceAll(/\s*\\\s*/g, ' '),
    `claims: ${own.join(', ') || 'none'}`,
    `records and queued DELs: ${records.join(', ') || 'none'}`,
    `open runs: ${count}`,
  ].join('\n');
}

/** Waits until the sandbox has no open run: its answer may come a moment before its record. */
export async function idle(_: Cluster, client: Client, sandbox: HandMadeSandbox): Promise<void> {
  await eventually(`No run of ${sandbox.podName} is open`, 20, async () => {
    const { count } = await client.workflow.count(`PodName="${sandbox.podName}" AND ExecutionStatus="Running"`);
    return count === 0 ? { value: true } : { state: `${count} open` };
  });
}
