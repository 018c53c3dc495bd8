import type { VfSettings } from '../contracts/device.ts';
import type { ObservedLink } from './observed-namespace.ts';

/** A device that is or may be lent, wherever it is now. */
export interface ObservedDevice {
  /** Absent: its driver makes none, or it is on its way from a namespace that has ended. */
  readonly link?: ObservedLink & { readonly place: Place };
  /** Names of the links of its PCI function, when it has several and nothing tells which of them is the device. */
  readonly several?: readonly string[];
  /** Absent: its link is no PCI function's, or there is no such function. */
  readonly pci?: ObservedPciFunction;
  /** Present when it is a VF whose PF has a link in the node's namespace. */
  readonly vf?: ObservedVf;
  readonly rdma: ObservedRdma;
}

/** In which namespace: the node's, or that of the pod. */
export type Place = 'node' | 'pod';

export interface ObservedPciFunction {
  readonly address: string;
  /** Absent: none is bound to it. */
  readonly driver?: string;
  /** PCI address of its PF, when it is a VF. */
  readonly pf?: string;
  /** How many VFs it could have and has, when it is a PF. */
  readonly vfs?: { readonly most: number; readonly made: number };
}

export interface ObservedVf {
  readonly pf: Pick<ObservedLink, 'ifName' | 'ifIndex' | 'mtuBytes'>;
  /** As `ip link set PF vf INDEX` counts. */
  readonly index: number;
  readonly settings: VfSettings;
}

export interface ObservedRdma {
  /** Absent: the kernel has no RDMA. */
  readonly mode?: 'shared' | 'exclusive';
  /** Names of the device's RDMA devices, by the namespace that has them; in shared mode all are the node's. */
  readonly inNode: readonly string[];
  readonly inPod: readonly string[];
}

/** Drivers that hand a function to a program and make no link. */
export const isUserspaceDriver = (driver: string | undefined): boolean =>
  driver !== undefined && ['vfio-pci', 'uio_pci_generic', 'igb_uio'].includes(driver);
