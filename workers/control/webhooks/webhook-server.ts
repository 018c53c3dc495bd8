import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../activities/node-ports.ts';
import { toFailure } from '../../../contracts/failures.ts';
import { type Deadline, deadlineIn } from '../../../kube/persist.ts';
import { type AdmissionRequest, type Answer, MalformedReview, parseReview, reviewOf } from './admission-review.ts';
import type { ServingPair } from './serving-pair.ts';
import { type AdmissionPhase, type AdmittedKind, admittedKinds, webhookPath } from './webhook-configurations.ts';

/** Decides what is answered; whatever it throws is answered as a refusal. */
export interface Admits {
  answer(phase: AdmissionPhase, kind: AdmittedKind, request: AdmissionRequest, deadline: Deadline): Promise<Answer>;
}

export interface WebhookServerOptions {
  readonly admission: Admits;
  readonly log: Log;
}

/** A pool of etcd's 1.5 MB comes twice in an update. */
const largestBodyBytes = 3 * 1024 * 1024;
/** Less than a request may take, so that our sentence arrives and not "deadline exceeded". */
const marginMs = 1000;
const longestMs = 29_000;
/** Longer than the API server keeps a connection that nobody uses (90 s): it must not send on one that we just closed. */
const keepAliveMs = 150_000;
const idleDrainMs = 1000;

const routes = new Map(
  (['mutate', 'validate'] as const).flatMap((phase) =>
    admittedKinds.map((kind) => [webhookPath(phase, kind), { phase, kind }] as const),
  ),
);

/** The HTTPS server of one replica: ready once it listens. Whatever is sent to it, it answers or hangs up; it never fails. */
export class WebhookServer {
  readonly #options: WebhookServerOptions;
  readonly #server: Server;
  #isDraining = false;

  constructor(options: WebhookServerOptions) {
    this.#options = options;
    this.#server = createServer(
      { requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: keepAliveMs },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.on('tlsClientError', () => undefined); // somebody without our certificate's authority, or no TLS at all
    this.#server.on('clientError', (_, socket) => socket.destroy());
  }

  /** New connections get this certificate; those that stand go on. */
  serve({ certificate, key }: Pick<ServingPair, 'certificate' | 'key'>): void {
    this.#server.setSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' });
  }

  /** @returns The port: another than asked for when that was 0. */
  async listen(port: number): Promise<number> {
    // Replicas of one network namespace share the port, as the endpoints of a Service would; and a new one may come before the old one goes.
    this.#server.listen({ port, reusePort: port !== 0 });
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Takes no new connection and answers what was asked; a connection ends with its next answer, or when nothing comes on it. */
  async stop(): Promise<void> {
    this.#isDraining = true;
    // Not the server's own close: that ends idle connections at once, and the API server may be sending on one.
    const closed = new Promise((resolve) => {
      NetServer.prototype.close.call(this.#server, resolve);
    });
    const within = (ms: number) => Promise.race([closed, sleep(ms, undefined, { ref: false })]);
    await within(idleDrainMs);
    this.#server.closeIdleConnections();
    await within(longestMs);
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined); // the caller hung up
    if (this.#isDraining) response.setHeader('connection', 'close');
    try {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'https://webhook');
      const route = routes.get(pathname);
      if (pathname === '/readyz') {
        return answer(response, this.#isDraining ? 503 : 200, this.#isDraining ? 'stopping' : 'ok');
      }
      if (route === undefined) return answer(response, 404, 'there is no such webhook');
      if (request.method !== 'POST') return answer(response, 405, 'a review is posted');
      const deadline = deadlineIn(patienceMs(searchParams.get('timeout')));
      if (Number(request.headers['content-length']) > largestBodyBytes) {
        response.setHeader('connection', 'close');
        request.resume(); // or its sender would not come to read the answer
        return answer(response, 413, `a review has at most ${largestBodyBytes} bytes`);
      }
      const review = parseReview(await readBody(request));
      if (review.kind !== route.kind) throw new MalformedReview(`a ${review.kind} is not for ${pathname}`);
      const decided = await this.#decide(route.phase, route.kind, review, deadline);
      return answer(response, 200, JSON.stringify(reviewOf(review.uid, decided)), 'application/json');
    } catch (error) {
      if (error instanceof MalformedReview) return answer(response, 400, error.message);
      this.#options.log.debug({ err: error }, 'webhook call not answered');
      return answer(response, 400, 'the request cannot be read');
    }
  }

  async #decide(
    phase: AdmissionPhase,
    kind: AdmittedKind,
    review: AdmissionRequest,
    deadline: Deadline,
  ): Promise<Answer> {
    const { admission, log } = this.#options;
    try {
      return await admission.answer(phase, kind, review, deadline);
    } catch (err) {
      const { message, remedy } = toFailure(err);
      log.warn({ err, phase, kind, operation: review.operation }, 'admission could not decide');
      return {
        allowed: false,
        status: 500,
        message: `Cannot tell whether this may be: ${message}. ${remedy ?? 'Try again'}`,
      };
    }
  }
}

/** The API server says how long it waits, "10s". */
function patienceMs(text: string | null): number {
  const [, seconds] = /^(\d{1,3})s$/.exec(text ?? '') ?? [];
  return Math.max(marginMs, Math.min(longestMs, Number(seconds ?? 10) * 1000 - marginMs));
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > largestBodyBytes) {
      request.socket.destroy();
      throw new MalformedReview('the body does not end');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) }).end(text);
}
