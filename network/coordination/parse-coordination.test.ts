import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { ProvisionError } from '../../contracts/failures.ts';
import { coordinationSettings, parseCoordinationConf } from './parse-coordination.ts';

const refusal = (json: Record<string, unknown>): string => {
  try {
    parseCoordinationConf(json);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    return `${error.type}: ${error.message}. ${error.remedy}`;
  }
};
const settingsOf = (conf: Record<string, unknown>) => coordinationSettings({ conf: parseCoordinationConf(conf) });

describe('a configuration', () => {
  it('that says nothing has Spiderpool’s defaults', () => {
    expect(settingsOf({})).toEqual({
      mode: 'auto',
      firstNic: 'eth0',
      hijackCIDRs: [],
      tunePodRoutes: true,
      policyRoutes: [],
      vethMtuBytes: 1500,
      txQueueLen: 0,
      hostRuleTable: 500,
      podRPFilter: 0,
    });
  });

  it('is read as a whole', () => {
    const conf = {
      mode: 'underlay',
      podDefaultCniNic: 'ens1',
      podDefaultRouteNic: 'net1',
      tunePodRoutes: false,
      overlayPodCIDR: ['10.244.0.0/16'],
      serviceCIDR: ['10.96.0.0/12', 'FD00:96::/108'],
      hijackCIDR: ['169.254.20.10', '10.96.0.1/12'],
      policyRoutes: [{ dst: '10.9.1.1', gw: '10.71.0.9' }],
      podMACPrefix: '0A:1b',
      vethLinkAddress: '169.254.200.1',
      vethMTU: 1400,
      txQueueLen: 100,
      hostRuleTable: 200,
      podRPFilter: -1,
      logOptions: { logLevel: 'debug' },
      detectGateway: true,
    };
    expect(settingsOf(conf)).toEqual({
      mode: 'underlay',
      firstNic: 'ens1',
      podDefaultRouteNic: 'net1',
      tunePodRoutes: false,
      hijackCIDRs: ['10.244.0.0/16', '10.96.0.0/12', 'fd00:96::/108', '169.254.20.10/32'],
      policyRoutes: [{ dst: '10.9.1.1/32', gw: '10.71.0.9' }],
      podMACPrefix: '0a:1b',
      vethLinkAddress: '169.254.200.1',
      vethMtuBytes: 1400,
      txQueueLen: 100,
      hostRuleTable: 200,
    });
  });

  it.each(['disable', 'disabled'])('may say %s', (mode) => {
    expect(settingsOf({ mode })).toMatchObject({ mode: 'disabled' });
  });

  it('may leave texts empty, as the charts and generated configurations do', () => {
    const conf = { mode: '', podDefaultRouteNic: '', podMACPrefix: '', vethLinkAddress: '', hijackCIDR: null };
    expect(settingsOf(conf)).toEqual(settingsOf({}));
  });

  it('may hold keys of somebody else, when the caller says so', () => {
    expect(parseCoordinationConf({ type: 'coordinator' }, (key) => key === 'type')).toEqual({});
  });

  it.each([
    [
      { mode: 'both' },
      'Key "mode" of the coordinator\'s configuration is "both". Allowed: auto, underlay, overlay, disabled',
    ],
    [
      { tunePodRoutes: 'yes' },
      'Key "tunePodRoutes" of the coordinator\'s configuration is "yes". Allowed: true, false',
    ],
    [{ podDefaultRouteNic: 'a name that is too long' }, 'Allowed: the name of an interface, at most 15 bytes'],
    [{ podDefaultCniNic: '..' }, 'is "..". Allowed: the name of an interface'],
    [{ hijackCIDR: '10.0.0.0/8' }, 'is "10.0.0.0/8". Allowed: a list of networks'],
    [
      { hijackCIDR: ['10.0.0.0/8', '10.0.0.0/33'] },
      'Key "hijackCIDR[1]" of the coordinator\'s configuration is "10.0.0.0/33"',
    ],
    [{ serviceCIDR: ['0.0.0.0/0'] }, 'Allowed: less than everything'],
    [
      { policyRoutes: [{ dst: '10.9.0.0/16', gw: 'fd00::1' }] },
      'Key "policyRoutes[0].gw" of the coordinator\'s configuration is "fd00::1". Allowed: an address of the family of 10.9.0.0/16',
    ],
    [
      { policyRoutes: [{ dst: '10.9.0.0/16' }] },
      'Key "policyRoutes[0].gw" of the coordinator\'s configuration is missing',
    ],
    [{ policyRoutes: [{ dst: '::/0', gw: 'fd00::1' }] }, 'the default route comes from the pool'],
    [{ policyRoutes: [{ dst: '10.9.0.0/16', gw: '10.0.0.1', metric: 5 }] }, 'Key "policyRoutes[0].metric"'],
    [{ podMACPrefix: '0a-1b' }, 'Allowed: two bytes like "0a:1b", the first one even'],
    [{ podMACPrefix: '01:00' }, 'is "01:00"'],
    [{ vethLinkAddress: 'fe80::1' }, 'Allowed: an IPv4 address without prefix length'],
    [{ vethMTU: 0 }, 'Allowed: a whole number from 68 to 65535'],
    [{ txQueueLen: -1 }, 'Key "txQueueLen"'],
    [{ hostRuleTable: 254 }, 'Allowed: a table that is not the kernel’s own (253, 254, 255)'],
    [{ podRPFilter: 3 }, 'Allowed: 0, 1, 2, or a negative number to leave it as it is'],
    [{ vethMtu: 1500 }, 'Key "vethMtu" is unknown to the coordinator. Remove it; known are mode, '],
  ])('%j is refused in words', (json, words) => {
    expect(refusal(json)).toContain(words);
    expect(refusal(json)).toMatch(/^InvalidConfig: /);
  });

  it('of any shape is read or refused, never more', () => {
    const keys = [
      'mode',
      'hijackCIDR',
      'policyRoutes',
      'podMACPrefix',
      'vethMTU',
      'podRPFilter',
      'podDefaultRouteNic',
      '__proto__',
      'other',
    ];
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keys), fc.jsonValue(), { noNullPrototype: true }), (json) => {
        refusal(json);
      }),
    );
  });
});

describe('of several sources', () => {
  const coordinator = parseCoordinationConf({
    podDefaultRouteNIC: 'net1',
    hijackCIDR: ['169.254.0.0/16'],
    serviceCIDR: ['10.96.0.0/12'],
    podRPFilter: -1,
    txQueueLen: 5,
  });

  it('the annotation is stronger than the coordinator, and the network configuration than both', () => {
    const annotated = { podDefaultRouteNic: 'net2', coordinator };
    expect(coordinationSettings({ ...annotated, conf: {} })).toMatchObject({
      podDefaultRouteNic: 'net2',
      txQueueLen: 5,
    });
    expect(coordinationSettings({ ...annotated, conf: { podDefaultRouteNic: 'net3' } })).toMatchObject({
      podDefaultRouteNic: 'net3',
    });
    expect(coordinationSettings({ conf: {}, coordinator })).not.toHaveProperty('podRPFilter');
    expect(coordinationSettings({ conf: { podRPFilter: 1 }, coordinator })).toMatchObject({ podRPFilter: 1 });
  });

  it('a list replaces the list of that name, and no other', () => {
    expect(coordinationSettings({ conf: { hijackCIDR: ['10.9.0.0/16'] }, coordinator }).hijackCIDRs).toEqual([
      '10.96.0.0/12',
      '10.9.0.0/16',
    ]);
  });
});
