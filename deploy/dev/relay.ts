/**
 * The relay process: the only way from the host into a stack. It runs in the `control` namespace; its parent made the listening sockets
 * on the host's loopback and hands them over, each with the address to dial. (A socket stays in the namespace in which it was made.)
 */
import { createConnection, Server, type Socket } from 'node:net';

/** What comes with each listening socket. */
export interface Forward {
  readonly host: string;
  readonly port: number;
}

process.on('message', (forward: Forward, server: unknown) => {
  if (!(server instanceof Server)) return;
  server.on('connection', (outer: Socket) => join(outer, createConnection(forward)));
  process.send?.('accepted');
});

/** Carries both directions; when one side ends or fails, so does the other. */
function join(outer: Socket, inner: Socket): void {
  for (const [from, to] of [
    [outer, inner],
    [inner, outer],
  ] as const) {
    from.setNoDelay(true);
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
}
