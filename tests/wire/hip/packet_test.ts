import assert from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../../lib/base/bytes.ts";
import { MalformedPacketError } from "../../../lib/base/errors.ts";
import { PACKET, PARAMETER } from "../../../lib/wire/hip/code_points.ts";
import {
  checksumOk,
  CONTROL_ANONYMOUS,
  emitHipPacket,
  isKnownPacketType,
  parseHipPacket,
  setChecksum,
  setHeaderLength,
  unknownCriticalParameter,
} from "../../../lib/wire/hip/packet.ts";
import { encodeParameter, PARAMETER_ORDER } from "../../../lib/wire/hip/parameter.ts";
import { ACK } from "../../../lib/wire/hip/parameters/ack.ts";
import { DH_GROUP_LIST } from "../../../lib/wire/hip/parameters/dh_group_list.ts";
import {
  ECHO_REQUEST_SIGNED,
  ECHO_REQUEST_UNSIGNED,
} from "../../../lib/wire/hip/parameters/echo.ts";
import { NOTIFICATION } from "../../../lib/wire/hip/parameters/notification.ts";
import { SEQ } from "../../../lib/wire/hip/parameters/seq.ts";
import { parseIpAddress } from "../../../lib/wire/ip_address.ts";
import appendixC from "../../vectors/rfc7401_appendix_c.json" with { type: "json" };

const senderHit = parseIpAddress("2001:20::1");
const receiverHit = parseIpAddress("2001:20::2");
const source = parseIpAddress("2001:db8::1");
const destination = parseIpAddress("2001:db8::2");
const groups = encodeParameter(DH_GROUP_LIST, { groupIds: [3, 4, 8] });
const i1 = () => emitHipPacket({ packetType: PACKET.I1, senderHit, receiverHit }, [groups]);

/** A TLV with this type and no contents. */
const empty = (type: number) => Uint8Array.of(type >>> 8, type & 0xff, 0, 0, 0, 0, 0, 0);

for (const vector of appendixC.hip) {
  Deno.test(`CKS-001 CKS-002 CKS-003 CKS-005 CKS-011 RFC 7401 appendix ${vector.name}`, () => {
    const from = parseIpAddress(vector.source);
    const to = parseIpAddress(vector.destination);
    const expected = fromHex(vector.packet);
    const packet = i1();
    setChecksum(packet, from, to);
    assert.equal(toHex(packet), toHex(expected));
    assert.ok(checksumOk(expected, from, to));
    for (let i = 0; i < 8 * expected.length; i++) {
      const altered = Uint8Array.from(expected);
      altered[i >>> 3]! ^= 0x80 >>> (i & 7);
      // Header Length decides how much is summed; shorter arrays cannot reach here.
      if (i >>> 3 !== 1) assert.ok(!checksumOk(altered, from, to), `bit ${i}`);
    }
  });
}

Deno.test("CKS-004 the checksum covers what Header Length says, whatever follows", () => {
  const packet = i1();
  setChecksum(packet, source, destination);
  assert.ok(checksumOk(concatBytes(packet, fromHex("01020304")), source, destination));
});

Deno.test("HDR-002 HDR-005 a packet is sent with Next Header 59 and Header Length total / 8 - 1", () => {
  const packet = i1();
  assert.equal(packet[0], 59);
  assert.equal(packet.length, 48);
  assert.equal(packet[1], 48 / 8 - 1);
  assert.equal(packet[3], 0x21);
  setHeaderLength(packet, 40);
  assert.equal(packet[1], 4);
  assert.throws(() => setHeaderLength(packet, 44), RangeError);
});

Deno.test("HDR-003 octets behind the HIP packet are disregarded, whatever Next Header says", () => {
  const bytes = concatBytes(i1(), fromHex("ffffffffffffffff"));
  bytes[0] = 6;
  const packet = parseHipPacket(bytes);
  assert.equal(packet.bytes.length, 48);
  assert.equal(packet.parameters.length, 1);
});

Deno.test("HDR-006 Header Length below 4, or more than there is, is malformed", () => {
  for (let headerLength = 0; headerLength < 256; headerLength++) {
    const bytes = emitHipPacket({ packetType: PACKET.I1, senderHit, receiverHit }, []);
    bytes[1] = headerLength;
    if (headerLength === 4) parseHipPacket(bytes);
    else assert.throws(() => parseHipPacket(bytes), MalformedPacketError);
  }
  const packet = i1();
  for (let length = 0; length < packet.length; length++) {
    assert.throws(() => parseHipPacket(packet.subarray(0, length)), MalformedPacketError);
  }
});

