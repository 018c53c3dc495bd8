import { describe, expect, it } from '@jest/globals';
import type { DeviceLease } from '../contracts/device.ts';
import { findLink, keyOf, keyOfConf } from './device-key.ts';
import type { ObservedLink } from './observed-namespace.ts';
import { pciAddress, plainLink } from './testing/device-model.ts';

const alias = 'orbweaver:lent/5b1e/net1';
const port = (number: number, rest: Partial<ObservedLink> = {}): ObservedLink => ({
  ...plainLink,
  ifIndex: 10 + number,
  ifName: `ib-eth${number}`,
  mac: `02:00:00:00:00:0${number}`,
  pciAddress,
  ...rest,
});
const { ifName, mac, mtuBytes, isUp } = port(1);
/** Of the second of two ports of one function. */
const lease: DeviceLease = { pciAddress, driver: 'mlx4_core', link: { ifName, mac, mtuBytes, isUp, alias: '' } };
const key = keyOf(lease, alias);

describe('the link of a PCI function that has several', () => {
  it('is the one that a loan has marked, in the pod or on the node, under any name', () => {
    const lent = port(1, { ifName: 'net1', alias });
    expect(findLink([port(0)], [lent], key).link).toMatchObject({ ifName: 'net1', place: 'pod' });
    expect(findLink([port(0), lent], [], key).link).toMatchObject({ ifName: 'net1', place: 'node' });
  });

  it('is the one that was there before the loan, while none is marked', () => {
    expect(findLink([port(0), port(1)], [], key).link).toMatchObject({ ifName: 'ib-eth1', place: 'node' });
  });

  it('is none of them when nothing tells which', () => {
    const found = { several: ['ib-eth0', 'ib-eth2'] };
    expect(findLink([port(0), port(2)], [], key)).toEqual(found);
    const conf = { kind: 'host-device', select: { by: 'pci', pciAddress } } as const;
    expect(findLink([port(0), port(2)], [], keyOfConf(conf))).toEqual(found);
  });

  it('is no link that a pod has marked itself', () => {
    const own = { ...plainLink, ifName: 'mine', kind: 'dummy', alias };
    expect(findLink([], [own, port(1, { ifName: 'net1', alias })], key).link).toMatchObject({ ifName: 'net1' });
  });
});

it('is the only link of its function, whatever a rebind has made of name, MAC and alias', () => {
  const remade = port(7, { ifName: 'eth0' });
  expect(findLink([remade, { ...plainLink, alias: 'rack-7' }], [], key).link).toEqual({ ...remade, place: 'node' });
});
