import {
  type BondConf,
  type BondMode,
  type BondOptionName,
  type BondOptions,
  bondModes,
  bondOptionNames,
} from '../../contracts/shared-link.ts';
import { type BondOptionType, bondOptionTypes } from '../../network/bond-options.ts';
import { formatAddress, parseAddress } from '../../network/ip-prefix.ts';
import { invalid, refused } from './conf-refusal.ts';
import { isLinkName } from './link-name.ts';

/** Name of a bond that is given none, as Spiderpool's. */
const defaultName = 'sp_bond0';
/** Spiderpool's spelling of an option of the kernel. */
const otherSpellings: Readonly<Record<string, BondOptionName>> = { up_delay: 'updelay' };

/** Reads the key `bond`: `key` names the list of its ports. Throws `InvalidConfig`. */
export function parseBond(key: string, ports: readonly string[], bond: unknown): BondConf {
  if (typeof bond !== 'object' || bond === null || Array.isArray(bond)) throw invalid('bond', bond, 'an object');
  const stranger = Object.keys(bond).find((name) => !['name', 'mode', 'options'].includes(name));
  if (stranger !== undefined) {
    throw refused('InvalidConfig', `Key "bond.${stranger}" is unknown`, 'Known are name, mode, options');
  }
  const { name = defaultName, mode = 0, options = '' } = bond as Readonly<Record<string, unknown>>;
  if (!isLinkName(name) || ports.includes(name)) {
    throw invalid('bond.name', name, 'a name for the bond: 15 bytes at most, and not that of one of its interfaces');
  }
  if (ports.length < 2) throw invalid(key, ports, 'two interfaces or more for a bond');
  return { kind: 'bond', name, ports, mode: parseMode(mode), options: parseOptions(options, ports) };
}

function parseMode(mode: unknown): BondMode {
  const known = typeof mode === 'number' ? bondModes[mode] : bondModes.find((one) => one === mode);
  if (known === undefined) {
    throw invalid('bond.mode', mode, bondModes.map((one, number) => `${number} (${one})`).join(', '));
  }
  return known;
}

/** `k=v;k=v` */
function parseOptions(text: unknown, ports: readonly string[]): BondOptions {
  if (typeof text !== 'string')
    throw invalid('bond.options', text, 'one text, for example "miimon=100;lacp_rate=fast"');
  const options: Partial<Record<BondOptionName, string>> = {};
  for (const entry of text.split(';').map((part) => part.trim())) {
    if (entry === '') continue;
    const at = entry.indexOf('=');
    const given = entry.slice(0, Math.max(at, 0)).trim();
    const name = bondOptionNames.find((known) => known === (otherSpellings[given] ?? given));
    if (name === undefined) {
      throw invalid('bond.options', text, `option=value, separated by ";". Options: ${bondOptionNames.join(', ')}`);
    }
    if (options[name] !== undefined) throw invalid('bond.options', text, `${name} once`);
    options[name] = parseValue(name, entry.slice(at + 1).trim(), ports);
  }
  return options;
}

function parseValue(name: BondOptionName, value: string, ports: readonly string[]): string {
  const canonical = read(bondOptionTypes[name], value, ports);
  if (canonical !== undefined) return canonical;
  throw invalid(`bond.options: ${name}`, value, allowed(bondOptionTypes[name], ports));
}

/** The value as ip(8) prints it; undefined when the option cannot have it. */
function read(type: BondOptionType, value: string, ports: readonly string[]): string | undefined {
  switch (type.is) {
    case 'number':
      return /^\d{1,10}$/.test(value) && Number(value) <= mostOf(type) ? `${Number(value)}` : undefined;
    case 'word':
      return type.words.find((word, number) => value === word || value === `${number}`);
    case 'mac':
      return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value) ? value.toLowerCase() : undefined;
    case 'port':
      return ports.includes(value) ? value : undefined;
    case 'addresses':
      return readTargets(value);
    default:
      return type satisfies never;
  }
}

/** Also as Spiderpool writes a list: `["10.6.0.1","10.6.0.2"]`. */
function readTargets(text: string): string | undefined {
  const targets = text.replaceAll(/["'[\]\s]/g, '').split(',');
  try {
    const addresses = targets.map((target) => parseAddress(target));
    return addresses.every(({ length }) => length === 4) && targets.length <= mostArpTargets
      ? addresses.map(formatAddress).join(',')
      : undefined;
  } catch {
    return undefined;
  }
}

/** BOND_MAX_ARP_TARGETS, include/net/bonding.h */
const mostArpTargets = 16;

const mostOf = ({ bits, most }: BondOptionType & { is: 'number' }): number => most ?? 2 ** bits - 1;

function allowed(type: BondOptionType, ports: readonly string[]): string {
  switch (type.is) {
    case 'number':
      return `0 to ${mostOf(type)}`;
    case 'word':
      return type.words.map((word, number) => `${number} (${word})`).join(', ');
    case 'mac':
      return 'a MAC address';
    case 'port':
      return ports.join(', ');
    case 'addresses':
      return `IPv4 addresses, ${mostArpTargets} at most, separated by commas`;
    default:
      return type satisfies never;
  }
}
