import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { decodeRequest, encodeReply, fromChunks, type RequestFrame } from '../../contracts/frame.ts';

/** The other end of the executable: a socket in the run directory that decodes requests and answers as a test wants. */
export interface TestWorker extends AsyncDisposable {
  readonly requests: readonly RequestFrame[];
  readonly openConnections: ReadonlySet<Socket>;
}

/** Answers one request. Returning nothing leaves the caller without an answer. */
export type Answer = (request: RequestFrame, connection: Socket) => unknown;

/** Listens in `runDirectory` until disposed of; then its connections are cut and the socket file is gone. */
export async function serve(runDirectory: string, answer: Answer): Promise<TestWorker> {
  const requests: RequestFrame[] = [];
  const openConnections = new Set<Socket>();
  const server = createServer((connection) => {
    openConnections.add(connection);
    connection.on('close', () => openConnections.delete(connection));
    connection.on('error', () => {}); // a caller may leave at any time
    const take = fromChunks(decodeRequest);
    connection.on('data', (chunk) => {
      const request = take(chunk);
      if (request === 'incomplete') return;
      requests.push(request);
      answer(request, connection);
    });
  });
  server.listen(join(runDirectory, 'socket'));
  await once(server, 'listening');
  return {
    requests,
    openConnections,
    async [Symbol.asyncDispose]() {
      for (const connection of openConnections) connection.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** An answer with this exit code and stdout, in one piece. */
export const reply =
  (exitCode: number, stdout: string): Answer =>
  (_, connection) =>
    connection.end(encodeReply({ exitCode, stdout: Buffer.from(stdout) }));
