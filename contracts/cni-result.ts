import type { CniInterface, CniResult, CniVersion } from './cni.ts';
import type { ClaimedAddress } from './pod-network.ts';

/**
 * The result of an attachment: `made` is the pod's interface when we made it; an IPAM plugin reports no interface.
 * The gateway is that of the pool even when no default route leads to it, as Spiderpool's users know it.
 */
export function toCniResult(addresses: readonly ClaimedAddress[], made?: CniInterface): CniResult {
  return {
    interfaces: made === undefined ? [] : [made],
    ips: addresses.map(({ address, gateway }) => ({
      address,
      ...(gateway === undefined ? {} : { gateway }),
      ...(made === undefined ? {} : { interface: 0 }),
    })),
    routes: addresses.flatMap(({ routes }) => routes.map(({ dst, gw }) => ({ dst, gw }))),
    dns: {},
  };
}

/** Renders a result as the caller's CNI version spells it. CNI spec 0.3.0 to 1.1.0, "Result Types". */
export function renderResult(result: CniResult, cniVersion: CniVersion): Record<string, unknown> {
  const namesFamily = cniVersion.startsWith('0.');
  const knowsDevice = cniVersion === '1.1.0'; // CNI spec 1.1.0, "ADD Success": mtu and pciID
  return {
    cniVersion,
    ...(result.interfaces.length === 0
      ? {}
      : {
          interfaces: result.interfaces.map(({ mtu, pciID, ...link }) => ({
            ...link,
            ...(knowsDevice && mtu !== undefined ? { mtu } : {}),
            ...(knowsDevice && pciID !== undefined ? { pciID } : {}),
          })),
        }),
    ips: result.ips.map((ip) => (namesFamily ? { version: ip.address.includes(':') ? '6' : '4', ...ip } : ip)),
    routes: result.routes,
    dns: result.dns,
  };
}
