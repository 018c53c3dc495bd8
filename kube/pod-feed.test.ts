import { describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest } from './api-client.ts';
import type { WishingApplication } from './application-feed.ts';
import { PodFeed } from './pod-feed.ts';
import { silent } from './testing/claim-fixtures.ts';

/** A pod of an application of a kind that we do not know. */
const gamePod = (annotations: object): object => ({
  metadata: {
    namespace: 'pay',
    name: 'match-0',
    uid: 'u0',
    resourceVersion: '8',
    annotations,
    ownerReferences: [
      { apiVersion: 'game.kruise.io/v1alpha1', kind: 'GameServerSet', name: 'match', uid: 'g', controller: true },
    ],
  },
});

const pod = (name: string, uid: string, mirrored?: string): object => ({
  metadata: {
    namespace: 'pay',
    name,
    uid,
    resourceVersion: '8',
    ...(mirrored === undefined ? {} : { annotations: { 'kubernetes.io/config.mirror': mirrored } }),
  },
});

/** Lists these pods, then tells these events and stays silent. */
const serverOf = (
  items: readonly object[],
  events: readonly object[] = [],
): { api: ApiClient; asked: ApiRequest[] } => {
  const asked: ApiRequest[] = [];
  const api: ApiClient = {
    async request<Answer>(request: ApiRequest): Promise<Answer> {
      asked.push(request);
      return { metadata: { resourceVersion: '7' }, items } as Answer;
    },
    async *watch<Event>({ signal }: { signal: AbortSignal }): AsyncIterable<Event> {
      yield* events as Event[];
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
    close: async () => undefined,
  };
  return { api, asked };
};

async function names(...server: Parameters<typeof serverOf>) {
  const { api, asked } = serverOf(...server);
  const feed = new PodFeed({ api, log: silent });
  const stopped = new AbortController();
  const following = feed.follow(stopped.signal);
  await new Promise(setImmediate);
  stopped.abort();
  await following;
  return { pods: feed.names(), asked };
}

describe('the pods that are followed', () => {
  it('are known by name and UID, from metadata alone', async () => {
    const { pods, asked } = await names([pod('api-0', 'u0')]);
    expect([pods.count, pods.hasName('pay', 'api-0'), pods.hasUID('u0'), pods.hasUID('u1')]).toEqual([
      1,
      true,
      true,
      false,
    ]);
    expect(asked[0]?.accept).toContain('PartialObjectMetadataList');
  });

  it('go by both UIDs where they are static, and by none when they are gone', async () => {
    const mirror = pod('etcd-0', 'u0', 'of-the-runtime');
    const both = ['u0', 'of-the-runtime'];
    const there = (await names([mirror])).pods;
    expect(both.map((uid) => there.hasUID(uid))).toEqual([true, true]);
    const gone = (await names([mirror], [{ type: 'DELETED', object: mirror }])).pods;
    expect([gone.count, ...both.map((uid) => gone.hasUID(uid))]).toEqual([0, false, false]);
  });

  it('are others when one of their name is made anew', async () => {
    const { pods } = await names([pod('db-0', 'u0')], [{ type: 'MODIFIED', object: pod('db-0', 'u1') }]);
    expect([pods.count, pods.hasUID('u0'), pods.hasUID('u1')]).toEqual([1, false, true]);
  });

  it('say who wishes for pools, and tell of those who do so later or no more', async () => {
    const wish = gamePod({ 'ipam.spidernet.io/subnet': '{"ipv4": ["rack7"]}' });
    const server = serverOf([wish, pod('api-0', 'u1')], [{ type: 'MODIFIED', object: gamePod({}) }]);
    const feed = new PodFeed({ api: server.api, log: silent });
    const told: string[] = [];
    const said = (one: WishingApplication | undefined): string => one?.identity.name ?? 'nobody';
    const unsubscribe = feed.subscribe((before, after) => told.push(`${said(before)} → ${said(after)}`));
    const stopped = new AbortController();
    const following = feed.follow(stopped.signal);
    await feed.listed;
    const wishing = [...feed.wishing()].map(said);
    await new Promise(setImmediate);
    unsubscribe();
    stopped.abort();
    await following;
    expect(wishing).toEqual(['match']);
    expect(told).toEqual(['nobody → match', 'match → nobody']);
    expect([...feed.wishing()]).toEqual([]);
  });
});
