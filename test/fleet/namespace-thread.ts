/** A thread that does the namespace work of a node runner: the runner's own thread must stay free, and in its own namespace. */
import { parentPort, workerData } from 'node:worker_threads';
import { NamespaceDirectory } from './namespaces.ts';
import type { RunnerAnswer, RunnerRequest } from './runner-messages.ts';

const namespaces = new NamespaceDirectory(workerData as string);

parentPort?.on('message', (request: RunnerRequest) => {
  const { id } = request;
  let answer: RunnerAnswer;
  try {
    answer = { id, value: perform(request) };
  } catch (error) {
    answer = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, no window
  parentPort?.postMessage(answer);
});

function perform(request: RunnerRequest): unknown {
  switch (request.kind) {
    case 'make':
      for (const containerID of request.containerIDs) namespaces.make(containerID);
      return null;
    case 'remove':
      for (const containerID of request.containerIDs) namespaces.remove(containerID);
      return null;
    case 'addresses':
      return namespaces.addresses(request.containerIDs);
    case 'calls':
      throw new Error('Calls are not for this thread');
  }
}
