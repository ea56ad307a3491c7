/** The laws that every codec obeys, tried with values that fast-check makes. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { MalformedPacketError } from "../../lib/base/errors.ts";
import { Reader } from "../../lib/wire/reader.ts";
import { Writer } from "../../lib/wire/writer.ts";

/** What the laws need to know of a codec; every `ParameterCodec` is one. */
export interface LawfulCodec<T> {
  readonly name: string;
  length(value: T): number;
  parse(reader: Reader): T;
  emit(writer: Writer, value: T): void;
}

export interface CodecLawOptions<T> {
  /**
   * Whether the octets of `value`, cut or lengthened to `length`, are well-formed as well, as they
   * are for contents that just end somewhere. Default: never.
   */
  readonly acceptsLength?: (length: number, value: T) => boolean;
  /** Number of values to try; default 60. */
  readonly runs?: number;
}

const DIRT = 0xa5;
const ODD_OFFSET = 7;

/**
 * Fails unless: parse inverts emit; emit inverts parse; `length` is what gets written; nothing else
 * in a dirty buffer is touched; every proper prefix and every lengthened form is refused with
 * `MalformedPacketError`, but for those that `acceptsLength` names, which must be accepted.
 */
export function assertCodecLaws<T>(
  codec: LawfulCodec<T>,
  arbitrary: fc.Arbitrary<T>,
  options: CodecLawOptions<T> = {},
): void {
  const acceptsLength = options.acceptsLength ?? (() => false);
  fc.assert(
    fc.property(arbitrary, (value) => {
      const length = codec.length(value);
      const octets = emitInDirt(codec, value, length);
      assert.deepEqual(parseAll(codec, octets), value, `${codec.name}: parse inverts emit`);
      assert.deepEqual(
        emitInDirt(codec, parseAll(codec, octets), length),
        octets,
        `${codec.name}: emit inverts parse`,
      );
      for (let cut = 0; cut < length; cut++) {
        expectOutcome(codec, octets.subarray(0, cut), acceptsLength(cut, value));
      }
      for (let extra = 1; extra <= 8; extra++) {
        const longer = new Uint8Array(length + extra);
        longer.set(octets);
        expectOutcome(codec, longer, acceptsLength(length + extra, value));
      }
    }),
    { numRuns: options.runs ?? 60 },
  );
}

function emitInDirt<T>(codec: LawfulCodec<T>, value: T, length: number): Uint8Array {
  const buffer = new Uint8Array(ODD_OFFSET + length + 9).fill(DIRT);
  const writer = new Writer(buffer, ODD_OFFSET);
  codec.emit(writer, value);
  assert.equal(writer.offset - ODD_OFFSET, length, `${codec.name}: length equals octets written`);
  const outside = [...buffer.subarray(0, ODD_OFFSET), ...buffer.subarray(ODD_OFFSET + length)];
  assert.ok(outside.every((octet) => octet === DIRT), `${codec.name}: touches nothing else`);
  return buffer.slice(ODD_OFFSET, ODD_OFFSET + length);
}

function parseAll<T>(codec: LawfulCodec<T>, octets: Uint8Array): T {
  const reader = new Reader(octets, codec.name);
  const value = codec.parse(reader);
  reader.expectEnd();
  return value;
}

function expectOutcome<T>(codec: LawfulCodec<T>, octets: Uint8Array, accepted: boolean): void {
  if (accepted) {
    parseAll(codec, octets);
  } else {
    assert.throws(
      () => parseAll(codec, octets),
      MalformedPacketError,
      `${codec.name}: ${octets.length} octets must be refused`,
    );
  }
}
