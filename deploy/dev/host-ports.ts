import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { Place } from './place.ts';
import type { Forward } from './relay.ts';

/**
 * Opens one free port on the host's 127.0.0.1 for each target inside `control`, and starts the relay that serves them.
 * Gives the ports in the order of the targets.
 */
export async function openHostPorts(control: Place, targets: readonly Forward[]): Promise<readonly number[]> {
  const relay = control.spawn('relay', [process.execPath, join(import.meta.dirname, 'relay.ts')], { ipc: true });
  const ended = relay.ended.then((how) => {
    throw new Error(`The relay ended: ${how}\n${relay.tail()}`);
  });
  const ports: number[] = [];
  for (const target of targets) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    ports.push((server.address() as AddressInfo).port);
    relay.child.send(target, server);
    await Promise.race([once(relay.child, 'message'), ended]);
    server.close();
  }
  relay.child.disconnect();
  return ports;
}
