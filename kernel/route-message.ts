import { formatAddress, formatPrefix, type IpPrefix } from '../network/ip-prefix.ts';
import type { ObservedRoute } from '../network/observed-namespace.ts';
import { attribute, readAttributes, u32Attribute } from './attribute.ts';
import {
  AF_INET,
  AF_INET6,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RTA_DST,
  RTA_GATEWAY,
  RTA_OIF,
  RTA_PRIORITY,
  RTA_TABLE,
  RTM_DELROUTE,
  RTM_F_CLONED,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTN_UNICAST,
  RTN_UNSPEC,
  RTNH_F_ONLINK,
} from './netlink-constants.ts';
import type { NetlinkMessage, NetlinkRequest } from './nlmsg.ts';

const rtmsgBytes = 12;

/** A route of the main table through a gateway. */
export interface GatewayRoute {
  readonly ifIndex: number;
  readonly dst: IpPrefix;
  readonly gateway: Uint8Array;
  readonly protocol: number;
  /** The gateway is on this link although no address says so. */
  readonly isOnlink?: boolean;
}

/** struct rtmsg, include/uapi/linux/rtnetlink.h */
function rtmsg(fields: {
  readonly family: number;
  readonly dstLength: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly flags: number;
}): Buffer {
  const bytes = Buffer.alloc(rtmsgBytes);
  bytes.writeUInt8(fields.family, 0);
  bytes.writeUInt8(fields.dstLength, 1);
  bytes.writeUInt8(RT_TABLE_MAIN, 4);
  bytes.writeUInt8(fields.protocol, 5);
  bytes.writeUInt8(fields.scope, 6);
  bytes.writeUInt8(fields.type, 7);
  bytes.writeUInt32LE(fields.flags, 8);
  return bytes;
}

function body(
  { ifIndex, dst, gateway, protocol, isOnlink }: GatewayRoute,
  kind: { scope: number; type: number },
): Buffer {
  const family = dst.family === 4 ? AF_INET : AF_INET6;
  const flags = isOnlink === true ? RTNH_F_ONLINK : 0;
  return Buffer.concat([
    rtmsg({ family, dstLength: dst.length, protocol, flags, ...kind }),
    ...(dst.family === 4 && dst.length === 0 ? [] : [attribute(RTA_DST, dst.bytes)]), // as ip(8) writes the two defaults
    attribute(RTA_GATEWAY, gateway),
    u32Attribute(RTA_OIF, ifIndex),
  ]);
}

export const addRoute = (route: GatewayRoute): NetlinkRequest => ({
  type: RTM_NEWROUTE,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: body(route, { scope: RT_SCOPE_UNIVERSE, type: RTN_UNICAST }),
});

/** RT_SCOPE_NOWHERE and RTN_UNSPEC: of any scope, which IPv6 has not, and any type. */
export const deleteRoute = (route: GatewayRoute): NetlinkRequest => ({
  type: RTM_DELROUTE,
  flags: 0,
  body: body(route, { scope: route.dst.family === 4 ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE, type: RTN_UNSPEC }),
});

/** Strict checking lets the kernel leave the other tables out. */
export const dumpMainRoutes = (family: 4 | 6): NetlinkRequest => ({
  type: RTM_GETROUTE,
  flags: NLM_F_DUMP,
  body: Buffer.concat([
    rtmsg({
      family: family === 4 ? AF_INET : AF_INET6,
      dstLength: 0,
      protocol: 0,
      scope: 0,
      type: 0,
      flags: 0,
    }),
    u32Attribute(RTA_TABLE, RT_TABLE_MAIN),
  ]),
});

/** Undefined for what is no entry of the main table: IPv6's cache, or a table that we did not ask for. */
export function readMainRoute({ body }: NetlinkMessage): ObservedRoute | undefined {
  const attributes = readAttributes(body, rtmsgBytes);
  const table = attributes.u32(RTA_TABLE) ?? body.readUInt8(4);
  if (table !== RT_TABLE_MAIN || (body.readUInt32LE(8) & RTM_F_CLONED) !== 0) return undefined;
  const family = body.readUInt8(0) === AF_INET ? 4 : 6;
  const gateway = attributes.bytes(RTA_GATEWAY);
  const ifIndex = attributes.u32(RTA_OIF);
  return {
    family,
    dst: formatPrefix({
      bytes: attributes.bytes(RTA_DST) ?? new Uint8Array(family === 4 ? 4 : 16),
      length: body.readUInt8(1),
    }),
    ...(gateway === undefined ? {} : { gateway: formatAddress(gateway) }),
    ...(ifIndex === undefined ? {} : { ifIndex }),
    metric: attributes.u32(RTA_PRIORITY) ?? 0,
    protocol: body.readUInt8(5),
  };
}
