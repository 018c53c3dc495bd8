import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ProvisionError } from '../contracts/failures.ts';
import type { ObservedPciFunction } from '../network/observed-device.ts';

/** Functions of the PCI bus, Documentation/ABI/testing/sysfs-bus-pci. Addresses were checked when the request arrived. */
const devices = '/sys/bus/pci/devices';

/** Undefined when the node has no such function. */
export function readPciFunction(address: string): ObservedPciFunction | undefined {
  const path = join(devices, address);
  if (missing(() => readlinkSync(path)) === undefined) return undefined;
  const driver = missing(() => basename(readlinkSync(join(path, 'driver'))));
  const pf = missing(() => basename(readlinkSync(join(path, 'physfn'))));
  const most = readNumber(join(path, 'sriov_totalvfs'));
  return {
    address,
    ...(driver === undefined ? {} : { driver }),
    ...(pf === undefined ? {} : { pf }),
    ...(most === undefined ? {} : { vfs: { most, made: readNumber(join(path, 'sriov_numvfs')) ?? 0 } }),
  };
}

/** Number of a VF as its PF counts: the links `virtfn<number>` lead to the VFs. Undefined when the PF has it no more. */
export function vfIndexOf(pf: string, address: string): number | undefined {
  const path = join(devices, pf);
  for (const name of missing(() => readdirSync(path)) ?? []) {
    const [, index] = /^virtfn(\d+)$/.exec(name) ?? [];
    if (index !== undefined && missing(() => basename(readlinkSync(join(path, name)))) === address)
      return Number(index);
  }
  return undefined;
}

/** Names of a function's RDMA devices, those in the node's namespace. */
export const rdmaNamesOf = (address: string): readonly string[] =>
  (missing(() => readdirSync(join(devices, address, 'infiniband'))) ?? []).toSorted();

/** Takes a function from its driver and gives it back. Its link is another one afterwards. Throws `KernelRefused`. */
export function rebindPciFunction(address: string, driver: string): void {
  const path = `/sys/bus/pci/drivers/${driver}`;
  try {
    if (missing(() => readlinkSync(join(devices, address, 'driver'))) !== undefined) {
      writeFileSync(join(path, 'unbind'), address);
    }
    writeFileSync(join(path, 'bind'), address);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProvisionError(
      {
        type: 'KernelRefused',
        message: `The driver ${driver} did not take ${address} again: ${reason}`,
        remedy: `Look at the node: dmesg, and try by hand: echo ${address} >${path}/bind`,
      },
      { cause },
    );
  }
}

function readNumber(path: string): number | undefined {
  const text = missing(() => readFileSync(path, 'utf8').trim());
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

/** Undefined when there is no such file: the function, or what it is asked for, is not there. */
function missing<Value>(look: () => Value): Value | undefined {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENODEV') return undefined;
    throw error;
  }
}
