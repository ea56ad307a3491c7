/**
 * Reads the TUN device: packets of applications, whole and with right checksums, whatever the
 * kernel left to do. A super-segment that does not fit into the slabs at hand goes on with the next
 * ones.
 */

import type { DropCounters } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { PacketCutter } from "../wire/packet_cutter.ts";
import { VirtioNetHeader } from "../wire/virtio_net_header.ts";
import type { TunDevice } from "./ports.ts";

export class TunReader {
  readonly #tun: TunDevice;
  readonly #source: PacketBuffer;
  readonly #drops: DropCounters;
  readonly #header = new VirtioNetHeader();
  readonly #cutter = new PacketCutter();

  /**
   * @param source Where packets are read into; nobody else's, and beside the slabs to be filled.
   * @param drops Counts what cannot be used.
   */
  constructor(tun: TunDevice, source: PacketBuffer, drops: DropCounters) {
    this.#tun = tun;
    this.#source = source;
    this.#drops = drops;
  }

  /**
   * Fills `slabs` in order, each with one packet at `HEADROOM`, until they are full or no packet is
   * waiting.
   *
   * @returns How many.
   * @throws {Error} The device is gone.
   */
  fill(slabs: readonly PacketBuffer[]): number {
    let count = 0;
    while (count < slabs.length) {
      if (!this.#cutter.hasMore && !this.#read()) break;
      if (this.#cutter.hasMore) this.#cutter.next(slabs[count++]!);
    }
    return count;
  }

  /** Takes one packet into the cutter, or counts it. Returns whether one was waiting. */
  #read(): boolean {
    if (!this.#tun.readInto(this.#source, this.#header)) return false;
    const reason = this.#cutter.begin(this.#source, this.#header);
    if (reason !== undefined) this.#drops.count(reason);
    return true;
  }
}
