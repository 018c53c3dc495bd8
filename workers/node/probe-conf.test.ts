import { describe, expect, it } from '@jest/globals';
import { parseProbes } from './probe-conf.ts';

describe('the probes of a network configuration', () => {
  it('are the cluster’s when nothing is said', () => {
    expect(parseProbes({}, '')).toBeUndefined();
    expect(parseProbes({ detectIPConflict: null, detectOptions: null }, '')).toBeUndefined();
  });

  it('are read with Spiderpool’s keys', () => {
    const options = { retries: 5, interval: '50ms', timeout: '0.2s' };
    expect(parseProbes({ detectIPConflict: true, detectGateway: false, detectOptions: options }, '')).toEqual({
      conflicts: true,
      gateways: false,
      timing: { tries: 5, intervalMs: 50, waitMs: 200 },
    });
  });

  it('keep the cluster’s times where an option is absent, 0 or empty', () => {
    expect(parseProbes({ detectOptions: { retries: 0, interval: '', timeout: '1s' } }, '')).toEqual({
      timing: { waitMs: 1000 },
    });
  });

  it.each([
    [
      'detectIPConflict',
      { detectIPConflict: 'yes' },
      'Key "ipam.detectIPConflict" of the network configuration is "yes"',
    ],
    ['detectGateway', { detectGateway: 1 }, 'Key "ipam.detectGateway" of the network configuration is 1'],
    ['a list of options', { detectOptions: [] }, 'Key "ipam.detectOptions" of the network configuration is []'],
    ['an unknown option', { detectOptions: { retry: 3 } }, 'is {"retry":3}'],
    [
      'too many tries',
      { detectOptions: { retries: 11 } },
      'Key "ipam.detectOptions.retries" of the network configuration is 11',
    ],
    ['half a try', { detectOptions: { retries: 1.5 } }, 'is 1.5'],
    [
      'no unit',
      { detectOptions: { interval: '100' } },
      'Key "ipam.detectOptions.interval" of the network configuration is "100"',
    ],
    [
      'a minute',
      { detectOptions: { timeout: '1m' } },
      'Key "ipam.detectOptions.timeout" of the network configuration is "1m"',
    ],
    ['no time at all', { detectOptions: { timeout: '0s' } }, 'is "0s"'],
    ['a number', { detectOptions: { timeout: 100 } }, 'is 100'],
  ])('are refused with %s', (_, json, message) => {
    expect(() => parseProbes(json, 'ipam.')).toThrow(message);
    expect(() => parseProbes(json, 'ipam.')).toThrow(expect.objectContaining({ type: 'InvalidConfig' }));
  });
});