Deno.test("HDR-007 a packet longer than 2048 octets cannot be emitted", () => {
  const header = { packetType: PACKET.R1, senderHit, receiverHit };
  const filling = (length: number) => {
    const opaque = new Uint8Array(length);
    return emitHipPacket(header, [encodeParameter(ECHO_REQUEST_SIGNED, { opaque })]);
  };
  const longest = filling(2004);
  assert.equal(longest.length, 2048);
  assert.equal(longest[1], 255);
  assert.equal(parseHipPacket(longest).bytes.length, 2048);
  assert.throws(() => filling(2005), RangeError);
});

Deno.test("HDR-010 HDR-011 reserved and fixed bits are sent as 0, 0 and 1 and ignored on receipt", () => {
  const bytes = i1();
  assert.equal(bytes[2], 1);
  assert.equal(bytes[3]! & 0x0f, 1);
  bytes[2]! |= 0x80;
  bytes[3] = 0x2e;
  const packet = parseHipPacket(bytes);
  assert.equal(packet.packetType, PACKET.I1);
  assert.equal(packet.version, 2);
});

Deno.test("HDR-012 both HITs stand in the header with 16 octets each", () => {
  const packet = parseHipPacket(i1());
  assert.deepEqual(packet.senderHit, senderHit);
  assert.deepEqual(packet.receiverHit, receiverHit);
  const short = { packetType: 1, senderHit: senderHit.subarray(1), receiverHit };
  assert.throws(() => emitHipPacket(short, []), RangeError);
});

Deno.test("header fields come back as they were emitted, checksum zero", () => {
  const header = { packetType: PACKET.R1, controls: CONTROL_ANONYMOUS, senderHit, receiverHit };
  const packet = parseHipPacket(emitHipPacket(header, [groups]));
  assert.equal(packet.packetType, PACKET.R1);
  assert.equal(packet.controls, CONTROL_ANONYMOUS);
  assert.equal(packet.checksum, 0);
});

Deno.test("TLV-005 TLV-006 TLV-021 parameters are emitted by type, equal types in the order given", () => {
  const echo = (octet: number) =>
    encodeParameter(ECHO_REQUEST_UNSIGNED, { opaque: Uint8Array.of(octet) });
  const given = [
    echo(2),
    encodeParameter(NOTIFICATION, { messageType: 7, data: new Uint8Array() }),
    encodeParameter(ACK, { updateIds: [1] }),
    echo(1),
    encodeParameter(SEQ, { updateId: 1 }),
  ];
  const packet = parseHipPacket(
    emitHipPacket({ packetType: PACKET.UPDATE, senderHit, receiverHit }, given),
  );
  assert.deepEqual(packet.parameters.map(({ type }) => type), [385, 449, 832, 63661, 63661]);
  assert.deepEqual(packet.all(ECHO_REQUEST_UNSIGNED).map(({ opaque }) => opaque[0]), [2, 1]);
});

Deno.test("a packet with parameters out of order is refused as such", () => {
  const packet = emitHipPacket({ packetType: PACKET.UPDATE, senderHit, receiverHit }, [
    encodeParameter(SEQ, { updateId: 1 }),
    encodeParameter(ACK, { updateIds: [1] }),
  ]);
  const swapped = concatBytes(packet.subarray(0, 40), packet.subarray(48), packet.subarray(40, 48));
  assert.throws(
    () => parseHipPacket(swapped),
    (error) => error instanceof MalformedPacketError && error.what === PARAMETER_ORDER,
  );
});

Deno.test("parameters are found by codec; an absent one is undefined or, required, malformed", () => {
  const packet = parseHipPacket(i1());
  assert.deepEqual(packet.first(DH_GROUP_LIST), { groupIds: [3, 4, 8] });
  assert.deepEqual(packet.require(DH_GROUP_LIST), { groupIds: [3, 4, 8] });
  assert.ok(packet.has(PARAMETER.DH_GROUP_LIST));
  assert.equal(packet.raw(PARAMETER.DH_GROUP_LIST)!.offset, 40);
  assert.ok(!packet.has(PARAMETER.SEQ));
  assert.equal(packet.first(SEQ), undefined);
  assert.deepEqual(packet.all(SEQ), []);
  assert.throws(() => packet.require(SEQ), MalformedPacketError);
});

Deno.test("unknown parameters survive, and only critical ones are reported", () => {
  const header = { packetType: PACKET.UPDATE, senderHit, receiverHit };
  const harmless = parseHipPacket(emitHipPacket(header, [empty(32768), groups]));
  assert.equal(unknownCriticalParameter(harmless), undefined);
  assert.deepEqual(harmless.parameters.map(({ type }) => type), [511, 32768]);
  const critical = parseHipPacket(emitHipPacket(header, [empty(32769), empty(577), groups]));
  assert.equal(unknownCriticalParameter(critical), 577);
});

Deno.test("the packet types of the registry are known, reserved and unassigned ones are not", () => {
  for (const type of [1, 2, 3, 4, 16, 17, 18, 19]) assert.ok(isKnownPacketType(type));
  for (const type of [0, 5, 15, 21, 127]) assert.ok(!isKnownPacketType(type));
});
