import type { Window } from './store-clock.ts';

/** From one sight of an address in a sandbox to the last before it was seen, or said, to be gone. It was there all the time between. */
export interface Episode {
  readonly address: string;
  readonly containerID: string;
  readonly first: Window;
  readonly last: Window;
}

/** Which addresses were seen in which sandboxes and when, without keeping every sight. */
export class Episodes {
  readonly #ended: Episode[] = [];
  /** By sandbox, then by address. */
  readonly #standing = new Map<string, Map<string, Episode>>();

  /** A look into a sandbox: all of its addresses at some moment of the window. */
  looked(containerID: string, addresses: readonly string[], window: Window): void {
    for (const [address, { last }] of this.#standing.get(containerID) ?? []) {
      const isOutdated = window.latestMs < last.earliestMs; // an answer may be known before the look that was earlier
      if (!addresses.includes(address) && !isOutdated) this.#end(containerID, address);
    }
    for (const address of addresses) this.present(containerID, address, window);
  }

  /** The address is in the sandbox at some moment of the window. */
  present(containerID: string, address: string, window: Window): void {
    const here = this.#standing.get(containerID) ?? new Map<string, Episode>();
    this.#standing.set(containerID, here);
    const before = here.get(address);
    if (before === undefined) here.set(address, { address, containerID, first: window, last: window });
    else if (window.earliestMs > before.last.earliestMs) here.set(address, { ...before, last: window });
  }

  /** Whatever the sandbox had is gone: somebody said so whose word is to be relied on. */
  saidEmpty(containerID: string): void {
    for (const address of this.#standing.get(containerID)?.keys() ?? []) this.#end(containerID, address);
  }

  all(): readonly Episode[] {
    return [...this.#ended, ...[...this.#standing.values()].flatMap((here) => [...here.values()])];
  }

  #end(containerID: string, address: string): void {
    const here = this.#standing.get(containerID);
    const episode = here?.get(address);
    if (episode !== undefined) this.#ended.push(episode);
    here?.delete(address);
  }
}

/** There was a moment at which both were going on, whatever the true moments within their windows are. */
export const surelyOverlap = (one: Episode, other: Episode): boolean =>
  one.last.earliestMs >= other.first.latestMs && other.last.earliestMs >= one.first.latestMs;
