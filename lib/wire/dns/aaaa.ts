/** AAAA record: one IPv6 address (RFC 3596 §2.2), which may be a HIT. */

import type { Reader } from "../reader.ts";
import type { Writer } from "../writer.ts";
import { TYPE } from "./code_points.ts";
import type { RecordCodec } from "./record.ts";

/** Octets of RDATA. */
const AAAA_OCTETS = 16;

export interface Aaaa {
  /** 16 octets. */
  readonly address: Uint8Array;
}

export const AAAA: RecordCodec<Aaaa> = {
  type: TYPE.AAAA,
  name: "AAAA",
  length: () => AAAA_OCTETS,
  parse(reader: Reader): Aaaa {
    const address = reader.bytes(AAAA_OCTETS).slice();
    reader.expectEnd();
    return { address };
  },
  emit(writer: Writer, value: Aaaa): void {
    writer.bytes(value.address);
  },
};
