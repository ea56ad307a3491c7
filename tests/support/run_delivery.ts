/** Packets through a run of `PacketRun`, as the kernel sees them that cuts up again what it gets. */

import assert from "node:assert/strict";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import type { PacketRun } from "../../lib/wire/packet_run.ts";
import { VirtioNetHeader } from "../../lib/wire/virtio_net_header.ts";
import { runOctets } from "./tcp_packets.ts";

/** What a kind of run is compared with, made the slow way. */
export interface SlowWays {
  /** Cuts a whole packet up. */
  cut(whole: Uint8Array, gsoSize: number): Uint8Array[];
  /** The whole of some packets, with the checksum that the kernel's own super-segments have. */
  join(packets: readonly Uint8Array[]): Uint8Array;
  /** What the kernel is told of a whole. */
  header(whole: Uint8Array, gsoSize: number): VirtioNetHeader;
}

/** A slab that holds a packet and no more. */
export function slabOf(packet: Uint8Array): PacketBuffer {
  const slab = new PacketBuffer(packet.length);
  slab.load(packet);
  return slab;
}

/** What the kernel sees, and how many packets each write had. */
export function deliver(packets: readonly Uint8Array[], run: PacketRun, ways: SlowWays) {
  const header = new VirtioNetHeader();
  const seen: Uint8Array[] = [];
  const counts: number[] = [];
  const flush = () => {
    if (run.count === 0) return;
    counts.push(run.count);
    const packet = run.packet(0).contents().slice();
    if (run.count === 1) seen.push(packet);
    else {
      run.finish(header);
      const whole = runOctets(run);
      const parts = ways.cut(whole, header.gsoSize);
      assert.deepEqual(header, ways.header(whole, header.gsoSize));
      assert.deepEqual(whole, ways.join(parts));
      seen.push(...parts);
    }
    run.clear();
  };
  for (const packet of packets) {
    const slab = slabOf(packet);
    if (run.append(slab)) continue;
    flush();
    if (run.begin(slab)) continue;
    counts.push(1);
    seen.push(packet);
  }
  flush();
  return { seen, counts };
}
