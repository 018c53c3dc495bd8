import { describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest } from './api-client.ts';
import { ApiError } from './api-error.ts';
import { createSuspectReader } from './suspect-reader.ts';

/** An API server that answers as told, and 404 to everything else. Remembers what it was asked. */
function serverOf(answers: Readonly<Record<string, unknown>>): { api: ApiClient; asked: ApiRequest[] } {
  const asked: ApiRequest[] = [];
  const api: ApiClient = {
    async request<Answer>(request: ApiRequest): Promise<Answer> {
      asked.push(request);
      const { path, query = {} } = request;
      const key = query['continue'] === undefined ? path : `${path}?${String(query['continue'])}`;
      if (!(key in answers)) throw new ApiError({ request: path, status: 404, reason: 'NotFound', detail: path });
      return answers[key] as Answer;
    },
    // oxlint-disable-next-line require-yield -- sweeps watch nothing
    async *watch<Event>(): AsyncIterable<Event> {
      throw new Error('sweeps watch nothing');
    },
    close: async () => undefined,
  };
  return { api, asked };
}

const podOf = (name: string, mirrored?: string): object => ({
  metadata: {
    name,
    namespace: 'pay',
    uid: `uid-of-${name}`,
    ...(mirrored === undefined ? {} : { annotations: { 'kubernetes.io/config.mirror': mirrored } }),
  },
});

