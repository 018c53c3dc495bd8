import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type ApiClient, openApiClient } from './api-client.ts';
import { ApiError, ApiUnreachable } from './api-error.ts';

let server: Server;
let client: ApiClient;
async function serve(listener: RequestListener, path = ''): Promise<ApiClient> {
  server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  client = openApiClient({
    server: `http://127.0.0.1:${port}${path}`,
    tls: {},
    headers: async () => ({ authorization: 'Bearer t' }),
  });
  return client;
}
afterEach(async () => {
  await client.close();
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
});

const get = { method: 'GET', path: '/x', timeoutMs: 5000 } as const;

describe('a request', () => {
  it('carries credentials, query and body under the path of the server, and gives the JSON of the answer', async () => {
    const api = await serve((incoming, answer) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const { method, url, headers } = incoming;
        answer.end(JSON.stringify({ method, url, auth: headers.authorization, body: String(Buffer.concat(chunks)) }));
      });
    }, '/cluster-1/');
    const answer = await api.request({
      method: 'POST',
      path: '/x',
      query: { a: 'b,c', no: undefined, n: 1 },
      body: { z: 1 },
      timeoutMs: 5000,
    });
    expect(answer).toEqual({ method: 'POST', url: '/cluster-1/x?a=b%2Cc&n=1', auth: 'Bearer t', body: '{"z":1}' });
  });

  it('that is refused tells status, reason, message and when to come back', async () => {
    const api = await serve((_, answer) => {
      answer
        .writeHead(429, { 'retry-after': '3' })
        .end('{"kind":"Status","reason":"TooManyRequests","message":"slow down"}');
    });
    const refusal = await api.request(get).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ApiError);
    expect(refusal).toMatchObject({
      status: 429,
      reason: 'TooManyRequests',
      retryAfterSeconds: 3,
      message: 'GET /x was answered with 429 TooManyRequests: slow down',
    });
  });

  it('that is refused by something else than an API server tells what that said', async () => {
    const api = await serve((_, answer) => {
      answer.writeHead(502).end('<html>bad gateway</html>');
    });
    await expect(api.request(get)).rejects.toMatchObject({
      status: 502,
      reason: '',
      message: expect.stringContaining('bad gateway'),
    });
  });

  it('without an answer in time is unreachable, and holds up no other', async () => {
    const api = await serve((incoming, answer) => {
      if (incoming.url !== '/hangs') answer.end('{}');
    });
    const hanging = api.request({ ...get, path: '/hangs', timeoutMs: 100 }).catch((error: unknown) => error);
    await api.request(get);
    expect(await hanging).toBeInstanceOf(ApiUnreachable);
    expect(await hanging).toMatchObject({ message: 'GET /hangs got no answer: none within 100 ms' });
    await api.request(get);
  });

  it('to a server that completes no connection is unreachable in time', async () => {
    await serve((_, answer) => answer.end('{}'));
    const connections: Socket[] = [];
    // Takes connections and never begins TLS, as a stopped process does.
    const frozen = createTcpServer((socket) => connections.push(socket));
    await new Promise<void>((resolve) => {
      frozen.listen(0, '127.0.0.1', resolve);
    });
    const { port } = frozen.address() as AddressInfo;
    const api = openApiClient({ server: `https://127.0.0.1:${port}`, tls: {}, headers: async () => ({}) });
    try {
      const later = new Promise((resolve) => {
        setTimeout(resolve, 2000, 'nothing yet').unref();
      });
      const failing = api.request({ ...get, timeoutMs: 100 }).catch((error: unknown) => error);
      expect(await Promise.race([failing, later])).toBeInstanceOf(ApiUnreachable);
    } finally {
      for (const socket of connections) socket.destroy();
      frozen.close();
      await api.close();
    }
  });

  it('whose answer breaks off is unreachable', async () => {
    const api = await serve((incoming, answer) => {
      answer.writeHead(200, { 'content-length': '100' }).write('{"half":');
      setImmediate(() => incoming.socket.destroy());
    });
    await expect(api.request(get)).rejects.toBeInstanceOf(ApiUnreachable);
  });
});

describe('a watch', () => {
  const watch = { path: '/x', query: {}, silenceMs: 5000, signal: new AbortController().signal };

  it('gives one value per line, wherever the chunks break, until the server ends it', async () => {
    const api = await serve((_, answer) => {
      void (async () => {
        for (const piece of ['{"a":1}\n{"b"', ':"\u00e4"', '}\n', '{"c":3}\n']) {
          answer.write(piece);
          await new Promise(setImmediate);
        }
        answer.end();
      })();
    });
    const seen: unknown[] = [];
    for await (const event of api.watch(watch)) seen.push(event);
    expect(seen).toEqual([{ a: 1 }, { b: 'ä' }, { c: 3 }]);
  });

  it('that is silent for too long is unreachable', async () => {
    const api = await serve((_, answer) => {
      answer.write('{"a":1}\n');
    });
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const event of api.watch({ ...watch, silenceMs: 100 })) seen.push(event);
    })();
    await expect(watching).rejects.toBeInstanceOf(ApiUnreachable);
    expect(seen).toEqual([{ a: 1 }]);
  });

  it('ends quietly when it is not wanted any more', async () => {
    const api = await serve((_, answer) => {
      answer.write('{"a":1}\n');
    });
    const stop = new AbortController();
    const seen: unknown[] = [];
    for await (const event of api.watch({ ...watch, signal: stop.signal })) {
      seen.push(event);
      stop.abort();
    }
    expect(seen).toEqual([{ a: 1 }]);
  });

  it('that is refused tells why', async () => {
    const api = await serve((_, answer) => {
      answer.writeHead(410).end('{"reason":"Expired","message":"too old resource version"}');
    });
    const watching = (async () => {
      for await (const _ of api.watch(watch)) throw new Error('an event');
    })();
    await expect(watching).rejects.toMatchObject({ status: 410, reason: 'Expired' });
  });
});
