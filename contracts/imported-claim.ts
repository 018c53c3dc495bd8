/**
 * A claim that `orb import` made for a pod that runs already: the runtime alone knows the container ID of its sandbox, so the claim
 * names the sandbox by its pod. The node's worker adds by what it recognises it, once it has found the sandbox.
 */

/** `holders[].network` of an imported claim: the name of the network configuration is known to the runtime alone. */
export const importedNetwork = 'imported';

/** `seen`: the cookie of the sandbox's namespace, or "unseen" for one that was looked for in vain; absent: nobody has looked. */
export const importedContainer = (podUID: string, seen?: string): string =>
  ['imported', podUID, ...(seen === undefined ? [] : [seen])].join('.');

/** Whether a holder, or a sandbox, is known by its pod only. A runtime's container IDs have no dot. */
export const isImportedContainer = (containerID: string): boolean => containerID.startsWith('imported.');
