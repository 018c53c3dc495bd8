import { manglePriority, replyMark, replyMarkTable } from '../network/coordination/reply-marks.ts';
import { attribute, nameAttribute } from './attribute.ts';
import {
  IFNAMSIZ,
  NF_CT_STATE_NEW_BIT,
  NF_INET_LOCAL_OUT,
  NF_INET_PRE_ROUTING,
  NFNL_MSG_BATCH_BEGIN,
  NFNL_MSG_BATCH_END,
  NFNL_SUBSYS_NFTABLES,
  NFPROTO_INET,
  NFPROTO_UNSPEC,
  NFT_CMP_EQ,
  NFT_CMP_NEQ,
  NFT_CT_MARK,
  NFT_CT_STATE,
  NFT_META_IIFNAME,
  NFT_META_MARK,
  NFT_MSG_DELTABLE,
  NFT_MSG_GETTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWTABLE,
  NFT_REG_1,
  NFTA_BITWISE_DREG,
  NFTA_BITWISE_LEN,
  NFTA_BITWISE_MASK,
  NFTA_BITWISE_SREG,
  NFTA_BITWISE_XOR,
  NFTA_CHAIN_HOOK,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_TABLE,
  NFTA_CHAIN_TYPE,
  NFTA_CMP_DATA,
  NFTA_CMP_OP,
  NFTA_CMP_SREG,
  NFTA_CT_DREG,
  NFTA_CT_KEY,
  NFTA_CT_SREG,
  NFTA_DATA_VALUE,
  NFTA_EXPR_DATA,
  NFTA_EXPR_NAME,
  NFTA_HOOK_HOOKNUM,
  NFTA_HOOK_PRIORITY,
  NFTA_IMMEDIATE_DATA,
  NFTA_IMMEDIATE_DREG,
  NFTA_LIST_ELEM,
  NFTA_META_DREG,
  NFTA_META_KEY,
  NFTA_META_SREG,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_TABLE,
  NFTA_TABLE_FLAGS,
  NFTA_TABLE_NAME,
  NLA_F_NESTED,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
} from './netlink-constants.ts';
import type { NetlinkRequest } from './nlmsg.ts';

/**
 * The reply marks (network/coordination/reply-marks.ts) as nfnetlink takes them: expressions that load a value into a
 * register, compare it, and write it elsewhere. Lengths and types of attributes are in the machine's order, numbers in them in
 * the network's, but marks and states, which the kernel compares as they lie in memory.
 */
type Expression = Buffer;

/** struct nfgenmsg, include/uapi/linux/netfilter/nfnetlink.h: family, version 0, and in a batch's ends the subsystem. */
function nfgenmsg(family: number, resource = 0): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt16BE(resource, 2);
  return bytes;
}

const command = (message: number, flags: number, ...attributes: readonly Uint8Array[]): NetlinkRequest => ({
  type: (NFNL_SUBSYS_NFTABLES << 8) | message,
  flags,
  body: Buffer.concat([nfgenmsg(NFPROTO_INET), ...attributes]),
});

/** All of it happens, or none. */
const batch = (...commands: readonly NetlinkRequest[]): NetlinkRequest[] => [
  { type: NFNL_MSG_BATCH_BEGIN, flags: 0, body: nfgenmsg(NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES) },
  ...commands,
  { type: NFNL_MSG_BATCH_END, flags: 0, body: nfgenmsg(NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES) },
];

/** Makes the table; refused with EEXIST when there is one of that name. */
export const addReplyMarks = (ifName: string): NetlinkRequest[] =>
  batch(
    command(NFT_MSG_NEWTABLE, NLM_F_EXCL, nameAttribute(NFTA_TABLE_NAME, replyMarkTable), be32(NFTA_TABLE_FLAGS, 0)),
    chain('prerouting', 'filter', NF_INET_PRE_ROUTING),
    rule('prerouting', ...cameInBy(ifName), ...isNew, ...setConnectionMark),
    rule('prerouting', ...cameInBy(ifName), ...connectionIsMarked, ...setPacketMark),
    chain('output', 'route', NF_INET_LOCAL_OUT),
    rule('output', ...connectionIsMarked, ...setPacketMark),
  );

