/**
 * The frame of HIP parameters (RFC 7401 §5.2.1): type, length, padding, order, critical bit.
 *
 * ```text
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |            Type            |C|             Length            |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * /                          Contents             +-+-+-+-+-+-+-+-+
 * |                                               |    Padding    |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * ```
 *
 * Parameters are kept as the octets that came, so that MAC and signature are computed over exactly
 * those; a codec looks at the contents when somebody asks for the value.
 */

import { MalformedPacketError } from "../../base/errors.ts";
import { Reader } from "../reader.ts";
import { Writer } from "../writer.ts";

/** Octets of Type and Length. */
export const PARAMETER_HEADER_LENGTH = 4;

/** `MalformedPacketError.what` when parameters do not stand in ascending order of type. */
export const PARAMETER_ORDER = "parameter order";

/** How one parameter's contents are read and written; `parse` and `emit` are inverses. */
export interface ParameterCodec<T> {
  readonly type: number;
  /** Name in the RFC, "PUZZLE". */
  readonly name: string;
  /** Octets of the contents: the value of the Length field. */
  length(value: T): number;
  /** Reads the contents, all of them. Throws `MalformedPacketError`. Slices are views. */
  parse(reader: Reader): T;
  /** Writes exactly `length(value)` octets. */
  emit(writer: Writer, value: T): void;
}

/** A parameter as it lies in a packet. */
export interface RawParameter {
  readonly type: number;
  /** View on the contents, without padding. */
  readonly contents: Uint8Array;
  /** Where its Type field stands, counted from the start of the parsed array. */
  readonly offset: number;
  /** Octets of the whole TLV: Type, Length, Contents, Padding. */
  readonly size: number;
}

/** Whether a receiver that does not know the type must stop (low bit of Type, §5.2.1). */
export function isCritical(type: number): boolean {
  return (type & 1) === 1;
}

/** Octets of a whole TLV whose Length field is `length`: 11 + Length - (Length + 3) % 8. */
export function parameterSize(length: number): number {
  return 11 + length - (length + 3) % 8;
}

/** The whole TLV of a value, padding of zeros included. */
export function encodeParameter<T>(codec: ParameterCodec<T>, value: T): Uint8Array {
  const length = codec.length(value);
  const tlv = new Uint8Array(parameterSize(length));
  const writer = new Writer(tlv);
  writer.uint16(codec.type);
  writer.uint16(length);
  codec.emit(writer, value);
  const written = writer.offset - PARAMETER_HEADER_LENGTH;
  if (written !== length) {
    throw new Error(`${codec.name} wrote ${written} octets and announced ${length}`);
  }
  return tlv;
}

/** The value of a parameter; whatever its codec leaves unread is an error. */
export function decodeParameter<T>(codec: ParameterCodec<T>, contents: Uint8Array): T {
  const reader = new Reader(contents, codec.name);
  const value = codec.parse(reader);
  reader.expectEnd();
  return value;
}

/** The Type field of a TLV. */
export function parameterType(tlv: Uint8Array): number {
  return (tlv[0]! << 8) | tlv[1]!;
}

/** How lenient `parseParameters` is. */
export interface ParseParametersOptions {
  /**
   * For decrypted contents: after at least one parameter, the first octets that do not continue
   * the list end it, and the padding of the last parameter may be missing. Deployed peers leave
   * filler behind the parameter inside ENCRYPTED.
   */
  readonly allowFiller?: boolean;
}

/**
 * Walks the TLVs in `bytes[start..end)`. Padding is not looked at (§5.2.1).
 *
 * @throws {MalformedPacketError} When a TLV runs past `end`, or, with `what` being
 *   `PARAMETER_ORDER`, when a type is lower than the one before.
 */
export function parseParameters(
  bytes: Uint8Array,
  start: number,
  end: number,
  options: ParseParametersOptions = {},
): RawParameter[] {
  const parameters: RawParameter[] = [];
  let offset = start;
  let previousType = 0;
  while (offset < end) {
    const step = parseParameterAt(bytes, offset, end, previousType, options);
    if (step instanceof MalformedPacketError) {
      if (options.allowFiller && parameters.length > 0) break;
      throw step;
    }
    parameters.push(step);
    previousType = step.type;
    offset += step.size;
  }
  return parameters;
}

function parseParameterAt(
  bytes: Uint8Array,
  offset: number,
  end: number,
  previousType: number,
  options: ParseParametersOptions,
): RawParameter | MalformedPacketError {
  const available = end - offset;
  if (available < PARAMETER_HEADER_LENGTH) {
    return new MalformedPacketError("parameter", `need 4 octets, have ${available}`);
  }
  const type = (bytes[offset]! << 8) | bytes[offset + 1]!;
  const length = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
  const size = parameterSize(length);
  const needed = options.allowFiller ? PARAMETER_HEADER_LENGTH + length : size;
  if (needed > available) {
    return new MalformedPacketError(
      `parameter ${type}`,
      `need ${needed} octets, have ${available}`,
    );
  }
  if (type < previousType) {
    return new MalformedPacketError(PARAMETER_ORDER, `type ${type} stands after ${previousType}`);
  }
  const from = offset + PARAMETER_HEADER_LENGTH;
  return {
    type,
    contents: bytes.subarray(from, from + length),
    offset,
    size: Math.min(size, available),
  };
}
