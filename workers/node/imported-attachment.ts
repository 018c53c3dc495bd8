import type { Attachment, PodIdentity } from '../../contracts/attachment.ts';
import { importedNetwork, isImportedContainer } from '../../contracts/imported-claim.ts';
import type { LostDeletesPorts } from './lost-deletes.ts';

export interface ImportedPorts {
  readonly claims: Pick<LostDeletesPorts['claims'], 'holderOf'> & {
    own(): readonly {
      readonly name: string;
      readonly namespace: string;
      readonly pod: string;
      readonly podUID: string;
      readonly interface: string;
      readonly containerID: string;
    }[];
  };
  readonly kernel: {
    identifyNamespace(path: string): Promise<{ readonly cookie: string }>;
    namespaceState(path: string, cookie: string): Promise<'alive' | 'gone' | 'unproven'>;
  };
}

/**
 * As what an imported claim knows the attachment of a DEL: the runtime says a container ID that nobody here has heard of, for a pod
 * whose address was given by Spiderpool. `undefined` when there is no such claim, or when it is of another sandbox of the pod that
 * still lives: runtimes repeat DELs of sandboxes that ended long ago.
 */
export const createImportedAttachment =
  ({ claims, kernel }: ImportedPorts) =>
  async ({ ifName, kind }: Attachment, pod: PodIdentity, netns: string): Promise<Attachment | undefined> => {
    const isMeant = (claim: { readonly namespace: string; readonly pod: string; readonly podUID: string }): boolean =>
      pod.uid === '' ? claim.namespace === pod.namespace && claim.pod === pod.name : claim.podUID === pod.uid;
    const found = ownOrNone(claims).find(
      (claim) => claim.interface === ifName && isImportedContainer(claim.containerID) && isMeant(claim),
    );
    if (found === undefined || pod.name === '' || kind !== 'attach') return undefined;
    const holder = await claims.holderOf(found.name);
    if (holder?.containerID !== found.containerID) return undefined;
    const { containerID } = holder;
    const imported = { containerID, network: importedNetwork, ifName, kind };
    if (holder.netns === '') return imported; // a claim that nobody could complete: its pod is all that there is to go by
    if ((await kernel.namespaceState(holder.netns, holder.netnsCookie)) !== 'alive') return imported;
    const ofCall = netns === '' ? undefined : await kernel.identifyNamespace(netns).catch(() => undefined);
    return ofCall?.cookie === holder.netnsCookie ? imported : undefined;
  };

/** Before this node's claims are listed nothing is known: the release says so, and the DEL waits on disk. */
function ownOrNone(claims: ImportedPorts['claims']): ReturnType<ImportedPorts['claims']['own']> {
  try {
    return claims.own();
  } catch {
    return [];
  }
}
