/**
 * HIP packets (RFC 7401 §5.1): the fixed header, the walk over the parameters, the checksum.
 *
 * ```text
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * | Next Header   | Header Length |0| Packet Type |Version| RES.|1|
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |          Checksum             |           Controls            |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |               Sender's Host Identity Tag (HIT), 16 octets     |
 * |             Receiver's Host Identity Tag (HIT), 16 octets     |
 * |                        HIP Parameters ...                     |
 * ```
 *
 * A parsed packet keeps the octets that came and never re-encodes them. Its form is right: lengths
 * fit and parameters ascend. Version, checksum, type and critical parameters are for the caller.
 */

import { MalformedPacketError } from "../../base/errors.ts";
import { finishSum, pseudoHeaderSum, sumBytes } from "../checksum.ts";
import { Writer } from "../writer.ts";
import { PACKET_TYPES } from "./code_points.ts";
import {
  decodeParameter,
  isCritical,
  type ParameterCodec,
  parameterType,
  parseParameters,
  type RawParameter,
} from "./parameter.ts";
import { isKnownParameter } from "./registry.ts";

/** IP protocol number of HIP (RFC 7401 §9). */
export const HIP_PROTOCOL = 139;

/** The version of RFC 7401. */
export const HIP_VERSION = 2;

/** Controls: the sender's Host Identity is anonymous (RFC 7401 §5.1.2). */
export const CONTROL_ANONYMOUS = 0x0001;

/** Octets before the parameters. */
export const HIP_HEADER_LENGTH = 40;

/** Octets of the longest packet: Header Length is one octet (RFC 7401 §5.1). */
export const HIP_PACKET_MAXIMUM = 2048;

/** Where the fields of the fixed header stand. */
export const HIP_FIELD = {
  nextHeader: 0,
  headerLength: 1,
  packetType: 2,
  version: 3,
  checksum: 4,
  controls: 6,
  senderHit: 8,
  receiverHit: 24,
} as const;

const NO_NEXT_HEADER = 59;
const KNOWN_PACKET_TYPES: ReadonlySet<number> = new Set(
  PACKET_TYPES.filter(([name]) => name !== "RESERVED").map(([, value]) => value),
);

/** A HIP packet as it came. The octets are borrowed from whoever passed them to the parser. */
export class HipPacket {
  /** The packet, exactly (Header Length + 1) * 8 octets. */
  readonly bytes: Uint8Array;
  /** In wire order. */
  readonly parameters: readonly RawParameter[];
  #senderHit: Uint8Array | undefined;
  #receiverHit: Uint8Array | undefined;

  /** Use `parseHipPacket`: it checks what this constructor takes for granted. */
  constructor(bytes: Uint8Array, parameters: readonly RawParameter[]) {
    this.bytes = bytes;
    this.parameters = parameters;
  }

  /** 0 to 127; the fixed bit is left out (RFC 7401 §5.1). */
  get packetType(): number {
    return this.bytes[HIP_FIELD.packetType]! & 0x7f;
  }

  get version(): number {
    return this.bytes[HIP_FIELD.version]! >>> 4;
  }

  /** The whole field; only `CONTROL_ANONYMOUS` has a meaning (RFC 7401 §5.1.2). */
  get controls(): number {
    return this.#uint16(HIP_FIELD.controls);
  }

  get checksum(): number {
    return this.#uint16(HIP_FIELD.checksum);
  }

  get senderHit(): Uint8Array {
    return this.#senderHit ??= this.bytes.subarray(
      HIP_FIELD.senderHit,
      HIP_FIELD.senderHit + 16,
    );
  }

  get receiverHit(): Uint8Array {
    return this.#receiverHit ??= this.bytes.subarray(
      HIP_FIELD.receiverHit,
      HIP_FIELD.receiverHit + 16,
    );
  }

  /** Whether a parameter of this type is present. */
  has(type: number): boolean {
    return this.raw(type) !== undefined;
  }

  /** The first parameter of this type, as it came. */
  raw(type: number): RawParameter | undefined {
    return this.parameters.find((parameter) => parameter.type === type);
  }

  /** The value of the first parameter of the codec's type. Throws `MalformedPacketError`. */
  first<T>(codec: ParameterCodec<T>): T | undefined {
    const raw = this.raw(codec.type);
    return raw === undefined ? undefined : decodeParameter(codec, raw.contents);
  }

  /** Like `first`, but an absent parameter is a `MalformedPacketError` too. */
  require<T>(codec: ParameterCodec<T>): T {
    const raw = this.raw(codec.type);
    if (raw === undefined) throw new MalformedPacketError(codec.name, "parameter is absent");
    return decodeParameter(codec, raw.contents);
  }

  /** The values of all parameters of the codec's type, in wire order. */
  all<T>(codec: ParameterCodec<T>): T[] {
    return this.parameters
      .filter((parameter) => parameter.type === codec.type)
      .map((parameter) => decodeParameter(codec, parameter.contents));
  }

  #uint16(offset: number): number {
    return (this.bytes[offset]! << 8) | this.bytes[offset + 1]!;
  }
}

/** Whether the sender of an R1 or I2 says that its Host Identity is anonymous (RFC 7401 §5.1.2). */
export function isAnonymous(bytes: Uint8Array): boolean {
  return (bytes[HIP_FIELD.controls + 1]! & CONTROL_ANONYMOUS) !== 0;
}

