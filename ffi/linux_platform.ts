/** Linux as the program's `Platform`: every port on its system calls. */

import type { EspProvider } from "../lib/crypto/esp_suite.ts";
import type { Platform } from "../lib/runtime/ports.ts";
import { openIpSocket } from "./ip_socket.ts";
import { libc } from "./libc.ts";
import { openNetlink } from "./netlink_socket.ts";
import { makeReadiness } from "./readiness.ts";
import { openTun } from "./tun_device.ts";

/** @param openEspProvider Opens the system's libcrypto; undefined when it has none. */
export function linuxPlatform(openEspProvider: () => EspProvider | undefined): Platform {
  return {
    euid: () => libc.geteuid(),
    openTun,
    openIpSocket,
    openNetlink,
    makeReadiness,
    openEspProvider,
  };
}
