/**
 * What a data thread is given when it starts, and what it says beside its records: those of
 * `lib/esp/lane_records.ts`, through rings in the memory that is given here.
 */

import { DROP_COUNTERS_SIZE } from "../base/drop_reason.ts";
import { ringMemory } from "../base/shared_ring.ts";
import type { LaneMemory } from "../esp/lane_lender.ts";
import { SLOT_SIZE } from "../esp/sa_slots.ts";
import type { IpFamily, TunOffload } from "./ports.ts";

/** Which way a thread moves packets. */
export type Direction = "outbound" | "inbound";

/**
 * Octets of a ring: several hundred of the longest usual packets, which is what comes while the
 * other thread does something else for a millisecond.
 */
const RING_SIZE = 1 << 20;

/** SAs that a data thread works on at most; others stay with the engine. */
const MOST_LENT = 4096;

/** Memory that the engine's thread and one data thread share. */
export interface ThreadMemory extends LaneMemory {
  readonly drops: SharedArrayBuffer;
}

export function makeThreadMemory(): ThreadMemory {
  return {
    saBlocks: new SharedArrayBuffer(MOST_LENT * SLOT_SIZE),
    commands: ringMemory(RING_SIZE),
    reports: ringMemory(RING_SIZE),
    drops: new SharedArrayBuffer(DROP_COUNTERS_SIZE),
  };
}

/** Words that every data thread looks at. */
export const SWITCH = {
  /** Not 0: end. */
  stop: 0,
  /** Not 0: the agent waits for an echo reply. */
  replyAwaited: 1,
} as const;

export function makeSwitches(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(8));
}

/** The first and only message to a data thread. Descriptors stay those of the engine's thread. */
export interface DataThreadSetup {
  readonly direction: Direction;
  readonly tun: {
    readonly descriptor: number;
    readonly name: string;
    readonly offload: TunOffload;
  };
  /** To read, where packets come in, and else to send on. */
  readonly sockets: readonly {
    readonly descriptor: number;
    readonly protocol: number;
    readonly family: IpFamily;
  }[];
  /** Whether ciphers are those of libcrypto, else the runtime's. */
  readonly usesLibcrypto: boolean;
  /** Wakes the thread. */
  readonly bell: number;
  /** Wakes the engine's thread. */
  readonly engineBell: number;
  readonly memory: ThreadMemory;
  readonly switches: Int32Array<SharedArrayBuffer>;
  readonly knownSpis: SharedArrayBuffer;
}

/** What a data thread says in messages. */
export type DataThreadMessage = "ready" | "ended";
