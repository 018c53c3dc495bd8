import { describe, expect, it } from '@jest/globals';
import { type CniInterface, cniVersions } from '../../contracts/cni.ts';
import { expectGolden } from '../../test/testing/golden-file.ts';
import { emptyReply, failureReply, passedOnReply, resultReply, versionOf } from './cni-reply.ts';
import { printed } from './testing/calls-to-cni.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const failure = {
  type: 'PoolExhausted',
  message: 'Cannot claim an IPv4 address from pool "rack7-v4": all 3 are in use',
  remedy: 'Extend spec.ips of SpiderIPPool "rack7-v4", or see who holds them: orb pools rack7-v4',
} as const;

describe('what the executable prints', () => {
  it.each(cniVersions)('for a failure is a CNI error of version %s on one line', (cniVersion) => {
    const reply = failureReply(failure, cniVersion);
    expect(reply.exitCode).toBe(1);
    expectGolden(new URL(`testdata/failure-${cniVersion}.json`, import.meta.url), printed(reply));
    expect(printed(reply).trimEnd()).not.toContain('\n');
  });

  it('for a failure without a remedy is the message alone', () => {
    expect(JSON.parse(printed(failureReply({ type: 'Cancelled', message: 'stopped' }, '1.0.0')))).toMatchObject({
      msg: 'stopped',
      code: 11,
    });
  });

  it('for a result is the result on one line, with exit code 0', () => {
    const reply = resultReply({ interfaces: [], ips: [{ address: '10.70.8.20/22' }], routes: [], dns: {} }, '0.4.0');
    expect(reply.exitCode).toBe(0);
    expect(printed(reply)).toBe(
      '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.70.8.20/22"}],"routes":[],"dns":{}}\n',
    );
  });

  it('for a plugin behind others is what those made, with the MAC that the pod’s interface has by now', () => {
    const made = { name: 'net1', mac: '02:00:00:00:00:07', sandbox: '/run/netns/cni-1', foreign: true };
    const prevResult = {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'net1' }, null, made],
      ips: [{ address: '10.70.8.21/22' }],
    };
    const passedOn = (...interfaces: readonly CniInterface[]): unknown =>
      JSON.parse(printed(passedOnReply(prevResult, { interfaces, ips: [], routes: [], dns: {} }, '1.0.0')));
    expect(passedOn()).toEqual(prevResult);
    const now = { name: 'net1', mac: '0a:1b:0a:46:08:15', sandbox: '/run/netns/cni-1' };
    expect(passedOn(now)).toEqual({ ...prevResult, interfaces: [{ name: 'net1' }, null, { ...made, mac: now.mac }] });
  });

  it('for a DEL is nothing', () => {
    expect(emptyReply).toEqual({ exitCode: 0, stdout: new Uint8Array() });
  });
});

describe('the version of an answer', () => {
  it.each([
    ['{"cniVersion":"0.3.1"}', '0.3.1'],
    ['{"cniVersion":"9.9.9"}', '1.1.0'],
    ['{"cniVersion":7}', '1.1.0'],
    ['{}', '1.1.0'],
    ['null', '1.1.0'],
    ['[]', '1.1.0'],
    ['', '1.1.0'],
    ['garbage', '1.1.0'],
  ])('to %s is %s', (stdin, version) => {
    expect(versionOf(bytes(stdin))).toBe(version);
  });
});
