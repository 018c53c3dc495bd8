import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Log } from '../../../activities/node-ports.ts';
import { ProvisionError } from '../../../contracts/failures.ts';
import { type AdmissionRequest, type Answer, parseReview } from './admission-review.ts';
import { makeServingPair, type ServingPair } from './serving-pair.ts';
import { WebhookServer } from './webhook-server.ts';

const silent: Log = { child: () => silent, debug() {}, info() {}, warn() {}, error() {} };
const path = '/validate-spiderpool-spidernet-io-v2beta1-spiderippool';
const hosts = ['127.0.0.1'];

const review = (some: object = {}, request: object = {}): object => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: 'q1',
    kind: { group: 'spiderpool.spidernet.io', version: 'v2beta1', kind: 'SpiderIPPool' },
    operation: 'CREATE',
    userInfo: { username: 'kim' },
    object: { kind: 'SpiderIPPool', metadata: { name: 'rack7-v4' }, spec: { subnet: '10.70.8.0/22' } },
    oldObject: null,
    dryRun: false,
    ...request,
  },
  ...some,
});

let pair: ServingPair;
beforeAll(async () => {
  pair = await makeServingPair({ hosts, nowMs: Date.now(), lifetimeMs: 86_400_000 });
});

describe('the server of the webhooks', () => {
  let server: WebhookServer;
  let port: number;
  let agent: Agent;
  let asked: AdmissionRequest[];
  let decide: (request: AdmissionRequest) => Promise<Answer>;
  beforeEach(async () => {
    asked = [];
    decide = async () => ({ allowed: true, warnings: [], patch: [] });
    server = new WebhookServer({
      log: silent,
      admission: {
        answer: async (_phase, _kind, request) => {
          asked.push(request);
          return await decide(request);
        },
      },
    });
    server.serve(pair);
    port = await server.listen(0);
    agent = new Agent({ keepAlive: true });
  });
  afterEach(async () => {
    agent.destroy();
    await server.stop();
  });

  const send = async (
    body: string | Uint8Array,
    { to = path, method = 'POST', ca = pair.authority, headers = {} } = {},
  ): Promise<{ readonly status: number; readonly text: string; readonly connection: string | undefined }> => {
    const sent = httpsRequest({ host: '127.0.0.1', port, path: to, method, ca, agent, headers });
    sent.end(body);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of answer) text += String(chunk);
    return { status: answer.statusCode ?? 0, text, connection: answer.headers.connection };
  };
  const ask = async (body: object): Promise<{ response: Record<string, unknown> }> =>
    JSON.parse((await send(JSON.stringify(body))).text) as { response: Record<string, unknown> };

  it('hands on what is asked, and answers with its uid', async () => {
    expect(await ask(review())).toMatchObject({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: 'q1', allowed: true },
    });
    expect(asked).toEqual([
      {
        uid: 'q1',
        kind: 'spiderippool',
        operation: 'CREATE',
        isDryRun: false,
        user: 'kim',
        object: { kind: 'SpiderIPPool', metadata: { name: 'rack7-v4' }, spec: { subnet: '10.70.8.0/22' } },
        oldObject: {},
      },
    ]);
  });

  it('carries a refusal, warnings and a patch', async () => {
    decide = async () => ({ allowed: false, status: 422, message: 'spec.subnet is wrong' });
    expect((await ask(review())).response).toMatchObject({
      allowed: false,
      status: { code: 422, reason: 'Invalid', message: 'spec.subnet is wrong' },
    });
    const patch = [{ op: 'add', path: '/spec/ipVersion', value: 4 }] as const;
    decide = async () => ({ allowed: true, warnings: ['x'.repeat(300)], patch });
    const { response } = await ask(review());
    expect(response).toMatchObject({ allowed: true, patchType: 'JSONPatch', warnings: ['x'.repeat(256)] });
    expect(JSON.parse(Buffer.from(String(response['patch']), 'base64').toString())).toEqual(patch);
  });

  it('refuses, with the reason and what to do, what it could not decide', async () => {
    decide = async () => {
      throw new ProvisionError({ type: 'ApiServerUnavailable', message: 'Cannot list pools', remedy: 'Look at it' });
    };
    expect((await ask(review())).response).toMatchObject({
      allowed: false,
      status: { code: 500, message: 'Cannot tell whether this may be: Cannot list pools. Look at it' },
    });
  });

  it.each([
    ['no JSON', 'pool'],
    ['no object', '[]'],
    ['another kind', JSON.stringify(review({ kind: 'TokenReview' }))],
    ['another version', JSON.stringify(review({ apiVersion: 'admission.k8s.io/v1beta1' }))],
    ['no request', JSON.stringify({ ...review(), request: null })],
    ['no uid', JSON.stringify(review({}, { uid: '' }))],
    ['a uid without end', JSON.stringify(review({}, { uid: 'x'.repeat(200) }))],
    ['an unknown operation', JSON.stringify(review({}, { operation: 'CONNECT' }))],
    ['an object that is none', JSON.stringify(review({}, { object: 'x' }))],
    ['an update without what was before', JSON.stringify(review({}, { operation: 'UPDATE' }))],
    ['a kind of another path', JSON.stringify(review({}, { kind: { kind: 'SpiderSubnet' } }))],
    ['bytes that are no text', new Uint8Array([0xff, 0xfe, 0x7b])],
  ])('answers 400 to %s, and asks nobody', async (_, body) => {
    expect((await send(body)).status).toBe(400);
    expect(asked).toEqual([]);
    expect((await ask(review())).response).toMatchObject({ allowed: true });
  });

  it('answers 413 to a body of more than 3 MB, and hangs up on one that does not end', async () => {
    expect((await send('x'.repeat(3 * 1024 * 1024 + 1))).status).toBe(413);
    const endless = httpsRequest({ host: '127.0.0.1', port, path, method: 'POST', ca: pair.authority });
    const ended = new Promise((resolve) => {
      endless.on('error', resolve);
      endless.on('response', resolve);
    });
    endless.write('{"a":"');
    for (let megabytes = 0; megabytes < 4; megabytes += 1) endless.write('x'.repeat(1024 * 1024));
    await ended;
    endless.destroy();
    expect((await ask(review())).response).toMatchObject({ allowed: true });
  });

  it('answers 404 and 405 elsewhere, and says that it is ready', async () => {
    expect((await send('', { to: '/', method: 'GET' })).status).toBe(404);
    expect((await send('', { method: 'GET' })).status).toBe(405);
    expect(await send('', { to: '/readyz', method: 'GET' })).toMatchObject({ status: 200, text: 'ok' });
  });

  it('goes on when somebody talks no TLS, or half a request', async () => {
    const socket = connect({ port, host: '127.0.0.1', ca: pair.authority });
    await once(socket, 'secureConnect');
    socket.end('POST / HTTP/9.9\r\n\r\nnonsense');
    await once(socket, 'close');
    const plain = connectPlain(port, '127.0.0.1');
    plain.on('error', () => undefined);
    plain.end('hello');
    await once(plain, 'close');
    expect((await ask(review())).response).toMatchObject({ allowed: true });
  });

  it('serves another certificate to the next connection, and lets the open ones go on', async () => {
    expect((await ask(review())).response).toMatchObject({ allowed: true });
    const next = await makeServingPair({ hosts, nowMs: Date.now(), lifetimeMs: 86_400_000 });
    server.serve(next);
    expect((await ask(review())).response).toMatchObject({ allowed: true }); // on the connection from before
    agent.destroy();
    agent = new Agent({ keepAlive: true });
    await expect(send(JSON.stringify(review()))).rejects.toThrow(/certificate/);
    expect((await send(JSON.stringify(review()), { ca: next.authority })).status).toBe(200);
  });

  it('finishes what was asked before it stops, and says to the others that it goes', async () => {
    expect((await send('', { to: '/readyz', method: 'GET' })).connection).toBe('keep-alive');
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    decide = async () => {
      reach();
      await released;
      return { allowed: true, warnings: [], patch: [] };
    };
    const slow = ask(review());
    await reached;
    const stopped = server.stop();
    release();
    expect((await slow).response).toMatchObject({ allowed: true });
    await stopped;
    await expect(ask(review())).rejects.toThrow();
  });
});

describe('a review', () => {
  it('is read or refused, whatever was sent', () => {
    const keys = ['apiVersion', 'kind', 'request', 'uid', 'operation', 'object', 'oldObject', 'userInfo', '__proto__'];
    const values = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom({ kind: 'SpiderSubnet' }, 'UPDATE', {}));
    const changes = fc.dictionary(fc.constantFrom(...keys), values, { noNullPrototype: true, maxKeys: 3 });
    const bodies = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.jsonValue({ maxDepth: 2 }).map((json) => Buffer.from(JSON.stringify(json))),
      fc.tuple(changes, changes).map(([top, request]) => Buffer.from(JSON.stringify(review(top, request)))),
    );
    fc.assert(
      fc.property(bodies, (body) => {
        try {
          expect(typeof parseReview(body).uid).toBe('string');
        } catch (error) {
          expect(error).toMatchObject({ name: 'MalformedReview' });
        }
      }),
      { numRuns: 500 },
    );
  });
});
