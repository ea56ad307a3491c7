/** Programs that know only IPv4, at one end or at both. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, toHex } from "../../lib/base/bytes.ts";
import { instant, seconds } from "../../lib/base/time.ts";
import type { LsiEntry } from "../../lib/identity/lsi.ts";
import { finishSum, sumBytes, upperLayerChecksum } from "../../lib/wire/checksum.ts";
import { buildIcmpEcho, buildIcmpUnreachable, parseIcmpEcho } from "../../lib/wire/icmp.ts";
import { buildIcmpv6Echo, buildIcmpv6Unreachable, parseIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { buildIpv4Packet, parseIpv4Header } from "../../lib/wire/ipv4.ts";
import {
  buildIpv6Packet,
  ipv6Destination,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6Source,
  ipv6TrafficClass,
} from "../../lib/wire/ipv6.ts";
import { buildUdpDatagram, udpChecksum } from "../../lib/wire/udp.ts";
import type { End, EnginePair } from "../support/engine_pair.ts";
import { ESP, makePair } from "../support/engine_story.ts";
import { tooBig } from "../support/icmp_errors.ts";

interface Scene {
  readonly pair: EnginePair;
  readonly a: End;
  readonly b: End;
  /** Alice's LSIs for herself and Bob. */
  readonly alice: LsiEntry;
  readonly bob: LsiEntry;
}

/** Alice and Bob; programs of Alice know LSIs. */
function makeScene(): Scene {
  const pair = makePair();
  const { a, b } = pair;
  pair.introduce(b, a);
  return {
    pair,
    a,
    b,
    alice: a.engine.lsis.assign(a.hit)!,
    bob: a.engine.lsis.assign(b.hit)!,
  };
}

const DATA = new Uint8Array(31).map((_, i) => 200 + i);

function udp({ alice, bob }: Scene, options: object = {}): Uint8Array {
  const payload = buildUdpDatagram(alice.address, 1111, bob.address, 53, DATA);
  const path = { source: alice.address, destination: bob.address, protocol: 17 };
  return buildIpv4Packet({ ...path, payload, typeOfService: 0xb8, timeToLive: 44, ...options });
}

function tcp({ alice, bob }: Scene): Uint8Array {
  const payload = new Uint8Array(20 + 17).fill(0x33);
  payload.set([4, 87, 0, 80]);
  payload.fill(0, 16, 18);
  const sum = upperLayerChecksum(alice.address, bob.address, 6, payload);
  payload.set([sum >>> 8, sum & 0xff], 16);
  return buildIpv4Packet({
    source: alice.address,
    destination: bob.address,
    protocol: 6,
    payload,
    dontFragment: true,
  });
}

/** The checksum of what is in an inner IPv6 packet, over its own addresses: 0 when right. */
function sumOf(inner: Uint8Array): number {
  const hits = [ipv6Source(inner), ipv6Destination(inner)] as const;
  return upperLayerChecksum(...hits, ipv6NextHeader(inner), inner, 40);
}

Deno.test("ESP-206 ESP-207 TCP and UDP to an LSI come to the peer between HITs, with checksums over the HITs, and no LSI leaves", () => {
  const scene = makeScene();
  const { pair, a, b, alice, bob } = scene;
  for (const packet of [udp(scene), tcp(scene)]) {
    pair.sendInner(a, packet);
    const inner = b.delivered.at(-1)!;
    assert.deepEqual([ipv6Source(inner), ipv6Destination(inner)], [a.hit, b.hit]);
    assert.equal(ipv6NextHeader(inner), packet[9]);
    assert.equal(sumOf(inner), 0);
    // But for the checksum nothing is changed.
    const at = packet[9] === 6 ? 16 : 6;
    const upper = (bytes: Uint8Array) => {
      const copy = bytes.slice();
      copy.fill(0, at, at + 2);
      return toHex(copy);
    };
    assert.equal(upper(inner.subarray(40)), upper(packet.subarray(20)));
    assert.deepEqual(
      [ipv6TrafficClass(inner), ipv6HopLimit(inner)],
      packet[9] === 17 ? [0xb8, 44] : [0, 64],
    );
  }
  const [own, peers] = [alice, bob].map(({ address }) => toHex(address.subarray(12)));
  for (const { bytes } of pair.wire) {
    assert.ok(!toHex(bytes).includes(own!) && !toHex(bytes).includes(peers!));
  }
  assert.equal(b.delivered.length, 2);
});

