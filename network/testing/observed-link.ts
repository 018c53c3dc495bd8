import type { ObservedLink } from '../observed-namespace.ts';

/** An Ethernet link that is up and of nobody's making, but for what is said of it. */
export const observedLink = (ifIndex: number, ifName: string, some: Partial<ObservedLink> = {}): ObservedLink => ({
  ifIndex,
  ifName,
  mac: `02:00:00:00:00:0${ifIndex}`,
  mtuBytes: 1500,
  isUp: true,
  isLoopback: false,
  isEthernet: true,
  group: 0,
  alias: '',
  ...some,
});
