/**
 * Sockets of this host that are connected over HIP. They outlive the agent, and what they still
 * send must not leave the host without it.
 */

import {
  EMPTY_PLAN,
  GUARD_PLAN,
  HIT_PREFIX,
  HIT_PREFIX_LENGTH,
  type HostState,
} from "../host/host_plan.ts";
import { fromHex } from "../base/bytes.ts";
import { hasPrefix } from "../wire/ip_address.ts";

/** Where the kernel lists them. */
const LISTS = ["/proc/net/tcp6", "/proc/net/udp6"] as const;

/** Column of the remote address and of the state; TIME_WAIT only answers. */
const REMOTE = 2;
const STATE = 3;
const TIME_WAIT = "06";

/** How many sockets are connected to a HIT. */
export function openHipSockets(): number {
  let count = 0;
  for (const path of LISTS) {
    try {
      count += countHipSockets(Deno.readTextFileSync(path));
    } catch (error) {
      // A host without IPv6 has no such list.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return count;
}

/** What stays of us on a host where no agent runs: nothing, or what keeps `open` sockets in. */
export function leftBehind(open: number): HostState {
  return open > 0 ? GUARD_PLAN : EMPTY_PLAN;
}

/** A sentence on sockets that outlive the agent; undefined when there is none. */
export function describeOpenSockets(open: number): string | undefined {
  if (open === 0) return undefined;
  const what = open === 1 ? "1 connection over HIP is" : `${open} connections over HIP are`;
  return `${what} still open and kept from the network; hip up carries on with what is open.`;
}

/** How many of them are in the text of one list (proc_pid_net(5)). */
export function countHipSockets(list: string): number {
  return list.split("\n").slice(1).filter((line) => {
    const cells = line.trim().split(/\s+/);
    const address = cells[REMOTE]?.split(":")[0];
    if (address?.length !== 32 || cells[STATE] === TIME_WAIT) return false;
    return hasPrefix(addressOf(address), HIT_PREFIX, HIT_PREFIX_LENGTH);
  }).length;
}

/** Four words in the order of this machine's octets, which is little-endian on all we run on. */
function addressOf(hex: string): Uint8Array {
  const octets = fromHex(hex);
  for (let word = 0; word < 16; word += 4) octets.subarray(word, word + 4).reverse();
  return octets;
}
