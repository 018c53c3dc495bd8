import { ProvisionError } from '../contracts/failures.ts';
import type { DetachRequest } from '../contracts/pod-network.ts';
import { formatAddress, fromClaimName } from '../ipam/address.ts';
import { endOf } from '../network/coordination/coordination-operation.ts';
import type { DeviceLending } from './lent-devices.ts';
import type {
  AttachmentRecord,
  AttachmentRecords,
  ClaimStore,
  Identities,
  Kernel,
  Log,
  OpenCalls,
  PodReader,
} from './node-ports.ts';
import { releaseSharedLinks, type SharedLinkPorts } from './shared-links.ts';
import { stepLog } from './step-log.ts';

export interface DetachPorts {
  readonly calls: OpenCalls;
  readonly records: AttachmentRecords;
  readonly claims: Pick<ClaimStore, 'release' | 'ownOf' | 'identitiesOf'>;
  readonly identities: Identities;
  readonly pods: PodReader;
  readonly kernel: Pick<
    Kernel,
    'unplumb' | 'uncoordinate' | 'untie' | 'removeAddresses' | 'prepareShared' | 'removeShared'
  >;
  readonly sharedLinks: SharedLinkPorts['sharedLinks'];
  readonly devices: Pick<DeviceLending, 'giveBack'>;
  readonly log: Log;
}

/**
 * Removes what we made for this attachment in the sandbox's namespace and on the node, and then those of its shared links that
 * nobody uses any more; success when nothing, or no namespace, is there.
 */
export const createRemoveLink = (ports: DetachPorts) => {
  const { calls, records } = ports;
  return async (request: DetachRequest): Promise<void> => {
    const { attachment, nonce, reason } = request;
    // A record that cannot be read must not keep the addresses of a sandbox that is gone.
    const record = await records.read(attachment).catch((error: unknown) => {
      if (reason === 'proven-gone') return undefined;
      throw error;
    });
    if (reason === 'failed-add' && !calls.isWaiting(nonce)) refuseWhenDone(record);
    // The interfaces of a sandbox that is gone went with its namespace.
    const isThere = reason !== 'proven-gone';
    // By its record also then: where somebody keeps the namespace, nothing of the node is to lead there.
    if (isThere || record !== undefined) await untie(request, record, ports);
    if (record?.lease !== undefined) {
      // Also of a sandbox that is gone: the end of its namespace has given the device to the node, and no more.
      await releaseSharedLinks(request, await ports.devices.giveBack(request, record), ports);
      return;
    }
    // A pair's end on the node passes frames for as long as it is there, whoever keeps the namespace of the other one.
    const mayBeThere = isThere || record?.link?.kind === 'veth';
    if (mayBeThere && attachment.kind === 'attach') await removeInterface(request, record, ports);
    if (record !== undefined) await releaseSharedLinks(request, record, ports);
  };
};

/** Takes back what ties the interface to its node, as far as it was done: by the record, or without one by marks. */
async function untie(
  request: DetachRequest,
  record: AttachmentRecord | undefined,
  { records, kernel, log }: DetachPorts,
): Promise<void> {
  const { commands } =
    record === undefined ? await untieByMarks(request, records, kernel) : await untieByRecord(request, record, kernel);
  if (commands.length > 0) stepLog(log, request).info({ commands }, 'coordination taken back');
}

const nothing = { commands: [] };

function untieByRecord({ reason }: DetachRequest, record: AttachmentRecord, kernel: Pick<Kernel, 'uncoordinate'>) {
  const { netns, netnsCookie, coordination: { operations = [] } = {} } = record;
  if (operations.length === 0) return nothing;
  return kernel.uncoordinate({
    netns,
    netnsCookie,
    operations: reason === 'failed-add' ? operations : endOf(operations),
  });
}

async function untieByMarks(
  { attachment, netns = '', reason }: DetachRequest,
  records: AttachmentRecords,
  kernel: Pick<Kernel, 'untie'>,
) {
  const { containerID, ifName, kind } = attachment;
  // An ADD that failed without a record has done nothing.
  if (netns === '' || ['prepare', 'rdma'].includes(kind) || reason === 'failed-add') return nothing;
  const all = await records.list();
  const isIts = ({ attachment }: AttachmentRecord): boolean => attachment.containerID === containerID;
  const tied = all.filter((other) => isIts(other) && other.coordination !== undefined);
  // Another plugin of the chain made it, and its own DEL takes it away.
  if (tied.some((other) => other.attachment.ifName === ifName)) return nothing;
  const othersCookies = all.filter((other) => !isIts(other)).map(({ netnsCookie }) => netnsCookie);
  return kernel.untie({ containerID, ifName, netns, isLast: tied.length === 0, othersCookies });
}

