import { describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest } from './api-client.ts';
import { ApiError } from './api-error.ts';
import { PoolReader } from './pool-reader.ts';

/** Answers lists and reads of pools, and counts them. */
class PoolServer implements ApiClient {
  pools = ['rack7-v4'];
  readonly asked: string[] = [];

  async request<Answer>({ path }: ApiRequest): Promise<Answer> {
    this.asked.push(path.replace('/apis/spiderpool.spidernet.io/v2beta1/', ''));
    const name = /\/spiderippools\/(.+)$/.exec(path)?.[1];
    const items = path.includes('spiderippools') ? this.pools.map((pool) => ({ metadata: { name: pool } })) : [];
    if (name === undefined) return { metadata: { resourceVersion: '1' }, items } as Answer;
    const item = items.find(({ metadata }) => metadata.name === name);
    if (!item) throw new ApiError({ request: path, status: 404, reason: 'NotFound', detail: name });
    return item as Answer;
  }

  // oxlint-disable-next-line require-yield -- pools are not watched, and a reader that tries shall fail
  async *watch<Event>(): AsyncIterable<Event> {
    throw new Error('pools are not watched');
  }

  async close(): Promise<void> {}
}

describe('pools', () => {
  it('are read once by everybody who asks within 2 s, and again after', async () => {
    let now = 10_000;
    const api = new PoolServer();
    const reader = new PoolReader({ api, now: () => now });
    const [one, other] = await Promise.all([reader.recent(), reader.recent()]);
    now += 1999;
    expect(await reader.recent()).toBe(one);
    expect(other).toBe(one);
    expect(api.asked).toEqual(['spiderippools', 'spiderreservedips', '/apis/orbweaver.io/v1alpha1/pooledits']);
    now += 1;
    api.pools = ['rack7-v4', 'rack8-v4'];
    expect((await reader.recent()).pools.map(({ metadata }) => metadata.name)).toEqual(['rack7-v4', 'rack8-v4']);
    expect(api.asked).toHaveLength(6);
  });

  it('are read anew for somebody who waits for a pool that is being made', async () => {
    let now = 10_000;
    const api = new PoolServer();
    const reader = new PoolReader({ api, now: () => now });
    await reader.recent();
    now += 1;
    api.pools = ['rack7-v4', 'auto4-api'];
    const newer = await reader.recent('newer');
    expect(newer.pools.map(({ metadata }) => metadata.name)).toEqual(['rack7-v4', 'auto4-api']);
    expect(await reader.recent()).toBe(newer);
    expect(api.asked).toHaveLength(6);
  });

  it('are read at once for the look after a create', async () => {
    const api = new PoolServer();
    const reader = new PoolReader({ api });
    await reader.recent();
    api.pools = [];
    expect(await reader.fresh('rack7-v4')).toBeUndefined();
    api.pools = ['rack7-v4'];
    expect((await reader.fresh('rack7-v4'))?.metadata.name).toBe('rack7-v4');
  });

  it('are read once more, not once each, for all who look while a read runs', async () => {
    const api = new PoolServer();
    const reader = new PoolReader({ api });
    const first = reader.fresh('rack7-v4');
    const later = [1, 2, 3].map(() => reader.fresh('rack7-v4'));
    await Promise.all([first, ...later]);
    expect(api.asked).toEqual(['spiderippools/rack7-v4', 'spiderippools/rack7-v4']);
  });
});
