import {
  type BondMode,
  type BondOptionName,
  type BondOptions,
  bondModes,
  bondOptionNames,
} from '../contracts/shared-link.ts';
import { type BondOptionType, bondOptionTypes } from '../network/bond-options.ts';
import { formatAddress, parseAddress } from '../network/ip-prefix.ts';
import type { ObservedBond } from '../network/observed-namespace.ts';
import {
  type Attributes,
  attribute,
  nestedAttribute,
  readAttributes,
  u8Attribute,
  u16Attribute,
  u32Attribute,
} from './attribute.ts';
import { IFLA_BOND, IFLA_BOND_MODE, IFLA_BOND_PRIMARY } from './netlink-constants.ts';

/** A bond as a message says it: ports by index. */
export interface BondSpec {
  readonly mode: BondMode;
  readonly options: BondOptions;
  /** Of each port that an option names. */
  readonly portIndexes?: ReadonlyMap<string, number>;
}

/** IFLA_INFO_DATA of a bond: the mode, on which all else depends, then what was asked for. */
export const bondAttributes = ({ mode, options, portIndexes = new Map() }: BondSpec): Buffer[] => [
  u8Attribute(IFLA_BOND_MODE, bondModes.indexOf(mode)),
  ...bondOptionNames.flatMap((name) => {
    const value = options[name];
    return value === undefined ? [] : [encode(IFLA_BOND[name], bondOptionTypes[name], value, portIndexes)];
  }),
];

function encode(type: number, option: BondOptionType, value: string, portIndexes: ReadonlyMap<string, number>): Buffer {
  switch (option.is) {
    case 'number':
      return numbers[option.bits](type, Number(value));
    case 'word':
      return numbers[option.bits](type, option.words.indexOf(value));
    case 'mac':
      return attribute(type, Buffer.from(value.replaceAll(':', ''), 'hex'));
    case 'port':
      return u32Attribute(type, portIndexes.get(value) ?? 0);
    case 'addresses':
      return nestedAttribute(type, ...value.split(',').map((address, at) => attribute(at, parseAddress(address))));
    default:
      return option satisfies never;
  }
}

const numbers = { 8: u8Attribute, 16: u16Attribute, 32: u32Attribute } as const;

/** Reads IFLA_INFO_DATA of a bond; undefined for a mode that we do not know. */
export function readBond(data: Attributes): ObservedBond | undefined {
  const mode = bondModes[data.u8(IFLA_BOND_MODE) ?? -1];
  if (mode === undefined) return undefined;
  const primaryIndex = data.u32(IFLA_BOND_PRIMARY);
  const options: Partial<Record<BondOptionName, string>> = {};
  for (const name of bondOptionNames) {
    const value = decode(IFLA_BOND[name], bondOptionTypes[name], data);
    if (value !== undefined) options[name] = value;
  }
  return { mode, options, ...(primaryIndex === undefined ? {} : { primaryIndex }) };
}

function decode(type: number, option: BondOptionType, data: Attributes): string | undefined {
  switch (option.is) {
    case 'number':
      return read(option.bits, type, data)?.toString();
    case 'word':
      return option.words[read(option.bits, type, data) ?? -1];
    case 'mac':
      return data
        .bytes(type)
        ?.toString('hex')
        .replaceAll(/(..)(?=.)/g, '$1:');
    case 'port':
      return undefined;
    case 'addresses': {
      const targets = data.bytes(type);
      return targets && [...readAttributes(targets).payloads()].map(formatAddress).join(',');
    }
    default:
      return option satisfies never;
  }
}

function read(bits: 8 | 16 | 32, type: number, data: Attributes): number | undefined {
  if (bits === 8) return data.u8(type);
  return bits === 16 ? data.u16(type) : data.u32(type);
}
