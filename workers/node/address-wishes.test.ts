import { describe, expect, it } from '@jest/globals';
import { addressWishes } from './address-wishes.ts';
import { parseCniCall } from './cni-call.ts';
import { parseConf } from './network-conf.ts';
import { cniCall, wholeConf } from './testing/calls-to-cni.ts';

const conf = (keys: object) => parseConf(new TextEncoder().encode(JSON.stringify({ ...wholeConf, ...keys })));
const noArgs = new Map<string, string>();

describe('the exact addresses that a call asks for', () => {
  it('come by each way with its name', () => {
    const keys = { runtimeConfig: { ips: ['10.70.8.20/22', 'fd70::20'] }, args: { cni: { ips: ['10.70.8.20'] } } };
    expect(addressWishes(conf(keys), new Map([['IP', '10.70.8.20,fd70::20']]))).toEqual([
      { source: 'runtimeConfig.ips', ips: ['10.70.8.20/22', 'fd70::20'] },
      { source: 'args.cni.ips', ips: ['10.70.8.20'] },
      { source: 'IP of CNI_ARGS', ips: ['10.70.8.20', 'fd70::20'] },
    ]);
  });

  it.each([
    {},
    { runtimeConfig: null, args: [] },
    { runtimeConfig: { ips: [], mac: '02:00:00:00:00:01' }, args: { cni: 'x' } },
    { runtimeConfig: 7, args: { cni: { ips: null } } },
  ])('are none in %j', (keys) => {
    expect(addressWishes(conf(keys), noArgs)).toEqual([]);
    expect(addressWishes(conf(keys), new Map([['IP', '']]))).toEqual([]);
  });

  it.each([
    ['runtimeConfig.ips', { runtimeConfig: { ips: '10.70.8.20' } }],
    ['runtimeConfig.ips', { runtimeConfig: { ips: [7] } }],
    ['args.cni.ips', { args: { cni: { ips: { 0: '10.70.8.20' } } } }],
    ['args.cni.ips', { args: { cni: { ips: Array.from({ length: 17 }, () => '10.70.8.20') } } }],
  ])('are refused where %s is no list of them', (key, keys) => {
    expect(() => addressWishes(conf(keys), noArgs)).toThrow(
      new RegExp(`^Key "${key}" of the network configuration is`),
    );
  });

  it('belong to an ADD; a DEL does not look at them', () => {
    const environment = { CNI_ARGS: 'K8S_POD_NAMESPACE=pay;K8S_POD_NAME=api-0;IP=10.70.8.20' };
    expect(parseCniCall(cniCall('ADD', { environment }))).toMatchObject({
      wishes: [{ source: 'IP of CNI_ARGS', ips: ['10.70.8.20'] }],
    });
    const stdin = { ...wholeConf, runtimeConfig: { ips: 7 } };
    expect(parseCniCall(cniCall('DEL', { stdin }))).not.toHaveProperty('wishes');
  });
});
