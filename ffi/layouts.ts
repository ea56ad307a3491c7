/**
 * Offsets and constants of the kernel's structures, each with the header it comes from. They are
 * those of 64-bit little-endian Linux (x86-64, aarch64), the only systems the program is built for.
 */

/** Byte order of the host. */
export const LITTLE = true;

// asm-generic/fcntl.h
export const O_RDWR = 0o2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

// sys/uio.h: struct iovec
export const IOVEC = { base: 0, length: 8, SIZE: 16 } as const;

// bits/socket.h: struct msghdr
export const MSGHDR = {
  name: 0,
  nameLength: 8,
  iov: 16,
  iovLength: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  SIZE: 56,
} as const;

// bits/socket.h: struct mmsghdr, a msghdr and how many octets moved
export const MMSGHDR = { length: 56, SIZE: 64 } as const;

// bits/socket.h: struct cmsghdr; data follows, the next one begins at a multiple of 8
export const CMSGHDR = { length: 0, level: 8, type: 12, data: 16 } as const;

/** CMSG_SPACE: octets of a control message with `length` octets of data, padding included. */
export function controlSpace(length: number): number {
  return CMSGHDR.data + ((length + 7) & ~7);
}

// netinet/in.h: struct sockaddr_in
export const SOCKADDR_IN = { family: 0, port: 2, address: 4, SIZE: 16 } as const;
// netinet/in.h: struct sockaddr_in6
export const SOCKADDR_IN6 = { family: 0, port: 2, address: 8, scopeId: 24, SIZE: 28 } as const;
// netinet/in.h: struct in_pktinfo
export const IN_PKTINFO = { interfaceIndex: 0, specDestination: 4, address: 8, SIZE: 12 } as const;
// netinet/in.h: struct in6_pktinfo
export const IN6_PKTINFO = { address: 0, interfaceIndex: 16, SIZE: 20 } as const;
// linux/netlink.h: struct sockaddr_nl
export const SOCKADDR_NL = { family: 0, portId: 4, groups: 8, SIZE: 12 } as const;

// bits/socket.h
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const MSG_TRUNC = 0x20;
export const MSG_ERRQUEUE = 0x2000;

// asm-generic/socket.h
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_ATTACH_FILTER = 26;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;

// bits/in.h
export const SOL_IP = 0;
export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVTTL = 12;
export const IP_RECVTOS = 13;
export const IP_PMTUDISC_DONT = 0;
export const IP_PMTUDISC_WANT = 1;
export const SOL_IPV6 = 41;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_PMTUDISC_WANT = 1;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_RECVHOPLIMIT = 51;
export const IPV6_HOPLIMIT = 52;
export const IPV6_RECVTCLASS = 66;
export const IPV6_TCLASS = 67;

// linux/udp.h
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

// linux/filter.h: struct sock_filter, struct sock_fprog
export const SOCK_FILTER = { code: 0, ifTrue: 2, ifFalse: 3, k: 4, SIZE: 8 } as const;
export const SOCK_FPROG = { length: 0, filter: 8, SIZE: 16 } as const;

// linux/netlink.h
export const NETLINK_ROUTE = 0;
export const SOL_NETLINK = 270;
export const NETLINK_ADD_MEMBERSHIP = 1;
export const NETLINK_EXT_ACK = 11;

// linux/if.h: struct ifreq
export const IFREQ = { name: 0, flags: 16, SIZE: 40, NAME_SIZE: 16 } as const;

// linux/if_tun.h
export const TUNSETIFF = 0x400454ca;
export const IFF_TUN = 0x0001;
export const IFF_NO_PI = 0x1000;
export const IFF_MULTI_QUEUE = 0x0100;
export const IFF_VNET_HDR = 0x4000;
export const TUNSETOFFLOAD = 0x400454d0;
export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

// bits/poll.h: struct pollfd
export const POLLFD = { descriptor: 0, events: 4, returnedEvents: 6, SIZE: 8 } as const;
export const POLLIN = 0x001;

// bits/eventfd.h
export const EFD_NONBLOCK = 0o4000;
export const EFD_CLOEXEC = 0o2000000;
