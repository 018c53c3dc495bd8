import type { ApiClient, ApiRequest } from '../api-client.ts';
import { ApiError, ApiUnreachable } from '../api-error.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What becomes of one request on its way: how long there and back, and whether it arrives and is answered. */
export interface Journey {
  readonly thereMs: number;
  readonly backMs: number;
  /** How long its client stands still meanwhile: it hears of the answer, and of its own deadline, so much later. */
  readonly stallMs: number;
  readonly fate: 'answered' | 'lost before' | 'lost after';
}

export const promptly: Journey = { thereMs: 1, backMs: 1, stallMs: 0, fate: 'answered' };

interface StoredLease {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions: number };
}

/** An API server that knows one Lease, in memory and in virtual time. It refuses updates that carry an old resourceVersion. */
export class MemoryLease {
  lease: StoredLease | undefined;
  readonly #time: VirtualTime;
  #revision = 0;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** The connection of one client, each of whose requests travels as told. A request that its client gave up may arrive later. */
  connect(journey: () => Journey): ApiClient {
    return {
      request: async <Answer>(request: ApiRequest): Promise<Answer> => {
        const named = `${request.method} ${request.path}`;
        const { thereMs, backMs, stallMs, fate } = journey();
        const travel = async (): Promise<Answer> => {
          await this.#time.sleep(thereMs);
          if (fate === 'lost before') throw new ApiUnreachable(named, 'lost');
          const answer = structuredClone(this.#answer(request)) as Answer;
          await this.#time.sleep(backMs + stallMs);
          if (fate === 'lost after') throw new ApiUnreachable(named, 'lost');
          return answer;
        };
        const late = this.#time.sleep(request.timeoutMs + stallMs).then(() => {
          throw new ApiUnreachable(named, 'late');
        });
        late.catch(() => undefined);
        const travelling = travel();
        travelling.catch(() => undefined);
        return await Promise.race([travelling, late]);
      },
      // oxlint-disable-next-line require-yield -- nobody watches the lease
      async *watch() {
        throw new Error('nobody watches the lease');
      },
      close: async () => undefined,
    };
  }

  #answer({ method, path, body }: ApiRequest): unknown {
    const refuse = (status: number, reason: string): ApiError =>
      new ApiError({ request: `${method} ${path}`, status, reason, detail: 'the lease' });
    if (method === 'GET') {
      if (this.lease === undefined) throw refuse(404, 'NotFound');
      return this.lease;
    }
    const wanted = body as StoredLease;
    if (method === 'POST' && this.lease !== undefined) throw refuse(409, 'AlreadyExists');
    if (method === 'PUT' && this.lease?.metadata.resourceVersion !== wanted.metadata.resourceVersion)
      throw refuse(409, 'Conflict');
    this.#revision += 1;
    this.lease = { ...wanted, metadata: { ...wanted.metadata, resourceVersion: String(this.#revision) } };
    return this.lease;
  }
}
