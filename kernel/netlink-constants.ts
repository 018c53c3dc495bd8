/** The kernel's names and values, by the header that defines them. Only what we send or read. */

// include/linux/socket.h, include/uapi/asm-generic/socket.h, include/linux/net.h
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_RCVTIMEO = 20;
export const SO_NETNS_COOKIE = 71;
export const MSG_TRUNC = 0x20;

// include/uapi/linux/netlink.h
export const NETLINK_ROUTE = 0;
export const NLMSG_ALIGNTO = 4;
export const NLMSG_HDRLEN = 16;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_DUMP = 0x300;
export const SOL_NETLINK = 270;
export const NETLINK_CAP_ACK = 10;
export const NETLINK_EXT_ACK = 11;
export const NETLINK_GET_STRICT_CHK = 12;
export const NLMSGERR_ATTR_MSG = 1;
export const NLA_TYPE_MASK = 0x3fff;

// include/uapi/linux/rtnetlink.h
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_GATEWAY = 5;
export const RTA_PRIORITY = 6;
export const RTA_TABLE = 15;
export const RT_TABLE_MAIN = 254;
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_NOWHERE = 255;
export const RT_SCOPE_LINK = 253;
export const RTN_UNSPEC = 0;
export const RTN_UNICAST = 1;
export const RTNH_F_ONLINK = 4;
export const RTM_F_CLONED = 0x200;

// include/uapi/linux/if_link.h
export const IFLA_ADDRESS = 1;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFLA_LINK = 5;
export const IFLA_MASTER = 10;
export const IFLA_LINKINFO = 18;
export const IFLA_IFALIAS = 20;
export const IFLA_GROUP = 27;
export const IFLA_NET_NS_FD = 28;
export const IFLA_EXT_MASK = 29;
export const IFLA_INFO_KIND = 1;
export const IFLA_INFO_DATA = 2;
export const IFLA_MACVLAN_MODE = 1;
/** VETH_INFO_PEER, include/uapi/linux/veth.h */
export const VETH_INFO_PEER = 1;
/** enum macvlan_mode */
export const MACVLAN_MODE = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
/** RTEXT_FILTER_SKIP_STATS, include/uapi/linux/rtnetlink.h: the counters are most of a link's answer. */
export const RTEXT_FILTER_SKIP_STATS = 8;

// include/uapi/linux/if.h, include/uapi/linux/if_arp.h
export const IFF_UP = 0x1;
export const IFF_LOOPBACK = 0x8;
export const ARPHRD_ETHER = 1;

// include/uapi/linux/if_addr.h
export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_F_NODAD = 0x02;

// include/uapi/linux/if_ether.h
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;

// include/uapi/linux/sched.h, include/uapi/linux/nsfs.h, include/uapi/linux/magic.h
export const CLONE_NEWNET = 0x40000000;
export const NS_GET_NSTYPE = 0xb703; // _IO(0xb7, 0x3)
export const NSFS_MAGIC = 0x6e736673;

// include/uapi/asm-generic/fcntl.h, the same on x86-64 and arm64
export const O_RDONLY = 0;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
