import { noGuid, type VfSettings } from '../../contracts/device.ts';
import type { DeviceOperation } from '../device-operation.ts';
import type { ObservedDevice, Place } from '../observed-device.ts';
import type { ObservedLink } from '../observed-namespace.ts';

export interface ModelState {
  readonly place: Place;
  readonly ifName: string;
  readonly mac: string;
  /** Its address is a queue pair, which each start of the driver gives anew, and a GUID. */
  readonly isInfiniBand?: true;
  readonly mtuBytes: number;
  readonly isUp: boolean;
  readonly alias: string;
  readonly settings: VfSettings;
  readonly rdma: Place;
  /** Absent between a function's taking and giving. */
  readonly driver: string | undefined;
}

/**
 * One VF with its link and RDMA device, and igb's rules as far as plans depend on them: a MAC of the PF reaches the link when it comes
 * up or by a rebind, which gives the link the driver's defaults, and then the link takes no other; who moves goes down; who is up keeps
 * its name.
 */
export class DeviceModel {
  readonly pf = { ifName: 'enp1s0', ifIndex: 4, mtuBytes: 9000 };
  readonly podLinks: readonly ObservedLink[];
  readonly others: readonly ObservedLink[];
  #state: ModelState;

  constructor(
    state: Partial<ModelState> = {},
    others: readonly ObservedLink[] = [],
    podLinks: readonly ObservedLink[] = [],
  ) {
    this.#state = { ...untouched, ...state };
    this.others = others;
    this.podLinks = podLinks;
  }

  get state(): ModelState {
    return this.#state;
  }

  observe(): { device: ObservedDevice; nodeLinks: readonly ObservedLink[]; podLinks: readonly ObservedLink[] } {
    const { place, rdma, settings, driver, ...shown } = this.#state;
    const link = { ...plainLink, ...shown, isEthernet: shown.isInfiniBand !== true, pciAddress };
    const hasLink = driver !== undefined;
    return {
      device: {
        ...(hasLink ? { link: { ...link, place } } : {}),
        pci: { address: pciAddress, pf: '0000:01:00.0', ...(driver === undefined ? {} : { driver }) },
        vf: { pf: this.pf, index: 0, settings },
        rdma: { mode: 'exclusive', inNode: rdma === 'node' ? ['rdma0'] : [], inPod: rdma === 'pod' ? ['rdma0'] : [] },
      },
      nodeLinks: [...this.others, ...(hasLink && place === 'node' ? [link] : [])],
      podLinks: [...this.podLinks, ...(hasLink && place === 'pod' ? [link] : [])],
    };
  }

  apply(operations: readonly DeviceOperation[]): void {
    for (const operation of operations) this.#state = this.#after(operation);
  }

  /** The namespace of the pod ends: the kernel gives the node what was in it, as it was. */
  endPod(): void {
    this.#state = { ...this.#state, place: 'node', rdma: 'node', isUp: false };
  }

  /** The pod's interface comes up, as addressing does it. */
  run(): void {
    if (this.#state.place === 'pod') this.#state = this.#up();
  }

  #up(): ModelState {
    const { settings, mac } = this.#state;
    return { ...this.#state, isUp: true, mac: settings.mac ?? mac };
  }

  #after(operation: DeviceOperation): ModelState {
    const state = this.#state;
    switch (operation.op) {
      case 'set-vf':
        return { ...state, settings: { ...state.settings, ...operation.settings } };
      case 'rebind': {
        const mac = state.isInfiniBand === true ? startedAgain(state) : (state.settings.mac ?? state.mac);
        return {
          ...untouched,
          ...state,
          ifName: 'eth0',
          mtuBytes: 1500,
          isUp: false,
          alias: '',
          mac,
          driver: operation.driver,
        };
      }
      case 'move-in':
        this.#require(operation.ifName, 'node');
        return { ...state, place: 'pod', ifName: operation.name, isUp: false };
      case 'move-out':
        this.#require(operation.ifName, 'pod');
        this.#refuse(
          'EEXIST',
          this.others.some(({ ifName }) => ifName === operation.name),
        );
        return { ...state, place: 'node', ifName: operation.name, isUp: false };
      case 'set-name':
        this.#require(operation.ifName, operation.place);
        this.#refuse('EBUSY', state.isUp);
        return { ...state, ifName: operation.name };
      case 'set-alias':
        this.#require(operation.ifName, operation.place);
        return { ...state, alias: operation.alias };
      case 'set-mtu':
        this.#require(operation.ifName, operation.place);
        return { ...state, mtuBytes: operation.mtuBytes };
      case 'set-mac':
        this.#require(operation.ifName, operation.place);
        this.#refuse('EOPNOTSUPP', state.isInfiniBand === true);
        this.#refuse('EADDRNOTAVAIL', (state.settings.mac ?? operation.mac) !== operation.mac);
        return { ...state, mac: operation.mac };
      case 'set-up':
      case 'set-down':
        this.#require(operation.ifName, operation.place);
        return operation.op === 'set-up' ? this.#up() : { ...state, isUp: false };
      case 'move-rdma-in':
      case 'move-rdma-out':
        return { ...state, rdma: operation.op === 'move-rdma-in' ? 'pod' : 'node' };
      default:
        return operation satisfies never;
    }
  }

  #require(ifName: string, place: Place): void {
    const { ifName: name, place: is, driver } = this.#state;
    this.#refuse(
      `ENODEV ${ifName} in the ${place}, it is ${name} in the ${is}`,
      name !== ifName || is !== place || driver === undefined,
    );
  }

  #refuse(code: string, isRefused: boolean): void {
    if (isRefused) throw new Error(code);
  }
}

export const pciAddress = '0000:01:10.0';

export const plainLink: ObservedLink = {
  ifIndex: 9,
  ifName: 'enp1s0v0',
  mac: '52:54:00:00:01:10',
  mtuBytes: 1500,
  isUp: false,
  isLoopback: false,
  isEthernet: true,
  group: 0,
  alias: '',
};

/** An IPoIB address: RFC 4391 §9.1.1. */
const ipoibAddress = (queuePair: number, guid: string): string =>
  `80:00:00:${queuePair.toString(16).padStart(2, '0')}:fe:80:00:00:00:00:00:00:${guid}`;

function startedAgain({ mac, settings: { portGuid = noGuid } }: ModelState): string {
  const queuePair = Number.parseInt(mac.split(':')[3] ?? '', 16) + 1;
  return ipoibAddress(queuePair, portGuid === noGuid ? noGuid.replaceAll('f', '0') : portGuid);
}

/** What `DeviceModel` is given for the VF of an InfiniBand HCA; without a GUID: one that was never told any. */
export const infiniBandVf = (guid?: string): Partial<ModelState> => ({
  isInfiniBand: true,
  ifName: 'ibp1s0v0',
  mac: ipoibAddress(1, guid ?? noGuid.replaceAll('f', '0')),
  settings: { nodeGuid: guid ?? noGuid, portGuid: guid ?? noGuid, linkState: 'auto' },
});

const untouched: ModelState = {
  place: 'node',
  ifName: 'enp1s0v0',
  mac: '52:54:00:00:01:10',
  mtuBytes: 1500,
  isUp: false,
  alias: '',
  settings: {
    mac: '52:54:00:00:01:10',
    vlan: { id: 0, qos: 0, protocol: '802.1Q' },
    rate: { minMbps: 0, maxMbps: 0 },
    spoofCheck: true,
    trust: false,
    linkState: 'auto',
  },
  rdma: 'node',
  driver: 'igbvf',
};
