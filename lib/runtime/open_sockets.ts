/**
 * Sockets of this host that are connected over HIP. They outlive the agent, and what they still
 * send must not leave the host without it.
 */

import {
  EMPTY_PLAN,
  guardPlan,
  HIT_PREFIX,
  HIT_PREFIX_LENGTH,
  type HostState,
} from "../host/host_plan.ts";
import { bytesEqual, fromHex } from "../base/bytes.ts";
import { hasPrefix, mapIpv4 } from "../wire/ip_address.ts";

/** Where the kernel lists them. */
const LISTS = ["/proc/net/tcp6", "/proc/net/udp6", "/proc/net/tcp", "/proc/net/udp"] as const;

/** Columns of the addresses and of the state; TIME_WAIT only answers. */
const LOCAL = 1;
const REMOTE = 2;
const STATE = 3;
const TIME_WAIT = "06";

/**
 * How many sockets are connected to a HIT, or by an LSI of ours.
 *
 * @param ownLsis 16 octets each.
 */
export function openHipSockets(ownLsis: readonly Uint8Array[] = []): number {
  let count = 0;
  for (const path of LISTS) {
    try {
      count += countHipSockets(Deno.readTextFileSync(path), ownLsis);
    } catch (error) {
      // A host without IPv6 has no such list.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return count;
}

/** What stays of us on a host where no agent runs: nothing, or what keeps `open` sockets in. */
export function leftBehind(open: number, ownLsis: readonly Uint8Array[] = []): HostState {
  return open > 0 ? guardPlan(ownLsis) : EMPTY_PLAN;
}

/** A sentence on sockets that outlive the agent; undefined when there is none. */
export function describeOpenSockets(open: number): string | undefined {
  if (open === 0) return undefined;
  const what = open === 1 ? "1 connection over HIP is" : `${open} connections over HIP are`;
  return `${what} still open and kept from the network; hip up carries on with what is open.`;
}

/** How many of them are in the text of one list (proc_pid_net(5)). */
export function countHipSockets(list: string, ownLsis: readonly Uint8Array[] = []): number {
  return list.split("\n").slice(1).filter((line) => {
    const cells = line.trim().split(/\s+/);
    const [local, remote] = [cells[LOCAL], cells[REMOTE]].map((cell) => cell?.split(":")[0]);
    if (local === undefined || remote === undefined || cells[STATE] === TIME_WAIT) return false;
    if (remote.length === 32) return hasPrefix(addressOf(remote), HIT_PREFIX, HIT_PREFIX_LENGTH);
    return /[^0]/.test(remote) && ownLsis.some((lsi) => bytesEqual(lsi, addressOf(local)));
  }).length;
}

/** Words in the order of this machine's octets, which is little-endian on all we run on. */
function addressOf(hex: string): Uint8Array {
  const octets = fromHex(hex);
  for (let word = 0; word < octets.length; word += 4) octets.subarray(word, word + 4).reverse();
  return octets.length === 4 ? mapIpv4(octets) : octets;
}
