import {
  type DeviceConf,
  type DeviceLease,
  type LentLink,
  noGuid,
  type VirtualFunctionConf,
} from '../contracts/device.ts';
import type { Failure } from '../contracts/failures.ts';
import { identityOf } from './link-identity.ts';
import { loanOf } from './loan-mark.ts';
import { isUserspaceDriver, type ObservedDevice } from './observed-device.ts';
import type { ObservedAddress, ObservedLink } from './observed-namespace.ts';
import { isOurShared, isOurs } from './ownership-mark.ts';

/** The node's namespace, as far as it says whether one of its links may leave. */
export interface ObservedHost {
  readonly links: readonly ObservedLink[];
  readonly addresses: readonly ObservedAddress[];
}

export type LeasePlan =
  | { readonly outcome: 'lease'; readonly lease: DeviceLease }
  | { readonly outcome: 'refused'; readonly failure: Failure };

/** What to write down of a device before it is lent, or why it cannot be. Nothing is changed yet. */
export function planLease(observed: ObservedDevice, host: ObservedHost, conf: DeviceConf): LeasePlan {
  const failure =
    missing(observed, conf) ??
    (conf.kind === 'rdma' ? undefined : unfitToMove(observed, host, conf)) ??
    unfitRdma(observed, conf);
  if (failure !== undefined) return { outcome: 'refused', failure };
  const { link, pci, vf, rdma } = observed;
  return {
    outcome: 'lease',
    lease: {
      ...(pci === undefined ? {} : { pciAddress: pci.address }),
      ...(pci?.driver === undefined ? {} : { driver: pci.driver }),
      ...(link === undefined || conf.kind === 'rdma' ? {} : { link: originalOf(link) }),
      ...(conf.kind !== 'sriov' || vf === undefined ? {} : { settings: vf.settings }),
      ...(movesRdma(conf) ? { rdmaDevices: rdma.inNode } : {}),
    },
  };
}

const movesRdma = (conf: DeviceConf): boolean => conf.kind === 'rdma' || (conf.kind === 'sriov' && conf.movesRdma);

const originalOf = ({ ifName, kind, mac, mtuBytes, isUp, alias }: ObservedLink): LentLink => ({
  ifName,
  ...(kind === undefined ? {} : { kind }),
  mac,
  mtuBytes,
  isUp,
  alias,
});

/** As a message names it: "VF 0000:3b:02.1", "device eth5". */
export function nameOfDevice(conf: DeviceConf): string {
  if (conf.kind === 'sriov') return `VF ${conf.pciAddress}`;
  if (conf.kind === 'rdma') return `the RDMA device of ${conf.pciAddress}`;
  const { select } = conf;
  switch (select.by) {
    case 'name':
      return `device "${select.ifName}"`;
    case 'mac':
      return `the device with MAC ${select.mac}`;
    case 'pci':
      return `device ${select.pciAddress}`;
    default:
      return select satisfies never;
  }
}

function unfit(conf: DeviceConf, found: string, remedy: string): Failure {
  return {
    type: 'DeviceUnfit',
    message: `Cannot lend ${nameOfDevice(conf)} to the pod: ${found}. Nothing was changed`,
    remedy,
  };
}

function missing({ link, several, pci }: ObservedDevice, conf: DeviceConf): Failure | undefined {
  const address =
    conf.kind !== 'host-device' ? conf.pciAddress : conf.select.by === 'pci' ? conf.select.pciAddress : undefined;
  if (address === undefined) {
    if (link !== undefined) return undefined;
    return unfit(conf, 'the node has no such link', 'Correct the network configuration: ip link show on the node');
  }
  if (pci === undefined) {
    return unfit(conf, 'the node has no such PCI function', `Look at the node: ls /sys/bus/pci/devices/${address}`);
  }
  if (conf.kind === 'rdma') return undefined;
  if (several !== undefined) {
    return unfit(
      conf,
      `its PCI function has several links: ${several.join(', ')}`,
      'Name one of them by `device`, with kind "host-device"',
    );
  }
  if (link !== undefined || isUserspaceDriver(pci.driver)) return undefined;
  return pci.driver === undefined
    ? unfit(
        conf,
        'no driver is bound to it, so it has no link',
        `Load its driver on the node (igbvf, iavf, mlx5_core, …), or bind vfio-pci for a program that drives it itself: echo ${address} >/sys/bus/pci/drivers_probe`,
      )
    : unfit(
        conf,
        `its driver ${pci.driver} has made no link in the node's namespace`,
        `Look where it is: ls /sys/bus/pci/devices/${address}/net on the node. Another program may have moved it away`,
      );
}

