import { describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest } from './api-client.ts';
import { ApiError, ApiUnreachable } from './api-error.ts';
import { CoordinatorReader } from './coordinator-reader.ts';

/** Coordinators by name, and what was asked for. */
class CoordinatorServer implements ApiClient {
  readonly objects = new Map<string, object>();
  readonly asked: string[] = [];
  isAway = false;

  async request<Answer>({ path }: ApiRequest): Promise<Answer> {
    this.asked.push(path);
    if (this.isAway) throw new ApiUnreachable(path, 'connection refused');
    const found = this.objects.get(
      path.replace(/^\/apis\/spiderpool\.spidernet\.io\/v2beta1\/spidercoordinators\//, ''),
    );
    if (!found) throw new ApiError({ request: path, status: 404, reason: 'NotFound', detail: path });
    return found as Answer;
  }

  // oxlint-disable-next-line require-yield -- coordinators are not watched on nodes, and a reader that tries shall fail
  async *watch<Event>(): AsyncIterable<Event> {
    throw new Error('not watched');
  }

  async close(): Promise<void> {}
}

const open = (deadlineMs = 10_000) => {
  const api = new CoordinatorServer();
  const clock = { nowMs: 10_000 };
  return { api, clock, reader: new CoordinatorReader({ api, now: () => clock.nowMs, deadlineMs }) };
};

describe('a SpiderCoordinator', () => {
  it('is read by its name, once by everybody who asks within 2 s, and again after', async () => {
    const { api, clock, reader } = open();
    api.objects.set('default', { spec: { mode: 'auto' } });
    api.objects.set('rack7', { spec: { mode: 'overlay' } });
    expect(await Promise.all([reader.recent('rack7'), reader.recent('default'), reader.recent('rack7')])).toEqual([
      { spec: { mode: 'overlay' } },
      { spec: { mode: 'auto' } },
      { spec: { mode: 'overlay' } },
    ]);
    clock.nowMs += 1999;
    await reader.recent('rack7');
    expect(api.asked).toHaveLength(2);
    clock.nowMs += 1;
    api.objects.set('rack7', { spec: { mode: 'underlay' } });
    expect(await reader.recent('rack7')).toEqual({ spec: { mode: 'underlay' } });
  });

  it('that is not there is not there, and that is remembered, too', async () => {
    const { api, reader } = open();
    expect([await reader.recent('default'), await reader.recent('default')]).toEqual([undefined, undefined]);
    expect(api.asked).toHaveLength(1);
  });

  it('that cannot be read is no answer: the pod waits', async () => {
    const { api, reader } = open(100);
    api.isAway = true;
    await expect(reader.recent('default')).rejects.toMatchObject({ type: 'ApiServerUnavailable' });
    api.isAway = false;
    expect(await reader.recent('default')).toBeUndefined();
  });

  it('is one of few: wrong names do not fill the memory', async () => {
    const { api, reader } = open();
    for (let name = 0; name < 150; name += 1) await reader.recent(`wrong-${name}`);
    await reader.recent('wrong-0');
    expect(api.asked).toHaveLength(151);
  });
});