/**
 * Reads the header and walks the parameters. Octets behind (Header Length + 1) * 8 are passed over,
 * whatever Next Header says, and so are the reserved and the fixed bits (RFC 7401 §5.1).
 *
 * @throws {MalformedPacketError} With `what` being `PARAMETER_ORDER` for parameters out of order.
 */
export function parseHipPacket(bytes: Uint8Array): HipPacket {
  if (bytes.length < HIP_HEADER_LENGTH) {
    throw new MalformedPacketError(
      "HIP header",
      `need ${HIP_HEADER_LENGTH} octets, have ${bytes.length}`,
    );
  }
  const headerLength = bytes[HIP_FIELD.headerLength]!;
  if (headerLength < 4) {
    throw new MalformedPacketError("HIP header", `Header Length ${headerLength} is below 4`);
  }
  const length = lengthOf(bytes);
  if (length > bytes.length) {
    throw new MalformedPacketError("HIP packet", `need ${length} octets, have ${bytes.length}`);
  }
  const packet = bytes.subarray(0, length);
  return new HipPacket(packet, parseParameters(packet, HIP_HEADER_LENGTH, length));
}

/** Whether the packet type is one of the registry (RFC 7401 §5.1: drop all others). */
export function isKnownPacketType(packetType: number): boolean {
  return KNOWN_PACKET_TYPES.has(packetType);
}

/**
 * The first critical parameter for which there is no codec: the packet must not be processed
 * (RFC 7401 §5.2.1).
 */
export function unknownCriticalParameter(packet: HipPacket): number | undefined {
  return packet.parameters
    .find(({ type }) => isCritical(type) && !isKnownParameter(type))?.type;
}

/** The part of the fixed header that differs from packet to packet. */
export interface HipHeader {
  /** 0 to 127. */
  readonly packetType: number;
  /** Default 0. */
  readonly controls?: number;
  readonly senderHit: Uint8Array;
  readonly receiverHit: Uint8Array;
}

/**
 * A packet of version 2 with checksum 0.
 *
 * @param parameters Whole TLVs in any order; equal types keep the order given.
 * @throws {RangeError} When the packet would be longer than `HIP_PACKET_MAXIMUM`.
 */
export function emitHipPacket(
  header: HipHeader,
  parameters: readonly Uint8Array[],
): Uint8Array {
  if (header.packetType > 0x7f) {
    throw new RangeError(`Cannot emit packet type ${header.packetType}: the field has 7 bits`);
  }
  if (header.senderHit.length !== 16 || header.receiverHit.length !== 16) {
    throw new RangeError("Cannot emit a HIP packet: both HITs need 16 octets");
  }
  const sorted = [...parameters].sort((a, b) => parameterType(a) - parameterType(b));
  const length = sorted.reduce((sum, tlv) => sum + tlv.length, HIP_HEADER_LENGTH);
  if (length > HIP_PACKET_MAXIMUM || length % 8 !== 0) {
    throw new RangeError(
      `Cannot emit a HIP packet of ${length} octets: ` +
        `need a multiple of 8, at most ${HIP_PACKET_MAXIMUM}`,
    );
  }
  const bytes = new Uint8Array(length);
  const writer = new Writer(bytes);
  writer.uint8(NO_NEXT_HEADER);
  writer.uint8(length / 8 - 1);
  writer.uint8(header.packetType);
  writer.uint8((HIP_VERSION << 4) | 1);
  writer.uint16(0);
  writer.uint16(header.controls ?? 0);
  writer.bytes(header.senderHit);
  writer.bytes(header.receiverHit);
  for (const tlv of sorted) writer.bytes(tlv);
  return bytes;
}

/** Sets Header Length for a packet of `length` octets: a multiple of 8, 40 to 2048. */
export function setHeaderLength(bytes: Uint8Array, length: number): void {
  if (length % 8 !== 0 || length < HIP_HEADER_LENGTH || length > HIP_PACKET_MAXIMUM) {
    throw new RangeError(`Cannot set Header Length for ${length} octets`);
  }
  bytes[HIP_FIELD.headerLength] = length / 8 - 1;
}

/**
 * Fills the checksum field; the last thing done to a packet (RFC 7401 §5.1.1, §6.4.1).
 *
 * @param source Outer source address, 16 octets. @param destination Outer destination address.
 */
export function setChecksum(
  bytes: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): void {
  bytes[HIP_FIELD.checksum] = 0;
  bytes[HIP_FIELD.checksum + 1] = 0;
  const checksum = packetChecksum(bytes, source, destination);
  bytes[HIP_FIELD.checksum] = checksum >>> 8;
  bytes[HIP_FIELD.checksum + 1] = checksum;
}

/** Whether the checksum field is right for these outer addresses. */
export function checksumOk(
  bytes: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): boolean {
  return packetChecksum(bytes, source, destination) === 0;
}

/** Over pseudo-header and packet as it stands; the length is the header's, not the array's. */
function packetChecksum(
  bytes: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
): number {
  const length = lengthOf(bytes);
  const pseudo = pseudoHeaderSum(source, destination, HIP_PROTOCOL, length);
  return finishSum(sumBytes(bytes, 0, length, pseudo));
}

function lengthOf(bytes: Uint8Array): number {
  return (bytes[HIP_FIELD.headerLength]! + 1) * 8;
}