type MovedDeviceConf = Exclude<DeviceConf, { kind: 'rdma' }>;

/** Where the link itself goes into the pod. */
const unfitToMove = (observed: ObservedDevice, host: ObservedHost, conf: MovedDeviceConf): Failure | undefined =>
  (conf.kind === 'sriov'
    ? (unfitFunction(observed, conf) ?? unfitFabric(observed, conf))
    : neededByVfs(observed, conf)) ??
  lentAlready(observed, conf) ??
  unfitLink(observed, host, conf) ??
  unfitMtu(observed, conf);

function unfitFunction({ pci, vf }: ObservedDevice, conf: DeviceConf): Failure | undefined {
  if (pci?.pf === undefined) {
    const { vfs } = pci ?? {};
    const found =
      vfs === undefined
        ? 'it is no virtual function'
        : `it is a physical function, with ${vfs.made} of ${vfs.most} VFs made`;
    return unfit(
      conf,
      found,
      vfs === undefined
        ? 'Use kind "host-device" for a whole NIC'
        : `Make VFs and let the device plugin hand them out: echo 4 >/sys/bus/pci/devices/${pci?.address}/sriov_numvfs`,
    );
  }
  if (vf !== undefined) return undefined;
  return unfit(
    conf,
    `its PF ${pci.pf} has no link in the node's namespace that tells of it`,
    `Look at the PF on the node: ls /sys/bus/pci/devices/${pci.pf}/net, and ip link show`,
  );
}

/** What an InfiniBand VF is told and shows is a GUID, and an Ethernet VF's a MAC. */
function unfitFabric({ link, vf }: ObservedDevice, conf: VirtualFunctionConf): Failure | undefined {
  if (link !== undefined && link.isInfiniBand !== conf.isInfiniBand) {
    return link.isInfiniBand === true
      ? unfit(conf, `"${link.ifName}" is InfiniBand`, 'Use kind "ib-sriov" for it')
      : unfit(conf, `"${link.ifName}" is no InfiniBand`, 'Use kind "sriov" for it');
  }
  if (conf.settings.portGuid !== undefined) {
    if (vf?.settings.portGuid !== undefined) return undefined;
    return unfit(
      conf,
      'a GUID is asked for, and the driver of its PF tells none, so its own could not be given back',
      'Leave `guid` out',
    );
  }
  if (link?.isInfiniBand !== true || identityOf(link) !== noGuid) return undefined;
  return unfit(
    conf,
    `no GUID is asked for, and "${link.ifName}" has none`,
    `Ask for one by \`guid\`, or give it one on the node before it is bound to its driver: ip link set dev ${vf?.pf.ifName ?? 'PF'} vf ${vf?.index ?? 'INDEX'} port_guid GUID`,
  );
}

function neededByVfs({ pci }: ObservedDevice, conf: DeviceConf): Failure | undefined {
  const { made } = pci?.vfs ?? { made: 0 };
  if (made === 0) return undefined;
  return unfit(
    conf,
    `it has ${made} VFs, which are told through its link on the node`,
    `Lend its VFs, or take them away: echo 0 >/sys/bus/pci/devices/${pci?.address}/sriov_numvfs`,
  );
}

/** Whoever asks has looked through the records: what the mark tells of was lost, and how the link is now is not how it was. */
function lentAlready({ link }: ObservedDevice, conf: DeviceConf): Failure | undefined {
  const loan = loanOf(link?.alias ?? '');
  if (link === undefined || loan === undefined) return undefined;
  const { ifName } = link;
  return unfit(
    conf,
    `"${ifName}" is marked as lent to interface ${loan.ifName} of sandbox ${loan.containerID}, and no record tells how it was before`,
    `If that sandbox is gone, put back by hand what the pod changed (name, MTU, MAC, VF settings), then: ip link set dev ${ifName} alias ''`,
  );
}

