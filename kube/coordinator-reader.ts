import type { SpiderCoordinator } from '../contracts/crds/spidercoordinator.ts';
import type { ApiClient } from './api-client.ts';
import { unlessNoObject } from './api-error.ts';
import { deadlineIn, persist } from './persist.ts';
import { SharedRead } from './shared-read.ts';

export interface CoordinatorReaderOptions {
  readonly api: ApiClient;
  /** Milliseconds of a clock that is never set. */
  readonly now?: () => number;
  /** How long one read may take before it fails with `ApiServerUnavailable`. 2,000 ms when absent. */
  readonly deadlineMs?: number;
}

const maxAgeMs = 2000;
/** Names come from network configurations; nobody has so many, so they are mistakes. */
const mostNames = 100;

/** SpiderCoordinators by name, read when somebody asks and then remembered for 2 s. */
export class CoordinatorReader {
  readonly #api: ApiClient;
  readonly #now: () => number;
  readonly #deadlineMs: number;
  readonly #reads = new Map<string, SharedRead<SpiderCoordinator | undefined>>();

  constructor({ api, now = () => performance.now(), deadlineMs = 2000 }: CoordinatorReaderOptions) {
    this.#api = api;
    this.#now = now;
    this.#deadlineMs = deadlineMs;
  }

  /** As it was at most 2 s ago; undefined when there is none of that name. A kind that is not served is `ApiServerUnavailable`. */
  async recent(name: string): Promise<SpiderCoordinator | undefined> {
    const read = this.#reads.get(name) ?? new SharedRead(() => this.#read(name), this.#now);
    if (this.#reads.size >= mostNames) this.#reads.clear();
    this.#reads.set(name, read);
    return (await read.begunAfter(this.#now() - maxAgeMs)).value;
  }

  #read(name: string): Promise<SpiderCoordinator | undefined> {
    const path = `/apis/spiderpool.spidernet.io/v2beta1/spidercoordinators/${encodeURIComponent(name)}`;
    return persist(`read SpiderCoordinator "${name}"`, deadlineIn(this.#deadlineMs), (timeoutMs) =>
      this.#api.request<SpiderCoordinator>({ method: 'GET', path, timeoutMs }).catch(unlessNoObject),
    );
  }
}
