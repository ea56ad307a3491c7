/** Whose a socket of this host is that talks to one of ours, as the kernel lists it (proc_pid_net(5)). */

import { toHex } from "../base/bytes.ts";
import { isIpv4, parseIpAddress } from "../wire/ip_address.ts";

const LOCAL = 1;
const REMOTE = 2;
const UID = 7;

/** "0100007F:0035": an address as the lists of TCP sockets have it. */
function cellOf(address: string, port: number): string {
  const octets = parseIpAddress(address);
  const own = isIpv4(octets) && address.includes(".") && !address.includes(":")
    ? octets.slice(12)
    : octets.slice();
  // Words in the order of this machine's octets, which is little-endian on all we run on.
  for (let word = 0; word < own.length; word += 4) own.subarray(word, word + 4).reverse();
  return `${toHex(own).toUpperCase()}:${port.toString(16).toUpperCase().padStart(4, "0")}`;
}

/**
 * The user of the client's end of a TCP connection on this host.
 *
 * @param list Text of `/proc/net/tcp` or `tcp6`.
 */
export function ownerOf(
  list: string,
  client: { readonly address: string; readonly port: number },
  server: { readonly address: string; readonly port: number },
): string | undefined {
  const [local, remote] = [
    cellOf(client.address, client.port),
    cellOf(server.address, server.port),
  ];
  for (const line of list.split("\n").slice(1)) {
    const cells = line.trim().split(/\s+/);
    if (cells[LOCAL] === local && cells[REMOTE] === remote) return cells[UID];
  }
  return undefined;
}