Deno.test("ESP-207 what the peer answers comes back as IPv4 between LSIs, checksums right", () => {
  const scene = makeScene();
  const { pair, a, b, alice, bob } = scene;
  pair.sendInner(a, udp(scene));
  pair.sendInner(a, tcp(scene));
  a.delivered.length = 0;
  const answer = buildUdpDatagram(b.hit, 53, a.hit, 1111, DATA);
  pair.sendInner(b, buildIpv6Packet(b.hit, a.hit, 17, answer, 50));
  const segment = new Uint8Array(33).fill(7);
  segment.set([0, 80, 4, 87]);
  segment.fill(0, 16, 18);
  const sum = upperLayerChecksum(b.hit, a.hit, 6, segment);
  segment.set([sum >>> 8, sum & 0xff], 16);
  pair.sendInner(b, buildIpv6Packet(b.hit, a.hit, 6, segment, 50));
  assert.equal(a.delivered.length, 2);
  for (const inner of a.delivered) {
    const header = parseIpv4Header(inner);
    assert.deepEqual([header.source, header.destination], [bob.address, alice.address]);
    assert.deepEqual([header.totalLength, header.timeToLive], [inner.length, 50]);
    assert.equal(finishSum(sumBytes(inner, 0, 20)), 0);
    const upper = inner.subarray(20);
    assert.equal(upperLayerChecksum(bob.address, alice.address, header.protocol, upper), 0);
  }
});

Deno.test("ESP-207 a flow that was begun with HITs stays IPv6, whoever else uses LSIs", () => {
  const scene = makeScene();
  const { pair, a, b } = scene;
  pair.sendInner(a, udp(scene));
  a.delivered.length = 0;
  const other = buildUdpDatagram(b.hit, 53, a.hit, 2222, DATA);
  const packet = buildIpv6Packet(b.hit, a.hit, 17, other);
  pair.sendInner(b, packet);
  assert.deepEqual(a.delivered, [packet]);
});

Deno.test("ESP-208 a UDP datagram without a checksum gets a real one", () => {
  const scene = makeScene();
  const { pair, a, b } = scene;
  const packet = udp(scene);
  packet.fill(0, 26, 28);
  pair.sendInner(a, packet);
  const inner = b.delivered[0]!;
  assert.notEqual(udpChecksum(inner, 40), 0);
  assert.equal(sumOf(inner), 0);
});

Deno.test("ESP-207 a wrong checksum stays wrong", () => {
  const scene = makeScene();
  const { pair, a, b } = scene;
  const packet = udp(scene);
  packet[40]! ^= 1;
  pair.sendInner(a, packet);
  assert.notEqual(sumOf(b.delivered[0]!), 0);
});

Deno.test("ESP-195 IPv4 options end at the host that sends", () => {
  const scene = makeScene();
  const { pair, a, b } = scene;
  const plain = udp(scene);
  const withOptions = concatBytes(
    plain.subarray(0, 20),
    new Uint8Array(8).fill(1),
    plain.subarray(20),
  );
  withOptions[0] = 0x47;
  withOptions[3] = withOptions.length;
  pair.sendInner(a, withOptions);
  pair.sendInner(a, plain);
  assert.deepEqual(b.delivered[0], b.delivered[1]);
});

Deno.test("ESP-188 a datagram to an LSI that the stack has cut up crosses whole, checksum or none", () => {
  for (const hasChecksum of [true, false]) {
    const scene = makeScene();
    const { pair, a, b, alice, bob } = scene;
    const payload = buildUdpDatagram(
      alice.address,
      9,
      bob.address,
      53,
      new Uint8Array(3000).fill(3),
    );
    if (!hasChecksum) payload.fill(0, 6, 8);
    const path = { source: alice.address, destination: bob.address, protocol: 17 };
    for (const fragmentOffset of [1480, 0, 2960]) {
      pair.sendInner(
        a,
        buildIpv4Packet({
          ...path,
          payload: payload.subarray(fragmentOffset, fragmentOffset + 1480),
          fragmentOffset,
          moreFragments: fragmentOffset < 2960,
          identification: 7,
        }),
      );
    }
    assert.equal(b.delivered.length, 1);
    assert.equal(b.delivered[0]!.length, 40 + payload.length);
    assert.equal(sumOf(b.delivered[0]!), 0);
  }
});

