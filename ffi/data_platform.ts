/** Linux as the `DataPlatform` of a data thread. */

import type { DataPlatform } from "../lib/runtime/ports.ts";
import { NEXT_HEADER } from "../lib/wire/ipv6.ts";
import { attachBell } from "./bell.ts";
import { makeBlockingWait } from "./blocking_wait.ts";
import { attachIpSocket } from "./ip_socket.ts";
import { openLibcrypto } from "./libcrypto.ts";
import { attachTun } from "./tun_device.ts";
import { attachUdpSocket } from "./udp_socket.ts";

export const LINUX_DATA_PLATFORM: DataPlatform = {
  attachTun,
  attachSocket: (descriptor, protocol, family, slabs) =>
    protocol === NEXT_HEADER.udp
      ? attachUdpSocket(descriptor, family, { slabs })
      : attachIpSocket(descriptor, protocol, family),
  attachBell,
  makeWait: makeBlockingWait,
  openEspProvider: openLibcrypto,
};
