import assert from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { MalformedPacketError } from "../../lib/base/errors.ts";
import { Reader } from "../../lib/wire/reader.ts";
import { Writer } from "../../lib/wire/writer.ts";

Deno.test("a reader hands out big-endian unsigned integers in order", () => {
  const reader = new Reader(fromHex("ff fffe fffffffd fffffffffffffffc 0102 03"), "TEST");
  assert.equal(reader.uint8(), 0xff);
  assert.equal(reader.uint16(), 0xfffe);
  assert.equal(reader.uint32(), 0xfffffffd);
  assert.equal(reader.uint64(), 0xfffffffffffffffcn);
  assert.equal(toHex(reader.bytes(2)), "0102");
  assert.equal(reader.offset, 17);
  assert.equal(reader.remaining, 1);
  assert.throws(() => reader.expectEnd(), /TEST: 1 octets too many/);
  assert.equal(toHex(reader.rest()), "03");
  reader.expectEnd();
});

Deno.test("a reader fails on the first octet past its end and says what it read", () => {
  const reads: [number, (reader: Reader) => unknown][] = [
    [1, (reader) => reader.uint8()],
    [2, (reader) => reader.uint16()],
    [4, (reader) => reader.uint32()],
    [8, (reader) => reader.uint64()],
    [5, (reader) => reader.bytes(5)],
    [3, (reader) => reader.sub(3, "INNER")],
  ];
  for (const [needed, read] of reads) {
    read(new Reader(new Uint8Array(needed), "TEST"));
    assert.throws(
      () => read(new Reader(new Uint8Array(needed - 1), "TEST")),
      (error) =>
        error instanceof MalformedPacketError && error.what === "TEST" &&
        error.problem === `need ${needed} octets at offset 0, have ${needed - 1}`,
    );
  }
});

Deno.test("a sub-reader ends with its part, and the outer reader goes on behind it", () => {
  const reader = new Reader(fromHex("010203"), "OUTER");
  const inner = reader.sub(2, "INNER");
  assert.equal(inner.uint16(), 0x0102);
  assert.throws(() => inner.uint8(), /INNER/);
  assert.equal(reader.uint8(), 3);
});

Deno.test("a writer fills exactly what it is given, from its offset on", () => {
  const bytes = new Uint8Array(22).fill(0xa5);
  const writer = new Writer(bytes, 2);
  writer.uint8(0xff);
  writer.uint16(0xfffe);
  writer.uint32(0xfffffffd);
  writer.uint64(0xfffffffffffffffcn);
  writer.zeros(2);
  writer.bytes(fromHex("0102"));
  assert.equal(writer.offset, 21);
  assert.equal(toHex(bytes), "a5a5fffffefffffffdfffffffffffffffc00000102a5");
});

Deno.test("a writer refuses numbers that do not fit their field, and octets past the end", () => {
  const writer = new Writer(new Uint8Array(8));
  assert.throws(() => writer.uint8(256), RangeError);
  assert.throws(() => writer.uint16(-1), RangeError);
  assert.throws(() => writer.uint32(2 ** 32), RangeError);
  assert.throws(() => writer.uint32(1.5), RangeError);
  assert.throws(() => writer.uint64(-1n), RangeError);
  assert.throws(() => writer.uint64(1n << 64n), RangeError);
  assert.throws(() => writer.zeros(9), RangeError);
  assert.equal(writer.offset, 0);
});
