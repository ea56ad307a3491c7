/**
 * systemd-resolved's settings for one link, over the system's message bus
 * (`org.freedesktop.resolve1(5)`): the proxy becomes the DNS server of the HIP device, with the
 * routing domain `~.`, so that every name is asked there unless another link has a longer match.
 * The settings vanish with the device.
 */

import { Buffer } from "node:buffer";
import type { MessageBus } from "dbus-native";

import { UserError } from "../base/errors.ts";
import { formatIpAddress, parseIpAddress } from "../wire/ip_address.ts";

const SERVICE = "org.freedesktop.resolve1";
const MANAGER_PATH = "/org/freedesktop/resolve1";
const MANAGER = "org.freedesktop.resolve1.Manager";

/** Longest wait for one answer on the bus, in milliseconds. */
const CALL_TIMEOUT_MS = 2000;

/** Most octets that a message of the bus may have. */
const MAX_MESSAGE_OCTETS = 1 << 20;

/** Do not start the service for our sake (D-Bus specification, "Header fields"). */
const NO_AUTO_START = 2;

/** Address families as Linux numbers them. */
const AF_INET = 2;
const AF_INET6 = 10;

/** A server that systemd-resolved knows. */
export interface ResolvedServer {
  /** Link that it belongs to; 0 for one of the whole host. */
  readonly interfaceIndex: number;
  /** Text form, IPv6 link-local addresses with their zone. */
  readonly address: string;
}

/** What systemd-resolved is set to. */
export interface ResolvedState {
  readonly servers: readonly ResolvedServer[];
  /** Those it falls back on when it knows no others. */
  readonly fallback: readonly ResolvedServer[];
  /** "yes", "no" or "allow-downgrade". */
  readonly dnssec: string;
}

export class ResolvedLink {
  readonly #interfaceIndex: number;
  readonly #socket: string;

  /**
   * @param interfaceIndex The HIP device.
   * @param socket Path of the bus's socket.
   */
  constructor(interfaceIndex: number, socket: string) {
    this.#interfaceIndex = interfaceIndex;
    this.#socket = socket;
  }

  /** What systemd-resolved holds now; undefined when it does not run. */
  look(): Promise<ResolvedState | undefined> {
    return withBus(this.#socket, async (bus) => {
      if (!await bus.nameHasOwner(SERVICE)) return undefined;
      const property = (name: string) =>
        bus.invoke<unknown>({
          destination: SERVICE,
          path: MANAGER_PATH,
          interface: "org.freedesktop.DBus.Properties",
          member: "Get",
          flags: NO_AUTO_START,
          signature: "ss",
          body: [MANAGER, name],
        });
      return {
        servers: readServers(await property("DNS")),
        fallback: readServers(await property("FallbackDNS")),
        dnssec: String(await property("DNSSEC")),
      };
    });
  }

  /** Whether the proxy is the server of our link. */
  isInForce(state: ResolvedState, proxyAddress: string): boolean {
    return state.servers.some(({ interfaceIndex, address }) =>
      interfaceIndex === this.#interfaceIndex && address === proxyAddress
    );
  }

  /** Servers to ask behind the proxy, those of our own link left out. */
  upstreams(state: ResolvedState, ownAddresses: readonly string[]): string[] {
    const others = state.servers.filter(({ interfaceIndex }) =>
      interfaceIndex !== this.#interfaceIndex
    );
    const addresses = (others.length > 0 ? others : state.fallback).map(({ address }) => address);
    return [...new Set(addresses)].filter((address) => !ownAddresses.includes(address));
  }

  /**
   * Sends all names to the proxy.
   *
   * @throws {UserError} When systemd-resolved refuses; then the link is as before.
   */
  async takeOver(proxyAddress: string): Promise<void> {
    const index = this.#interfaceIndex;
    const { family, octets } = busAddress(proxyAddress);
    try {
      await withBus(this.#socket, async (bus) => {
        const set = (member: string, signature: string, ...values: unknown[]) =>
          callManager(bus, member, `i${signature}`, [index, ...values]);
        // What the proxy adds has no signature, and it is asked by DNS alone.
        await set("SetLinkDNSSEC", "s", "no");
        await set("SetLinkDNSOverTLS", "s", "no");
        await set("SetLinkLLMNR", "s", "no");
        await set("SetLinkMulticastDNS", "s", "no");
        await set("SetLinkDNS", "a(iay)", [[family, octets]]);
        await set("SetLinkDefaultRoute", "b", true);
        await set("SetLinkDomains", "a(sb)", [[".", true]]);
        await callManager(bus, "FlushCaches", "", []);
      });
    } catch (error) {
      await this.restore().catch(() => {});
      throw new UserError(
        `systemd-resolved does not take the proxy as server of the HIP device ` +
          `(${
            error instanceof Error ? error.message : String(error)
          }). Look with: resolvectl status`,
      );
    }
  }

  /** Takes the settings back; harmless when there are none. */
  async restore(): Promise<void> {
    await withBus(this.#socket, async (bus) => {
      if (!await bus.nameHasOwner(SERVICE)) return;
      await callManager(bus, "RevertLink", "i", [this.#interfaceIndex]);
      await callManager(bus, "FlushCaches", "", []);
    });
  }
}

async function callManager(
  bus: MessageBus,
  member: string,
  signature: string,
  body: unknown[],
): Promise<void> {
  await bus.invoke({
    destination: SERVICE,
    path: MANAGER_PATH,
    interface: MANAGER,
    member,
    flags: NO_AUTO_START,
    ...signature === "" ? {} : { signature, body },
  });
}

/** Connects, does something, and hangs up. Rejects when the bus cannot be reached. */
async function withBus<T>(socket: string, action: (bus: MessageBus) => Promise<T>): Promise<T> {
  // Only hosts with systemd-resolved pay for the library.
  const { createClient } = await import("dbus-native");
  const bus = createClient({
    socket,
    authMethods: ["EXTERNAL"],
    timeout: CALL_TIMEOUT_MS,
    maxMessageSize: MAX_MESSAGE_OCTETS,
  });
  const lost = new Promise<never>((_, reject) => {
    bus.connection.on("error", reject);
    bus.on("error", reject);
  });
  try {
    return await Promise.race([action(bus), lost]);
  } finally {
    lost.catch(() => {});
    bus.connection.end();
  }
}

/** The property `DNS`, of type a(iiay); what does not have its form is passed over. */
function readServers(value: unknown): ResolvedServer[] {
  if (!Array.isArray(value)) return [];
  const servers: ResolvedServer[] = [];
  for (const entry of value) {
    const [interfaceIndex, family, octets] = Array.isArray(entry) ? entry : [];
    if (typeof interfaceIndex !== "number" || !(octets instanceof Uint8Array)) continue;
    if (octets.length !== (family === AF_INET6 ? 16 : 4)) continue;
    const address = family === AF_INET6 ? formatIpAddress(octets) : octets.join(".");
    const needsZone = address.startsWith("fe80:");
    servers.push({ interfaceIndex, address: needsZone ? `${address}%${interfaceIndex}` : address });
  }
  return servers;
}

function busAddress(text: string): { family: number; octets: Buffer } {
  const octets = parseIpAddress(text);
  return text.includes(":")
    ? { family: AF_INET6, octets: Buffer.from(octets) }
    : { family: AF_INET, octets: Buffer.from(octets.subarray(12)) };
}
