import type { PolicyRule } from '../network/coordination/coordination-operation.ts';
import { formatPrefix, parsePrefix } from '../network/ip-prefix.ts';
import { attribute, readAttributes, u32Attribute } from './attribute.ts';
import {
  AF_INET,
  AF_INET6,
  FR_ACT_TO_TBL,
  FRA_FWMARK,
  FRA_FWMASK,
  FRA_PRIORITY,
  FRA_PROTOCOL,
  FRA_SRC,
  FRA_SUPPRESS_PREFIXLEN,
  FRA_TABLE,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
} from './netlink-constants.ts';
import type { NetlinkMessage, NetlinkRequest } from './nlmsg.ts';

const headerBytes = 12;

/** struct fib_rule_hdr, include/uapi/linux/fib_rules.h. A table above 255 stands in an attribute. */
function header(
  family: 4 | 6,
  fields: { readonly srcLength: number; readonly table: number; readonly action: number },
): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt8(family === 4 ? AF_INET : AF_INET6, 0);
  bytes.writeUInt8(fields.srcLength, 2);
  bytes.writeUInt8(fields.table > 255 ? 0 : fields.table, 4);
  bytes.writeUInt8(fields.action, 7);
  return bytes;
}

/** Attributes in the order in which ip(8) takes: from, fwmark, lookup, pref, proto. */
function body({ family, priority, table, protocol, from, mark }: PolicyRule, action: number): Buffer {
  const source = from === undefined ? undefined : parsePrefix(from);
  return Buffer.concat([
    header(family, { srcLength: source?.length ?? 0, table, action }),
    ...(source === undefined ? [] : [attribute(FRA_SRC, source.bytes)]),
    ...(mark === undefined ? [] : [u32Attribute(FRA_FWMARK, mark)]),
    ...(table > 255 ? [u32Attribute(FRA_TABLE, table)] : []),
    u32Attribute(FRA_PRIORITY, priority),
    attribute(FRA_PROTOCOL, Uint8Array.of(protocol)),
  ]);
}

export const addRule = (rule: PolicyRule): NetlinkRequest => ({
  type: RTM_NEWRULE,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: body(rule, FR_ACT_TO_TBL),
});

export const deleteRule = (rule: PolicyRule): NetlinkRequest => ({ type: RTM_DELRULE, flags: 0, body: body(rule, 0) });

export const dumpRules = (family: 4 | 6): NetlinkRequest => ({
  type: RTM_GETRULE,
  flags: NLM_F_DUMP,
  body: header(family, { srcLength: 0, table: 0, action: 0 }),
});

/** What a rule of ours may carry, with what the kernel adds to every rule. */
const understood = new Set([
  FRA_SRC,
  FRA_PRIORITY,
  FRA_FWMARK,
  FRA_FWMASK,
  FRA_TABLE,
  FRA_PROTOCOL,
  FRA_SUPPRESS_PREFIXLEN,
]);

/** Every bit of a mark counts; and the kernel's -1, for a rule that suppresses no route. */
const allBits = 0xffff_ffff;

/** Undefined for a rule that looks at more than source and mark, or does else than look into a table: it is none that we would make. */
export function readRule({ body }: NetlinkMessage): PolicyRule | undefined {
  const attributes = readAttributes(body, headerBytes);
  const isPlain = body.readUInt8(1) === 0 && body.readUInt8(3) === 0 && body.readUInt32LE(8) === 0;
  const isSuppressing = (attributes.u32(FRA_SUPPRESS_PREFIXLEN) ?? allBits) !== allBits;
  const mask = attributes.u32(FRA_FWMASK) ?? 0;
  const mark = mask === 0 ? undefined : (attributes.u32(FRA_FWMARK) ?? 0);
  if (body.readUInt8(7) !== FR_ACT_TO_TBL || !isPlain || isSuppressing || (mark !== undefined && mask !== allBits))
    return undefined;
  if (attributes.types.some((type) => !understood.has(type))) return undefined;
  const family = body.readUInt8(0) === AF_INET ? 4 : 6;
  const source = attributes.bytes(FRA_SRC);
  return {
    family,
    priority: attributes.u32(FRA_PRIORITY) ?? 0,
    table: attributes.u32(FRA_TABLE) ?? body.readUInt8(4),
    protocol: attributes.bytes(FRA_PROTOCOL)?.[0] ?? 0,
    ...(source === undefined ? {} : { from: formatPrefix({ bytes: source, length: body.readUInt8(2) }) }),
    ...(mark === undefined ? {} : { mark }),
  };
}
