import { afterEach, describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest, WatchRequest } from './api-client.ts';
import { ApiError, ApiUnreachable } from './api-error.ts';
import { PodReader } from './pod-reader.ts';
import { type PodObject, type PodView, viewOf } from './pod-view.ts';
import { silent } from './testing/claim-fixtures.ts';

const pod = (
  name: string,
  some: Partial<PodObject['metadata']> = {},
  status: PodObject['status'] = { phase: 'Running' },
): PodObject => ({
  metadata: { namespace: 'pay', name, uid: `uid-of-${name}`, resourceVersion: '5', ...some },
  spec: { nodeName: 'r7-n1', restartPolicy: 'Never' },
  status,
});

/** A script of lists and watches; each watch gives its events and then stays open, or fails. */
class PodServer implements ApiClient {
  lists: (readonly PodObject[])[] = [];
  watches: (readonly (object | Error)[])[] = [];
  readonly watchedFrom: unknown[] = [];
  reads = 0;

  async request<Answer>({ path }: ApiRequest): Promise<Answer> {
    if (path !== '/api/v1/pods') {
      this.reads += 1;
      throw new ApiError({ request: path, status: 404, reason: 'NotFound', detail: path });
    }
    const items = this.lists.length > 1 ? this.lists.shift() : this.lists[0];
    return { metadata: { resourceVersion: '1' }, items } as Answer;
  }

  async *watch<Event>({ query, signal }: WatchRequest): AsyncIterable<Event> {
    this.watchedFrom.push(query['resourceVersion']);
    for (const event of this.watches.shift() ?? []) {
      if (event instanceof Error) throw event;
      yield event as Event;
    }
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve);
    });
  }

  async close(): Promise<void> {}
}

let reader: PodReader | undefined;
afterEach(() => reader?.stop());

