import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../../lib/base/bytes.ts";
import { MalformedPacketError } from "../../../lib/base/errors.ts";
import {
  encodeParameter,
  PARAMETER_ORDER,
  type ParameterCodec,
  parameterSize,
  parameterType,
  parseParameters,
} from "../../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../../lib/wire/hip/parameters/dh_group_list.ts";
import { ECHO_REQUEST_SIGNED } from "../../../lib/wire/hip/parameters/echo.ts";
import { SEQ } from "../../../lib/wire/hip/parameters/seq.ts";

const parse = (bytes: Uint8Array) => parseParameters(bytes, 0, bytes.length);

/** A raw TLV; `padding` fills what the length leaves over. */
function tlv(type: number, length: number, padding = 0): Uint8Array {
  const bytes = new Uint8Array(parameterSize(length)).fill(padding);
  bytes.set([type >>> 8, type & 0xff, length >>> 8, length & 0xff]);
  return bytes;
}

Deno.test("TLV-001 TLV-002 TLV-003 a TLV is padded with zeros to a multiple of 8, uncounted", () => {
  for (const [length, size] of [[0, 8], [4, 8], [5, 16], [12, 16], [13, 24]] as const) {
    assert.equal(parameterSize(length), size);
    const bytes = encodeParameter(ECHO_REQUEST_SIGNED, { opaque: new Uint8Array(length).fill(9) });
    assert.equal(bytes.length, size);
    assert.equal((bytes[2]! << 8) | bytes[3]!, length);
    assert.ok(bytes.subarray(4 + length).every((octet) => octet === 0));
  }
});

Deno.test("parameterSize() is the smallest multiple of 8 that holds header and contents", () => {
  for (let length = 0; length < 2048; length++) {
    assert.equal(parameterSize(length), Math.ceil((4 + length) / 8) * 8);
  }
});

Deno.test("encodeParameter() does not let a codec write other than it announced", () => {
  const wrong: ParameterCodec<number> = {
    type: 1,
    name: "WRONG",
    length: () => 3,
    parse: (reader) => reader.uint8(),
    emit: (writer, value) => writer.uint8(value),
  };
  assert.throws(() => encodeParameter(wrong, 1), /WRONG wrote 1 octets and announced 3/);
});

Deno.test("TLV-004 padding other than zero is accepted", () => {
  const parameters = parse(concatBytes(tlv(511, 3, 0xee), tlv(897, 9, 0xee)));
  assert.deepEqual(parameters.map(({ type, size }) => [type, size]), [[511, 8], [897, 16]]);
  assert.equal(parameters[1]!.contents.length, 9);
  assert.equal(parameters[1]!.offset, 8);
});

Deno.test("TLV-007 parameters out of order are malformed, and the error says that it is the order", () => {
  for (const after of [tlv(897, 4), tlv(512, 0)]) {
    const bytes = concatBytes(after, tlv(511, 3));
    assert.throws(
      () => parse(bytes),
      (error) => error instanceof MalformedPacketError && error.what === PARAMETER_ORDER,
    );
  }
});

Deno.test("repeated parameters next to each other are in order", () => {
  assert.equal(parse(concatBytes(tlv(832, 4), tlv(832, 4), tlv(897, 0))).length, 3);
});

Deno.test("TLV-012 a TLV that runs past the end, or leftover octets, are malformed", () => {
  const good = tlv(511, 3);
  const cases = [
    tlv(511, 13).subarray(0, 16), // contents end outside
    tlv(511, 12).subarray(0, 15), // the last octet of the contents is missing
    tlv(511, 6).subarray(0, 10), // only the padding is missing
    concatBytes(good, new Uint8Array(3)), // too few for a TLV
  ];
  for (const bytes of cases) {
    assert.throws(
      () => parse(bytes),
      (error) => error instanceof MalformedPacketError && error.what !== PARAMETER_ORDER,
    );
  }
});

Deno.test("a walk sees only its part of the array", () => {
  const bytes = concatBytes(tlv(65, 12), tlv(385, 4), tlv(449, 4));
  assert.deepEqual(parseParameters(bytes, 16, 24).map(({ type, offset }) => [type, offset]), [
    [385, 16],
  ]);
  assert.deepEqual(parseParameters(bytes, 16, 16), []);
});

Deno.test("filler behind decrypted parameters is passed over only where allowed", () => {
  const first = encodeParameter(SEQ, { updateId: 5 });
  const fillers = ["00".repeat(16), "08".repeat(8), "ffff ffff ffff", "ffffffff00000000", "00"];
  for (const filler of fillers) {
    const bytes = concatBytes(first, fromHex(filler));
    assert.throws(() => parse(bytes), MalformedPacketError, filler);
    const parameters = parseParameters(bytes, 0, bytes.length, { allowFiller: true });
    assert.deepEqual(parameters.map(({ type }) => type), [385], filler);
  }
});

Deno.test("decrypted contents that do not begin with a parameter are malformed", () => {
  const options = { allowFiller: true };
  assert.throws(() => parseParameters(fromHex("0201"), 0, 2, options), MalformedPacketError);
  assert.throws(() => parseParameters(tlv(641, 90), 0, 40, options), MalformedPacketError);
});

Deno.test("in decrypted contents the padding of the last parameter may be missing", () => {
  const bytes = encodeParameter(DH_GROUP_LIST, { groupIds: [1, 2, 3, 4, 5] }).subarray(0, 9);
  const [parameter] = parseParameters(bytes, 0, bytes.length, { allowFiller: true });
  assert.equal(toHex(parameter!.contents), "0102030405");
  assert.equal(parameter!.size, 9);
});

Deno.test("every list of TLVs in order is walked as it was written", () => {
  const parameter = fc.record({
    type: fc.integer({ min: 0, max: 0xffff }),
    contents: fc.uint8Array({ maxLength: 40 }),
  });
  fc.assert(fc.property(fc.array(parameter, { maxLength: 12 }), (list) => {
    list.sort((a, b) => a.type - b.type);
    const bytes = concatBytes(...list.map(({ type, contents }) => {
      const whole = tlv(type, contents.length, 0x77);
      whole.set(contents, 4);
      return whole;
    }));
    const walked = parse(bytes);
    assert.deepEqual(
      walked.map(({ type, contents }) => `${type} ${toHex(contents)}`),
      list.map(({ type, contents }) => `${type} ${toHex(contents)}`),
    );
    for (const { offset, type, size } of walked) {
      assert.equal(parameterType(bytes.subarray(offset)), type);
      assert.equal(size % 8, 0);
    }
  }));
});
