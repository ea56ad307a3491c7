/**
 * The ESP packet (RFC 4303 §2): SPI and sequence number in front, trailer behind the payload.
 *
 * ```text
 * |               Security Parameters Index (SPI)                 |
 * |                   Sequence Number, low 32 bits                |
 * |                    IV, as the suite demands                   |
 * |                    Payload Data, encrypted                    |
 * |               | Padding, 0 to 255 octets, encrypted           |
 * |                               |  Pad Length   | Next Header   |
 * |                    Integrity Check Value, ICV                 |
 * ```
 *
 * Offsets only: keys and suites belong to `lib/crypto` and `lib/esp`. Nothing here makes an object.
 */

/** Octets of SPI and sequence number. */
export const ESP_HEADER_LENGTH = 8;

/** Octets of Pad Length and Next Header. */
export const ESP_TRAILER_LENGTH = 2;

/** Where the fields stand. */
export const ESP_FIELD = { spi: 0, sequence: 4, iv: 8 } as const;

/** Unsigned 32 bits. */
export function espSpi(bytes: Uint8Array, offset = 0): number {
  return uint32(bytes, offset + ESP_FIELD.spi);
}

/** The low 32 bits of the sequence number, unsigned. */
export function espSequence(bytes: Uint8Array, offset = 0): number {
  return uint32(bytes, offset + ESP_FIELD.sequence);
}

/** Writes SPI and low sequence number at `offset`. */
export function emitEspHeader(
  bytes: Uint8Array,
  offset: number,
  spi: number,
  sequenceLow: number,
): void {
  setUint32(bytes, offset + ESP_FIELD.spi, spi);
  setUint32(bytes, offset + ESP_FIELD.sequence, sequenceLow);
}

/**
 * Octets of padding that make payload and trailer a multiple of `modulus`, 0 to `modulus` - 1
 * (RFC 4303 §2.4).
 */
export function espPadLength(payloadLength: number, modulus: number): number {
  const over = (payloadLength + ESP_TRAILER_LENGTH) % modulus;
  return over === 0 ? 0 : modulus - over;
}

/**
 * Writes padding 1, 2, 3, ..., Pad Length and Next Header from `offset` on (RFC 4303 §2.4).
 *
 * @returns One past the last octet written.
 */
export function emitEspTrailer(
  bytes: Uint8Array,
  offset: number,
  padLength: number,
  nextHeader: number,
): number {
  for (let i = 0; i < padLength; i++) bytes[offset + i] = i + 1;
  bytes[offset + padLength] = padLength;
  bytes[offset + padLength + 1] = nextHeader;
  return offset + padLength + ESP_TRAILER_LENGTH;
}

/** Pad Length of plaintext that ends, trailer included, before `end`. */
export function espTrailerPadLength(bytes: Uint8Array, end: number): number {
  return bytes[end - 2]!;
}

/** Next Header of plaintext that ends, trailer included, before `end`. */
export function espTrailerNextHeader(bytes: Uint8Array, end: number): number {
  return bytes[end - 1]!;
}

/** Whether the padding before the trailer that ends at `end` is 1, 2, 3, ... */
export function isEspPaddingRight(bytes: Uint8Array, padLength: number, end: number): boolean {
  const start = end - ESP_TRAILER_LENGTH - padLength;
  let difference = 0;
  for (let i = 0; i < padLength; i++) difference |= bytes[start + i]! ^ (i + 1);
  return difference === 0;
}

function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) |
    bytes[at + 3]!) >>> 0;
}

function setUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