Deno.test("an echo from IPv4 is answered in IPv6 and comes back as IPv4", () => {
  const { pair, a, b, alice, bob } = makeScene();
  const [source, destination] = [alice.address, bob.address];
  const ids = { identifier: 321, sequence: 5 };
  pair.sendInner(a, buildIcmpEcho({ kind: "request", source, destination, ...ids, data: DATA }));
  const request = parseIcmpv6Echo(b.delivered[0]!);
  assert.deepEqual(request && { ...request, data: DATA }, {
    kind: "request",
    source: a.hit,
    destination: b.hit,
    ...ids,
    data: DATA,
  });
  a.delivered.length = 0;
  const hits = { source: b.hit, destination: a.hit };
  pair.sendInner(b, buildIcmpv6Echo({ kind: "reply", ...hits, ...ids, data: DATA }));
  const reply = parseIcmpEcho(a.delivered[0]!);
  assert.equal(reply?.kind, "reply");
  assert.deepEqual([reply?.source, reply?.destination], [bob.address, alice.address]);
  assert.deepEqual([reply?.identifier, reply?.sequence], [321, 5]);
});

Deno.test("errors about packets of IPv4 programs come as ICMP that quotes them, and the reverse", () => {
  const scene = makeScene();
  const { pair, a, b, alice, bob } = scene;
  pair.sendInner(a, udp(scene));
  const arrived = b.delivered[0]!;
  a.delivered.length = 0;
  pair.sendInner(b, buildIcmpv6Unreachable(arrived, b.hit, 4));
  const error = a.delivered[0]!;
  const header = parseIpv4Header(error);
  assert.deepEqual([header.source, header.destination], [bob.address, alice.address]);
  assert.deepEqual([...error.subarray(20, 22)], [3, 3]);
  assert.equal(finishSum(sumBytes(error, 20, error.length)), 0);
  const quoted = parseIpv4Header(error, 28);
  assert.deepEqual([quoted.source, quoted.destination], [alice.address, bob.address]);
  // Ports and checksum as the program wrote them.
  assert.deepEqual(error.subarray(48, 56), udp(scene).subarray(20, 28));

  // The other way: a datagram of Bob for which Alice's IPv4 program has no port.
  const datagram = buildUdpDatagram(b.hit, 53, a.hit, 1111, DATA);
  pair.sendInner(b, buildIpv6Packet(b.hit, a.hit, 17, datagram));
  const received = a.delivered.at(-1)!;
  b.delivered.length = 0;
  pair.sendInner(a, buildIcmpUnreachable(received, alice.address, 3));
  const told = b.delivered[0]!;
  assert.deepEqual([...told.subarray(40, 42)], [1, 4]);
  assert.equal(sumOf(told), 0);
  assert.deepEqual(told.subarray(48 + 40, 48 + 48), datagram.subarray(0, 8));
  assert.deepEqual(ipv6Source(told, 48), b.hit);
});

Deno.test("ESP-213 ESP-214 IPv4 that must not be cut up is told of a smaller path, other IPv4 passes", () => {
  const scene = makeScene();
  const { pair, a, b, alice, bob } = scene;
  pair.sendInner(a, udp(scene));
  pair.inject(a, tooBig(pair.wire.findLast(({ protocol }) => protocol === ESP)!, 1350));
  a.delivered.length = 0;
  b.delivered.length = 0;
  const payload = buildUdpDatagram(alice.address, 1111, bob.address, 53, new Uint8Array(1330));
  const path = { source: alice.address, destination: bob.address, protocol: 17, payload };
  pair.sendInner(a, buildIpv4Packet({ ...path, dontFragment: true }));
  assert.equal(b.delivered.length, 0);
  const [error] = a.delivered;
  assert.deepEqual([...error!.subarray(20, 22)], [3, 4]);
  // 20 octets less than between HITs.
  assert.equal(new DataView(error!.buffer, error!.byteOffset).getUint16(26), 1334 - 20);
  assert.deepEqual(parseIpv4Header(error!).destination, alice.address);
  pair.sendInner(a, buildIpv4Packet({ ...path, dontFragment: false }));
  assert.deepEqual([b.delivered.length, a.delivered.length], [1, 1]);
});

Deno.test("a peer that is not there is told to IPv4 programs as ICMP host unreachable", () => {
  const scene = makeScene();
  const { pair, a, alice } = scene;
  pair.passes = () => false;
  pair.sendInner(a, udp(scene));
  pair.advance(seconds(6));
  const [error] = a.delivered;
  assert.deepEqual([...error!.subarray(20, 22)], [3, 1]);
  assert.deepEqual(parseIpv4Header(error!).destination, alice.address);
});

