import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { decodeReply, encodeRequest } from '../../contracts/frame.ts';
import { eventually } from '../../deploy/dev/eventually.ts';
import { openCniSocket, type Serve } from './cni-socket.ts';
import { cniCall, printed } from './testing/calls-to-cni.ts';
import { silent } from './testing/node-world.ts';

jest.setTimeout(30_000); // longer than any wait in here

let directory: string;
let server: Server;
let sockets: Socket[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'orbweaver-socket-'));
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

const path = () => join(directory, 'socket');
const listen = async (serve: Serve) => {
  server = await openCniSocket(path(), serve, silent);
};

/** A caller; `answer` is all that it reads until the other side closes. */
function dial(): { readonly socket: Socket; readonly answer: Promise<Uint8Array> } {
  const socket = connect(path());
  sockets.push(socket);
  const chunks: Uint8Array[] = [];
  const answer = new Promise<Uint8Array>((resolve) => {
    socket.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(new Uint8Array(Buffer.concat(chunks))));
  });
  return { socket, answer };
}

const echo: Serve = async ({ nonce }) => ({ exitCode: 0, stdout: new TextEncoder().encode(nonce) });
const call = encodeRequest(cniCall('ADD'));

describe('the CNI socket', () => {
  it('is for root alone, and takes the place of one that a killed worker left', async () => {
    writeFileSync(path(), 'left over');
    await listen(echo);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });

  it('answers one call and closes', async () => {
    await listen(echo);
    const { socket, answer } = dial();
    socket.write(call);
    const reply = decodeReply(await answer);
    expect(reply === 'incomplete' ? reply : printed(reply)).toBe('a'.repeat(32));
  });

  it('takes a call in pieces, however small', async () => {
    await listen(echo);
    const { socket, answer } = dial();
    for (const byte of call) socket.write(new Uint8Array([byte]));
    expect(decodeReply(await answer)).toMatchObject({ exitCode: 0 });
  });

  it('serves many callers at once, each with its own answer', async () => {
    await listen(echo);
    const answers = Array.from({ length: 50 }, async (_, index) => {
      const nonce = index.toString(16).padStart(32, '0');
      const { socket, answer } = dial();
      socket.write(encodeRequest(cniCall('ADD', { nonce })));
      const reply = decodeReply(await answer);
      expect(reply === 'incomplete' ? reply : printed(reply)).toBe(nonce);
    });
    await Promise.all(answers);
  });

  it.each([
    ['no frame of ours', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')],
    ['a frame of another version', new Uint8Array(new Uint32Array([2, 0, 0, 32]).buffer)],
    ['a frame that is too large', new Uint8Array(new Uint32Array([1, 0, 0xffff_ffff, 32]).buffer)],
    ['two calls at once', new Uint8Array(Buffer.concat([call, call]))],
    ['random bytes', new Uint8Array(1024).fill(0xa5)],
  ])('closes on %s without an answer, and goes on serving', async (_, bytes) => {
    let served = 0;
    await listen(async (frame, gone) => {
      served += 1;
      return await echo(frame, gone);
    });
    const bad = dial();
    bad.socket.write(bytes);
    expect(await bad.answer).toHaveLength(0);
    expect(served).toBe(0);
    const good = dial();
    good.socket.write(call);
    expect(decodeReply(await good.answer)).toMatchObject({ exitCode: 0 });
  });

  it('says when a caller hangs up before it is answered', async () => {
    const signals: AbortSignal[] = [];
    await listen((_, isGone) => {
      signals.push(isGone);
      return new Promise(() => undefined);
    });
    const { socket } = dial();
    socket.write(call);
    await eventually('the call to be served', 20, () =>
      signals.length > 0 ? { value: true } : { state: 'not served' },
    );
    expect(signals[0]?.aborted).toBe(false);
    socket.destroy();
    await eventually('the caller to be gone', 20, () =>
      signals[0]?.aborted === true ? { value: true } : { state: 'there' },
    );
  });

  it('closes when serving fails in a way that nobody foresaw, and goes on', async () => {
    let isBroken = true;
    await listen(async (frame, gone) => {
      if (isBroken) throw new Error('not foreseen');
      return await echo(frame, gone);
    });
    const bad = dial();
    bad.socket.write(call);
    expect(await bad.answer).toHaveLength(0);
    isBroken = false;
    const good = dial();
    good.socket.write(call);
    expect(decodeReply(await good.answer)).toMatchObject({ exitCode: 0 });
  });
});
