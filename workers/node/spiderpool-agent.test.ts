import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { agentAnswers, untilAgentIsGone } from './spiderpool-agent.ts';
import { silent } from './testing/node-world.ts';

let directory: string;
let socket: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spiderpool-'));
  socket = join(directory, 'spiderpool.sock');
});
afterEach(() => rm(directory, { recursive: true }));

async function agent(status: number): Promise<{ readonly asked: string[]; readonly stop: () => Promise<void> }> {
  const asked: string[] = [];
  const server = createServer(({ method, url }, response) => {
    asked.push(`${method} ${url}`);
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    asked,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describe('a Spiderpool agent on this node', () => {
  it.each([200, 500])('is noticed when it answers %i', async (status) => {
    const { asked, stop } = await agent(status);
    try {
      expect(await agentAnswers(socket)).toBe(true);
      expect(asked).toEqual(['GET /v1/ipam/healthy']);
    } finally {
      await stop();
    }
  });

  it('is not there without a socket, nor behind one that it left', async () => {
    expect(await agentAnswers(socket)).toBe(false);
    await writeFile(socket, '');
    expect(await agentAnswers(socket)).toBe(false);
  });

  it('is waited for, and that is said once', async () => {
    const { stop } = await agent(200);
    const said: string[] = [];
    const gone = untilAgentIsGone(socket, silent, (why) => {
      said.push(why);
      void stop();
    });
    await gone;
    expect(said).toEqual([`a Spiderpool agent answers at ${socket}`]);
  }, 10_000);
});
