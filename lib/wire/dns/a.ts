/** A record: one IPv4 address (RFC 1035 §3.4.1). */

import { isIpv4 } from "../ip_address.ts";
import type { Reader } from "../reader.ts";
import type { Writer } from "../writer.ts";
import { TYPE } from "./code_points.ts";
import type { RecordCodec } from "./record.ts";

/** Octets of RDATA. */
const A_OCTETS = 4;

/** The address as 16 octets, IPv4-mapped, as everywhere in the program. */
export interface A {
  readonly address: Uint8Array;
}

export const A: RecordCodec<A> = {
  type: TYPE.A,
  name: "A",
  length: () => A_OCTETS,
  parse(reader: Reader): A {
    const address = new Uint8Array(16);
    address[10] = 0xff;
    address[11] = 0xff;
    address.set(reader.bytes(A_OCTETS), 12);
    reader.expectEnd();
    return { address };
  },
  emit(writer: Writer, value: A): void {
    if (!isIpv4(value.address)) throw new RangeError("Cannot write A record: address is not IPv4");
    writer.bytes(value.address.subarray(12));
  },
};