async function removeInterface(
  request: DetachRequest,
  record: AttachmentRecord | undefined,
  { claims, kernel, log }: DetachPorts,
): Promise<void> {
  const { containerID, ifName } = request.attachment;
  const netns = record?.netns ?? request.netns;
  if (netns === undefined || netns === '') return;
  const place = { netns, ...(record === undefined ? {} : { netnsCookie: record.netnsCookie }) };
  if (record?.provides !== 'addresses') {
    const { removed, commands } = await kernel.unplumb({ containerID, ifName, ...place });
    if (removed) stepLog(log, request).info({ commands }, 'interface removed');
    if (removed || record !== undefined) return;
  }
  // The plugin that made the link calls its IPAM before it deletes it: the address must not answer once it is free.
  const addresses = record?.addresses.map(({ address }) => address) ?? claimedAddresses(claims, request);
  if (addresses.length === 0) return;
  await kernel.removeAddresses({ ...place, ifName, addresses });
  stepLog(log, request).info({ addresses }, 'addresses removed from the interface');
}

/** What the claims say that a sandbox without a record was given, without prefix length. */
const claimedAddresses = (claims: Pick<ClaimStore, 'ownOf'>, { attachment, pod }: DetachRequest): readonly string[] =>
  claims
    .ownOf(pod.uid, attachment.ifName)
    .filter(({ containerID }) => containerID === attachment.containerID)
    .flatMap(({ name }) => fromClaimName(name) ?? [])
    .map(formatAddress);

/** Releases the claims of this attachment, forgets its record and answers the DEL that waits. */
export const createReleaseAddresses = (ports: DetachPorts) => {
  const { calls, records } = ports;
  return async (request: DetachRequest): Promise<void> => {
    const { attachment, nonce, reason } = request;
    if (reason === 'failed-add' && !calls.isWaiting(nonce)) refuseWhenDone(await records.read(attachment));
    // The plugins of a chain share network and interface name: only what claimed addresses gives them back.
    if (attachment.kind === 'attach') await releaseClaims(request, ports);
    await records.remove(attachment);
    if (reason !== 'failed-add') calls.succeed(nonce);
  };
};

/**
 * A sticky address is held for its identity, unless the API server says that nobody will come back for it: who cannot ask keeps
 * it, and the sweep asks again.
 */
async function releaseClaims(request: DetachRequest, { claims, identities, pods, log }: DetachPorts): Promise<void> {
  const { attachment, pod, reason } = request;
  const { containerID, ifName, network } = attachment;
  const isAlive = async (): Promise<boolean> => (await pods.find(pod))?.isAlive === true;
  const held = { containerID, interface: ifName, network };
  const withoutPod = async (): Promise<'delete' | 'end'> => {
    const stuckTo = claims.identitiesOf(held);
    if (stuckTo.length === 0) return 'delete';
    const states = await identities.states(stuckTo);
    for (const [identity, found] of states) {
      stepLog(log, request).info({ identity, ...found }, 'asked whether the identity of a sticky address has ended');
    }
    // Its families may stick to different ones: then the sweep ends what has ended.
    return stuckTo.every((identity) => states.get(identity)?.state === 'ended') ? 'end' : 'delete';
  };
  const disposition = reason === 'failed-add' ? 'undo' : (await isAlive()) ? 'hold' : await withoutPod();
  const released = await claims.release({ ...held, disposition });
  // The pod may have gone while its addresses were being held for it, and its watch looked a moment too early to free them.
  if (disposition === 'hold' && !(await isAlive())) {
    await claims.release({ ...held, disposition: await withoutPod() });
  }
  if (released.length > 0) stepLog(log, request).info({ claims: released, disposition, reason }, 'addresses released');
}

/** A caller who was answered, or is gone, may know that it is complete: a run that takes it for failed must not take a live pod's network away. */
function refuseWhenDone(record: AttachmentRecord | undefined): void {
  if (record?.doneResult === undefined) return;
  const { ifName, containerID } = record.attachment;
  throw new ProvisionError({
    type: 'Superseded',
    message: `Left ${ifName} of sandbox ${containerID} as it is: it was complete, and its caller knows, before its ADD was given up`,
    remedy: 'None: the DEL of the sandbox takes it away',
  });
}
