/**
 * A network address translator between two links, for HIP and ESP, which have no ports, and for
 * UDP.
 *
 * Each flow, which is a protocol, a host inside and an address outside, is given a public address
 * that no other flow of this protocol to the same remote has; what comes back to that address from
 * that remote goes to the host inside. A flow of UDP has a public port of its own as well, all of them
 * the same public address. A flow that was silent too long is forgotten. A NAT that knows
 * nothing of HIP leaves its checksum as it is, though the checksum covers the addresses; one that is
 * aware of HIP makes it right again (RFC 7401 §5.1.1).
 */

import { bytesEqual } from "../../lib/base/bytes.ts";
import { after, type Duration, type Instant, seconds } from "../../lib/base/time.ts";
import type { CarriedPacket } from "../support/datagrams.ts";
import { HIP_PROTOCOL, setChecksum } from "../../lib/wire/hip/packet.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { NEXT_HEADER } from "../../lib/wire/ipv6.ts";
import { HIP_UDP_PORT } from "../../lib/wire/udp_encapsulation.ts";
import { packetName } from "./link.ts";
import type { LinkEnd, Network } from "./roles.ts";

export interface NatOptions {
  /** Text form; flows get the first that is free. */
  readonly publicAddresses: readonly string[];
  /** Whether it makes HIP checksums right. */
  readonly isHipAware: boolean;
  /** After how much silence a flow is forgotten; two minutes when absent. */
  readonly idleTime?: Duration;
}

/** Why a NAT drops a packet. */
export type NatDrop = "no flow" | "no public address is free";

/** A host and, of UDP, its port; 0 for protocols without. */
interface Endpoint {
  readonly address: Uint8Array;
  readonly port: number;
}

interface Flow {
  readonly protocol: number;
  readonly inside: Endpoint;
  readonly remote: Endpoint;
  readonly outside: Endpoint;
  until: Instant;
}

/** Public ports, given out in order. */
const FIRST_PORT = 40_000;

export class NatBox {
  /** Where hosts inside send to: everything that is not on their own link. */
  readonly inside: LinkEnd;
  readonly outside: LinkEnd;
  readonly #network: Network;
  readonly #options: NatOptions;
  #addresses: readonly Uint8Array[];
  #flows: Flow[] = [];
  #nextPort = FIRST_PORT;
  readonly #drops = new Map<NatDrop, number>();

  constructor(network: Network, name: string, options: NatOptions) {
    this.#network = network;
    this.#options = options;
    this.#addresses = options.publicAddresses.map(parseIpAddress);
    this.inside = {
      name: `${name} in`,
      owns: (address) => !this.#isPublic(address),
      receive: (packet) => this.#receiveInside(packet),
    };
    this.outside = {
      name: `${name} out`,
      owns: (address) => this.#isPublic(address),
      receive: (packet) => this.#receiveOutside(packet),
    };
  }

  /** Flows that are remembered. */
  get flowCount(): number {
    this.#forget();
    return this.#flows.length;
  }

  dropped(why: NatDrop): number {
    return this.#drops.get(why) ?? 0;
  }

  /** As after a restart or a change of provider: all flows are forgotten, other addresses are used. */
  rebind(publicAddresses: readonly string[]): void {
    this.#flows = [];
    this.#addresses = publicAddresses.map(parseIpAddress);
    this.#note(`rebinds to ${publicAddresses.join(", ")}`);
  }

  #isPublic(address: Uint8Array): boolean {
    return this.#addresses.some((own) => bytesEqual(own, address));
  }

  #receiveInside(packet: CarriedPacket): void {
    this.#forget();
    const inside = { address: packet.source, port: sourcePortOf(packet) };
    const remote = { address: packet.destination, port: packet.peerPort ?? 0 };
    const { protocol } = packet;
    const flow =
      this.#flows.find((one) =>
        one.protocol === protocol && isSame(one.inside, inside) && isSame(one.remote, remote)
      ) ?? this.#open(protocol, inside, remote);
    if (flow === undefined) {
      this.#drop(packet, "no public address is free");
      return;
    }
    this.#touch(flow);
    this.#forward(this.outside, packet, flow.outside, remote);
  }

  #receiveOutside(packet: CarriedPacket): void {
    this.#forget();
    const remote = { address: packet.source, port: sourcePortOf(packet) };
    const outside = { address: packet.destination, port: packet.peerPort ?? 0 };
    const flow = this.#flows.find((one) =>
      one.protocol === packet.protocol && isSame(one.outside, outside) &&
      isSame(one.remote, remote)
    );
    if (flow === undefined) {
      this.#drop(packet, "no flow");
      return;
    }
    this.#touch(flow);
    this.#forward(this.inside, packet, remote, flow.inside);
  }

  /** A host inside keeps one public address towards a remote, whatever the protocol. */
  #open(protocol: number, inside: Endpoint, remote: Endpoint): Flow | undefined {
    const outside = protocol === NEXT_HEADER.udp
      ? { address: this.#addresses[0]!, port: this.#nextPort++ }
      : this.#addressFor(inside, remote);
    if (outside === undefined) return undefined;
    const flow = { protocol, inside, remote, outside, until: this.#network.now };
    this.#flows.push(flow);
    const port = outside.port === 0 ? "" : ` port ${outside.port}`;
    this.#note(
      `maps ${formatIpAddress(inside.address)} to ${
        formatIpAddress(outside.address)
      }${port} for protocol ${protocol}`,
    );
    return flow;
  }

  #addressFor(inside: Endpoint, remote: Endpoint): Endpoint | undefined {
    const toRemote = this.#flows.filter((flow) =>
      flow.protocol !== NEXT_HEADER.udp && isSame(flow.remote, remote)
    );
    const isFree = (address: Uint8Array) =>
      toRemote.every((flow) =>
        isSame(flow.inside, inside) || !bytesEqual(flow.outside.address, address)
      );
    const known = toRemote.find((flow) => isSame(flow.inside, inside))?.outside.address;
    const address = known ?? this.#addresses.find(isFree);
    return address && { address, port: 0 };
  }

  #touch(flow: Flow): void {
    flow.until = after(this.#network.now, this.#options.idleTime ?? seconds(120));
  }

  #forget(): void {
    this.#flows = this.#flows.filter(({ until }) => until > this.#network.now);
  }

  #forward(from: LinkEnd, packet: CarriedPacket, source: Endpoint, destination: Endpoint): void {
    const bytes = packet.bytes.slice();
    if (packet.protocol === HIP_PROTOCOL && this.#options.isHipAware) {
      setChecksum(bytes, source.address, destination.address);
    }
    this.#network.route(from, {
      ...packet,
      source: source.address,
      sourcePort: source.port,
      destination: destination.address,
      peerPort: destination.port,
      bytes,
    });
  }

  #drop(packet: CarriedPacket, why: NatDrop): void {
    this.#drops.set(why, this.dropped(why) + 1);
    this.#note(`drops ${packetName(packet)}: ${why}`);
  }

  #note(text: string): void {
    this.#network.trace.add(this.#network.now, "nat", text);
  }
}

function isSame(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && bytesEqual(one.address, other.address);
}

function sourcePortOf({ protocol, sourcePort = HIP_UDP_PORT }: CarriedPacket): number {
  return protocol === NEXT_HEADER.udp ? sourcePort : 0;
}
