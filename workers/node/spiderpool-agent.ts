import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../activities/node-ports.ts';

/** Where Spiderpool's agent listens (spec/ipam.md §0.2), and what its own plugin asks first (§3.3). */
export const defaultAgentSocket = '/var/run/spidernet/spiderpool.sock';
const healthPath = '/v1/ipam/healthy';

const answerMs = 1000;
const askAgainMs = 2000;

/** Whether somebody listens at the socket: a socket file that an agent left behind is nobody. */
export function agentAnswers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: healthPath, timeout: answerMs }, (response) => {
      response.resume();
      resolve(true); // well or not, it is there
    });
    asked.on('timeout', () => {
      resolve(true); // it took the connection
      asked.destroy();
    });
    asked.on('error', () => resolve(false));
    asked.end();
  });
}

/**
 * Waits until no Spiderpool agent answers on this node: two who give addresses would not know of each other. `onWait` is told once,
 * with a sentence, when there is one.
 */
export async function untilAgentIsGone(socketPath: string, log: Log, onWait: (why: string) => void): Promise<void> {
  for (let isFirst = true; await agentAnswers(socketPath); isFirst = false) {
    if (isFirst) {
      onWait(`a Spiderpool agent answers at ${socketPath}`);
      const remedy = `Stop it on this node, then: orb import. This worker serves as soon as nobody answers at ${socketPath}`;
      log.error({ socketPath, remedy }, 'a Spiderpool agent serves this node, waiting for its end');
    }
    await sleep(askAgainMs);
  }
}
