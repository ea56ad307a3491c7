/** The path MTU of an SA: from an ICMP error about ESP to Packet Too Big for an application. */

import assert from "node:assert/strict";
import { instant, seconds } from "../../lib/base/time.ts";
import { espSuite } from "../../lib/crypto/esp_suite.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { innerMtu } from "../../lib/esp/inner_mtu.ts";
import { lowerPathMtu } from "../../lib/esp/path_mtu.ts";
import type { ControlSettings } from "../../lib/hip/constants.ts";
import { upperLayerChecksum } from "../../lib/wire/checksum.ts";
import { buildIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { ipv6Destination, ipv6Source } from "../../lib/wire/ipv6.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { isEsp } from "../support/datagrams.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { ESP } from "../support/engine_story.ts";
import { tooBig, unreachable } from "../support/icmp_errors.ts";
import { testIdentity } from "../support/identities.ts";
import { PEER_ADDRESS, saPair } from "../support/sa_pair.ts";
import { tcpPacket } from "../support/tcp_packets.ts";

const VERSIONS = [4, 6] as const;
const SUITE = espSuite(13);

/** Alice and Bob, who have spoken; the last ESP packet. */
function talking(
  version: 4 | 6,
  settings: Partial<ControlSettings> = {},
): { pair: EnginePair; sent: OutgoingPacket } {
  const prefix = version === 4 ? "192.0.2." : "2001:db8::";
  const end = (owner: "alice" | "bob", host: number) =>
    new End(testIdentity("ecdsa-p256", owner), `${prefix}${host}`, host, { settings });
  const pair = new EnginePair(end("alice", 1), end("bob", 2));
  pair.introduce(pair.a, pair.b);
  pair.ping(pair.a, pair.b);
  return { pair, sent: pair.wire.findLast(isEsp)! };
}

/** Whether an inner packet of this length gets from Alice to Bob. */
function passes(pair: EnginePair, length: number): boolean {
  const { a, b } = pair;
  const data = new Uint8Array(length - 48).fill(3);
  const ids = { identifier: 9, sequence: 9 };
  b.delivered.length = 0;
  a.delivered.length = 0;
  const hits = { source: a.hit, destination: b.hit };
  pair.sendInner(a, buildIcmpv6Echo({ kind: "request", ...hits, ...ids, data }));
  return b.delivered.length === 1;
}

/** The largest inner packet that passes; the answer to the next larger one. */
function limitOf(pair: EnginePair): number {
  let [low, high] = [48, 4000];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (passes(pair, middle)) low = middle;
    else high = middle;
  }
  return low;
}

const UNLIMITED = 3999;

const WAYS = VERSIONS.flatMap((version) =>
  (["raw", "udp"] as const).map((transport) => ({ version, transport }))
);

for (const { version, transport } of WAYS) {
  const isUdp = transport === "udp";
  const over = isUdp ? `UDP and IPv${version}` : `IPv${version}`;
  Deno.test(`ESP-209 ESP-211 ESP-212 a smaller path over ${over} is told to the sender of the next packet that is too long`, () => {
    const { pair, sent } = talking(version, { transport });
    assert.equal(sent.protocol, isUdp ? 17 : ESP);
    assert.equal(limitOf(pair), UNLIMITED);
    pair.inject(pair.a, tooBig(sent, 1400));
    const mtu = innerMtu(SUITE, 1400, { family: version, isUdp });
    assert.equal(limitOf(pair), mtu);
    assert.equal(passes(pair, mtu + 1), false);
    const [answer] = pair.a.delivered;
    assert.deepEqual(ipv6Source(answer!), pair.b.hit);
    assert.deepEqual(ipv6Destination(answer!), pair.a.hit);
    // Packet Too Big (2, 0), MTU in the last four octets of the header, the packet quoted.
    assert.deepEqual([...answer!.subarray(40, 42)], [2, 0]);
    assert.equal(new DataView(answer!.buffer).getUint32(44), mtu);
    assert.deepEqual(answer!.subarray(48 + 8, 48 + 24), pair.a.hit);
    assert.equal(upperLayerChecksum(pair.b.hit, pair.a.hit, 58, answer!, 40), 0);
    assert.ok(answer!.length <= 1280);
    assert.ok(pair.a.engine.status().drops["tun-too-big"]! >= 1);
  });

  Deno.test(`ESP-210 over ${over} only an error that quotes a late packet of this SA, from here to there, counts`, () => {
    const { pair, sent } = talking(version, { transport });
    const { a } = pair;
    const stranger = parseIpAddress(version === 4 ? "192.0.2.99" : "2001:db8::99");
    const withOctet = (at: number) => {
      const bytes = sent.bytes.slice();
      bytes[at]! ^= 0x40;
      return { ...sent, bytes };
    };
    const forgeries = [
      withOctet(1),
      // A sequence number from far before, or from the future.
      withOctet(4),
      withOctet(7),
      { ...sent, destination: stranger },
      { ...sent, source: stranger },
      // Over what the SA does not pass.
      isUdp ? { ...sent, protocol: ESP } : { ...sent, protocol: 17, peerPort: 10500 },
      ...(isUdp ? [{ ...sent, peerPort: 10501 }] : []),
    ];
    for (const forgery of forgeries) pair.inject(a, tooBig(forgery, 1280));
    assert.equal(a.engine.status().drops["icmp-not-ours"], forgeries.length);
    assert.equal(limitOf(pair), UNLIMITED);
  });
}

