import { describe, expect, it } from '@jest/globals';
import { expectGolden } from '../test/testing/golden-file.ts';
import { cniVersions } from './cni.ts';
import { renderResult, toCniResult } from './cni-result.ts';
import type { ClaimedAddress } from './pod-network.ts';

const addresses: readonly ClaimedAddress[] = [
  {
    family: 4,
    address: '10.70.8.20/22',
    pool: 'rack7-v4',
    gateway: '10.70.8.1',
    routes: [
      { dst: '10.80.0.0/16', gw: '10.70.8.2' },
      { dst: '0.0.0.0/0', gw: '10.70.8.1' },
    ],
  },
  { family: 6, address: 'fd70::20/64', pool: 'rack7-v6', routes: [] },
];
const made = { name: 'eth0', mac: '02:00:00:00:00:01', mtu: 9000, sandbox: '/run/netns/cni-1' };

describe('the result of an ADD', () => {
  it.each(cniVersions)('of a whole interface is spelled as CNI %s does', (cniVersion) => {
    const rendered = renderResult(toCniResult(addresses, made), cniVersion);
    expectGolden(
      new URL(`testdata/interface-${cniVersion}.json`, import.meta.url),
      `${JSON.stringify(rendered, undefined, 2)}\n`,
    );
  });

  it.each(cniVersions)('of an IPAM plugin is spelled as CNI %s does', (cniVersion) => {
    const rendered = renderResult(toCniResult(addresses), cniVersion);
    expectGolden(
      new URL(`testdata/addresses-${cniVersion}.json`, import.meta.url),
      `${JSON.stringify(rendered, undefined, 2)}\n`,
    );
  });

  it('names the gateway of the pool even when no route leads to it', () => {
    const [first] = addresses;
    const result = toCniResult([{ ...(first as ClaimedAddress), routes: [] }], made);
    expect(result).toMatchObject({ ips: [{ gateway: '10.70.8.1', interface: 0 }], routes: [] });
  });
});