Deno.test("IPv4 to what is no LSI, in a wrong form or without any LSI assigned goes nowhere", () => {
  const scene = makeScene();
  const { pair, a, alice } = scene;
  const elsewhere = { source: alice.address, destination: new Uint8Array(alice.address) };
  elsewhere.destination[15]! ^= 1;
  const payload = new Uint8Array(8);
  pair.sendInner(a, buildIpv4Packet({ ...elsewhere, protocol: 17, payload }));
  const cut = udp(scene);
  for (const length of [0, 19, 20, cut.length - 1]) pair.sendInner(a, cut.slice(0, length));
  const spoilt = buildIcmpEcho({
    kind: "request",
    source: alice.address,
    destination: scene.bob.address,
    identifier: 1,
    sequence: 1,
    data: DATA,
  });
  spoilt[25]! ^= 1;
  pair.sendInner(a, spoilt);
  const { drops } = a.engine.status();
  assert.equal(drops["tun-not-an-lsi"], 1);
  assert.equal((drops["tun-malformed"] ?? 0) + (drops["tun-not-ipv6"] ?? 0), 4);
  assert.equal(drops["lsi-untranslatable"], 1);
  assert.deepEqual(pair.wire, []);
  const none = makePair();
  none.sendInner(none.a, udp(scene));
  assert.equal(none.a.engine.status().drops["tun-not-ipv6"], 1);
});

Deno.test("any IPv4 at all is refused or translated, and so is what is said about it", () => {
  const scene = makeScene();
  const { pair, a, b, alice, bob } = scene;
  pair.sendInner(a, udp(scene));
  const [source, destination] = [alice.address, bob.address];
  const ids = { identifier: 1, sequence: 1 };
  const models = [
    udp(scene),
    tcp(scene),
    buildIcmpEcho({ kind: "request", source, destination, ...ids, data: DATA }),
    buildIcmpUnreachable(udp(scene), alice.address, 4, 1280),
  ];
  const change = fc.tuple(fc.nat(60), fc.nat(255));
  const cases = fc.tuple(
    fc.constantFrom(...models),
    fc.array(change, { maxLength: 4 }),
    fc.nat(90),
  );
  fc.assert(
    fc.property(cases, ([model, changes, length]) => {
      const packet = model.slice(0, Math.max(1, length));
      for (const [at, value] of changes) if (at > 0 && at < packet.length) packet[at] = value;
      pair.sendInner(a, packet);
      const error = buildIcmpv6Unreachable(b.delivered.at(-1)!.slice(0, 40 + length), b.hit, 4);
      pair.sendInner(b, error);
    }),
    { numRuns: 300 },
  );
  const before = b.delivered.length;
  pair.sendInner(a, udp(scene));
  assert.equal(b.delivered.length, before + 1);
});

/** The same, but programs of Bob know only IPv4 too: one waits at port 80 of TCP and 53 of UDP. */
function makeServerScene(): { pair: EnginePair; a: End; b: End } {
  const pair = makePair();
  const { a, b } = pair;
  pair.introduce(b, a);
  b.engine.lsis.assign(b.hit, instant(0), true);
  b.engine.lsis.hasIpv4Server = (protocol, port) => protocol === 6 ? port === 80 : port === 53;
  return { pair, a, b };
}

function segment(from: Uint8Array, to: Uint8Array, ports: [number, number], flags: number) {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ports[0]);
  view.setUint16(2, ports[1]);
  view.setUint16(12, 0x5000 | flags);
  view.setUint16(16, upperLayerChecksum(from, to, 6, bytes));
  return bytes;
}

