import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { endpointOf } from './kubeconfig.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] });
});
afterEach(async () => {
  jest.useRealTimers();
  await rm(directory, { recursive: true });
});

async function kubeconfig(user: string, cluster = 'server: https://10.96.0.1:443'): Promise<string> {
  const file = join(directory, 'kubeconfig');
  await writeFile(
    file,
    `{apiVersion: v1, kind: Config, current-context: c,
      clusters: [{name: k, cluster: {${cluster}}}],
      users: [{name: u, user: {${user}}}],
      contexts: [{name: c, context: {cluster: k, user: u}}]}`,
  );
  return file;
}

describe('the endpoint of a kubeconfig', () => {
  it('carries client certificate, key and authority from files beside it', async () => {
    await Promise.all(['ca', 'crt', 'key'].map((name) => writeFile(join(directory, name), `the ${name}`)));
    const file = await kubeconfig(
      'client-certificate: crt, client-key: key',
      'server: https://h:1, certificate-authority: ca',
    );
    const endpoint = await endpointOf(file);
    expect(endpoint.server).toBe('https://h:1');
    expect([endpoint.tls.ca, endpoint.tls.cert, endpoint.tls.key].map(String)).toEqual([
      'the ca',
      'the crt',
      'the key',
    ]);
    expect(await endpoint.headers()).toEqual({});
  });

  it('shows a bearer token', async () => {
    const endpoint = await endpointOf(await kubeconfig('token: secret'));
    expect(await endpoint.headers()).toEqual({ Authorization: 'Bearer secret' });
  });

  it('reads a token file again after it was rotated', async () => {
    await writeFile(join(directory, 'token'), 'first');
    const endpoint = await endpointOf(await kubeconfig('tokenFile: token'));
    expect(await endpoint.headers()).toEqual({ Authorization: 'Bearer first' });
    await writeFile(join(directory, 'token'), 'second');
    jest.advanceTimersByTime(61_000);
    expect(await endpoint.headers()).toEqual({ Authorization: 'Bearer second' });
  });

  it('is refused without a current cluster', async () => {
    const file = join(directory, 'empty');
    await writeFile(file, '{apiVersion: v1, kind: Config, clusters: [], users: [], contexts: []}');
    await expect(endpointOf(file)).rejects.toThrow('names no current cluster');
  });
});
