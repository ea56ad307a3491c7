/** Dynamic updates of a zone (RFC 2136), as far as publishing HIP records needs them. Pure. */

import { CLASS_IN, OPCODE_UPDATE, TYPE } from "../wire/dns/code_points.ts";
import { emitQuestion, MessageBuilder } from "../wire/dns/message_builder.ts";

const CLASS_ANY = 255;

/** One record to be there afterwards. */
export interface UpdateRecord {
  readonly ttlSeconds: number;
  readonly rdata: Uint8Array;
}

/** The records of one name and type, as they are to be. */
export interface RrsetUpdate {
  readonly id: number;
  /** Apex of the zone, uncompressed. */
  readonly zone: Uint8Array;
  readonly name: Uint8Array;
  readonly type: number;
  /** None deletes the RRset. */
  readonly records: readonly UpdateRecord[];
}

/** A request that replaces an RRset: "delete an RRset" (§2.5.2), then "add to an RRset" (§2.5.1). */
export function buildRrsetUpdate({ id, zone, name, type, records }: RrsetUpdate): Uint8Array {
  const builder = new MessageBuilder({
    id,
    flags: OPCODE_UPDATE,
    question: emitQuestion(zone, TYPE.SOA, CLASS_IN),
  });
  const nothing = new Uint8Array(0);
  // The Update section stands where queries have the authority section (§2).
  builder.add("authority", { name, type, class: CLASS_ANY, ttlSeconds: 0 }, nothing);
  for (const { ttlSeconds, rdata } of records) {
    builder.add("authority", { name, type, class: CLASS_IN, ttlSeconds }, rdata);
  }
  return builder.finish();
}
