import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../deploy/dev/eventually.ts';
import type { PoolSubject } from '../ipam/auto-pools/pool-wish.ts';
import { intervalSet } from '../ipam/interval-set.ts';
import type { WishingApplication } from './application-feed.ts';
import { PoolHints } from './pool-hints.ts';
import type { PoolRow } from './subnet-rows.ts';
import { silent } from './testing/claim-fixtures.ts';

const identity = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'pay', name: 'api' };
const subject: PoolSubject = { ...identity, ifName: 'eth0', family: 4 };
const key = 'pay/Deployment/api/eth0/4';
const application = (replicas: number): WishingApplication => ({
  identity,
  seen: { uid: 'a-1', annotations: { 'ipam.spidernet.io/subnet': '{"ipv4":["rack7"]}' }, replicas },
  isForeign: false,
});
const row = (size: number, isTerminating = false): PoolRow => ({
  cidr: '10.70.8.0/24',
  isOrphan: false,
  isTerminating,
  addresses: String(size),
  seen: {
    name: 'auto4-api-eth0-1',
    family: 4,
    isTerminating,
    sizeText: '+1',
    addresses: intervalSet([{ first: 1n, last: BigInt(size) }]),
    made: { application: identity, applicationUID: 'a-1', ifName: 'eth0', subnet: 'rack7', isReclaimed: true },
  },
});

let wishing: Map<string, WishingApplication>;
let told: string[];
/** Of each that was told: whether most likely nobody sees to it yet. */
let asNew: boolean[];
let failures: number;
let hints: PoolHints;
beforeEach(() => {
  wishing = new Map();
  told = [];
  asNew = [];
  failures = 0;
  hints = new PoolHints({
    hint: async ({ name }, _, isMostLikelyNew) => {
      if (failures > 0) {
        failures -= 1;
        throw new Error('Temporal is away');
      }
      told.push(name);
      asNew.push(isMostLikelyNew);
    },
    wishing: (asked) => wishing.get(asked),
    surplus: 1,
    log: silent,
  });
});
afterEach(() => hints.stop());

const untilTold = (times: number): Promise<unknown> =>
  eventually(`${times} hints`, 5, () => (told.length >= times ? { value: true } : { state: `${told.length}` }));

describe('hints', () => {
  it('are given for what differs once all is known, and not before', async () => {
    wishing.set(key, application(3));
    hints.applicationChanged(subject);
    hints.poolChanged('auto4-api-eth0-1', undefined, row(2));
    expect(told).toEqual([]);
    hints.compare();
    await untilTold(1);
  });

  it('are not given for what is as it should be', async () => {
    wishing.set(key, application(3));
    hints.applicationChanged(subject);
    hints.poolChanged('auto4-api-eth0-1', undefined, row(4));
    hints.compare();
    hints.subnetHasMore('rack7');
    hints.poolChanged('auto4-api-eth0-1', row(4), row(4));
    hints.applicationChanged({ ...subject, name: 'last' }); // a change of an application is always told
    await untilTold(1);
    expect(told).toEqual(['last']);
  });

  it('are given for a pool that nobody wishes for, for one that changed, and when a Subnet has more', async () => {
    hints.compare();
    hints.poolChanged('auto4-api-eth0-1', undefined, row(4));
    await untilTold(1);
    wishing.set(key, application(9));
    hints.subnetHasMore('rack8');
    hints.subnetHasMore('rack7');
    await untilTold(2);
    hints.poolChanged('auto4-api-eth0-1', row(4), undefined);
    await untilTold(3);
  });

  it('are not given for a pool that goes already, nor when it is gone, but for an application that changed meanwhile', async () => {
    const going = row(4, true);
    hints.compare();
    hints.poolChanged('auto4-api-eth0-1', undefined, going);
    hints.poolChanged('auto4-api-eth0-1', going, undefined);
    hints.applicationChanged({ ...subject, name: 'last' });
    await untilTold(1);
    expect(told).toEqual(['last']);
    hints.applicationChanged(subject);
    hints.poolChanged('auto4-api-eth0-1', going, undefined);
    await untilTold(2);
    expect(told).toEqual(['last', 'api']);
  });

  it('say whether there is a pool already, and so most likely somebody who sees to it', async () => {
    wishing.set(key, application(3));
    hints.compare();
    hints.applicationChanged(subject);
    await untilTold(1);
    hints.poolChanged('auto4-api-eth0-1', undefined, row(2));
    await untilTold(2);
    expect(asNew).toEqual([true, false]);
  });

  it('that did not arrive are given again', async () => {
    hints.compare();
    failures = 1;
    hints.applicationChanged(subject);
    await untilTold(1);
    expect(failures).toBe(0);
  });
});
