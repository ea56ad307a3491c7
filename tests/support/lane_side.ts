/** What a lane and the engine's side of it share, on one thread. */

import { DropCounters } from "../../lib/base/drop_reason.ts";
import { ringMemory, RingReader, RingWriter } from "../../lib/base/shared_ring.ts";
import type { EspProvider } from "../../lib/crypto/esp_suite.ts";
import { SLOT_SIZE } from "../../lib/esp/sa_slots.ts";

/**
 * @param slots SAs that may be lent.
 * @param ring Octets of each ring.
 */
export function makeLaneSide(espProvider: EspProvider, slots: number, ring: number) {
  const memory = {
    saBlocks: new SharedArrayBuffer(slots * SLOT_SIZE),
    commands: ringMemory(ring),
    reports: ringMemory(ring),
  };
  const drops = new DropCounters();
  const lane = {
    saMemory: memory.saBlocks,
    commands: new RingReader(memory.commands),
    reports: new RingWriter(memory.reports),
    drops,
    espProvider,
  };
  return { memory, drops, lane };
}