function follow(api: PodServer): string[] {
  const gone: string[] = [];
  reader = new PodReader({ api, node: 'r7-n1', log: silent, onGone: ({ uid }: PodView) => gone.push(uid) });
  reader.start();
  return gone;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = Date.now() + 30_000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`waited for ${what}, saw ${JSON.stringify(reader?.all())}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

describe('the pods of a node', () => {
  it('are told to be gone when a new list no longer shows them after the watch became too old', async () => {
    const api = new PodServer();
    api.lists = [[pod('a'), pod('b')], [pod('b')]];
    api.watches = [[{ type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'too old' } }]];
    const gone = follow(api);
    await until('the second list', () => gone.length > 0);
    expect(gone).toEqual(['uid-of-a']);
    expect(reader?.all().map(({ name }) => name)).toEqual(['b']);
    expect(api.watchedFrom[0]).toBe('1');
  });

  it('are watched on from the last bookmark when the connection breaks, without another list', async () => {
    const api = new PodServer();
    api.lists = [[pod('a')]];
    api.watches = [
      [{ type: 'BOOKMARK', object: { metadata: { resourceVersion: '40' } } }, new ApiUnreachable('watch', 'reset')],
      [{ type: 'DELETED', object: pod('a') }],
    ];
    const gone = follow(api);
    await until('the deletion', () => gone.length > 0);
    expect(gone).toEqual(['uid-of-a']);
    expect(api.watchedFrom).toEqual(['1', '40']);
    expect(api.lists).toHaveLength(1);
  });

  it('are told of once when they finish for good, and again when they are deleted', async () => {
    const api = new PodServer();
    api.lists = [[pod('a'), pod('b')]];
    const done = { phase: 'Succeeded' };
    api.watches = [
      [
        { type: 'MODIFIED', object: pod('a', {}, done) },
        { type: 'MODIFIED', object: pod('a', { labels: { x: 'y' } }, done) },
        { type: 'MODIFIED', object: pod('b', { deletionTimestamp: '2026-11-21T12:00:00Z' }) },
        { type: 'DELETED', object: pod('b') },
      ],
    ];
    const gone = follow(api);
    await until('both', () => gone.length > 1);
    expect(gone).toEqual(['uid-of-a', 'uid-of-b']);
  });

  it('are told to be gone when another pod has their name', async () => {
    const api = new PodServer();
    api.lists = [[pod('a')]];
    api.watches = [[{ type: 'ADDED', object: pod('a', { uid: 'successor' }) }]];
    const gone = follow(api);
    await until('the successor', () => gone.length > 0);
    expect(gone).toEqual(['uid-of-a']);
    expect(reader?.all()).toMatchObject([{ uid: 'successor' }]);
  });

  it('are not gone while a static pod gets a new mirror: its runtime knows it by the UID that both carry', async () => {
    const api = new PodServer();
    const mirror = (uid: string): PodObject =>
      pod('static', { uid, annotations: { 'kubernetes.io/config.mirror': 'of-the-file' } });
    api.lists = [[mirror('first'), pod('b')]];
    api.watches = [
      [
        { type: 'ADDED', object: mirror('second') },
        { type: 'DELETED', object: pod('b') },
      ],
    ];
    const gone = follow(api);
    await until('the deletion', () => gone.length > 0);
    expect(gone).toEqual(['uid-of-b']);
    expect(reader?.remembered({ namespace: 'pay', name: 'static', uid: 'of-the-file' })).toMatchObject({
      isAlive: true,
    });
  });

  it('are told of by the UID that the runtime knows when the mirror of a static pod is deleted', async () => {
    const api = new PodServer();
    const mirror = pod('static', { uid: 'first', annotations: { 'kubernetes.io/config.mirror': 'of-the-file' } });
    api.lists = [[mirror]];
    api.watches = [[{ type: 'DELETED', object: mirror }]];
    const gone = follow(api);
    await until('the deletion', () => gone.length > 0);
    expect(gone).toEqual(['of-the-file']);
  });

  it('are told to be listed anew, after everything that the list no longer shows', async () => {
    const api = new PodServer();
    api.lists = [[pod('a'), pod('b')], [pod('b')]];
    api.watches = [[{ type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'too old' } }]];
    const told: string[] = [];
    reader = new PodReader({
      api,
      node: 'r7-n1',
      log: silent,
      onGone: ({ uid }) => told.push(uid),
      onListed: () => told.push(`listed ${reader?.all().length}`),
    });
    reader.start();
    await until('the second list', () => told.length > 2);
    expect(told).toEqual(['listed 2', 'uid-of-a', 'listed 1']);
  });

  it('are found in memory by their UID only, and otherwise read', async () => {
    const api = new PodServer();
    api.lists = [[pod('a'), pod('static', { annotations: { 'kubernetes.io/config.mirror': 'of-the-file' } })]];
    follow(api);
    await until('the list', () => reader?.all().length === 2);
    const find = (name: string, uid: string): Promise<PodView | undefined> | undefined =>
      reader?.find({ namespace: 'pay', name, uid });
    expect(await find('a', 'uid-of-a')).toMatchObject({ uid: 'uid-of-a', isAlive: true });
    expect(await find('static', 'of-the-file')).toMatchObject({ uid: 'of-the-file' });
    expect(api.reads).toBe(0);
    expect(await find('a', 'another')).toBeUndefined();
    expect(await find('a', '')).toBeUndefined();
    expect(api.reads).toBe(2);
  });
});

describe('what is kept of a pod', () => {
  it('is alive, being deleted, or finished for good', () => {
    const deletionTimestamp = '2026-11-21T12:00:00Z';
    const lifeOf = (one: PodObject): readonly boolean[] => [viewOf(one).isAlive, viewOf(one).isFinished];
    expect(lifeOf(pod('a'))).toEqual([true, false]);
    expect(lifeOf(pod('a', { deletionTimestamp }))).toEqual([false, false]);
    expect(lifeOf(pod('a', {}, { phase: 'Failed' }))).toEqual([false, true]);
    expect(lifeOf(pod('a', { deletionTimestamp }, { phase: 'Succeeded' }))).toEqual([false, true]);
  });

  it('has no annotation that is only bulk', () => {
    const annotations = {
      'kubectl.kubernetes.io/last-applied-configuration': '{}',
      'ipam.spidernet.io/ippool': '{"ipv4":["a"]}',
    };
    expect(viewOf(pod('a', { annotations })).annotations).toEqual({ 'ipam.spidernet.io/ippool': '{"ipv4":["a"]}' });
  });
});