for (const version of VERSIONS) {
  Deno.test(`ESP-216 ESP-219 no report over IPv${version} takes applications below 1280 octets`, () => {
    const { pair, sent } = talking(version);
    for (const mtu of [1280, 576, 68, 1]) pair.inject(pair.a, tooBig(sent, mtu));
    assert.equal(limitOf(pair), 1280);
  });

  Deno.test(`A report over IPv${version} never makes the path larger, and none is of no use`, () => {
    const { pair, sent } = talking(version);
    for (const mtu of [1400, 1500, 0]) pair.inject(pair.a, tooBig(sent, mtu));
    assert.equal(limitOf(pair), innerMtu(SUITE, 1400, { family: version }));
    assert.equal(pair.a.engine.status().drops["icmp-no-use"], 2);
  });
}

Deno.test("ESP-217 ESP-218 what was reported is forgotten after its time, which is a setting", () => {
  for (const lifetime of [seconds(600), seconds(120)]) {
    const settings = { pathMtuLifetime: lifetime };
    const { pair, sent } = talking(4, settings);
    pair.inject(pair.a, tooBig(sent, 1400));
    pair.advance(seconds(lifetime / 1000 - 1));
    assert.equal(passes(pair, 1400), false);
    pair.advance(seconds(1));
    assert.equal(passes(pair, 1400), true);
  }
});

Deno.test("TCP learns of a smaller path from SYN and SYN-ACK, at the end that was told of it", () => {
  const { pair, sent } = talking(4);
  const { a, b } = pair;
  const syn = (from: End, to: End, flags: number) => {
    to.delivered.length = 0;
    const options = Uint8Array.of(2, 4, 1340 >> 8, 1340 & 0xff);
    pair.sendInner(from, tcpPacket({ source: from.hit, destination: to.hit, flags, options }));
    const [packet] = to.delivered;
    assert.equal(upperLayerChecksum(from.hit, to.hit, 6, packet!, 40), 0);
    return (packet![62]! << 8) | packet![63]!;
  };
  assert.deepEqual([syn(a, b, 0x02), syn(b, a, 0x12)], [1340, 1340]);
  pair.inject(a, tooBig(sent, 1350));
  const mss = innerMtu(SUITE, 1350, { family: 4 }) - 60;
  assert.deepEqual([syn(a, b, 0x02), syn(b, a, 0x12)], [mss, mss]);
  // Without SYN the same octets are nobody's business.
  assert.deepEqual([syn(a, b, 0x10), syn(b, a, 0x10)], [1340, 1340]);
});

Deno.test("ESP-211 what UDP takes of a smaller path is taken off as well", () => {
  for (const [family, address] of [[4, "192.0.2.2"], [6, "2001:db8::2"]] as const) {
    const { outbound } = saPair(13);
    for (const [port, isUdp] of [[0, false], [10500, true]] as const) {
      outbound.setAddresses(outbound.localAddress.slice(), parseIpAddress(address), port);
      assert.equal(lowerPathMtu(outbound, 1400, instant(0), seconds(600)), true);
      assert.equal(outbound.innerLimit, innerMtu(SUITE, 1400, { family, isUdp }));
    }
  }
});

Deno.test("ESP-221 an SA with new addresses has a path of which nothing was reported", () => {
  const { outbound } = saPair(13);
  assert.equal(lowerPathMtu(outbound, 1400, instant(0), seconds(600)), true);
  outbound.setAddresses(outbound.localAddress.slice(), parseIpAddress("198.51.100.7"));
  assert.equal(outbound.pathMtu, undefined);
  assert.ok(outbound.innerLimit > 65_535);
});

Deno.test("New keys for the same path keep what is known of the path, for another path they do not", () => {
  const { pair, sent } = talking(4);
  pair.inject(pair.a, tooBig(sent, 1400));
  const before = limitOf(pair);
  assert.ok(pair.a.engine.rekey(pair.now, pair.b.hit, { withDh: false }));
  pair.settle();
  assert.equal(limitOf(pair), before);
  const [former, next, other] = [0, 1, 2].map(() => saPair(13).outbound);
  lowerPathMtu(former!, 1400, instant(0), seconds(600));
  other!.setAddresses(PEER_ADDRESS, PEER_ADDRESS);
  next!.inheritPathMtu(former!);
  other!.inheritPathMtu(former!);
  assert.equal(next!.innerLimit, former!.innerLimit);
  assert.equal(other!.pathMtu, undefined);
});

Deno.test("An SA outlives what ICMP says of its peer", () => {
  const { pair, sent } = talking(4);
  pair.inject(pair.a, unreachable(sent));
  assert.equal(pair.a.engine.status().drops["icmp-no-use"], 1);
  assert.equal(passes(pair, 100), true);
});

Deno.test("Packet Too Big is said a hundred times a second at most", () => {
  const { pair, sent } = talking(4);
  pair.inject(pair.a, tooBig(sent, 1400));
  let answers = 0;
  for (let i = 0; i < 300; i++) {
    passes(pair, 1400);
    answers += pair.a.delivered.length;
  }
  assert.equal(answers, 100);
});