export const deleteReplyMarks = (): NetlinkRequest[] =>
  batch(command(NFT_MSG_DELTABLE, 0, nameAttribute(NFTA_TABLE_NAME, replyMarkTable)));

/** Asks for the table: the answer, or ENOENT. It was made in one step, so where it is, it is whole. */
export const getReplyMarks = (): NetlinkRequest =>
  command(NFT_MSG_GETTABLE, 0, nameAttribute(NFTA_TABLE_NAME, replyMarkTable));

const chain = (name: string, type: 'filter' | 'route', hook: number): NetlinkRequest =>
  command(
    NFT_MSG_NEWCHAIN,
    NLM_F_CREATE,
    nameAttribute(NFTA_CHAIN_TABLE, replyMarkTable),
    nameAttribute(NFTA_CHAIN_NAME, name),
    nameAttribute(NFTA_CHAIN_TYPE, type),
    nested(NFTA_CHAIN_HOOK, be32(NFTA_HOOK_HOOKNUM, hook), be32(NFTA_HOOK_PRIORITY, manglePriority)),
  );

const rule = (chainName: string, ...expressions: readonly Expression[]): NetlinkRequest =>
  command(
    NFT_MSG_NEWRULE,
    NLM_F_CREATE | NLM_F_APPEND,
    nameAttribute(NFTA_RULE_TABLE, replyMarkTable),
    nameAttribute(NFTA_RULE_CHAIN, chainName),
    nested(NFTA_RULE_EXPRESSIONS, ...expressions),
  );

const expression = (name: string, ...data: readonly Uint8Array[]): Expression =>
  nested(NFTA_LIST_ELEM, nameAttribute(NFTA_EXPR_NAME, name), nested(NFTA_EXPR_DATA, ...data));

const register = NFT_REG_1;

const compare = (operator: number, value: Uint8Array): Expression =>
  expression(
    'cmp',
    be32(NFTA_CMP_SREG, register),
    be32(NFTA_CMP_OP, operator),
    nested(NFTA_CMP_DATA, attribute(NFTA_DATA_VALUE, value)),
  );

const cameInBy = (ifName: string): Expression[] => [
  expression('meta', be32(NFTA_META_KEY, NFT_META_IIFNAME), be32(NFTA_META_DREG, register)),
  compare(NFT_CMP_EQ, Buffer.concat([Buffer.from(ifName), Buffer.alloc(IFNAMSIZ - ifName.length)])),
];

const load = (key: number): Expression => expression('ct', be32(NFTA_CT_KEY, key), be32(NFTA_CT_DREG, register));

const isNew: Expression[] = [
  load(NFT_CT_STATE),
  expression(
    'bitwise',
    be32(NFTA_BITWISE_SREG, register),
    be32(NFTA_BITWISE_DREG, register),
    be32(NFTA_BITWISE_LEN, 4),
    nested(NFTA_BITWISE_MASK, attribute(NFTA_DATA_VALUE, u32(NF_CT_STATE_NEW_BIT))),
    nested(NFTA_BITWISE_XOR, attribute(NFTA_DATA_VALUE, u32(0))),
  ),
  compare(NFT_CMP_NEQ, u32(0)),
];

const connectionIsMarked: Expression[] = [load(NFT_CT_MARK), compare(NFT_CMP_EQ, u32(replyMark))];

const loadMark = expression(
  'immediate',
  be32(NFTA_IMMEDIATE_DREG, register),
  nested(NFTA_IMMEDIATE_DATA, attribute(NFTA_DATA_VALUE, u32(replyMark))),
);

const setConnectionMark: Expression[] = [
  loadMark,
  expression('ct', be32(NFTA_CT_KEY, NFT_CT_MARK), be32(NFTA_CT_SREG, register)),
];

const setPacketMark: Expression[] = [
  loadMark,
  expression('meta', be32(NFTA_META_KEY, NFT_META_MARK), be32(NFTA_META_SREG, register)),
];

function nested(type: number, ...inside: readonly Uint8Array[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(inside));
}

function be32(type: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeInt32BE(value);
  return attribute(type, payload);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
