import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeRequest, encodeReply, fromChunks, type RequestFrame } from '../contracts/frame.ts';
import { askForReport } from './worker-socket.ts';

let runDirectory: string;
let server: Server | undefined;
beforeEach(async () => {
  runDirectory = await mkdtemp(join(tmpdir(), 'orb-'));
});
afterEach(async () => {
  server?.close();
  server = undefined;
  await rm(runDirectory, { recursive: true });
});

/** A worker that answers each request with what `answer` gives; `undefined` closes the connection. */
async function worker(answer: (request: RequestFrame) => Uint8Array | undefined): Promise<void> {
  server = createServer((socket: Socket) => {
    const take = fromChunks(decodeRequest);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      const request = take(chunk);
      if (request !== 'incomplete') socket.end(answer(request) ?? new Uint8Array());
    });
  });
  const listening = server;
  await new Promise<void>((resolve) => listening.listen(join(runDirectory, 'socket'), resolve));
}
const reply = (exitCode: number, text: string): Uint8Array =>
  encodeReply({ exitCode, stdout: new TextEncoder().encode(text) });

describe('asking the node worker', () => {
  it('sends a frame that makes no CNI call, and reads the report', async () => {
    let seen: RequestFrame | undefined;
    await worker((request) => {
      seen = request;
      return reply(0, '{"node":"r7-n1"}');
    });
    expect(await askForReport(runDirectory)).toEqual({ node: 'r7-n1' });
    expect(seen?.environment).toEqual(new Map([['ORBWEAVER_REPORT', 'node']]));
  });

  it('says that none runs here when there is no socket', async () => {
    await expect(askForReport(runDirectory)).rejects.toMatchObject({
      message: `No node worker runs here: there is no ${runDirectory}/socket`,
      remedy: expect.stringContaining('Run orb node on a node'),
      exitCode: 1,
    });
  });

  it('passes on what the worker refuses', async () => {
    await worker(() =>
      reply(1, '{"cniVersion":"1.1.0","code":4,"msg":"unknown report","details":"update the worker"}'),
    );
    await expect(askForReport(runDirectory)).rejects.toMatchObject({
      message: 'The node worker does not report: unknown report',
      remedy: 'update the worker',
    });
  });

  it.each([
    ['closes without an answer', undefined, 'closed'],
    ['speaks something else', new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n'), 'is not our node worker'],
    ['answers with no JSON', reply(0, 'hello'), 'is no report'],
  ])('fails readably when it %s', async (_, answer, message) => {
    await worker(() => answer);
    await expect(askForReport(runDirectory)).rejects.toThrow(message);
  });
});