describe('the pods of the cluster', () => {
  it('are read page by page, metadata only', async () => {
    const { api, asked } = serverOf({
      '/api/v1/pods': { metadata: { continue: 'more' }, items: [podOf('api-0')] },
      '/api/v1/pods?more': { metadata: {}, items: [podOf('api-1')] },
    });
    const pods = await createSuspectReader(api).pods.list();
    expect(pods.count).toBe(2);
    expect(['api-0', 'api-1', 'api-2'].map((name) => pods.hasName('pay', name))).toEqual([true, true, false]);
    expect(pods.hasUID('uid-of-api-1')).toBe(true);
    expect(new Set(asked.map(({ accept }) => accept))).toEqual(
      new Set(['application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io']),
    );
  });

  it('go by both UIDs where they are static', async () => {
    const { api } = serverOf({ '/api/v1/pods': { metadata: {}, items: [podOf('etcd-0', 'uid-of-the-runtime')] } });
    const pods = await createSuspectReader(api).pods.list();
    expect(['uid-of-etcd-0', 'uid-of-the-runtime', 'another'].map((uid) => pods.hasUID(uid))).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('may be none at all', async () => {
    const { api } = serverOf({ '/api/v1/pods': { metadata: {}, items: null } });
    expect((await createSuspectReader(api).pods.list()).count).toBe(0);
  });
});

describe('what is followed', () => {
  const { api, asked } = serverOf({
    '/api/v1/pods': { metadata: {}, items: [podOf('api-0')] },
    '/apis/orbweaver.io/v1alpha1/ipclaims': { metadata: {}, columnDefinitions: [{ name: 'Name' }], rows: [] },
  });
  const pods = { count: 3, hasUID: () => true, hasName: () => true };
  const reader = (isWatching: boolean) =>
    createSuspectReader(api, undefined, {
      claims: { isWatching, listed: Promise.resolve(), names: () => [] },
      pods: { isWatching, listed: Promise.resolve(), names: () => pods },
    });

  it('is not listed', async () => {
    expect([await reader(true).pods.list(), await reader(true).claims.list()]).toEqual([pods, []]);
    expect(asked).toEqual([]);
  });

  it('is waited for, and not listed, before it was seen once', async () => {
    const followed = { isWatching: false, listed: Promise.resolve(), names: () => pods };
    followed.listed = new Promise((resolve) =>
      setImmediate(() => {
        followed.isWatching = true;
        resolve();
      }),
    );
    const claims = { isWatching: true, listed: Promise.resolve(), names: () => [] };
    expect(await createSuspectReader(api, undefined, { claims, pods: followed }).pods.list()).toBe(pods);
    expect(asked).toEqual([]);
  });

  it('is listed while its watch is interrupted', async () => {
    expect((await reader(false).pods.list()).count).toBe(1);
    await reader(false).claims.list();
    expect(asked.map(({ path }) => path)).toEqual(['/api/v1/pods', '/apis/orbweaver.io/v1alpha1/ipclaims']);
  });
});

describe('one pod', () => {
  const { api } = serverOf({ '/api/v1/namespaces/pay/pods/etcd-0': podOf('etcd-0', 'uid-of-the-runtime') });
  it.each([
    ['uid-of-the-runtime', true],
    ['uid-of-etcd-0', true],
    ['', true],
    ['uid-of-its-predecessor', false],
  ])('with UID "%s" is there: %s', async (uid, isThere) => {
    expect(await createSuspectReader(api).pods.isThere({ namespace: 'pay', name: 'etcd-0', uid })).toBe(isThere);
  });

  it('that the API server does not know is not there', async () => {
    expect(await createSuspectReader(api).pods.isThere({ namespace: 'pay', name: 'gone', uid: '' })).toBe(false);
  });
});

describe('the pod of a name', () => {
  const { api } = serverOf({
    '/api/v1/namespaces/pay/pods/api-0': { metadata: { uid: 'uid-0' }, status: { phase: 'Running' } },
    '/api/v1/namespaces/pay/pods/api-1': { metadata: { uid: 'uid-1' }, status: { phase: 'Pending' } },
  });
  it.each([
    ['api-0', 'uid-0'],
    ['api-1', undefined],
    ['api-2', undefined],
  ])('%s runs with UID %s', async (name, uid) => {
    expect(await createSuspectReader(api).pods.runningUID('pay', name)).toBe(uid);
  });
});

describe('a claim whose identity has ended', () => {
  const path = '/apis/orbweaver.io/v1alpha1/ipclaims/10.70.8.20';
  const seen = { name: '10.70.8.20', uid: 'u1', version: '7' };
  const claim = (some: object = {}, metadata: object = {}) => ({
    metadata: { name: '10.70.8.20', uid: 'u1', resourceVersion: '7', ...metadata },
    spec: {
      address: '10.70.8.20/22',
      pool: 'v4',
      phase: 'Held',
      holders: [],
      identity: 'StatefulSet/pay/api/0',
      ...some,
    },
  });

  it('is deleted on the condition that it is as it was seen', async () => {
    const { api, asked } = serverOf({ [path]: claim() });
    expect(await createSuspectReader(api).claims.end(seen)).toBe('deleted');
    expect(asked.map(({ method }) => method)).toEqual(['GET', 'DELETE']);
    expect(asked[1]?.body).toEqual({ preconditions: { uid: 'u1', resourceVersion: '7' } });
  });

  it('becomes Suspect, and of no identity, when nobody has said that it is silent', async () => {
    const { api, asked } = serverOf({ [path]: claim({ unproven: true }) });
    expect(await createSuspectReader(api).claims.end(seen)).toBe('suspect');
    const written = asked[1]?.body as ReturnType<typeof claim> | undefined;
    expect(asked[1]?.method).toBe('PUT');
    expect(written?.metadata.resourceVersion).toBe('7');
    expect(written?.spec).toEqual({
      address: '10.70.8.20/22',
      pool: 'v4',
      phase: 'Suspect',
      holders: [],
      until: '9999-12-31T23:59:59Z',
    });
  });

  it.each([
    ['gone', {}],
    ['made anew', { [path]: claim({}, { uid: 'u2' }) }],
    ['changed', { [path]: claim({}, { resourceVersion: '8' }) }],
  ])('is left alone when it is %s', async (_, answers) => {
    const { api, asked } = serverOf(answers);
    expect(await createSuspectReader(api).claims.end(seen)).toBe('changed');
    expect(asked.map(({ method }) => method)).toEqual(['GET']);
  });
});

describe('a node', () => {
  const nodeOf = (status?: string): object =>
    status === undefined
      ? {}
      : {
          status: {
            conditions: [
              { type: 'DiskPressure', status: 'False' },
              { type: 'Ready', status },
            ],
          },
        };
  it.each([
    ['True', 'ready'],
    [undefined, 'ready'],
    ['False', 'not ready'],
    ['Unknown', 'not ready'],
  ])('whose Ready is %s is %s', async (status, state) => {
    const { api } = serverOf({ '/api/v1/nodes/r7-n1': nodeOf(status) });
    expect(await createSuspectReader(api).nodes.state('r7-n1')).toBe(state);
  });

  it('that has no object is absent', async () => {
    expect(await createSuspectReader(serverOf({}).api).nodes.state('r7-n1')).toBe('absent');
  });
});
