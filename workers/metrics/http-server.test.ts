import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../deploy/dev/eventually.ts';
import { silent } from '../node/testing/node-world.ts';
import { isListenAddress, monitoringPaths, serveMonitoring } from './http-server.ts';

let serving: { close(): void } | undefined;
afterEach(() => serving?.close());

async function freeAddress(): Promise<{ readonly address: string; readonly holder: Server }> {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  return { address: `127.0.0.1:${(holder.address() as AddressInfo).port}`, holder };
}
const ended = (server: Server): Promise<unknown> => new Promise((resolve) => server.close(resolve));

async function get(address: string, path: string): Promise<{ readonly status: number; readonly text: string }> {
  return await eventually(`An answer at ${address}${path}`, 5, async () => {
    try {
      const response = await fetch(`http://${address}${path}`);
      return { value: { status: response.status, text: await response.text() } };
    } catch (error) {
      return { state: String(error) };
    }
  });
}

describe('metrics and health by HTTP', () => {
  it('K00001: are answered with 200 where Spiderpool’s users look', async () => {
    const { address, holder } = await freeAddress();
    await ended(holder);
    let why: string | undefined = 'it is starting';
    serving = serveMonitoring({
      metricsAddress: address,
      healthAddress: address,
      metrics: async () => 'orbweaver_ready 1\n',
      notReady: () => why,
      log: silent,
    });
    expect(await get(address, monitoringPaths.metrics)).toEqual({ status: 200, text: 'orbweaver_ready 1\n' });
    expect(await get(address, monitoringPaths.startup)).toMatchObject({ status: 200 });
    expect(await get(address, monitoringPaths.liveness)).toMatchObject({ status: 200 });
    expect(await get(address, monitoringPaths.readiness)).toEqual({ status: 503, text: 'it is starting\n' });
    why = undefined;
    expect(await get(address, monitoringPaths.readiness)).toMatchObject({ status: 200 });
    expect(await get(address, '/')).toMatchObject({ status: 404 });
  });

  it('come as soon as an address is free that was taken, and nobody waits for them', async () => {
    const { address, holder } = await freeAddress();
    serving = serveMonitoring({
      metricsAddress: address,
      healthAddress: '',
      metrics: async () => 'late\n',
      notReady: () => undefined,
      log: silent,
    });
    await ended(holder);
    expect(await get(address, '/metrics')).toEqual({ status: 200, text: 'late\n' });
  });

  it.each([
    ['127.0.0.1:5711', true],
    ['[::1]:5711', true],
    ['localhost:1', true],
    ['', true],
    ['5711', false],
    ['::1:5711', false],
    ['127.0.0.1:0', false],
    ['127.0.0.1:70000', false],
  ])('address %j is valid: %s', (text, isValid) => {
    expect(isListenAddress(text)).toBe(isValid);
  });
});
