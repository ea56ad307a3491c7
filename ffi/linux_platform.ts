/** Linux as the program's `Platform`: every port on its system calls. */

import type { Platform } from "../lib/runtime/ports.ts";
import { makeBell } from "./bell.ts";
import { openIpSocket } from "./ip_socket.ts";
import { libc } from "./libc.ts";
import { openLibcrypto } from "./libcrypto.ts";
import { openLibcryptoDigest } from "./libcrypto_digest.ts";
import { openLibcryptoPublicKeys } from "./libcrypto_public_keys.ts";
import { openNetlink } from "./netlink_socket.ts";
import { makeReadiness } from "./readiness.ts";
import { openTun } from "./tun_device.ts";
import { openUdpSocket } from "./udp_socket.ts";

/**
 * @param jobWorkerUrl The module of workers that use the system's libcrypto.
 * @param dataWorkerUrl The module of data threads.
 */
export function linuxPlatform(jobWorkerUrl: URL, dataWorkerUrl: URL): Platform {
  return {
    euid: () => libc.geteuid(),
    openTun: (name, hasQueues) => openTun(name, undefined, hasQueues),
    openIpSocket,
    openUdpSocket,
    openNetlink,
    makeReadiness,
    openEspProvider: openLibcrypto,
    openPublicKeyProvider: openLibcryptoPublicKeys,
    openDigest: openLibcryptoDigest,
    makeBell,
    jobWorkerUrl,
    dataWorkerUrl,
  };
}
