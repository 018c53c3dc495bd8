import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import { importedContainer, isImportedContainer } from '../contracts/imported-claim.ts';
import type { ClaimHolder } from '../contracts/ip-claim.ts';
import type { Log, NodeIdentity, OwnClaim, PodReader } from './node-ports.ts';

export interface AdoptPorts {
  readonly node: NodeIdentity;
  readonly claims: {
    own(): readonly OwnClaim[];
    /** The claim as it is now; undefined when there is none. */
    readWhole(name: string): Promise<IPClaim | undefined>;
    /** Writes the holder into the claim if it still is as it was seen. */
    adopt(
      seen: IPClaim,
      taker: { readonly holder: ClaimHolder; readonly identity?: string | undefined },
    ): Promise<'ours' | 'lost'>;
  };
  readonly pods: { readonly findLive: PodReader['find'] };
  readonly namespaces: {
    /** Every network namespace that is mounted on this node, with the addresses in it. */
    list(): Promise<readonly MountedNamespace[]>;
  };
  readonly log: Log;
}

export interface MountedNamespace {
  readonly netns: string;
  readonly netnsCookie: string;
  /** Without prefix length. */
  readonly addresses: readonly { readonly ifName: string; readonly address: string }[];
}

/**
 * Completes the claims of this node that `orb import` made: writes into each in which namespace its address is, and that it was so
 * in this boot of this machine. From then on its sandbox can be proven gone like any other. A claim whose pod is not alive is left:
 * nobody can say any more what it was about. Gives the number of claims that were completed.
 */
export async function adoptImported(ports: AdoptPorts): Promise<number> {
  const incomplete = ports.claims
    .own()
    .filter(({ phase, containerID }) => phase === 'Bound' && isIncomplete(containerID));
  if (incomplete.length === 0) return 0;
  const namespaces = await ports.namespaces.list();
  let adopted = 0;
  for (const { name } of incomplete) {
    const outcome = await adoptOne(name, namespaces, ports).catch((err: unknown) => {
      ports.log.warn({ err, claim: name }, 'imported claim not completed, it is looked at again');
      return false;
    });
    if (outcome) adopted += 1;
  }
  return adopted;
}

/** Nobody has looked for its sandbox, or in vain: "imported.UID", "imported.UID.unseen". */
function isIncomplete(containerID: string): boolean {
  const [, , seen = 'unseen'] = containerID.split('.');
  return isImportedContainer(containerID) && seen === 'unseen';
}

async function adoptOne(name: string, namespaces: readonly MountedNamespace[], ports: AdoptPorts): Promise<boolean> {
  const { claims, pods, node, log } = ports;
  const claim = await claims.readWhole(name);
  const holder = claim?.spec.holders.find((one) => one.node === node.name && isIncomplete(one.containerID));
  if (claim === undefined || holder === undefined) return false;
  const { namespace, pod, podUID, interface: ifName } = holder;
  const live = await pods.findLive({ namespace, name: pod, uid: podUID });
  if (live?.isAlive !== true) return false;
  const address = claim.spec.address.replace(/\/.*/, '');
  const place = namespaces.find(({ addresses }) =>
    addresses.some((one) => one.address === address && one.ifName === ifName),
  );
  const { netns = '', netnsCookie = '' } = place ?? {};
  const containerID = importedContainer(podUID, place === undefined ? 'unseen' : netnsCookie);
  if (containerID === holder.containerID) return false; // looked for in vain before, too
  const { machineID, bootID } = node;
  const completed = { ...holder, containerID, netns, netnsCookie, machineID, bootID };
  const outcome = await claims.adopt(claim, { holder: completed, identity: claim.spec.identity });
  log.info({ claim: name, pod: { namespace, name: pod, uid: podUID }, netns, outcome }, 'imported claim completed');
  return outcome === 'ours';
}
