import {
  type DeviceConf,
  type DeviceSelector,
  noGuid,
  type VfRate,
  type VfSettings,
  type VfVlan,
  vfLinkStates,
  vfVlanProtocols,
} from '../../contracts/device.ts';
import { invalid, notYet, refused } from './conf-refusal.ts';
import { pciAddressIn, type ReadDeviceInfo } from './device-info.ts';
import { parseMtu } from './link-conf.ts';
import { isLinkName } from './link-name.ts';
import { pciAddressExample, toPciAddress } from './pci-address.ts';

type Json = Readonly<Record<string, unknown>>;

/** Kinds of which the pod's interface is a device of the node. */
export const deviceKinds = ['host-device', 'sriov', 'ib-sriov'] as const;
export type DeviceKind = (typeof deviceKinds)[number];

/** Keys that only these kinds have: the community plugins' (host-device, sriov-cni), or SpiderMultusConfig's where that has one. */
export const deviceKeys: Readonly<Record<DeviceKind, readonly string[]>> = {
  'host-device': ['device', 'hwaddr'],
  sriov: [
    'vlanID',
    'vlanQoS',
    'vlanProto',
    'mac',
    'minTxRateMbps',
    'maxTxRateMbps',
    'spoofchk',
    'trust',
    'link_state',
    'rdmaIsolation',
  ],
  'ib-sriov': ['guid', 'pkey', 'link_state', 'rdmaIsolation', 'ibKubernetesEnabled'],
};

/** Undefined for every other kind. */
export const deviceKindOf = (kind: unknown): DeviceKind | undefined => deviceKinds.find((one) => one === kind);

/** Reads which device of the node the pod gets, and what its PF is told about it. */
export function parseDevice(kind: DeviceKind, json: Json, readDeviceInfo: ReadDeviceInfo): DeviceConf {
  const mtu = parseMtu(json['mtu']);
  const pciAddress = parseDeviceID(json, readDeviceInfo);
  if (kind === 'host-device') return { kind, select: parseSelector(json, pciAddress), ...mtu };
  const vf = { kind: 'sriov', pciAddress: pciAddress ?? noDevice(`kind ${kind}`), ...mtu } as const;
  const movesRdma = parseFlag('rdmaIsolation', json['rdmaIsolation']);
  if (kind === 'sriov') return { ...vf, settings: parseSettings(json), movesRdma: movesRdma ?? false };
  hasNoPartition(json);
  const settings = { ...parseGuid(json), ...parseLinkState(json) };
  // As with SpiderMultusConfig: whoever has an InfiniBand VF wants it for RDMA.
  return { ...vf, isInfiniBand: true, settings, movesRdma: movesRdma ?? true };
}

/** Reads whose RDMA device goes into the pod. */
export const parseRdmaDevice = (json: Json, readDeviceInfo: ReadDeviceInfo): DeviceConf => ({
  kind: 'rdma',
  pciAddress: parseDeviceID(json, readDeviceInfo) ?? noDevice('type rdma'),
});

function noDevice(asker: string): never {
  throw refused(
    'InvalidConfig',
    `${asker} got no device: "deviceID" is missing`,
    'Annotate the NetworkAttachmentDefinition with k8s.v1.cni.cncf.io/resourceName and request that resource in the pod: Multus then passes the VF that the device plugin chose',
  );
}

/**
 * What the runtime says comes first (capability deviceID), as with the community plugins. A device plugin may have IDs of its own:
 * what such a one means is looked up in the file that it wrote.
 */
function parseDeviceID(json: Json, readDeviceInfo: ReadDeviceInfo): string | undefined {
  const { deviceID: fromRuntime, CNIDeviceInfoFile: path = '' } = (json['runtimeConfig'] ?? {}) as {
    readonly deviceID?: unknown;
    readonly CNIDeviceInfoFile?: unknown;
  };
  const [key, value] = Object.entries({
    'runtimeConfig.deviceID': fromRuntime,
    deviceID: json['deviceID'],
    pciBusID: json['pciBusID'],
  }).find(([, text]) => (text ?? '') !== '') ?? ['deviceID', undefined];
  const pciAddress = toPciAddress(value);
  if (pciAddress !== undefined) return pciAddress;
  if (typeof value === 'string' && /^[a-z0-9_]+\.[a-z]+\.\d+$/.test(value)) throw notYet(`Auxiliary device "${value}"`);
  if (typeof path !== 'string') throw invalid('runtimeConfig.CNIDeviceInfoFile', path, 'a path');
  const info = path === '' ? undefined : readDeviceInfo(path);
  if (info !== undefined) return pciAddressIn(info, path);
  if (value === undefined) return undefined;
  throw invalid(
    key,
    value,
    `${pciAddressExample}; any other ID with the capability CNIDeviceInfoFile and a device plugin that writes such files`,
  );
}

function parseSelector({ device, hwaddr }: Json, pciAddress: string | undefined): DeviceSelector {
  const named = [pciAddress, device, hwaddr].filter((value) => (value ?? '') !== '');
  if (named.length !== 1) {
    throw refused(
      'InvalidConfig',
      `kind host-device names ${named.length === 0 ? 'no device' : 'more than one device'}`,
      'Name it by one of device, hwaddr, pciBusID, deviceID',
    );
  }
  if (pciAddress !== undefined) return { by: 'pci', pciAddress };
  if (typeof device === 'string' && device !== '') {
    if (!isLinkName(device)) throw invalid('device', device, 'the name of an interface of the node');
    return { by: 'name', ifName: device };
  }
  return { by: 'mac', mac: parseAddress('hwaddr', hwaddr) };
}

