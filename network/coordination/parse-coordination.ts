import {
  type CoordinationConf,
  type CoordinationMode,
  type CoordinationSettings,
  coordinationDefaults,
  coordinationModes,
  type PolicyRoute,
  type RPFilter,
} from '../../contracts/coordination.ts';
import { ProvisionError } from '../../contracts/failures.ts';
import { formatAddress, formatPrefix, networkOf, parseAddress, parsePrefix } from '../ip-prefix.ts';

type Json = Readonly<Record<string, unknown>>;
type Reader = (key: string, value: unknown) => Partial<CoordinationConf>;

/** The keys of the plugin `coordinator` and of `coordinator{}`, each with how it is read (spec/connectivity.md §1.3). */
const readers: Readonly<Record<string, Reader>> = {
  mode: (key, value) => ({ mode: readMode(key, value) }),
  podDefaultCniNic: (key, value) => readName(key, value, (firstNic) => ({ firstNic })),
  podDefaultRouteNic: (key, value) => readName(key, value, (podDefaultRouteNic) => ({ podDefaultRouteNic })),
  podDefaultRouteNIC: (key, value) => readName(key, value, (podDefaultRouteNic) => ({ podDefaultRouteNic })), // the CRD's spelling
  tunePodRoutes: (key, value) => ({ tunePodRoutes: readSwitch(key, value) }),
  overlayPodCIDR: (key, value) => ({ overlayPodCIDR: readNetworks(key, value) }),
  serviceCIDR: (key, value) => ({ serviceCIDR: readNetworks(key, value) }),
  hijackCIDR: (key, value) => ({ hijackCIDR: readNetworks(key, value) }),
  policyRoutes: (key, value) => ({ policyRoutes: readPolicyRoutes(key, value) }),
  podMACPrefix: (key, value) => (value === '' ? {} : { podMACPrefix: readMacPrefix(key, value) }),
  vethLinkAddress: (key, value) => (value === '' ? {} : { vethLinkAddress: readIPv4(key, value) }),
  vethMTU: (key, value) => ({ vethMtuBytes: readNumber(key, value, 68, 65_535) }),
  txQueueLen: (key, value) => ({ txQueueLen: readNumber(key, value, 0, 2 ** 31 - 1) }),
  hostRuleTable: (key, value) => ({ hostRuleTable: readTable(key, value) }),
  podRPFilter: (key, value) => ({ podRPFilter: readRPFilter(key, value) }),
};

/** Keys that Spiderpool accepts and does not heed any more, or that are read elsewhere. */
const ignoredKeys = [
  'hostRPFilter',
  'multusNicPrefix',
  'detectGateway',
  'detectIPConflict',
  'detectOptions',
  'logOptions',
  'podCIDRType',
];

/**
 * Reads one source, with networks and addresses in the one way in which we write them. `isOtherKey` names keys that are
 * someone else's, such as those that CNI gives to every plugin. Throws `InvalidConfig` with key, value and what is allowed.
 */
export function parseCoordinationConf(
  json: Json,
  isOtherKey: (key: string) => boolean = () => false,
): CoordinationConf {
  const parts = Object.entries(json).map(([key, value]) => {
    const reader = Object.hasOwn(readers, key) ? readers[key] : undefined;
    if (reader === undefined && !ignoredKeys.includes(key) && !isOtherKey(key)) throw unknownKey(key);
    return reader === undefined || value === undefined || value === null ? {} : reader(key, value);
  });
  return Object.assign({}, ...parts) as CoordinationConf;
}

/**
 * The settings of one attachment. The network configuration says most, then the pod's annotation (which names the default
 * route's interface and nothing else), then the coordinator object, then the defaults (spec/connectivity.md §1.2).
 *
 * A list counts as a whole: one that the configuration has replaces the coordinator's list of that name.
 */
export function coordinationSettings(sources: {
  readonly conf: CoordinationConf;
  /** Annotation `ipam.spidernet.io/default-route-nic`. */
  readonly podDefaultRouteNic?: string;
  readonly coordinator?: CoordinationConf;
}): CoordinationSettings {
  const { conf, coordinator = {} } = sources;
  const annotated = sources.podDefaultRouteNic === undefined ? {} : { podDefaultRouteNic: sources.podDefaultRouteNic };
  const {
    overlayPodCIDR = [],
    serviceCIDR = [],
    hijackCIDR = [],
    podRPFilter,
    ...settings
  } = {
    ...coordinator,
    ...annotated,
    ...conf,
  };
  const { podRPFilter: defaultRPFilter, ...defaults } = coordinationDefaults;
  const rpFilter = podRPFilter ?? defaultRPFilter;
  return {
    ...defaults,
    ...settings,
    ...(rpFilter === undefined || rpFilter === 'leave' ? {} : { podRPFilter: rpFilter }),
    hijackCIDRs: [...new Set([...overlayPodCIDR, ...serviceCIDR, ...hijackCIDR])],
  };
}

