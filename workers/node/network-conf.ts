import { type CniVersion, cniVersions, isCniVersion, type PluginName } from '../../contracts/cni.ts';
import { defaultCoordinator, type NetworkCoordination } from '../../contracts/coordination.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import type { NetworkConf } from '../../contracts/pod-network.ts';
import { detectionKeys } from '../../ipam/detection-keys.ts';
import { parseCoordinationConf } from '../../network/coordination/parse-coordination.ts';
import { invalid, refused, shown } from './conf-refusal.ts';
import { deviceKeys, deviceKindOf, parseDevice, parseRdmaDevice } from './device-conf.ts';
import type { ReadDeviceInfo } from './device-info.ts';
import { parseIfacer, parseLink } from './link-conf.ts';
import { parseProbes } from './probe-conf.ts';

/** Keys that CNI gives to every plugin, or that a runtime and a meta-plugin add. CNI spec 1.1.0, "Configuration objects". */
const cniKeys = [
  'cniVersion',
  'cniVersions',
  'name',
  'type',
  'disableCheck',
  'disableGC',
  'loadOnlyInlinedPlugins',
  'capabilities',
  'runtimeConfig',
  'args',
  'prevResult',
  'dns',
  // Multus writes both into every plugin of a list whose NetworkAttachmentDefinition names a resource: addDeviceIDInConfList()
  'deviceID',
  'pciBusID',
];
/** Keys of `type: orbweaver`: those of SpiderMultusConfig and of Spiderpool's IPAM section. */
const linkKeys = ['kind', 'master', 'vlanID', 'bond', 'mode'];
const ourKeys = [
  'mtu',
  'default_ipv4_ippool',
  'default_ipv6_ippool',
  'clean_gateway',
  'match_master_subnet',
  'coordinator',
  ...detectionKeys,
  'ipam_unix_socket_path',
  'log_level',
  'log_file_path',
  'log_file_max_size',
  'log_file_max_age',
  'log_file_max_count',
];
const ifacerKeys = ['interfaces', 'vlanID', 'bond', 'mtu'];

/** CNI spec 1.1.0, "Parameters": also a part of file names here. */
export const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

type Json = Readonly<Record<string, unknown>>;

export interface Conf {
  readonly cniVersion: CniVersion;
  readonly name: string;
  readonly json: Json;
}

/** Reads what every command needs of the network configuration. Throws with CNI codes 1, 6 and 7. */
export function parseConf(stdin: Uint8Array): Conf {
  if (stdin.length === 0) {
    throw refused(
      'InvalidJson',
      'The network configuration on stdin is empty',
      'Pass it as CNI spec 1.1.0, section 2, says',
    );
  }
  const json = parseJson(stdin);
  const { cniVersion = '0.3.0', name } = json; // a missing version is an old one; 0.1 and 0.2 are not spoken here
  if (!isCniVersion(cniVersion)) {
    throw refused(
      'IncompatibleCniVersion',
      `cniVersion is ${shown(cniVersion)}`,
      `Use one of ${cniVersions.join(', ')}`,
    );
  }
  if (typeof name !== 'string' || !namePattern.test(name) || name.length > 128) {
    throw invalid(
      'name',
      name,
      'a network name: letters, digits, "_", ".", "-", beginning with a letter or digit, 128 at most',
    );
  }
  return { cniVersion, name, json };
}

