import { formatAddress, formatPrefix, type IpPrefix } from '../network/ip-prefix.ts';
import type { ObservedRoute } from '../network/observed-namespace.ts';
import { type Attributes, align, attribute, nestedAttribute, readAttributes, u32Attribute } from './attribute.ts';
import {
  AF_INET,
  AF_INET6,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RTA_DST,
  RTA_ENCAP,
  RTA_GATEWAY,
  RTA_METRICS,
  RTA_MULTIPATH,
  RTA_OIF,
  RTA_PREFSRC,
  RTA_PRIORITY,
  RTA_TABLE,
  RTA_VIA,
  RTAX_MTU,
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

/** A route of one table through one link. */
export interface LinkRoute {
  readonly ifIndex: number;
  readonly dst: IpPrefix;
  readonly protocol: number;
  /** Absent: the destination is on the link. */
  readonly gateway?: Uint8Array;
  /** Absent: the main one. */
  readonly table?: number;
  /** The address that a packet of this namespace's own is given. */
  readonly source?: Uint8Array;
  /** Absent: the kernel's own choice, 0 for IPv4 and 1024 for IPv6. */
  readonly metric?: number;
  /** RTAX_MTU: of the route instead of its link. */
  readonly mtuBytes?: number;
  /** The gateway is on this link although no address says so. */
  readonly isOnlink?: boolean;
}

/** A route through a gateway. */
export interface GatewayRoute extends LinkRoute {
  readonly gateway: Uint8Array;
}

/** Where among routes of the same destination and metric: `only` wants none, the other two are ip(8)'s prepend and append. */
export type RoutePlace = 'only' | 'first' | 'last';

/** struct rtmsg, include/uapi/linux/rtnetlink.h. A table above 255 stands in an attribute. */
function rtmsg(fields: {
  readonly family: number;
  readonly dstLength: number;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly flags: number;
}): Buffer {
  const bytes = Buffer.alloc(rtmsgBytes);
  bytes.writeUInt8(fields.family, 0);
  bytes.writeUInt8(fields.dstLength, 1);
  bytes.writeUInt8(fields.table > 255 ? 0 : fields.table, 4);
  bytes.writeUInt8(fields.protocol, 5);
  bytes.writeUInt8(fields.scope, 6);
  bytes.writeUInt8(fields.type, 7);
  bytes.writeUInt32LE(fields.flags, 8);
  return bytes;
}

/** Attributes in the order in which ip(8) takes: destination, via, table, src, metric, dev, mtu. */
function body(route: LinkRoute, kind: { scope: number; type: number }): Buffer {
  const { ifIndex, dst, gateway, table = RT_TABLE_MAIN, source, metric, mtuBytes, protocol, isOnlink } = route;
  const family = dst.family === 4 ? AF_INET : AF_INET6;
  const flags = isOnlink === true ? RTNH_F_ONLINK : 0;
  return Buffer.concat([
    rtmsg({ family, dstLength: dst.length, table, protocol, flags, ...kind }),
    ...(dst.family === 4 && dst.length === 0 ? [] : [attribute(RTA_DST, dst.bytes)]), // as ip(8) writes the two defaults
    ...(gateway === undefined ? [] : [attribute(RTA_GATEWAY, gateway)]),
    ...(table > 255 ? [u32Attribute(RTA_TABLE, table)] : []),
    ...(source === undefined ? [] : [attribute(RTA_PREFSRC, source)]),
    ...(metric === undefined ? [] : [u32Attribute(RTA_PRIORITY, metric)]),
    u32Attribute(RTA_OIF, ifIndex),
    ...(mtuBytes === undefined ? [] : [nestedAttribute(RTA_METRICS, u32Attribute(RTAX_MTU, mtuBytes))]),
  ]);
}

const placeFlags: Readonly<Record<RoutePlace, number>> = { only: NLM_F_EXCL, first: 0, last: NLM_F_APPEND };

/** IPv4 wants the reach of a route that has no gateway; IPv6 has no scopes. */
export const addRoute = (route: LinkRoute, place: RoutePlace = 'only'): NetlinkRequest => ({
  type: RTM_NEWROUTE,
  flags: NLM_F_CREATE | placeFlags[place],
  body: body(route, {
    scope: route.dst.family === 4 && route.gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
    type: RTN_UNICAST,
  }),
});

/** RT_SCOPE_NOWHERE and RTN_UNSPEC: of any scope, which IPv6 has not, and any type. */
export const deleteRoute = (route: LinkRoute): NetlinkRequest => ({
  type: RTM_DELROUTE,
  flags: 0,
  body: body(route, { scope: route.dst.family === 4 ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE, type: RTN_UNSPEC }),
});

/** Strict checking lets the kernel leave the other tables out. Without `table`: of every table. */
export const dumpRoutes = (family: 4 | 6, table?: number): NetlinkRequest => ({
  type: RTM_GETROUTE,
  flags: NLM_F_DUMP,
  body: Buffer.concat([
    rtmsg({
      family: family === 4 ? AF_INET : AF_INET6,
      dstLength: 0,
      table: 0,
      protocol: 0,
      scope: 0,
      type: 0,
      flags: 0,
    }),
    ...(table === undefined ? [] : [u32Attribute(RTA_TABLE, table)]),
  ]),
});

export const dumpMainRoutes = (family: 4 | 6): NetlinkRequest => dumpRoutes(family, RT_TABLE_MAIN);

/** Asks which route a packet to this address would take. */
export const getRoute = (address: Uint8Array): NetlinkRequest => ({
  type: RTM_GETROUTE,
  flags: 0,
  body: Buffer.concat([
    rtmsg({
      family: address.length === 4 ? AF_INET : AF_INET6,
      dstLength: address.length * 8,
      table: 0,
      protocol: 0,
      scope: 0,
      type: 0,
      flags: 0,
    }),
    attribute(RTA_DST, address),
  ]),
});

/** What `getRoute` was answered: the address that the packet would carry; undefined for what is delivered here. */
export function readRouteSource({ body }: NetlinkMessage): string | undefined {
  const source = readAttributes(body, rtmsgBytes).bytes(RTA_PREFSRC);
  return body.readUInt8(7) !== RTN_UNICAST || source === undefined ? undefined : formatAddress(source);
}

/** One way of a route, as the kernel lists it. */
export interface ObservedHop {
  readonly family: 4 | 6;
  /** As `formatPrefix` writes it. */
  readonly dst: string;
  readonly table: number;
  readonly protocol: number;
  readonly metric: number;
  readonly ifIndex: number;
  readonly gateway?: string;
  readonly source?: string;
  readonly mtuBytes?: number;
  readonly isOnlink?: boolean;
  /** One of several ways of one route. */
  readonly isHop?: boolean;
}

/**
 * The ways of a unicast route, each as a route of its own; none for what is no such route: another type, IPv6's cache, a
 * gateway of the other family, an encapsulation.
 */
export function readHops({ body }: NetlinkMessage): ObservedHop[] {
  const attributes = readAttributes(body, rtmsgBytes);
  const flags = body.readUInt32LE(8);
  if (body.readUInt8(7) !== RTN_UNICAST || (flags & RTM_F_CLONED) !== 0) return [];
  const family = body.readUInt8(0) === AF_INET ? 4 : 6;
  const source = attributes.bytes(RTA_PREFSRC);
  const mtuBytes = attributes.nested(RTA_METRICS).u32(RTAX_MTU);
  const route = {
    family,
    dst: formatPrefix({
      bytes: attributes.bytes(RTA_DST) ?? new Uint8Array(family === 4 ? 4 : 16),
      length: body.readUInt8(1),
    }),
    table: attributes.u32(RTA_TABLE) ?? body.readUInt8(4),
    protocol: body.readUInt8(5),
    metric: attributes.u32(RTA_PRIORITY) ?? 0,
    ...(source === undefined ? {} : { source: formatAddress(source) }),
    ...(mtuBytes === undefined ? {} : { mtuBytes }),
  } as const;
  const hops = attributes.bytes(RTA_MULTIPATH);
  if (hops !== undefined)
    return splitHops(hops)
      .flatMap((hop) => readHop(hop) ?? [])
      .map((hop) => ({ ...route, ...hop, isHop: true }));
  const hop = readHop({ ifIndex: attributes.u32(RTA_OIF) ?? 0, flags, attributes });
  return hop === undefined ? [] : [{ ...route, ...hop }];
}

interface RawHop {
  readonly ifIndex: number;
  readonly flags: number;
  readonly attributes: Attributes;
}

function readHop({ ifIndex, flags, attributes }: RawHop) {
  const gateway = attributes.bytes(RTA_GATEWAY);
  if (ifIndex === 0 || attributes.bytes(RTA_VIA) !== undefined || attributes.bytes(RTA_ENCAP) !== undefined)
    return undefined;
  return {
    ifIndex,
    ...(gateway === undefined ? {} : { gateway: formatAddress(gateway) }),
    ...((flags & RTNH_F_ONLINK) === 0 ? {} : { isOnlink: true }),
  };
}

/** struct rtnexthop, each followed by its attributes. include/uapi/linux/rtnetlink.h */
function splitHops(bytes: Buffer): RawHop[] {
  const hops: RawHop[] = [];
  for (let at = 0; at + rtnexthopBytes <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < rtnexthopBytes || at + length > bytes.length) break;
    hops.push({
      flags: bytes.readUInt8(at + 2),
      ifIndex: bytes.readInt32LE(at + 4),
      attributes: readAttributes(bytes.subarray(at, at + length), rtnexthopBytes),
    });
    at += align(length);
  }
  return hops;
}

const rtnexthopBytes = 8;

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
