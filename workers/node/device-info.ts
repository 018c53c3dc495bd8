import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ProvisionError } from '../../contracts/failures.ts';
import { invalid, shown } from './conf-refusal.ts';
import { toPciAddress } from './pci-address.ts';

/** Text of the file that `runtimeConfig.CNIDeviceInfoFile` names; undefined when there is none. Throws `InvalidConfig` for any other file. */
export type ReadDeviceInfo = (path: string) => string | undefined;

/** Where Multus copies what a device plugin wrote about a device. Device Information Specification 1.1.0, 4.2 (network plumbing working group). */
export const deviceInfoDirectory = '/var/run/k8s.cni.cncf.io/devinfo/cni';

const key = 'runtimeConfig.CNIDeviceInfoFile';
const mostBytes = 65_536;

/** Whoever writes a NetworkAttachmentDefinition can write the path, and the worker is root: only plain files of that directory are opened. */
export const createDeviceInfoReader =
  (directory: string): ReadDeviceInfo =>
  (path) => {
    if (withRun(path) !== join(withRun(directory), basename(path))) throw invalid(key, path, `a file in ${directory}`);
    let file: number | undefined;
    try {
      file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      const stat = fstatSync(file);
      if (!stat.isFile() || stat.size > mostBytes) throw new Error(`it is no file of at most ${mostBytes} bytes`);
      return readFileSync(file, 'utf8');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unusable(path, cause instanceof Error ? cause.message : String(cause), cause);
    } finally {
      if (file !== undefined) closeSync(file);
    }
  };

/** One is a link to the other (Filesystem Hierarchy Standard 3.0, 5.13). */
const withRun = (path: string): string => path.replace(/^\/var\/run\//, '/run/');

/** The PCI address of the device that a device information file describes. Throws `InvalidConfig` when it tells none. */
export function pciAddressIn(text: string, path: string): string {
  const { type, pci } = parseInfo(text, path);
  if (type !== 'pci') throw unusable(path, `its type is ${shown(type)}, and only "pci" can be lent to a pod`);
  const address = (pci as Readonly<Record<string, unknown>> | null | undefined)?.['pci-address'];
  const pciAddress = toPciAddress(address);
  if (pciAddress === undefined) throw unusable(path, `its pci-address is ${shown(address)}`);
  return pciAddress;
}

function parseInfo(text: string, path: string): { readonly type?: unknown; readonly pci?: unknown } {
  try {
    return (JSON.parse(text) ?? {}) as { readonly type?: unknown; readonly pci?: unknown };
  } catch (cause) {
    throw unusable(path, 'it is no JSON', cause);
  }
}

const unusable = (path: string, why: string, cause?: unknown): ProvisionError =>
  new ProvisionError(
    {
      type: 'InvalidConfig',
      message: `Cannot tell the device from ${path}, which ${key} names: ${why}`,
      remedy: 'Look at what the device plugin writes: cat /var/run/k8s.cni.cncf.io/devinfo/dp/* on the node',
    },
    { cause },
  );
