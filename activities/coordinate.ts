import type { ClusterSettings } from '../contracts/cluster-settings.ts';
import type { CniInterface, CniResult } from '../contracts/cni.ts';
import { defaultCoordinator } from '../contracts/coordination.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { readPodNetworks } from '../ipam/pod-networks.ts';
import type { CoordinationOperation } from '../network/coordination/coordination-operation.ts';
import { settingsForPod } from '../network/coordination/settings-for-pod.ts';
import { recordOf } from './attachment-record.ts';
import { callerGone, detachWanted } from './interruptions.ts';
import type {
  AttachmentRecord,
  AttachmentRecords,
  CoordinationSpec,
  Coordinators,
  Kernel,
  Log,
  OpenCalls,
  PodReader,
  RecordedCoordination,
} from './node-ports.ts';
import { stepLog } from './step-log.ts';

export interface SettlePorts {
  readonly pods: PodReader;
  readonly coordinators: Coordinators;
  /** The same on every node. */
  readonly cluster: ClusterSettings;
}

export interface CoordinatePorts extends SettlePorts {
  readonly calls: OpenCalls;
  readonly records: AttachmentRecords;
  readonly kernel: Pick<Kernel, 'planCoordination' | 'applyCoordination' | 'announce'>;
  readonly log: Log;
}

/**
 * Ties an interface to its node and to the pod's other interfaces. What is going to be done is in the record before the first
 * change, after what an earlier attempt was going to do: so whatever of both took effect is taken back. The last step of an
 * attachment that asks for it, so it answers.
 */
export const createCoordinate =
  (ports: CoordinatePorts) =>
  async (request: AddRequest, made: CniResult): Promise<CniResult> => {
    const { calls, records, kernel } = ports;
    const { attachment, netns, netnsCookie, nonce, network } = request;
    const log = stepLog(ports.log, request);
    const known = await records.read(attachment);
    if (known?.doneResult !== undefined) {
      calls.succeed(nonce, known.doneResult);
      return known.doneResult;
    }
    if (!calls.isWaiting(nonce)) throw callerGone(attachment);
    // An interface of ours without its record was undone meanwhile.
    const isUndone = known === undefined && network.provides !== 'coordination';
    if (isUndone || calls.isDetachWanted(attachment)) throw detachWanted(attachment);
    calls.noteStep(nonce);

    const record = known ?? recordOf(request);
    const settled = record.coordination ?? (await settleCoordination(ports, request));
    const plan = await kernel.planCoordination(coordinationSpec(record, settled));
    const coordination = { ...settled, operations: [...settled.operations, ...plan.operations] };
    await records.write({ ...record, coordination });
    await kernel.applyCoordination({ netns, netnsCookie, operations: plan.operations });
    for (const note of plan.notes) log.warn({ note }, 'part of what is asked for has no effect');
    log.debug({ commands: plan.commands }, 'interface tied to its node');

    const mac = lastMac(coordination.operations);
    const result = mac === undefined ? made : withMac(made, { name: attachment.ifName, mac, sandbox: netns });
    await records.write({ ...record, coordination, doneResult: result });
    calls.succeed(nonce, result);
    log.info({ mode: plan.mode, table: plan.table, ...(mac === undefined ? {} : { mac }) }, 'interface coordinated');
    if (mac !== undefined) announce(mac);
    return result;

    // Neighbours know the addresses by the MAC that the interface had when they were given to it.
    function announce(mac: string): void {
      const { ifName } = attachment;
      kernel.announce({ netns, ifName, mac, addresses: plan.addresses }).catch((err: unknown) => {
        log.warn({ err }, 'new MAC not announced');
      });
    }
  };

/** How the interface is to be tied, as pod and cluster say now. Nothing is done yet. Throws the reason when it cannot be told. */
export async function settleCoordination(
  { pods, coordinators, cluster }: SettlePorts,
  { attachment, pod: identity, network }: AddRequest,
): Promise<RecordedCoordination> {
  const asked = network.coordination ?? { conf: {}, coordinator: defaultCoordinator };
  const [pod, coordinator] = await Promise.all([pods.find(identity), coordinators.recent(asked.coordinator)]);
  if (pod === undefined) {
    const name = `${identity.namespace}/${identity.name}`;
    throw new ProvisionError({
      type: 'PodNotFound',
      message: `Cannot tie ${attachment.ifName} of pod ${name} to the node: the API server knows no pod of that name with UID "${identity.uid}"`,
      remedy: 'None is needed when the pod was just deleted; otherwise compare: kubectl get pod -o yaml',
    });
  }
  const reading = settingsForPod(asked, pod.annotations, coordinator);
  if (reading.outcome === 'refused') throw new ProvisionError(reading.failure);
  const networks = readPodNetworks(pod, cluster);
  const awaitedNics = networks.outcome === 'networks' ? networks.networks.map(({ ifName }) => ifName) : [];
  return { settings: reading.settings, awaitedNics, operations: [] };
}

/** What the kernel is to plan, or to compare with, for an attachment that is written down. */
export const coordinationSpec = (
  { attachment, netns, netnsCookie, addresses }: AttachmentRecord,
  { settings, awaitedNics }: Omit<RecordedCoordination, 'operations'>,
): CoordinationSpec => ({
  containerID: attachment.containerID,
  ifName: attachment.ifName,
  netns,
  netnsCookie,
  settings,
  awaitedNics,
  defaultRoutes: addresses
    .flatMap(({ routes }) => routes)
    .filter(({ dst }) => dst.endsWith('/0'))
    .map(({ dst, gw }) => ({ dst, gateway: gw })),
});

/** Whether another interface of the pod may have the default route in the main table, and this one its own elsewhere. */
export const yieldsDefaultRoute = (coordination: Pick<RecordedCoordination, 'settings'> | undefined): boolean =>
  coordination !== undefined && coordination.settings.mode !== 'disabled' && coordination.settings.tunePodRoutes;

/** Also of an earlier attempt, whose plan is in front. */
const lastMac = (operations: readonly CoordinationOperation[]): string | undefined =>
  operations.flatMap((operation) => (operation.op === 'set-mac' ? [operation.mac] : [])).at(-1);

/** An interface that another plugin has made is in the answer only where it changed. */
const withMac = (result: CniResult, now: CniInterface): CniResult => {
  const made = result.interfaces.find(({ name }) => name === now.name);
  return { ...result, interfaces: [{ ...made, ...now }] };
};
