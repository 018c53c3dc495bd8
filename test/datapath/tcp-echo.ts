/** Both ends of a TCP connection, for traffic.ts: `serve ADDRESS` prints its port; `ask ADDRESS PORT COUNT INTERVAL_MS` prints counts. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EchoCount } from './traffic.ts';

/** Silence after the last line that ends the count. */
const patienceMs = 5000;

const [role, address = '', ...rest] = process.argv.slice(2);
if (role === 'serve') await serve();
else await ask(...(rest.map(Number) as [number, number, number]));

async function serve(): Promise<void> {
  const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  server.listen(0, address);
  await once(server, 'listening');
  console.log((server.address() as { port: number }).port);
}

async function ask(port: number, count: number, intervalMs: number): Promise<void> {
  const socket = connect(port, address).setNoDelay().setEncoding('utf8');
  await once(socket, 'connect');
  const answeredAt: number[] = [];
  const { promise: all, resolve } = Promise.withResolvers<void>();
  socket.on('data', (chunk: string) => {
    for (const sign of chunk) if (sign === '\n') answeredAt.push(performance.now());
    if (answeredAt.length === count) resolve();
  });
  for (let number = 0; number < count; number += 1) {
    socket.write(`${number}\n`);
    await sleep(intervalMs);
  }
  await Promise.race([all, sleep(patienceMs, undefined, { ref: false })]);
  const gaps = answeredAt.slice(1).map((time, index) => time - (answeredAt[index] ?? time));
  const longestGapMs = Math.round(Math.max(0, ...gaps));
  console.log(JSON.stringify({ sent: count, answered: answeredAt.length, longestGapMs } satisfies EchoCount));
  socket.destroy();
}
