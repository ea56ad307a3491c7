/**
 * A network address translator between two links, for protocols without ports: HIP and ESP.
 *
 * Each flow, which is a protocol, a host inside and an address outside, is given a public address
 * that no other flow of this protocol to the same remote has; what comes back to that address from
 * that remote goes to the host inside. A flow that was silent too long is forgotten. A NAT that knows
 * nothing of HIP leaves its checksum as it is, though the checksum covers the addresses; one that is
 * aware of HIP makes it right again (RFC 7401 §5.1.1).
 */

import { bytesEqual } from "../../lib/base/bytes.ts";
import { after, type Duration, type Instant, seconds } from "../../lib/base/time.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { HIP_PROTOCOL, setChecksum } from "../../lib/wire/hip/packet.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
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

interface Flow {
  readonly protocol: number;
  readonly inside: Uint8Array;
  readonly remote: Uint8Array;
  readonly publicAddress: Uint8Array;
  until: Instant;
}

export class NatBox {
  /** Where hosts inside send to: everything that is not on their own link. */
  readonly inside: LinkEnd;
  readonly outside: LinkEnd;
  readonly #network: Network;
  readonly #options: NatOptions;
  #addresses: readonly Uint8Array[];
  #flows: Flow[] = [];
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

  #receiveInside(packet: OutgoingPacket): void {
    this.#forget();
    const { protocol, source, destination: remote } = packet;
    const flow = this.#flows.find((one) =>
      one.protocol === protocol &&
      bytesEqual(one.inside, source) && bytesEqual(one.remote, remote)
    ) ??
      this.#open(protocol, source, remote);
    if (flow === undefined) {
      this.#drop(packet, "no public address is free");
      return;
    }
    this.#touch(flow);
    this.#forward(this.outside, packet, { source: flow.publicAddress, destination: remote });
  }

  #receiveOutside(packet: OutgoingPacket): void {
    this.#forget();
    const { protocol, source, destination } = packet;
    const flow = this.#flows.find((one) =>
      one.protocol === protocol &&
      bytesEqual(one.publicAddress, destination) && bytesEqual(one.remote, source)
    );
    if (flow === undefined) {
      this.#drop(packet, "no flow");
      return;
    }
    this.#touch(flow);
    this.#forward(this.inside, packet, { source, destination: flow.inside });
  }

  /** A host inside keeps one public address towards a remote, whatever the protocol. */
  #open(protocol: number, inside: Uint8Array, remote: Uint8Array): Flow | undefined {
    const toRemote = this.#flows.filter((flow) => bytesEqual(flow.remote, remote));
    const isFree = (address: Uint8Array) =>
      toRemote.every((flow) =>
        bytesEqual(flow.inside, inside) || !bytesEqual(flow.publicAddress, address)
      );
    const known = toRemote.find((flow) => bytesEqual(flow.inside, inside))?.publicAddress;
    const publicAddress = known ?? this.#addresses.find(isFree);
    if (publicAddress === undefined) return undefined;
    const flow = { protocol, inside, remote, publicAddress, until: this.#network.now };
    this.#flows.push(flow);
    this.#note(
      `maps ${formatIpAddress(inside)} to ${
        formatIpAddress(publicAddress)
      } for protocol ${protocol}`,
    );
    return flow;
  }

  #touch(flow: Flow): void {
    flow.until = after(this.#network.now, this.#options.idleTime ?? seconds(120));
  }

  #forget(): void {
    this.#flows = this.#flows.filter(({ until }) => until > this.#network.now);
  }

  #forward(
    from: LinkEnd,
    packet: OutgoingPacket,
    addresses: Pick<OutgoingPacket, "source" | "destination">,
  ): void {
    const bytes = packet.bytes.slice();
    if (packet.protocol === HIP_PROTOCOL && this.#options.isHipAware) {
      setChecksum(bytes, addresses.source, addresses.destination);
    }
    this.#network.route(from, { ...packet, ...addresses, bytes });
  }

  #drop(packet: OutgoingPacket, why: NatDrop): void {
    this.#drops.set(why, this.dropped(why) + 1);
    this.#note(`drops ${packetName(packet)}: ${why}`);
  }

  #note(text: string): void {
    this.#network.trace.add(this.#network.now, "nat", text);
  }
}
