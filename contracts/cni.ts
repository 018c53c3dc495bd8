/** CNI versions that we speak. 0.1.0 and 0.2.0 have another result shape and no list support. CNI spec 1.1.0, "VERSION". */
export const cniVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof cniVersions)[number];

export const isCniVersion = (text: unknown): text is CniVersion => cniVersions.some((known) => known === text);

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** Names under which the executable is installed; each is a plugin type of its own. */
export type PluginName = 'orbweaver' | 'spiderpool' | 'rdma' | 'coordinator' | 'ifacer';

/** The result of an ADD in the shape of CNI 1.1.0, which is also the internal one; `cni-result.ts` renders older versions. */
export interface CniResult {
  /** The pod's interface comes first: Multus takes the network status from the first one that has a sandbox. */
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniAddress[];
  readonly routes: readonly CniRoute[];
  readonly dns: CniDns;
}

export interface CniInterface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** Of the PCI function behind it. */
  readonly pciID?: string;
  /** Path of the network namespace; absent for an interface of the host. */
  readonly sandbox?: string;
}

export interface CniAddress {
  /** With prefix length, for example "10.70.8.20/22". */
  readonly address: string;
  readonly gateway?: string;
  /** Index into `interfaces`; absent in the result of an IPAM plugin. */
  readonly interface?: number;
}

export interface CniRoute {
  readonly dst: string;
  readonly gw?: string;
}

export interface CniDns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** What a failed call prints on stdout, with exit code 1. CNI spec 1.1.0, "Error". */
export interface CniError {
  readonly cniVersion: CniVersion;
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}
