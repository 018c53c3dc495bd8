import {
  type IpvlanMode,
  ipvlanModes,
  type LinkConf,
  type MacvlanMode,
  macvlanModes,
} from '../../contracts/pod-network.ts';
import type { SharedLinkConf, SharedVlanConf } from '../../contracts/shared-link.ts';
import { parseBond } from './bond-conf.ts';
import { invalid, notYet, refused } from './conf-refusal.ts';
import { isLinkName, longestLinkName, mayNameLink } from './link-name.ts';

type Json = Readonly<Record<string, unknown>>;

const laterKinds = ['ipoib', 'veth'];
const kinds = ['macvlan', 'ipvlan', 'vlan'] as const;
type Kind = LinkConf['kind'];

/** Reads which interface the pod gets in whole mode, and on which links that the node may have to make first. */
export function parseLink(json: Json): { link: LinkConf; shared?: readonly SharedLinkConf[] } {
  const kind = parseKind(json['kind']);
  const mtu = parseMtu(json['mtu']);
  const masters = parseNames('master', json['master']);
  const vlanID = parseVlanID(json['vlanID'], kind);
  const { shared, top } = parseShared('master', masters, json['bond'], kind === 'vlan' ? 0 : vlanID, mtu);
  const link = { ...parseShape(kind, json['mode'], vlanID), master: top, ...mtu };
  return shared.length === 0 ? { link } : { link, shared };
}

/** Reads what plugin `ifacer` makes: links of the node, for the plugins after it. */
export function parseIfacer(json: Json): readonly SharedLinkConf[] {
  const interfaces = parseNames('interfaces', json['interfaces']);
  const vlanID = parseVlanID(json['vlanID']);
  // Several interfaces that nothing joins are nothing to make, as with Spiderpool.
  if (interfaces.length > 1 && (json['bond'] ?? undefined) === undefined) return [];
  return parseShared('interfaces', interfaces, json['bond'], vlanID, parseMtu(json['mtu'])).shared;
}

/** The bond over several interfaces, and the VLAN on it or on the only one; `top` is what the pod's interface hangs on. */
function parseShared(
  key: string,
  names: readonly string[],
  bond: unknown,
  vlanID: number,
  mtu: { readonly mtuBytes?: number },
): { readonly shared: readonly SharedLinkConf[]; readonly top: string } {
  const [only = '', ...rest] = names;
  const shared: SharedLinkConf[] = [];
  let top = only;
  if ((bond ?? undefined) !== undefined) {
    const conf = parseBond(key, names, bond);
    shared.push({ ...conf, ...mtu });
    top = conf.name;
  } else if (rest.length > 0) {
    throw invalid(key, names, 'one interface, or several with `bond` to join them');
  }
  if (vlanID === 0) return { shared, top };
  const vlan: SharedVlanConf = { kind: 'vlan', name: vlanName(top, vlanID), parent: top, vlanID, ...mtu };
  return { shared: [...shared, vlan], top: vlan.name };
}

function vlanName(parent: string, vlanID: number): string {
  const name = `${parent}.${vlanID}`;
  if (mayNameLink(name)) return name;
  throw refused(
    'InvalidConfig',
    `VLAN ${vlanID} on "${parent}" would be named "${name}", and a link’s name has ${longestLinkName} bytes at most`,
    'Give the interface of the node a shorter name, or join it in a bond with one',
  );
}

function parseKind(kind: unknown): Kind {
  if (typeof kind === 'string' && laterKinds.includes(kind)) throw notYet(`kind "${kind}"`);
  const known = kinds.find((one) => one === kind);
  if (known === undefined) {
    throw invalid('kind', kind, `${kinds.join(', ')}, host-device, sriov, ib-sriov, or later ${laterKinds.join(', ')}`);
  }
  return known;
}

function parseShape(kind: Kind, mode: unknown, vlanID: number) {
  switch (kind) {
    case 'macvlan':
      return { kind, mode: oneOf<MacvlanMode>('mode', mode ?? 'bridge', macvlanModes) };
    case 'ipvlan':
      return { kind, mode: oneOf<IpvlanMode>('mode', mode ?? 'l2', ipvlanModes) };
    case 'vlan':
      if (mode !== undefined) throw invalid('mode', mode, 'nothing: an interface of kind vlan has no mode');
      return { kind, vlanID };
    default:
      return kind satisfies never;
  }
}

function oneOf<T extends string>(key: string, value: unknown, known: readonly T[]): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw invalid(key, value, known.join(', '));
  return found;
}

function parseNames(key: string, value: unknown): readonly string[] {
  const names = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(names) || names.length === 0 || !names.every(isLinkName)) {
    throw invalid(
      key,
      value,
      'a list with the name of one interface of the node, or of several to be joined by `bond`',
    );
  }
  if (new Set(names).size < names.length) throw invalid(key, value, 'each interface once');
  return names;
}

/** 0 means untagged, which an interface of kind vlan cannot be. */
function parseVlanID(value: unknown, kind?: Kind): number {
  const least = kind === 'vlan' ? 1 : 0;
  if (value === undefined && kind !== 'vlan') return 0;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= 4094) return value;
  throw invalid('vlanID', value, least === 1 ? '1 to 4094' : '1 to 4094, or 0 for untagged');
}

export function parseMtu(mtu: unknown): { readonly mtuBytes?: number } {
  // 0 is what Spiderpool's generated configurations carry for "the parent's".
  if (mtu === undefined || mtu === 0) return {};
  if (typeof mtu !== 'number' || !Number.isInteger(mtu) || mtu < 68 || mtu > 65_535) {
    throw invalid('mtu', mtu, "whole bytes from 68 to 65535, or 0 for the parent's");
  }
  return { mtuBytes: mtu };
}