/** Reads what an ADD asks for; `plugin` is the name by which the executable was called. Without `readDeviceInfo` no file tells of devices. */
export function parseNetworkConf(
  plugin: PluginName,
  { json }: Conf,
  readDeviceInfo: ReadDeviceInfo = () => undefined,
): NetworkConf {
  if (plugin === 'spiderpool') {
    const ipam = asObject('ipam', json['ipam']);
    return { provides: 'addresses', ...parsePools(ipam, 'ipam.', json['type']) };
  }
  if (plugin === 'ifacer') {
    knowEveryKey('ifacer', json, ifacerKeys);
    const shared = parseIfacer(json);
    return {
      provides: 'links',
      ...(shared.length === 0 ? {} : { shared }),
      defaultIPv4Pools: [],
      defaultIPv6Pools: [],
      cleanGateway: false,
    };
  }
  if (plugin === 'rdma') {
    knowEveryKey('rdma', json, []);
    needsInterface('rdma', json);
    return {
      provides: 'rdma',
      device: parseRdmaDevice(json, readDeviceInfo),
      defaultIPv4Pools: [],
      defaultIPv6Pools: [],
      cleanGateway: false,
    };
  }
  if (plugin === 'coordinator') {
    needsInterface('coordinator', json);
    return {
      provides: 'coordination',
      coordination: parseCoordination(json, isCniKey),
      defaultIPv4Pools: [],
      defaultIPv6Pools: [],
      cleanGateway: false,
    };
  }
  const deviceKind = deviceKindOf(json['kind']);
  const kindKeys = deviceKind === undefined ? linkKeys : ['kind', ...deviceKeys[deviceKind]];
  knowEveryKey('orbweaver', json, [...kindKeys, ...ourKeys]);
  if (json['prevResult'] !== undefined) {
    throw refused(
      'InvalidConfig',
      'type orbweaver got a prevResult',
      'Put it first in the plugin list: it makes the interface',
    );
  }
  const made = deviceKind === undefined ? parseLink(json) : { device: parseDevice(deviceKind, json, readDeviceInfo) };
  const coordinator = json['coordinator'] ?? undefined;
  return {
    provides: 'interface',
    ...made,
    ...(coordinator === undefined ? {} : { coordination: parseCoordination(asObject('coordinator', coordinator)) }),
    ...parsePools(json, '', json['kind']),
  };
}

function needsInterface(plugin: PluginName, { prevResult }: Json): void {
  if (typeof prevResult === 'object' && prevResult !== null) return;
  throw refused(
    'InvalidConfig',
    `type ${plugin} got no prevResult`,
    'Put it after the plugin that makes the interface in the plugin list',
  );
}

/** `spiderCoordinator` names the object that says what these keys do not. */
function parseCoordination(json: Json, isOtherKey: (key: string) => boolean = () => false): NetworkCoordination {
  const { spiderCoordinator: name = '' } = json;
  if (typeof name !== 'string' || (name !== '' && !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name))) {
    throw invalid('spiderCoordinator', name, 'the name of a SpiderCoordinator');
  }
  const conf = parseCoordinationConf(json, (key) => key === 'spiderCoordinator' || isOtherKey(key));
  return { conf, coordinator: name === '' ? defaultCoordinator : name };
}

const isCniKey = (key: string): boolean => cniKeys.includes(key) || key.startsWith('cni.dev/');

function knowEveryKey(plugin: PluginName, json: Json, keys: readonly string[]): void {
  for (const key of Object.keys(json)) {
    if (isCniKey(key) || keys.includes(key)) continue;
    throw refused(
      'InvalidConfig',
      `Key "${key}" is unknown to type ${plugin}`,
      `Remove it; known are ${keys.slice(0, 9).join(', ')}`,
    );
  }
}

function parsePools(
  json: Json,
  prefix: string,
  madeBy: unknown,
): Omit<NetworkConf, 'provides' | 'link' | 'coordination'> {
  const names = (key: string): readonly string[] => {
    const value = json[key] ?? [];
    if (!Array.isArray(value) || !value.every((name) => typeof name === 'string' && name !== '')) {
      throw invalid(`${prefix}${key}`, value, 'a list of pool names');
    }
    return value as readonly string[];
  };
  const isOn = (key: string): boolean => {
    const value = json[key] ?? false;
    if (typeof value !== 'boolean') throw invalid(`${prefix}${key}`, value, 'true, false');
    return value;
  };
  const probes = parseProbes(json, prefix);
  return {
    defaultIPv4Pools: names('default_ipv4_ippool'),
    defaultIPv6Pools: names('default_ipv6_ippool'),
    cleanGateway: isOn('clean_gateway'),
    ...(isOn('match_master_subnet') ? { matchMasterSubnet: true, madeBy: shown(madeBy) } : {}),
    ...(probes === undefined ? {} : { probes }),
  };
}

function parseJson(stdin: Uint8Array): Json {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(stdin));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProvisionError(
      {
        type: 'InvalidJson',
        message: `The network configuration on stdin is no JSON: ${reason.slice(0, 200)}`,
        remedy: 'Repair the NetworkAttachmentDefinition or the file in the CNI configuration directory',
      },
      { cause },
    );
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw refused(
      'InvalidJson',
      'The network configuration on stdin is no JSON object',
      'Pass one object, with cniVersion, name and type',
    );
  }
  return json as Json;
}

function asObject(key: string, value: unknown): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(key, value, 'an object');
  return value as Json;
}
