import { describe, expect, it } from '@jest/globals';
import { intervalSet } from '../interval-set.ts';
import { assignPools, isSettled, type PoolSubject, type SeenPool, subjectKey, wishOf } from './pool-wish.ts';

const subject: PoolSubject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  namespace: 'pay',
  name: 'api',
  ifName: 'eth0',
  family: 4,
};
const annotations = (some: Record<string, string> = {}): Record<string, string> => ({
  'ipam.spidernet.io/subnets': '[{"interface":"eth0","ipv4":["rack7"]},{"interface":"net1","ipv6":["six"]}]',
  ...some,
});
const wish = (some: Record<string, string> = {}, of: Partial<PoolSubject> = {}, replicas: number | undefined = 3) =>
  wishOf(
    { ...subject, ...of },
    { uid: 'a-1', annotations: annotations(some), ...(replicas !== undefined && { replicas }) },
    1,
  );

describe('what an application wishes', () => {
  it('is a pool of its size from the Subnet of this NIC and family', () => {
    expect(wish()).toMatchObject({ wish: { subnet: 'rack7', size: 4, sizeText: '+1', isReclaimed: true } });
    expect(wish({}, { ifName: 'net1', family: 6 })).toMatchObject({ wish: { subnet: 'six' } });
    expect(
      wish({ 'ipam.spidernet.io/ippool-ip-number': '9', 'ipam.spidernet.io/ippool-reclaim': 'false' }),
    ).toMatchObject({
      wish: { size: 9, sizeText: '9', isReclaimed: false },
    });
  });

  it('is nothing for a NIC or family that it does not name, and for an application that is gone', () => {
    expect(wish({}, { family: 6 })).toEqual({ outcome: 'none' });
    expect(wish({}, { ifName: 'net2' })).toEqual({ outcome: 'none' });
    expect(wishOf(subject, undefined, 1)).toEqual({ outcome: 'none' });
    expect(wishOf(subject, { uid: 'a-1', annotations: {} }, 1)).toEqual({ outcome: 'none' });
  });

  it('is refused in a sentence that says what to write instead', () => {
    expect(wish({ 'ipam.spidernet.io/ippool-ip-number': '3+2' })).toMatchObject({
      outcome: 'refused',
      problem: expect.stringMatching(/ippool-ip-number.*3\+2.*\+2/s),
    });
    expect(wishOf(subject, { uid: 'a-1', annotations: annotations() }, 1)).toMatchObject({
      outcome: 'refused',
      problem: expect.stringMatching(/^No pool for Deployment pay\/api: .*only supports a fixed number/),
    });
  });
});

const pool = (name: string, some: Partial<SeenPool> = {}, made: Partial<SeenPool['made']> = {}): SeenPool => ({
  name,
  addresses: intervalSet([{ first: 1n, last: 4n }]),
  isTerminating: false,
  sizeText: '+1',
  made: {
    application: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'pay', name: 'api' },
    applicationUID: 'a-1',
    ifName: 'eth0',
    subnet: 'rack7',
    isReclaimed: true,
    ...made,
  },
  ...some,
});
const wanted = () => {
  const reading = wish();
  return reading.outcome === 'wish' ? reading.wish : undefined;
};
const named = (pools: readonly SeenPool[]): readonly string[] => pools.map(({ name }) => name);

describe('of the pools of an application', () => {
  it('its own of this Subnet serves, before one that was kept', () => {
    const { serving, staying } = assignPools(wanted(), [
      pool('a', {}, { applicationUID: 'old', isReclaimed: false }),
      pool('b'),
    ]);
    expect(serving?.name).toBe('b');
    expect(named(staying)).toEqual(['a']);
  });

  it('one of another Subnet, of an earlier application, or that is being deleted goes', () => {
    const others = [
      pool('a', {}, { subnet: 'rack8' }),
      pool('b', {}, { applicationUID: 'old' }),
      pool('c', { isTerminating: true }),
    ];
    const { serving, leaving } = assignPools(wanted(), others);
    expect(serving).toBeUndefined();
    expect(named(leaving).toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('nothing is to be done exactly when the one that serves is as wished and none is to go', () => {
    const reading = wish();
    expect(isSettled(reading, [pool('a')])).toBe(true);
    expect(isSettled(reading, [])).toBe(false);
    expect(isSettled(reading, [pool('a', { addresses: intervalSet([{ first: 1n, last: 5n }]) })])).toBe(false);
    expect(isSettled(reading, [pool('a', { sizeText: '4' })])).toBe(false);
    expect(isSettled(reading, [pool('a'), pool('b', {}, { subnet: 'rack8' })])).toBe(false);
    expect(isSettled({ outcome: 'none' }, [pool('a', {}, { isReclaimed: false })])).toBe(true);
    expect(isSettled({ outcome: 'none' }, [pool('a')])).toBe(false);
    expect(isSettled({ outcome: 'none' }, [pool('a', { isTerminating: true })])).toBe(true);
    expect(isSettled(reading, [pool('a', { isTerminating: true })])).toBe(false);
  });
});

it('every application, NIC and family has a key of its own', () => {
  expect(subjectKey(subject)).toBe('pay/Deployment/api/eth0/4');
  expect(subjectKey({ ...subject, apiVersion: 'apps.kruise.io/v1beta1', kind: 'StatefulSet' })).toBe(
    'pay/StatefulSet.apps.kruise.io/api/eth0/4',
  );
});
