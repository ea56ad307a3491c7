/** ESP keys and nonces as an outsider computes them from KEYMAT, and what opening leaves alone. */

import assert from "node:assert/strict";
import { createDecipheriv, createHmac } from "node:crypto";
import { compareBytes, concatBytes, toHex } from "../../lib/base/bytes.ts";
import type { Keymat } from "../../lib/crypto/keymat.ts";
import { ESP_SUITES } from "../../lib/crypto/esp_suite.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { ESP_INFO } from "../../lib/wire/hip/parameters/esp_info.ts";
import { buildIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { upperLayerChecksum } from "../../lib/wire/checksum.ts";
import { buildUdpDatagram } from "../../lib/wire/udp.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import { ESP, makePair, typeOf } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";
import { bufferOf, innerPacket, keysFor, saPair } from "../support/sa_pair.ts";

/** HKDF-Expand, written out. */
function expand({ prk, info }: Keymat, hash: string, length: number): Uint8Array {
  let block = new Uint8Array(0);
  let all = new Uint8Array(0);
  for (let i = 1; all.length < length; i++) {
    const hmac = createHmac(hash, prk).update(block).update(info).update(Uint8Array.of(i));
    block = new Uint8Array(hmac.digest());
    all = concatBytes(all, block) as Uint8Array<ArrayBuffer>;
  }
  return all.subarray(0, length);
}

/** The HMAC-SHA-256-128 of an ESP packet with sequence numbers of 64 bits. */
function icvOf(key: Uint8Array, packet: Uint8Array): string {
  const hmac = createHmac("sha256", key).update(packet.subarray(0, packet.length - 16));
  return hmac.update(new Uint8Array(4)).digest("hex").slice(0, 32);
}

const ROWS = [
  // Ciphers and hashes with what they leave of KEYMAT: 2 times cipher key and HMAC key.
  { cipher: 2, owner: "rsa", hash: "sha256", index: 96 },
  { cipher: 4, owner: "rsa", hash: "sha256", index: 128 },
  { cipher: 4, owner: "ecdsa-p256", hash: "sha384", index: 160 },
  { cipher: 1, owner: "rsa", hash: "sha256", index: 64 },
] as const;

for (const { cipher, owner, hash, index } of ROWS) {
  Deno.test(`ESP-030 ESP-039 ESP-040 ESP-041 ESP-044 after HIP cipher ${cipher} under ${hash} ESP keys begin at octet ${index}, those of the greater HIT first, whoever began`, () => {
    const identities = [testIdentity(owner, "alice"), testIdentity(owner, "bob")];
    for (const [initiator, responder] of [identities, identities.toReversed()]) {
      const policy = { ...POLICY, hipCiphers: [cipher], espSuites: [8] };
      const pair = new EnginePair(
        new End(initiator!, "192.0.2.1", 1, { policy }),
        new End(responder!, "192.0.2.2", 2, { policy }),
      );
      pair.introduce(pair.a, pair.b);
      let octets = new Uint8Array(0) as Uint8Array;
      pair.tamper = (_, result) => {
        if (result.kind === "accept-i2") octets = expand(result.keymat, hash, index + 96);
        return result;
      };
      pair.ping(pair.a, pair.b);
      pair.ping(pair.b, pair.a);
      for (const packet of pair.wire) {
        if (typeOf(packet) !== PACKET.I2 && typeOf(packet) !== PACKET.R2) continue;
        assert.equal(parseHipPacket(packet.bytes).require(ESP_INFO).keymatIndex, index);
      }
      const fromA = pair.wire.find(({ protocol, source }) =>
        protocol === ESP && toHex(source) === toHex(pair.a.address)
      )!;
      const fromB = pair.wire.find(({ protocol, source }) =>
        protocol === ESP && toHex(source) === toHex(pair.b.address)
      )!;
      const isGreater = compareBytes(pair.a.hit, pair.b.hit) > 0;
      const [gl, lg] = isGreater ? [fromA, fromB] : [fromB, fromA];
      // SA-gl encryption 16, authentication 32, then SA-lg the same.
      for (const [{ bytes }, at] of [[gl, index], [lg, index + 48]] as const) {
        const icv = toHex(bytes.subarray(bytes.length - 16));
        assert.equal(icv, icvOf(octets.subarray(at + 16, at + 48), bytes));
        const key = octets.subarray(at, at + 16);
        const decipher = createDecipheriv("aes-128-cbc", key, bytes.subarray(8, 24));
        decipher.setAutoPadding(false);
        const plaintext = concatBytes(decipher.update(bytes.subarray(24, -16)), decipher.final());
        assert.equal(plaintext.at(-1), 58);
      }
    }
  });
}

Deno.test("ESP-110 under GCM the salt stays the same for the life of an SA and is not in the packet", () => {
  const { outbound } = saPair(13);
  const { encryption } = keysFor(13);
  const [key, salt] = [encryption.subarray(0, 16), encryption.subarray(16)];
  const payload = new Uint8Array(30).fill(0x33);
  for (const high of [0, 0, 7]) {
    outbound.words[2] = high; // sequence, high word
    const buffer = bufferOf(innerPacket(payload));
    assert.equal(encapsulate(outbound, buffer), undefined);
    const packet = buffer.contents();
    assert.equal(packet.length, 8 + 8 + 32 + 16);
    assert.ok(!toHex(packet).includes(toHex(salt)));
    const nonce = concatBytes(salt, packet.subarray(8, 16));
    const decipher = createDecipheriv("aes-128-gcm", key, nonce);
    const highWord = Uint8Array.of(0, 0, 0, high);
    decipher.setAAD(concatBytes(packet.subarray(0, 4), highWord, packet.subarray(4, 8)));
    decipher.setAuthTag(packet.subarray(48));
    const plaintext = concatBytes(decipher.update(packet.subarray(16, 48)), decipher.final());
    assert.equal(toHex(plaintext.subarray(0, 30)), toHex(payload));
  }
});

Deno.test("ESP-175 no header is built for a packet that fails its check", () => {
  for (const suiteId of ESP_SUITES.keys()) {
    const { outbound, inbound } = saPair(suiteId);
    const sealed = bufferOf(innerPacket(new Uint8Array(20)));
    assert.equal(encapsulate(outbound, sealed), undefined);
    const forged = sealed.contents().slice();
    forged[forged.length - 1]! ^= 1;
    const buffer = bufferOf(forged);
    const { start } = buffer;
    const before = buffer.bytes.slice(0, start);
    assert.equal(decapsulate(inbound, buffer), "esp-icv-failed");
    assert.equal(buffer.start, start);
    assert.deepEqual(buffer.bytes.slice(0, start + 8), concatBytes(before, forged.subarray(0, 8)));
  }
});

/** An IPv6 header between HITs before an upper-layer packet. */
function inner(source: Uint8Array, destination: Uint8Array, next: number, payload: Uint8Array) {
  const header = new Uint8Array(40);
  header.set([0x60, 0, 0, 0, payload.length >>> 8, payload.length & 0xff, next, 64]);
  return concatBytes(header.subarray(0, 8), source, destination, payload);
}

Deno.test("CKS-009 ESP-157 ESP-201 ESP-202 ESP-203 ESP-205 TCP, UDP and ICMPv6 over IPv4 arrive with the checksum over the HITs that they were sent with", () => {
  const pair = makePair();
  const { a, b } = pair;
  const tcp = new Uint8Array(40).fill(9);
  tcp.fill(0, 16, 18);
  const sum = upperLayerChecksum(a.hit, b.hit, 6, tcp);
  tcp.set([sum >>> 8, sum & 0xff], 16);
  const data = new Uint8Array(21).fill(5);
  const ids = { identifier: 1, sequence: 2 };
  const echo = buildIcmpv6Echo({
    kind: "request",
    source: a.hit,
    destination: b.hit,
    ...ids,
    data,
  });
  const packets = [
    inner(a.hit, b.hit, 6, tcp),
    inner(a.hit, b.hit, 17, buildUdpDatagram(a.hit, 1024, b.hit, 53, data)),
    echo,
  ];
  for (const packet of packets) {
    pair.sendInner(a, packet);
    const delivered = b.delivered.at(-1)!;
    assert.equal(toHex(delivered), toHex(packet));
    const [next, upper] = [delivered[6]!, delivered.subarray(40)];
    assert.equal(upperLayerChecksum(a.hit, b.hit, next, upper), 0);
    assert.notEqual(upperLayerChecksum(a.address, b.address, next, upper), 0);
  }
});
