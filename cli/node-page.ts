import type { HealthItem, NodeAttachment, NodeNic, NodeReport } from '../contracts/node-report.ts';
import type { Paint } from './paint.ts';
import { shortID } from './pod-table.ts';
import { table } from './table.ts';
import { duration, type WallClock } from './wall-clock.ts';

/** Prints what the node worker says of its node: health first, because that is why people ask. */
export function renderNode(
  report: NodeReport,
  nowMs: number,
  clock: WallClock,
  paint: Paint,
  columns?: number,
): string {
  const { node, version, startedAtMs, memory, health, nics, attachments, machineID, bootID } = report;
  const ill = health.filter(({ isHealthy }) => !isHealthy);
  const verdict =
    ill.length === 0
      ? paint('good', `${node} is healthy`)
      : paint('bad', `${node} is not healthy: ${ill.map(({ name }) => name).join(', ')}`);
  const used = `${bytes(memory.totalBytes)}, ${bytes(memory.availableBytes)} available; the worker uses ${bytes(memory.workerRssBytes)}`;
  return [
    [
      verdict,
      ...ill.map(({ name, detail }) => `${name}: ${detail}\n${paint('bold', 'Remedy:')} ${remedies[name]}`),
    ].join('\n'),
    [
      `Worker   ${version}, since ${clock.time(startedAtMs)} (${duration(nowMs - startedAtMs)})`,
      `Memory   ${used}`,
      `Machine  ${machineID}`,
      `Boot     ${bootID}`,
    ].join('\n'),
    section('Health', renderHealth(health, columns), paint),
    section('NICs', nics.length === 0 ? 'none' : renderNics(nics, columns), paint),
    section('Attachments', attachments.length === 0 ? 'none' : renderAttachments(attachments, clock, columns), paint),
  ].join('\n\n');
}

/** What an operator does about each; the detail beside it says what was found. */
const remedies = {
  Temporal:
    'Running pods are unaffected. See that it runs (temporal operator cluster health) and that this node reaches its address',
  'API server': 'See that this node reaches it: kubectl get --raw /readyz, with the kubeconfig of the worker',
  kernel: "See the worker's log, and that its pod has hostPID, hostNetwork and CAP_NET_ADMIN, CAP_SYS_ADMIN",
  queue:
    'See that the queue directory is writable and its disk not full; what waits there is done at the next start at the latest',
  'pod watch':
    'Addresses of deleted pods return late until it is back. See that the worker may watch pods: kubectl auth can-i watch pods',
} as const satisfies Record<HealthItem['name'], string>;

const renderHealth = (health: readonly HealthItem[], columns?: number): string =>
  table(
    ['WHAT', 'STATE', 'DETAIL'],
    health.map(({ name, isHealthy, detail }) => [name, isHealthy ? 'ok' : 'FAILED', detail]),
    columns,
  );

const renderNics = (nics: readonly NodeNic[], columns?: number): string =>
  table(
    ['NIC', 'DRIVER', 'SPEED', 'MTU', 'STATE', 'MAC'],
    nics.map((nic) => [
      nic.name,
      nic.driver === '' ? '–' : nic.driver,
      speed(nic.speedBitsPerSecond),
      String(nic.mtuBytes),
      `${nic.isUp ? 'up' : 'down'}${nic.isVirtual ? ', virtual' : ''}`,
      nic.mac,
    ]),
    columns,
  );

const renderAttachments = (attachments: readonly NodeAttachment[], clock: WallClock, columns?: number): string =>
  table(
    ['POD', 'NIC', 'NETWORK', 'KIND', 'ADDRESSES', 'STATE', 'SINCE', 'SANDBOX'],
    [...attachments]
      .sort((a, b) => keyOf(a).localeCompare(keyOf(b), 'en', { numeric: true }))
      .map(({ attachment, pod, addresses, isDone, addedAtMs }) => [
        `${pod.namespace}/${pod.name}`,
        attachment.ifName,
        attachment.network,
        attachment.kind,
        addresses.join(', ') || '–',
        isDone ? 'attached' : 'under way',
        clock.time(addedAtMs),
        shortID(attachment.containerID),
      ]),
    columns,
  );

const keyOf = ({ pod, attachment }: NodeAttachment): string =>
  [pod.namespace, pod.name, attachment.ifName, attachment.network, attachment.kind, attachment.containerID].join('\0');

function speed(bitsPerSecond: number | undefined): string {
  if (bitsPerSecond === undefined) return '–';
  return bitsPerSecond >= 1e9 ? `${bitsPerSecond / 1e9} Gbit/s` : `${bitsPerSecond / 1e6} Mbit/s`;
}

const bytes = (count: number): string =>
  count >= 1 << 30 ? `${(count / 2 ** 30).toFixed(1)} GiB` : `${Math.round(count / 2 ** 20)} MiB`;

const section = (title: string, body: string, paint: Paint): string => `${paint('bold', title)}\n${body}`;
