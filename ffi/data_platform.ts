/** Linux as the `DataPlatform` of a data thread. */

import type { DataPlatform } from "../lib/runtime/ports.ts";
import { NEXT_HEADER } from "../lib/wire/ipv6.ts";
import { attachBell } from "./bell.ts";
import { makeBlockingWait } from "./blocking_wait.ts";
import { attachIpSocket } from "./ip_socket.ts";
import { openLibcrypto } from "./libcrypto.ts";
import { libc } from "./libc.ts";
import { attachTun } from "./tun_device.ts";
import { attachUdpSocket } from "./udp_socket.ts";

// sys/resource.h
const PRIO_PROCESS = 0;
const THIS_THREAD = 0;

export const LINUX_DATA_PLATFORM: DataPlatform = {
  attachTun,
  attachSocket: (descriptor, protocol, family, slabs) =>
    protocol === NEXT_HEADER.udp
      ? attachUdpSocket(descriptor, family, { slabs })
      : attachIpSocket(descriptor, protocol, family),
  attachBell,
  makeWait: makeBlockingWait,
  openEspProvider: openLibcrypto,
  // Of this thread alone (setpriority(2), "C library/kernel differences").
  setPriority: (nice) => void libc.setpriority(PRIO_PROCESS, THIS_THREAD, nice),
};