Deno.test("a flow that a peer begins with a port at which only IPv4 waits is IPv4 from its first packet on", () => {
  const { pair, a, b } = makeServerScene();
  const syn = segment(a.hit, b.hit, [4000, 80], 0x02);
  pair.sendInner(a, buildIpv6Packet(a.hit, b.hit, 6, syn));
  const own = b.engine.lsis.ofHit(b.hit)!;
  const peer = b.engine.lsis.ofHit(a.hit)!;
  const first = parseIpv4Header(b.delivered[0]!);
  assert.deepEqual([first.source, first.destination], [peer.address, own.address]);
  assert.equal(upperLayerChecksum(peer.address, own.address, 6, b.delivered[0]!.slice(20)), 0);
  // The answer, as IPv4, and what comes then.
  const answer = segment(own.address, peer.address, [80, 4000], 0x12);
  const path = { source: own.address, destination: peer.address, protocol: 6 };
  pair.sendInner(b, buildIpv4Packet({ ...path, payload: answer, dontFragment: true }));
  assert.deepEqual(ipv6Source(a.delivered.at(-1)!), b.hit);
  const ack = segment(a.hit, b.hit, [4000, 80], 0x10);
  pair.sendInner(a, buildIpv6Packet(a.hit, b.hit, 6, ack));
  assert.equal(b.delivered.at(-1)![0]! >> 4, 4);
  const datagram = buildUdpDatagram(a.hit, 4000, b.hit, 53, DATA);
  pair.sendInner(a, buildIpv6Packet(a.hit, b.hit, 17, datagram));
  assert.equal(b.delivered.at(-1)![0]! >> 4, 4);
  assert.equal(b.engine.lsis.size, 2);
});

Deno.test("what is for a port of IPv6, or no first packet, stays IPv6 and has no LSI made", () => {
  const { pair, a, b } = makeServerScene();
  for (
    const packet of [
      buildIpv6Packet(a.hit, b.hit, 6, segment(a.hit, b.hit, [4000, 81], 0x02)),
      buildIpv6Packet(a.hit, b.hit, 6, segment(a.hit, b.hit, [4000, 80], 0x12)),
      buildIpv6Packet(a.hit, b.hit, 6, segment(a.hit, b.hit, [4000, 80], 0x10)),
      buildIpv6Packet(a.hit, b.hit, 17, buildUdpDatagram(a.hit, 4000, b.hit, 54, DATA)),
      buildIpv6Packet(a.hit, b.hit, 58, new Uint8Array(8).fill(200)),
    ]
  ) {
    pair.sendInner(a, packet);
    assert.deepEqual(b.delivered.at(-1), packet);
  }
  assert.equal(b.engine.lsis.size, 1);
});

Deno.test("DNS-080 an LSI and the HIT that it stands for share one association", () => {
  const scene = makeScene();
  const { pair, a, b } = scene;
  pair.sendInner(a, udp(scene));
  const datagram = buildUdpDatagram(a.hit, 1112, b.hit, 53, DATA);
  pair.sendInner(a, buildIpv6Packet(a.hit, b.hit, 17, datagram));
  assert.equal(b.delivered.length, 2);
  const { associations } = a.engine.status();
  assert.equal(associations.length, 1);
  const spis = pair.wire.filter(({ protocol }) => protocol === ESP).map(({ bytes }) =>
    toHex(bytes.subarray(0, 4))
  );
  assert.equal(new Set(spis).size, 1);
});

Deno.test("DNS-078 a packet to an LSI counts as its use", () => {
  const scene = makeScene();
  const { pair, a, bob } = scene;
  pair.advance(seconds(100));
  pair.sendInner(a, udp(scene));
  assert.ok(bob.lastUse >= 100_000);
});

Deno.test("a datagram that a data thread delivered as IPv6, though IPv4 alone waits at its port, is followed by others as IPv4", () => {
  const { pair, a, b } = makeServerScene();
  const datagram = buildUdpDatagram(a.hit, 4000, b.hit, 54, DATA);
  const packet = buildIpv6Packet(a.hit, b.hit, 17, datagram);
  pair.sendInner(a, packet);
  assert.deepEqual(b.delivered.at(-1), packet);
  // By now a program listens there; the system has not seen the datagram as IPv4.
  b.engine.lsis.hasIpv4Server = (protocol, port) => protocol === 17 && port === 54;
  const received = a.delivered.length;
  pair.sendInner(b, buildIcmpv6Unreachable(packet, b.hit, 4));
  assert.equal(a.delivered.length, received, "the peer does not hear of it");
  assert.equal(b.engine.status().drops["lsi-redirected"], 1);
  pair.sendInner(a, packet);
  assert.equal(b.delivered.at(-1)![0]! >> 4, 4);
  // Where nobody waits the peer is told.
  b.engine.lsis.hasIpv4Server = () => false;
  const other = buildIpv6Packet(a.hit, b.hit, 17, buildUdpDatagram(a.hit, 4000, b.hit, 55, DATA));
  pair.sendInner(b, buildIcmpv6Unreachable(other, b.hit, 4));
  assert.equal(a.delivered.length, received + 1);
});
