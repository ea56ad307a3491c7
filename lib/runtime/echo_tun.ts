/**
 * A TUN device with a side door: packets of the agent itself come in as if applications had sent
 * them, and packets meant for the agent are taken out before the system gets them.
 */

import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { PacketRun } from "../wire/packet_run.ts";
import type { VirtioNetHeader } from "../wire/virtio_net_header.ts";
import type { TunDevice, TunOffload } from "./ports.ts";

/** Wraps a device; everything that is not for the agent passes through. */
export class EchoTun implements TunDevice {
  readonly #device: TunDevice;
  readonly #isForAgent: (packet: Uint8Array) => boolean;
  readonly #injected: Uint8Array[] = [];
  /** Whether packets need a look: a packet object is made only then. */
  readonly #isWaiting: () => boolean;
  /** Whether another thread reads the device: then only what was put in here is read. */
  isReadElsewhere = false;

  /**
   * @param isWaiting Whether the agent waits for a packet at all; asked for every packet.
   * @param isForAgent Takes a packet, or leaves it to the system; borrowed until it returns.
   */
  constructor(
    device: TunDevice,
    isWaiting: () => boolean,
    isForAgent: (packet: Uint8Array) => boolean,
  ) {
    this.#device = device;
    this.#isWaiting = isWaiting;
    this.#isForAgent = isForAgent;
  }

  get descriptor(): number {
    return this.#device.descriptor;
  }

  get name(): string {
    return this.#device.name;
  }

  get interfaceIndex(): number {
    return this.#device.interfaceIndex;
  }

  get offload(): TunOffload {
    return this.#device.offload;
  }

  /** Keeps an IPv6 packet for the next read. The device does not become readable by it. */
  inject(packet: Uint8Array): void {
    this.#injected.push(packet);
  }

  readInto(buffer: PacketBuffer, header: VirtioNetHeader): boolean {
    const packet = this.#injected.shift();
    if (packet === undefined) return !this.isReadElsewhere && this.#device.readInto(buffer, header);
    buffer.load(packet);
    header.clear();
    return true;
  }

  write(buffer: PacketBuffer): boolean {
    if (this.#isWaiting() && this.#isForAgent(buffer.contents())) return true;
    return this.#device.write(buffer);
  }

  /** TCP and UDP are never for the agent. */
  writeRun(run: PacketRun): boolean {
    return this.#device.writeRun(run);
  }

  writeBytes(packet: Uint8Array): boolean {
    if (this.#isWaiting() && this.#isForAgent(packet)) return true;
    return this.#device.writeBytes(packet);
  }

  close(): void {
    this.#device.close();
  }
}
