import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import { automaticPoolLabels } from '../ipam/automatic-pool.ts';
import type { ApiClient, ApiRequest } from './api-client.ts';
import type { ClaimRow } from './claim-feed.ts';
import { PoolStatusPublisher } from './publish-pool-status.ts';
import { silent } from './testing/claim-fixtures.ts';

const poolObject = (name: string, labels: Record<string, string> = {}): SpiderIPPool => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderIPPool',
  metadata: { name, labels, resourceVersion: '1' },
  spec: { ipVersion: 4, subnet: '10.70.8.0/24', ips: ['10.70.8.10-10.70.8.12'] },
});
const automatic = { [automaticPoolLabels.applicationName]: 'api' };

/** An API server whose watch tells of pools as a test makes them, and which stores no status: it notes what was to be written. */
class World {
  readonly published: string[] = [];
  readonly #events: SpiderIPPool[] = [];
  #wake = (): void => undefined;

  readonly api: ApiClient = {
    request: async <Answer>() => ({ metadata: { resourceVersion: '1' }, items: [] }) as Answer,
    watch: <Event>({ signal }: { readonly signal: AbortSignal }) => this.#watch(signal) as AsyncIterable<Event>,
    close: async () => undefined,
  };

  readonly request = async <Answer>({ body }: Omit<ApiRequest, 'timeoutMs'>): Promise<Answer> => {
    const { metadata, status } = body as SpiderIPPool;
    this.published.push(`${metadata.name}: ${status?.allocatedIPCount} of ${status?.totalIPCount}`);
    return {} as Answer;
  };

  make(pool: SpiderIPPool): void {
    this.#events.push(pool);
    this.#wake();
  }

  async *#watch(signal: AbortSignal): AsyncIterable<unknown> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const object = this.#events.shift();
      if (object !== undefined) yield { type: 'ADDED', object };
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

let world: World;
let publisher: PoolStatusPublisher;
let claims: Set<ClaimRow>;
let stopped: AbortController;
beforeEach(async () => {
  stopped = new AbortController();
  jest.useFakeTimers();
  world = new World();
  claims = new Set();
  publisher = new PoolStatusPublisher({ api: world.api, request: world.request, claimsOf: () => claims, log: silent });
  void publisher.follow(stopped.signal);
  await publisher.listed;
  publisher.start();
});
afterEach(async () => {
  await publisher.stop();
  stopped.abort();
  jest.useRealTimers();
});
const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);

describe('the status of a pool', () => {
  it('is published soon after it was made', async () => {
    world.make(poolObject('rack7'));
    await pass(500);
    expect(world.published).toEqual(['rack7: 0 of 3']);
  });

  it('that was made for an application waits for its first pods, and not for ever', async () => {
    world.make(poolObject('auto', automatic));
    await pass(4000);
    expect(world.published).toEqual([]);
    await pass(2000);
    expect(world.published).toEqual(['auto: 0 of 3']);
  });

  it('that was made for an application is published with its first claim', async () => {
    world.make(poolObject('auto', automatic));
    await pass(1000);
    claims.add({ address: '10.70.8.10/24', pool: 'auto', phase: 'Bound', createdAtSeconds: 0, holders: [] });
    publisher.concern('auto');
    await pass(500);
    expect(world.published).toEqual(['auto: 1 of 3']);
  });
});
