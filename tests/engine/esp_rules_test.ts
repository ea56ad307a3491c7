/** Rules of RFC 7402 that show only where two whole engines meet. */

import assert from "node:assert/strict";
import { concatBytes, toHex } from "../../lib/base/bytes.ts";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { seconds } from "../../lib/base/time.ts";
import type { EspKeys, EspProvider } from "../../lib/crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { ipv6Destination, ipv6Source } from "../../lib/wire/ipv6.ts";
import { End, EnginePair, POLICY } from "../support/engine_pair.ts";
import { ESP, makePair, states, typeOf } from "../support/engine_story.ts";
import { loadDatagram } from "../support/datagrams.ts";
import { testIdentity } from "../support/identities.ts";
import { bufferOf, innerPacket, PEER_HIT, saPair } from "../support/sa_pair.ts";

function lastEsp(pair: EnginePair): OutgoingPacket {
  return pair.wire.findLast(({ protocol }) => protocol === ESP)!;
}

function spis({ a, b }: EnginePair): (number | undefined)[] {
  const ofA = a.engine.association(b.hit);
  const ofB = b.engine.association(a.hit);
  return [ofA?.inboundSpi, ofA?.outboundSpi, ofB?.inboundSpi, ofB?.outboundSpi];
}

Deno.test("ESP-025 every UPDATE of a rekey has its ESP_INFO in clear and no ENCRYPTED", () => {
  for (const withDh of [false, true]) {
    const pair = makePair();
    pair.ping(pair.a, pair.b);
    pair.ping(pair.b, pair.a);
    assert.ok(pair.a.engine.rekey(pair.now, pair.b.hit, { withDh }));
    pair.settle();
    const updates = pair.wire.filter((packet) => typeOf(packet) === PACKET.UPDATE)
      .map(({ bytes }) => parseHipPacket(bytes));
    assert.equal(updates.length, 3);
    const has = (type: number) => updates.map((update) => update.raw(type) !== undefined);
    assert.deepEqual(has(PARAMETER.ESP_INFO), [true, true, false]);
    assert.deepEqual(has(PARAMETER.ENCRYPTED), [false, false, false]);
  }
});

Deno.test("ESP-057 each exchange with the same host has SPIs that no earlier one had", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.introduce(b, a);
  const seen = new Set<number | undefined>();
  for (let exchange = 1; exchange <= 6; exchange++) {
    pair.ping(a, b, exchange);
    pair.ping(b, a, exchange);
    const [inbound, outbound] = spis(pair);
    seen.add(inbound).add(outbound);
    assert.equal(seen.size, 2 * exchange);
    a.engine.close(pair.now, b.hit);
    pair.settle();
    pair.advance(seconds(3));
  }
});

Deno.test("ESP-066 ESP of which HIP knows nothing is left as it is, not delivered and not answered", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  const strange = saPair(13).outbound;
  const sealed = bufferOf(innerPacket(new Uint8Array(40)));
  assert.equal(encapsulate(strange, sealed), undefined);
  const bytes = sealed.contents().slice();
  const buffer = new PacketBuffer(2048);
  loadDatagram(buffer, { ...lastEsp(pair), bytes });
  b.delivered.length = 0;
  assert.equal(b.engine.handleDatagram(pair.now, buffer), "consumed");
  assert.deepEqual(buffer.contents(), bytes);
  pair.settle();
  assert.deepEqual([b.delivered, b.sent], [[], []]);
  assert.equal(b.engine.status().drops["esp-unknown-spi"], 1);
});

Deno.test("DAT-009 what is delivered was sealed with the keys of the association's peer", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  assert.deepEqual(ipv6Source(b.delivered[0]!), a.hit);
  // From the peer's address, with its SPI and the next number, but with other keys.
  const { outbound } = saPair(13);
  const good = lastEsp(pair);
  const forged = bufferOf(innerPacket(new Uint8Array(56)));
  assert.equal(encapsulate(outbound, forged), undefined);
  const bytes = concatBytes(good.bytes.subarray(0, 4), forged.contents().subarray(4));
  new DataView(bytes.buffer).setUint32(4, 2);
  pair.inject(b, { ...good, bytes });
  // And the right keys on another SPI.
  const [, , , outboundOfB] = spis(pair);
  const moved = good.bytes.slice();
  new DataView(moved.buffer).setUint32(0, outboundOfB!);
  pair.inject(b, { ...good, bytes: moved });
  assert.equal(b.delivered.length, 1);
  const { drops } = b.engine.status();
  assert.deepEqual([drops["esp-icv-failed"], drops["esp-unknown-spi"]], [1, 1]);
});