function parseSettings(json: Json): VfSettings {
  const { mac: fromRuntime } = (json['runtimeConfig'] ?? {}) as { readonly mac?: unknown };
  const mac = fromRuntime ?? json['mac'];
  const vlan = parseVlan(json);
  const rate = parseRate(json);
  const spoofCheck = parseOnOff('spoofchk', json['spoofchk']);
  const trust = parseOnOff('trust', json['trust']);
  return {
    ...((mac ?? '') === '' ? {} : { mac: parseAddress(fromRuntime === undefined ? 'mac' : 'runtimeConfig.mac', mac) }),
    ...(vlan === undefined ? {} : { vlan }),
    ...(rate === undefined ? {} : { rate }),
    ...(spoofCheck === undefined ? {} : { spoofCheck }),
    ...(trust === undefined ? {} : { trust }),
    ...parseLinkState(json),
  };
}

function parseLinkState({ link_state: state }: Json): Pick<VfSettings, 'linkState'> {
  if ((state ?? '') === '') return {};
  const linkState = vfLinkStates.find((one) => one === state);
  if (linkState === undefined) throw invalid('link_state', state, vfLinkStates.join(', '));
  return { linkState };
}

/** What the pod asks for comes first: by the capability infinibandGUID, then by cni-args, as with ib-sriov-cni. One for node and port. */
function parseGuid(json: Json): Pick<VfSettings, 'nodeGuid' | 'portGuid'> {
  const { infinibandGUID } = (json['runtimeConfig'] ?? {}) as { readonly infinibandGUID?: unknown };
  const { cni } = (json['args'] ?? {}) as { readonly cni?: { readonly guid?: unknown } | null };
  const [key, value] = Object.entries({
    'runtimeConfig.infinibandGUID': infinibandGUID,
    'args.cni.guid': cni?.guid,
    guid: json['guid'],
  }).find(([, text]) => (text ?? '') !== '') ?? ['guid', undefined];
  if (value === undefined) return {};
  const isOne = typeof value === 'string' && /^[0-9a-f]{2}(:[0-9a-f]{2}){7}$/i.test(value);
  const guid = isOne ? value.toLowerCase() : '';
  if (!/[^0:]/.test(guid) || guid === noGuid)
    throw invalid(key, value, 'a GUID, for example "02:00:00:00:00:00:00:2a"');
  return { nodeGuid: guid, portGuid: guid };
}

/** A VF has the partition keys that the subnet manager gives its GUID. */
function hasNoPartition({ pkey, ibKubernetesEnabled }: Json): void {
  const asked = Object.entries({ pkey, ibKubernetesEnabled }).find(
    ([, value]) => (value ?? '') !== '' && value !== false,
  );
  if (asked === undefined) return;
  throw refused(
    'InvalidConfig',
    `Key "${asked[0]}" of the network configuration is for ib-kubernetes, which looks at networks of type ib-sriov only`,
    'Keep type ib-sriov with ipam type spiderpool for it, or let the subnet manager give the GUID its partition and leave the key out',
  );
}

/** Without `vlanID` the VF keeps what it has; 0 takes a tag away. */
function parseVlan(json: Json): VfVlan | undefined {
  const { vlanID, vlanQoS, vlanProto } = json;
  if (vlanID === undefined) {
    for (const key of ['vlanQoS', 'vlanProto']) {
      if (json[key] !== undefined) throw invalid(key, json[key], 'only together with vlanID');
    }
    return undefined;
  }
  const id = whole('vlanID', vlanID, 4094, '1 to 4094, or 0 for untagged');
  const qos = whole('vlanQoS', vlanQoS ?? 0, 7, '0 to 7');
  if (id === 0 && qos > 0) throw invalid('vlanQoS', vlanQoS, '0 without a VLAN: the priority is part of the tag');
  const asked = vlanProto ?? '802.1q';
  const protocol = vfVlanProtocols.find(
    (one) => typeof asked === 'string' && one.toLowerCase() === asked.toLowerCase(),
  );
  if (protocol === undefined) throw invalid('vlanProto', vlanProto, '802.1q, 802.1ad');
  return { id, qos, protocol };
}

/** One of the two is enough; the other is then no limit. */
function parseRate({ minTxRateMbps, maxTxRateMbps }: Json): VfRate | undefined {
  if (minTxRateMbps === undefined && maxTxRateMbps === undefined) return undefined;
  const allowed = 'whole Mb/s, 0 for no limit';
  const minMbps = whole('minTxRateMbps', minTxRateMbps ?? 0, 0xffff_fffe, allowed);
  const maxMbps = whole('maxTxRateMbps', maxTxRateMbps ?? 0, 0xffff_fffe, allowed);
  if (maxMbps > 0 && minMbps > maxMbps) throw invalid('minTxRateMbps', minMbps, `at most maxTxRateMbps, ${maxMbps}`);
  return { minMbps, maxMbps };
}

function whole(key: string, value: unknown, most: number, allowed: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw invalid(key, value, allowed);
}

function parseOnOff(key: string, value: unknown): boolean | undefined {
  if (value === undefined || value === '') return undefined;
  if (value !== 'on' && value !== 'off') throw invalid(key, value, 'on, off');
  return value === 'on';
}

function parseFlag(key: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(key, value, 'true, false');
}

/** An Ethernet address that one station can have. */
function parseAddress(key: string, value: unknown): string {
  const isOne = typeof value === 'string' && /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i.test(value);
  if (!isOne || /^0[0:]+$/.test(value))
    throw invalid(key, value, 'a unicast MAC address, for example "02:00:00:00:00:01"');
  return value.toLowerCase();
}
