/**
 * Which ports of this host only programs of IPv4 listen at, as the kernel lists its sockets
 * (proc_pid_net(5)): what peers send to them has to become IPv4.
 */

import { toHex } from "../base/bytes.ts";
import { NEXT_HEADER } from "../wire/ipv6.ts";

/** A list is good for so many milliseconds: a program that has just begun to listen waits no longer. */
const FRESH_MS = 500;

/** Columns of a list. */
const LOCAL = 1;
const REMOTE = 2;
const STATE = 3;

/** TCP listens; UDP that is connected to nobody is in the state that TCP calls closed. */
const WAITING = { tcp: "0A", udp: "07" } as const;

/** Ports at which sockets of one list wait for anybody at one of these addresses (hexadecimal). */
export function waitingPorts(
  list: string,
  state: string,
  addresses: ReadonlySet<string> | undefined,
): Set<number> {
  const ports = new Set<number>();
  for (const line of list.split("\n").slice(1)) {
    const cells = line.trim().split(/\s+/);
    const [address, port] = cells[LOCAL]?.split(":") ?? [];
    if (address === undefined || port === undefined || cells[STATE] !== state) continue;
    if (/[^0:]/.test(cells[REMOTE]!)) continue;
    if (addresses !== undefined && !addresses.has(address)) continue;
    ports.add(parseInt(port, 16));
  }
  return ports;
}

export class Ipv4Servers {
  readonly #read: (path: string) => string | undefined;
  readonly #now: () => number;
  readonly #addresses: ReadonlySet<string>;
  readonly #lists = new Map<"tcp" | "udp", { ports: ReadonlySet<number>; until: number }>();

  /**
   * @param ownLsis Addresses of ours, 16 octets, IPv4-mapped.
   * @param read The text of a file; undefined when there is none.
   * @param now Milliseconds.
   */
  constructor(
    ownLsis: readonly Uint8Array[],
    read: (path: string) => string | undefined,
    now: () => number,
  ) {
    // Words in the order of this machine's octets, which is little-endian on all we run on.
    const words = ownLsis.map((lsi) => toHex(lsi.slice(12).reverse()).toUpperCase());
    this.#addresses = new Set(["00000000", ...words]);
    this.#read = read;
    this.#now = now;
  }

  /** Whether at a port of TCP (6) or UDP (17) programs of IPv4 wait, and none of IPv6. */
  has(protocol: number, port: number): boolean {
    const name = protocol === NEXT_HEADER.tcp ? "tcp" : "udp";
    let list = this.#lists.get(name);
    if (list === undefined || this.#now() >= list.until) {
      list = { ports: this.#list(name), until: this.#now() + FRESH_MS };
      this.#lists.set(name, list);
    }
    return list.ports.has(port);
  }

  #list(name: "tcp" | "udp"): Set<number> {
    const ports = (path: string, addresses?: ReadonlySet<string>) =>
      waitingPorts(this.#read(path) ?? "", WAITING[name], addresses);
    const ofIpv4 = ports(`/proc/net/${name}`, this.#addresses);
    for (const port of ports(`/proc/net/${name}6`)) ofIpv4.delete(port);
    return ofIpv4;
  }
}
