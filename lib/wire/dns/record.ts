/**
 * The contract of one record type: RDATA to value and back. One file per type implements it; the
 * tests hold all of them to the same laws.
 */

import type { Reader } from "../reader.ts";
import { Writer } from "../writer.ts";

export interface RecordCodec<T> {
  /** RR type. */
  readonly type: number;
  /** RFC name of the type. */
  readonly name: string;
  /** Octets of RDATA that `emit` writes. */
  length(value: T): number;
  /**
   * Reads RDATA to its end.
   *
   * @throws {MalformedPacketError} When the octets are not of this form.
   */
  parse(reader: Reader): T;
  emit(writer: Writer, value: T): void;
}

/** The RDATA of `value`, in a new array. */
export function encodeRdata<T>(codec: RecordCodec<T>, value: T): Uint8Array {
  const bytes = new Uint8Array(codec.length(value));
  codec.emit(new Writer(bytes), value);
  return bytes;
}