/** The plugin says `disable` where the object says `disabled`: both mean the same here. */
function readMode(key: string, value: unknown): CoordinationMode {
  const mode = value === '' ? 'auto' : value === 'disable' ? 'disabled' : value;
  const known = coordinationModes.find((name) => name === mode);
  if (known === undefined) throw invalid(key, value, coordinationModes.join(', '));
  return known;
}

function readName<Found>(key: string, value: unknown, found: (name: string) => Found): Found | Partial<Found> {
  if (value === '') return {};
  if (typeof value !== 'string' || !/^[^\s/:]{1,15}$/.test(value) || value === '.' || value === '..') {
    throw invalid(key, value, 'the name of an interface, at most 15 bytes');
  }
  return found(value);
}

function readSwitch(key: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(key, value, 'true, false');
  return value;
}

function readNumber(key: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw invalid(key, value, `a whole number from ${least} to ${most}`);
  }
  return value;
}

/** 253 to 255 are the kernel's default, main and local (include/uapi/linux/rtnetlink.h). */
function readTable(key: string, value: unknown): number {
  const table = readNumber(key, value, 1, 2 ** 32 - 1);
  if (table >= 253 && table <= 255) throw invalid(key, value, 'a table that is not the kernel’s own (253, 254, 255)');
  return table;
}

function readRPFilter(key: string, value: unknown): RPFilter | 'leave' {
  if (value === 0 || value === 1 || value === 2) return value;
  if (typeof value === 'number' && Number.isInteger(value) && value < 0) return 'leave';
  throw invalid(key, value, '0, 1, 2, or a negative number to leave it as it is');
}

/** A bare address counts as itself alone. */
function readNetworks(key: string, value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw invalid(key, value, 'a list of networks');
  return [...new Set(value.map((text, index) => readNetwork(`${key}[${index}]`, text)))];
}

function readNetwork(key: string, value: unknown): string {
  const network = asNetwork(value);
  if (network === undefined) throw invalid(key, value, 'a network like 10.96.0.0/12, or an address');
  if (network.endsWith('/0')) {
    throw invalid(
      key,
      value,
      'less than everything: name the default route’s interface with podDefaultRouteNic instead',
    );
  }
  return network;
}

function asNetwork(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  try {
    if (value.includes('/')) return networkOf(value);
    const bytes = parseAddress(value);
    return formatPrefix({ bytes, length: bytes.length * 8 });
  } catch {
    return undefined;
  }
}

function readIPv4(key: string, value: unknown): string {
  const address = asAddress(value);
  // An IPv6 link has an address of its own on every end; Spiderpool leaves the setting out there, too.
  if (address === undefined || address.includes(':'))
    throw invalid(key, value, 'an IPv4 address without prefix length');
  return address;
}

function asAddress(value: unknown): string | undefined {
  try {
    return typeof value === 'string' ? formatAddress(parseAddress(value)) : undefined;
  } catch {
    return undefined;
  }
}

function readPolicyRoutes(key: string, value: unknown): readonly PolicyRoute[] {
  if (!Array.isArray(value)) throw invalid(key, value, 'a list of {"dst", "gw"}');
  return value.map((route: unknown, index) => {
    const at = `${key}[${index}]`;
    if (typeof route !== 'object' || route === null) throw invalid(at, route, 'an object with "dst" and "gw"');
    const { dst: dstText, gw: gwText, ...others } = route as Json;
    const [stranger] = Object.keys(others);
    if (stranger !== undefined) throw invalid(`${at}.${stranger}`, others[stranger], 'only "dst" and "gw"');
    const dst = asNetwork(dstText);
    if (dst === undefined || dst.endsWith('/0')) {
      throw invalid(
        `${at}.dst`,
        dstText,
        'a network like 10.9.0.0/16, or an address; the default route comes from the pool',
      );
    }
    const gw = asAddress(gwText);
    if (gw === undefined) throw invalid(`${at}.gw`, gwText, 'an address without prefix length');
    if (parsePrefix(dst).bytes.length !== parseAddress(gw).length) {
      throw invalid(`${at}.gw`, gwText, `an address of the family of ${dst}`);
    }
    return { dst, gw };
  });
}

/** The lowest bit of the first byte says "group" (IEEE 802): no interface may have such an address. */
function readMacPrefix(key: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[0-9a-f][02468ace]:[0-9a-f]{2}$/i.test(value)) {
    throw invalid(key, value, 'two bytes like "0a:1b", the first one even');
  }
  return value.toLowerCase();
}

const shown = (value: unknown): string => (value === undefined ? 'missing' : JSON.stringify(value).slice(0, 100));

const invalid = (key: string, value: unknown, allowed: string): ProvisionError =>
  new ProvisionError({
    type: 'InvalidConfig',
    message: `Key "${key}" of the coordinator's configuration is ${shown(value)}`,
    remedy: `Allowed: ${allowed}`,
  });

const unknownKey = (key: string): ProvisionError =>
  new ProvisionError({
    type: 'InvalidConfig',
    message: `Key "${key}" is unknown to the coordinator`,
    remedy: `Remove it; known are ${Object.keys(readers).join(', ')}`,
  });
