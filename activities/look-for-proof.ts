import type { Kernel, NodeIdentity } from './node-ports.ts';

/** Where a record or a claim says that a sandbox is. Machine and boot are known from a claim; a record of this boot lies on tmpfs and needs none. */
export interface SandboxPlace {
  readonly netns: string;
  readonly netnsCookie: string;
  readonly machineID?: string;
  readonly bootID?: string;
}

export interface Proof {
  readonly isGone: boolean;
  /** One clause: how it is known that the sandbox is gone, or why it is not. */
  readonly because: string;
}

export interface ProofPorts {
  readonly node: NodeIdentity;
  readonly kernel: Pick<Kernel, 'namespaceState'>;
}

/**
 * Looks for proof that a sandbox is gone, which only its own machine can have: the machine has booted since, or the namespace no
 * longer opens and no process is in it. It must be gone from every place that is told of it: a claim that somebody wrote by hand
 * must not take down the living sandbox that it names. Proof does not expire: cookie and boot ID are never given twice.
 */
export async function lookForProof(places: readonly SandboxPlace[], ports: ProofPorts): Promise<Proof> {
  const proofs = await Promise.all(places.map((place) => proofOf(place, ports)));
  const [proof = { isGone: false, because: 'nothing says where it is' }] = proofs;
  return proofs.find(({ isGone }) => !isGone) ?? proof;
}

async function proofOf(place: SandboxPlace, { node, kernel }: ProofPorts): Promise<Proof> {
  const { netns, netnsCookie, machineID = node.machineID, bootID = node.bootID } = place;
  if (machineID !== node.machineID) return { isGone: false, because: `it is of another machine (${machineID})` };
  if (bootID !== node.bootID) return { isGone: true, because: 'this machine has booted since' };
  // Of an imported claim nobody knows more than its pod, until this worker has found its sandbox.
  if (netns === '') return { isGone: false, because: 'nothing says which network namespace it has' };
  switch (await kernel.namespaceState(netns, netnsCookie)) {
    case 'gone':
      return { isGone: true, because: 'its network namespace is gone' };
    case 'alive':
      return { isGone: false, because: `its network namespace lives: ${netns}` };
    case 'unproven':
      return { isGone: false, because: 'this worker does not see all namespaces of the node' };
  }
}
