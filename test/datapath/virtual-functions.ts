import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { eventually } from '../../deploy/dev/eventually.ts';
import { loadModules } from './guest-machine.ts';

/** PCI addresses of the guest's two SR-IOV NICs (igb, seven VFs each). They are ports of one switch, which forgets nothing and has no VLANs. */
export const physicalFunctions = { node: '0000:01:00.0', outside: '0000:02:00.0' } as const;

export interface VirtualFunction {
  /** As `ip link set PF vf INDEX` counts. */
  readonly index: number;
  readonly pci: string;
  /** Its link, in the namespace of the guest itself. */
  readonly link: string;
}

const devices = '/sys/bus/pci/devices';

/** Name of the link of a PCI function, while it has a network driver and is in our namespace. */
export function linkOf(pci: string): string | undefined {
  try {
    return readdirSync(join(devices, pci, 'net'))[0];
  } catch {
    return undefined;
  }
}

/** Makes VFs of a PF and waits for their links. */
export async function createVirtualFunctions(pf: string, count: number): Promise<readonly VirtualFunction[]> {
  loadModules('igbvf'); // there is no udev
  writeFileSync(join(devices, pf, 'sriov_numvfs'), String(count));
  return eventually(`${count} VFs of ${pf} have links`, 20, () => {
    const found = Array.from({ length: count }, (_, index) => {
      const pci = basename(readlinkSync(join(devices, pf, `virtfn${index}`)));
      return { index, pci, link: linkOf(pci) };
    });
    const ready = found.filter((vf): vf is VirtualFunction => vf.link !== undefined);
    return ready.length === count ? { value: ready } : { state: `${ready.length} have one` };
  });
}

export function removeVirtualFunctions(pf: string): void {
  writeFileSync(join(devices, pf, 'sriov_numvfs'), '0');
}

/**
 * Takes a VF from its driver and gives it back: an address that the PF gave it reaches its link only so (igbvf, and hardware).
 * The link may have another name afterwards.
 */
export async function rebind({ index, pci }: VirtualFunction): Promise<VirtualFunction> {
  writeFileSync(join(devices, pci, 'driver/unbind'), pci);
  writeFileSync('/sys/bus/pci/drivers_probe', pci);
  const link = await eventually(`${pci} has a link again`, 10, () => {
    const found = linkOf(pci);
    return found === undefined ? { state: 'none' } : { value: found };
  });
  return { index, pci, link };
}