/** The node must not lose what it needs itself. */
function unfitLink({ link }: ObservedDevice, host: ObservedHost, conf: DeviceConf): Failure | undefined {
  if (link === undefined) return undefined;
  const { ifName, ifIndex, isLoopback, controllerIndex } = link;
  const own = host.addresses.find((address) => address.ifIndex === ifIndex && !address.isLinkLocal);
  // A veth names its peer, and mostly one in another namespace, whose index may be any.
  const above = host.links.find(
    ({ kind, parentIndex, controllerIndex: port }) => (kind !== 'veth' && parentIndex === ifIndex) || port === ifIndex,
  );
  const controller = host.links.find((one) => one.ifIndex === controllerIndex);
  const found = isLoopback
    ? `"${ifName}" is the loopback`
    : isOurs(link) || isOurShared(link)
      ? `"${ifName}" is a link that Orbweaver made for other pods`
      : own !== undefined
        ? `"${ifName}" carries the node's address ${own.address}`
        : controller !== undefined
          ? `"${ifName}" is a port of ${controller.kind ?? 'link'} "${controller.ifName}"`
          : above !== undefined
            ? `${above.kind ?? 'link'} "${above.ifName}" of the node hangs on "${ifName}"`
            : undefined;
  return found === undefined ? undefined : unfit(conf, found, 'Name a device that the node does not use itself');
}

function unfitMtu({ link, vf }: ObservedDevice, conf: MovedDeviceConf): Failure | undefined {
  const { mtuBytes } = conf;
  if (mtuBytes === undefined) return undefined;
  if (link === undefined) {
    return unfit(
      conf,
      'an MTU is asked for and it has no link',
      'Leave `mtu` out: the program that drives it sets its own',
    );
  }
  const tooLarge = (found: string, remedy: string): Failure => ({
    type: 'InvalidConfig',
    message: `Cannot give ${nameOfDevice(conf)} an MTU of ${mtuBytes}: ${found}. Nothing was changed`,
    remedy,
  });
  const { maxMtuBytes = Infinity } = link;
  if (mtuBytes > maxMtuBytes) {
    return tooLarge(`its driver takes at most ${maxMtuBytes}`, `Set \`mtu\` to at most ${maxMtuBytes}`);
  }
  if (conf.kind !== 'sriov' || vf === undefined || mtuBytes <= vf.pf.mtuBytes) return undefined;
  const { pf } = vf;
  return tooLarge(
    `its PF "${pf.ifName}" carries ${pf.mtuBytes} bytes`,
    `Set \`mtu\` to at most ${pf.mtuBytes}, or raise it on the node: ip link set dev ${pf.ifName} mtu ${mtuBytes}`,
  );
}

function unfitRdma({ rdma, pci }: ObservedDevice, conf: DeviceConf): Failure | undefined {
  if (!movesRdma(conf)) return undefined;
  const [asked, way] =
    conf.kind === 'rdma'
      ? ['', 'take type rdma out of the chain']
      : ['`rdmaIsolation` is asked for, and ', 'set `rdmaIsolation` to false'];
  if (rdma.mode === undefined) {
    return unfit(
      conf,
      'the kernel of the node has no RDMA',
      'Load it on the node: modprobe ib_core, and the driver of the NIC',
    );
  }
  if (rdma.mode === 'shared') {
    return unfit(
      conf,
      `${asked}the RDMA of the node is in shared mode, in which every pod sees every device`,
      `Set the node to exclusive mode before it has pods: options ib_core netns_mode=0 in /etc/modprobe.d, or rdma system set netns exclusive. Or ${way}`,
    );
  }
  if (rdma.inNode.length > 0) return undefined;
  return unfit(
    conf,
    `${asked}it has no RDMA device in the namespace of the node`,
    `Look at the node: ls /sys/bus/pci/devices/${pci?.address ?? ''}/infiniband, rdma link show`,
  );
}
