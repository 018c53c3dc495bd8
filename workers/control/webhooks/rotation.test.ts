import { X509Certificate } from 'node:crypto';
import { connect, createServer } from 'node:tls';
import { afterEach, describe, expect, it } from '@jest/globals';
import { renewed, trusted, withNextServed } from './rotation.ts';
import { makeServingPair, type ServingPair, servesUntilMs } from './serving-pair.ts';

const dayMs = 86_400_000;
const hosts = ['10.222.0.254', 'orbweaver-webhook.orbweaver-system.svc'];
const nowMs = Date.now();

describe('a serving certificate', () => {
  const servers = new Set<ReturnType<typeof createServer>>();
  afterEach(() => {
    for (const server of servers) server.close();
    servers.clear();
  });

  /** Connects as the API server does: it trusts the authorities and nobody else. */
  async function isTrusted({ certificate, key }: ServingPair, ca: string, servername: string): Promise<boolean> {
    const server = createServer({ cert: certificate, key });
    servers.add(server);
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as { port: number };
    return await new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', ca, servername }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
  }

  it('is trusted by who trusts its authority, under each of its names and no other', async () => {
    const pair = await makeServingPair({ hosts, nowMs, lifetimeMs: dayMs });
    const [, name = ''] = hosts;
    expect(await isTrusted(pair, pair.authority, name)).toBe(true);
    expect(await isTrusted(pair, pair.authority, 'kubernetes.default.svc')).toBe(false);
    const other = await makeServingPair({ hosts, nowMs, lifetimeMs: dayMs });
    expect(await isTrusted(pair, other.authority, name)).toBe(false);
    expect(await isTrusted(pair, other.authority + pair.authority, name)).toBe(true);
    const read = new X509Certificate(pair.certificate);
    expect(read.checkIP('10.222.0.254')).toBe('10.222.0.254');
    expect(new X509Certificate(pair.authority).ca).toBe(true);
    expect(read.ca).toBe(false);
  });

  it('says until when it serves, and for whom', async () => {
    const { certificate } = await makeServingPair({ hosts, nowMs, lifetimeMs: dayMs });
    expect(Math.abs(servesUntilMs(certificate, hosts) - (nowMs + dayMs))).toBeLessThan(1000);
    expect(servesUntilMs(certificate, [...hosts, 'another.svc'])).toBe(0);
    expect(servesUntilMs('no certificate', hosts)).toBe(0);
  });
});

describe('certificates over time', () => {
  it('are made once and then left alone', async () => {
    const first = await renewed(undefined, { hosts, nowMs });
    expect(first.next).toBeUndefined();
    expect(await renewed(first, { hosts, nowMs: nowMs + 59 * dayMs })).toBe(first);
  });

  it('get a successor when a third of their time is left, and both are trusted until it serves and after', async () => {
    const first = await renewed(undefined, { hosts, nowMs });
    const both = await renewed(first, { hosts, nowMs: nowMs + 61 * dayMs });
    expect(both.current).toBe(first.current);
    expect(await renewed(both, { hosts, nowMs: nowMs + 61 * dayMs })).toBe(both);
    if (both.next === undefined) throw new Error('no successor');
    expect(trusted(both)).toBe(first.current.authority + both.next.authority);
    const changed = withNextServed(both.current, both.next);
    expect(changed.current).toBe(both.next);
    expect(trusted(changed)).toBe(both.next.authority + first.current.authority);
    expect(await renewed(changed, { hosts, nowMs: nowMs + 61 * dayMs })).toBe(changed);
  });

  it('get one when somebody asks, and only one', async () => {
    const first = await renewed(undefined, { hosts, nowMs });
    const both = await renewed(first, { hosts, nowMs, isAsked: true });
    expect(both.next).toBeDefined();
    expect(await renewed(both, { hosts, nowMs, isAsked: true })).toBe(both);
  });

  it.each([
    ['their time is over', hosts, nowMs + 91 * dayMs],
    ['they are for another name', ['10.0.0.1'], nowMs],
  ])('are replaced at once when %s', async (_, now, at) => {
    const first = await renewed(undefined, { hosts, nowMs });
    const second = await renewed(first, { hosts: now, nowMs: at });
    expect(second.current).not.toBe(first.current);
    expect(second.next).toBeUndefined();
    expect(servesUntilMs(second.current.certificate, now)).toBeGreaterThan(at);
  });
});