/** Notes the keys of sealers and openers. */
class KeyWitness implements EspProvider {
  readonly name = "witness";
  readonly sealing: string[] = [];
  readonly opening: string[] = [];

  supports(suiteId: number): boolean {
    return PORTABLE_PROVIDER.supports(suiteId);
  }

  sealer(...args: Parameters<EspProvider["sealer"]>) {
    this.sealing.push(textOf(args[1]));
    return PORTABLE_PROVIDER.sealer(...args);
  }

  opener(...args: Parameters<EspProvider["opener"]>) {
    this.opening.push(textOf(args[1]));
    return PORTABLE_PROVIDER.opener(...args);
  }
}

function textOf({ encryption, authentication }: EspKeys): string {
  return `${toHex(encryption)} ${toHex(authentication)}`;
}

Deno.test("ESP-121 the keys of the two directions differ, in every suite and after every rekey", () => {
  for (const suite of [8, 9, 12, 13]) {
    const witnesses = [new KeyWitness(), new KeyWitness()] as const;
    const end = (owner: "alice" | "bob", index: 0 | 1) =>
      new End(testIdentity("ecdsa-p256", owner), `192.0.2.${index + 1}`, index + 1, {
        espProvider: witnesses[index],
        policy: { ...POLICY, espSuites: [suite] },
      });
    const pair = new EnginePair(end("alice", 0), end("bob", 1));
    const { a, b } = pair;
    pair.introduce(a, b);
    pair.ping(a, b);
    pair.ping(b, a);
    assert.ok(a.engine.rekey(pair.now, b.hit, { withDh: false }));
    pair.settle();
    const [ofA, ofB] = witnesses;
    assert.deepEqual([ofA.sealing.length, ofA.opening.length], [2, 2]);
    assert.deepEqual([ofA.sealing, ofA.opening], [ofB.opening, ofB.sealing]);
    const parts = [...ofA.sealing, ...ofA.opening].flatMap((keys) => keys.split(" "))
      .filter((key) => key !== "");
    assert.equal(new Set(parts).size, parts.length);
  }
});

Deno.test("ESP-223 ESP-249 either end may rekey, whoever began the exchange, and both SAs of the pair are new", () => {
  const pair = makePair();
  const { a, b } = pair;
  pair.ping(a, b);
  pair.ping(b, a);
  const seen = new Set(spis(pair));
  assert.equal(seen.size, 2);
  for (const [index, end] of [a, b, b, a].entries()) {
    const other = end === a ? b : a;
    assert.equal(end.engine.rekey(pair.now, other.hit, { withDh: false }), true);
    pair.settle();
    for (const spi of spis(pair)) seen.add(spi);
    assert.equal(seen.size, 2 * (index + 2));
  }
  assert.deepEqual(states(pair), ["ESTABLISHED", "ESTABLISHED"]);
});

Deno.test("ESP-187 nothing that is decrypted has another destination than our HIT, and nothing is sent on", () => {
  let delivered = 0;
  for (let nextHeader = 0; nextHeader < 256; nextHeader++) {
    const { outbound, inbound } = saPair(13);
    // Where a header that asks to be sent on would stand: a routing header, or another IP header.
    const inner = innerPacket(new Uint8Array(40).fill(0x20), { nextHeader: 17 });
    const elsewhere = concatBytes(Uint8Array.of(17, 2, 0, 1), innerPacket(inner).subarray(0, 60));
    const buffer = bufferOf(innerPacket(elsewhere));
    outbound.sealer.seal = withNextHeader(outbound.sealer.seal.bind(outbound.sealer), nextHeader);
    assert.equal(encapsulate(outbound, buffer), undefined);
    if (decapsulate(inbound, buffer) !== undefined) continue;
    delivered++;
    assert.deepEqual(ipv6Destination(buffer.bytes, buffer.start), PEER_HIT);
    assert.ok(![0, 4, 41, 43].includes(buffer.bytes[buffer.start + 6]!));
  }
  // All but 0, 4, 41, 43, 94, 139, and 59, which is a dummy.
  assert.equal(delivered, 249);
  const pair = makePair();
  pair.ping(pair.a, pair.b);
  pair.inject(pair.b, { ...lastEsp(pair), hopLimit: 3 });
  assert.deepEqual(pair.b.sent, []);
});

type Seal = ReturnType<typeof saPair>["outbound"]["sealer"]["seal"];

/** Seals with another Next Header in the trailer: what a peer with the keys may do. */
function withNextHeader(seal: Seal, nextHeader: number): Seal {
  return (bytes, start, end, high, low) => {
    bytes[end - 1] = nextHeader;
    return seal(bytes, start, end, high, low);
  };
}
