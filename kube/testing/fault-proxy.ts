import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { Pool } from 'undici';
import type { ApiEndpoint } from '../kubeconfig.ts';

/** What becomes of one request on its way. `lost` faults cut the connection; `hang` ones never answer. */
export type Fault =
  | 'lost before it arrives'
  | 'lost after it took effect'
  | 'hangs before it arrives'
  | 'hangs after it took effect'
  | { readonly status: number; readonly after: 'nothing' | 'effect'; readonly retryAfterSeconds?: number };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
}

/** Stands between a client and the API server and spoils the requests that a test chooses. */
export class FaultProxy {
  /** Asked for each request, before it is forwarded; undefined lets it pass. */
  onRequest: (request: SeenRequest) => Fault | undefined | Promise<Fault | undefined> = () => undefined;

  readonly #upstream: Pool;
  readonly #endpoint: ApiEndpoint;
  readonly #server = createServer((incoming, answer) => {
    void this.#serve(incoming, answer);
  });
  #port = 0;

  constructor(endpoint: ApiEndpoint) {
    this.#endpoint = endpoint;
    this.#upstream = new Pool(endpoint.server, { connect: endpoint.tls, allowH2: false });
  }

  get endpoint(): ApiEndpoint {
    return { server: `http://127.0.0.1:${this.#port}`, tls: {}, headers: async () => ({}) };
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** From now on connections are refused, until `listen`. */
  async refuse(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    this.#server.closeAllConnections();
    await closed;
  }

  async stop(): Promise<void> {
    await Promise.all([this.refuse(), this.#upstream.destroy()]);
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = incoming;
    const body = await text(incoming);
    const fault = await this.onRequest({ method, path: url });
    if (fault === 'lost before it arrives') return void incoming.socket.destroy();
    if (fault === 'hangs before it arrives') return;
    if (typeof fault === 'object' && fault.after === 'nothing') return refuseWith(answer, fault);

    const reply = await this.#upstream.request({
      method,
      path: url,
      headers: {
        ...(await this.#endpoint.headers()),
        accept: incoming.headers.accept ?? '*/*',
        'content-type': 'application/json',
      },
      ...(body === '' ? {} : { body }),
    });
    if (fault === undefined) {
      answer.writeHead(reply.statusCode, { 'content-type': String(reply.headers['content-type']) });
      return void pipeline(reply.body, answer).catch(() => {}); // one side hung up: the other will notice
    }
    await reply.body.text();
    if (fault === 'lost after it took effect') return void incoming.socket.destroy();
    if (fault === 'hangs after it took effect') return;
    refuseWith(answer, fault);
  }
}

function refuseWith(answer: ServerResponse, { status, retryAfterSeconds }: Extract<Fault, object>): void {
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  answer.writeHead(status, headers).end(JSON.stringify({ kind: 'Status', reason: 'Injected', message: 'by the test' }));
}
