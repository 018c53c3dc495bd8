import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../../activities/node-ports.ts';
import { decodeRequest, encodeReply, fromChunks, type ReplyFrame, type RequestFrame } from '../../contracts/frame.ts';

/** Serves one call; `isGone` fires when the caller hangs up before it is answered. */
export type Serve = (frame: RequestFrame, isGone: AbortSignal) => Promise<ReplyFrame>;

/** Opens the socket on which the CNI executables call; 0600, because whoever can write to it commands the node's network. */
export async function openCniSocket(path: string, serve: Serve, log: Log): Promise<Server> {
  await rm(path, { force: true }); // of a worker that was killed; the lock says that no other one runs
  const server = createServer((socket) => receive(socket, serve, log));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: 511 }, resolve);
  });
  await chmod(path, 0o600);
  return server;
}

function receive(socket: Socket, serve: Serve, log: Log): void {
  const read = fromChunks(decodeRequest);
  const gone = new AbortController();
  socket.on('close', () => gone.abort());
  socket.on('error', (err) => log.debug({ err }, 'caller hung up'));
  socket.on('data', (chunk: Uint8Array) => {
    try {
      const frame = read(chunk);
      if (frame === 'incomplete') return;
      socket.removeAllListeners('data').resume();
      void answer(socket, frame, gone.signal);
    } catch (err) {
      log.warn({ err }, 'malformed request refused');
      socket.destroy();
    }
  });

  async function answer(to: Socket, frame: RequestFrame, isGone: AbortSignal): Promise<void> {
    try {
      to.end(encodeReply(await serve(frame, isGone)));
    } catch (err) {
      log.error({ err, remedy: 'Report it: a call must end in an answer' }, 'call not served');
      to.destroy();
    }
  }
}
