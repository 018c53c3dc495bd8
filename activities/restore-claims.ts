import type { ClusterSettings } from '../contracts/cluster-settings.ts';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimedAddress } from '../contracts/pod-network.ts';
import { toClaimName } from '../ipam/address.ts';
import { parseCidr } from '../ipam/cidr.ts';
import { nicIdentities } from '../ipam/nic-identities.ts';
import { identityText } from '../ipam/sticky-identity.ts';
import type {
  AttachmentRecord,
  AttachmentRecords,
  ClaimStore,
  Kernel,
  Log,
  NodeIdentity,
  Pod,
  PodReader,
} from './node-ports.ts';
import { sideBySide } from './side-by-side.ts';

export interface RestorePorts {
  readonly node: NodeIdentity;
  readonly records: Pick<AttachmentRecords, 'read'> & { list(): Promise<readonly AttachmentRecord[]> };
  readonly claims: Pick<ClaimStore, 'take'> & { readWhole(name: string): Promise<IPClaim | undefined> };
  readonly pods: { readonly findLive: PodReader['find'] };
  readonly cluster: ClusterSettings;
  readonly kernel: Pick<Kernel, 'namespaceState' | 'unplumb' | 'removeAddresses'> & {
    /** Addresses in a namespace, with prefix length. */
    addressesIn(netns: string): Promise<readonly string[]>;
  };
  readonly locks: { hold<T>(containerID: string, work: () => Promise<T>): Promise<T> };
  readonly log: Log;
}

export interface Restored {
  /** Claims made again. */
  readonly restored: number;
  /** Interfaces taken down, because their address is another pod's. */
  readonly takenDown: number;
}

const atOnce = 8;

/**
 * The kernel against the claims: an address that a living sandbox answers for and that no claim names (etcd was restored, a
 * person deleted it) is claimed again, and the create decides. When another pod has it by now, the interface is taken down: an
 * address is that of its claim's holder. Nothing else is touched.
 */
export async function restoreClaims(ports: RestorePorts): Promise<Restored> {
  const complete = (await ports.records.list()).filter(({ doneResult }) => doneResult !== undefined);
  const outcomes = await sideBySide(complete, atOnce, ({ attachment }) =>
    ports.locks
      .hold(attachment.containerID, async () => {
        const record = await ports.records.read(attachment); // a DEL may have been faster
        return record?.doneResult === undefined ? [] : await restoreOne(record, ports);
      })
      .catch((err: unknown) => {
        ports.log.warn({ err, attachment }, 'claims of a sandbox not compared with its interface');
        return [];
      }),
  );
  const all = outcomes.flat();
  const count = (wanted: Outcome): number => all.filter((outcome) => outcome === wanted).length;
  return { restored: count('restored'), takenDown: count('taken down') };
}

type Outcome = 'as it should be' | 'restored' | 'taken down' | 'out of reach';

async function restoreOne(record: AttachmentRecord, ports: RestorePorts): Promise<readonly Outcome[]> {
  const odd: { readonly address: ClaimedAddress; readonly claim: IPClaim | undefined }[] = [];
  for (const address of record.addresses) {
    const claim = await ports.claims.readWhole(nameOf(address));
    if (claim === undefined || isForeign(claim, record)) odd.push({ address, claim });
  }
  const user = odd.length > 0 ? await userOf(record, ports) : undefined;
  if (user === undefined) return [];
  const inUse = new Set((await ports.kernel.addressesIn(record.netns)).map(hostOf));
  const isInUse = ({ address }: (typeof odd)[number]): boolean =>
    isUnseen(record) || inUse.has(hostOf(address.address));
  const outcomes: Outcome[] = [];
  for (const { address, claim } of odd.filter(isInUse)) {
    outcomes.push(await settle(record, address, claim, user, ports));
  }
  return outcomes;
}

/** The pod that uses the interface; undefined when pod or sandbox are gone: then there is something to take away, not to restore. */
async function userOf({ pod, netns, netnsCookie }: AttachmentRecord, ports: RestorePorts): Promise<Pod | undefined> {
  if ((await ports.kernel.namespaceState(netns, netnsCookie)) !== 'alive') return undefined;
  const live = await ports.pods.findLive(pod);
  return live?.isAlive === true ? live : undefined;
}

async function settle(
  record: AttachmentRecord,
  { address, pool }: ClaimedAddress,
  claim: IPClaim | undefined,
  user: Pod,
  ports: RestorePorts,
): Promise<Outcome> {
  const { claims, cluster, log, node } = ports;
  const { attachment, pod, netns, netnsCookie } = record;
  const { containerID, ifName, network } = attachment;
  const name = nameOf({ address });
  const holder = {
    namespace: pod.namespace,
    pod: pod.name,
    podUID: user.uid,
    interface: ifName,
    network,
    containerID,
    netns,
    netnsCookie,
    node: node.name,
    machineID: node.machineID,
    bootID: node.bootID,
  };
  const [sticky] = nicIdentities(user, ifName, cluster);
  const identity = sticky && identityText(sticky);
  if (claim === undefined && (await claims.take({ name, address, pool, holder, identity })) === 'ours') {
    log.warn({ claim: name, pod, containerID }, 'claim of an address in use was lost, claimed again');
    return 'restored';
  }
  const now = claim ?? (await claims.readWhole(name));
  if (now === undefined || !isForeign(now, record)) return 'as it should be';
  const remedy = `Delete pod ${pod.namespace}/${pod.name}, so that it gets another address`;
  const fields = { claim: name, holders: now.spec.holders, pod, remedy };
  if (isUnseen(record)) {
    log.error(
      fields,
      'address belongs to another pod by now, and a program in this one has it: nothing can be taken down',
    );
    return 'out of reach';
  }
  await takeDown(record, address, ports);
  log.error(fields, 'address in use belongs to another pod by now, interface taken down');
  return 'taken down';
}

/** A program in the pod drives its device (vfio): whether it uses the address no kernel can tell. */
const isUnseen = ({ lease }: AttachmentRecord): boolean => lease !== undefined && lease.link === undefined;

/** A device of the node keeps its place in the pod until its DEL gives it back. */
async function takeDown(record: AttachmentRecord, address: string, { kernel }: RestorePorts): Promise<void> {
  const { attachment, netns, netnsCookie, provides, lease } = record;
  const { containerID, ifName } = attachment;
  if (provides === 'interface' && lease === undefined)
    await kernel.unplumb({ containerID, ifName, netns, netnsCookie });
  else await kernel.removeAddresses({ netns, netnsCookie, ifName, addresses: [address] });
}

/** Bound to other pods only. The pod's next sandbox is no stranger: its ADD took the address over with proof, or its DEL comes. */
const isForeign = ({ spec }: IPClaim, { pod, attachment }: AttachmentRecord): boolean =>
  spec.phase === 'Bound' &&
  !spec.holders.some(
    (holder) =>
      holder.containerID === attachment.containerID ||
      (holder.namespace === pod.namespace && holder.pod === pod.name && (pod.uid === '' || holder.podUID === pod.uid)),
  );

const hostOf = (address: string): string => address.replace(/\/.*/, '');

function addressOf(text: string) {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new Error(`A record with "${text}" as an address`);
  return cidr.address;
}

const nameOf = ({ address }: Pick<ClaimedAddress, 'address'>): string => toClaimName(addressOf(address));
