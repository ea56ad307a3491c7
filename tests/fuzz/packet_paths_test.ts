/**
 * Octets of strangers and of a broken kernel on the paths of packets: nothing is thrown, every packet
 * is accounted for, and what nobody vouches for costs no work of a cipher.
 */

import assert from "node:assert/strict";
import { bytesEqual, toHex } from "../../lib/base/bytes.ts";
import { DropCounters } from "../../lib/base/drop_reason.ts";
import type { EspProvider } from "../../lib/crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { makeSlabs } from "../../lib/runtime/slabs.ts";
import { TunReader } from "../../lib/runtime/tun_reader.ts";
import { espSequence, espSpi } from "../../lib/wire/esp.ts";
import { VirtioNetHeader } from "../../lib/wire/virtio_net_header.ts";
import { Chance } from "../support/chance.ts";
import { isEsp } from "../support/datagrams.ts";
import type { End, EnginePair } from "../support/engine_pair.ts";
import { makePair } from "../support/engine_story.ts";
import { FakeTunDevice } from "../support/fake_ports.ts";
import { superSegmentHeader, tcpPacket, withPartialChecksum } from "../support/tcp_packets.ts";
import {
  udpPacket,
  udpSuperSegmentHeader,
  udpWithPartialChecksum,
} from "../support/udp_packets.ts";

/** What must be among the reasons. */
const REASONS = [
  "udp-too-short",
  "udp-reserved-spi",
  "esp-too-short",
  "esp-unknown-spi",
  "esp-replayed",
  "esp-icv-failed",
] as const;

const READS = 20_000;
const DATAGRAMS = 20_000;

/** Two who have spoken over UDP. */
function established(espProvider: EspProvider = PORTABLE_PROVIDER): EnginePair {
  const pair = makePair({ settings: { transport: "udp" }, espProvider });
  pair.ping(pair.a, pair.b);
  return pair;
}

function counted(end: End): number {
  return Object.values(end.engine.status().drops).reduce((sum, count) => sum + count, 0);
}

/** A copy with some octets changed, cut off or added. */
function altered(bytes: Uint8Array, chance: Chance): Uint8Array {
  const length = chance.below(8) > 0 ? bytes.length : chance.below(bytes.length + 40);
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, length));
  for (let changes = chance.below(4); changes > 0 && length > 0; changes--) {
    copy[chance.below(Math.min(length, 64))] = chance.pick([0, 1, 0x7f, 0xff, chance.below(256)]);
  }
  return copy;
}

/** What a broken kernel might put before a packet. */
function alteredHeader(good: VirtioNetHeader, chance: Chance): VirtioNetHeader {
  const header = Object.assign(new VirtioNetHeader(), good);
  const word = () =>
    chance.pick([0, 1, 6, 7, 8, 16, 20, 40, 48, 60, 0xffff, chance.below(0x10000)]);
  for (let changes = chance.below(4); changes > 0; changes--) {
    const field = chance.pick(
      ["flags", "gsoType", "headerLength", "gsoSize", "checksumStart", "checksumOffset"] as const,
    );
    if (field === "flags") header.flags = chance.below(256);
    else if (field === "gsoType") header.gsoType = chance.pick([0, 1, 3, 4, 5, 0x81, 0x84, 0x85]);
    else header[field] = word();
  }
  return header;
}

Deno.test("what the TUN hands over with any virtio_net_hdr becomes packets or is counted", () => {
  const chance = new Chance(5);
  const pair = established();
  const { a, b } = pair;
  const payload = chance.bytes(1200);
  const hits = { source: a.hit, destination: b.hit };
  const wholes = [
    { packet: tcpPacket({ ...hits, payload }), header: superSegmentHeader },
    { packet: udpPacket({ ...hits, payload }), header: udpSuperSegmentHeader },
    { packet: tcpPacket({ family: 4, payload }), header: superSegmentHeader },
    { packet: udpPacket({ family: 4, payload }), header: udpSuperSegmentHeader },
  ].map(({ packet, header }, i) => ({
    packet: i % 2 === 0 ? withPartialChecksum(packet) : udpWithPartialChecksum(packet),
    header: header(packet, 100),
  }));
  const tun = new FakeTunDevice();
  const drops = new DropCounters();
  const [source, ...slabs] = makeSlabs(65, 2000);
  const reader = new TunReader(tun, source!, drops);
  let [passed, refused] = [0, 0];
  for (let i = 0; i < READS; i++) {
    const whole = chance.pick(wholes);
    const packet = altered(whole.packet, chance);
    tun.fromApplications.push(packet);
    tun.headers.set(packet, alteredHeader(whole.header, chance));
    const before = drops.get("tun-offload-malformed");
    let packets = 0;
    for (let count = slabs.length; count === slabs.length;) {
      count = reader.fill(slabs);
      packets += count;
      for (const slab of slabs.slice(0, count)) a.engine.handleTunPacket(pair.now, slab);
    }
    tun.headers.clear();
    const isRefused = drops.get("tun-offload-malformed") > before;
    assert.notEqual(isRefused, packets > 0, "either, and not both");
    if (isRefused) refused++;
    else passed++;
  }
  assert.ok(passed > READS / 20 && refused > READS / 20, `${passed} passed, ${refused} refused`);
});

/** Ciphers that count the packets which they are given to open. */
function countingProvider(): { provider: EspProvider; opened: () => number } {
  let opened = 0;
  const provider: EspProvider = {
    ...PORTABLE_PROVIDER,
    sealer: (...args) => PORTABLE_PROVIDER.sealer(...args),
    opener: (...args) => {
      const opener = PORTABLE_PROVIDER.opener(...args);
      const { open } = opener;
      opener.open = (...packet) => {
        opened++;
        return open.apply(opener, packet);
      };
      return opener;
    },
  };
  return { provider, opened: () => opened };
}

Deno.test("ESP in UDP that was altered, repeated or made up is counted once and never delivered; only what may be right is opened", () => {
  const chance = new Chance(6);
  const { provider, opened } = countingProvider();
  const pair = established(provider);
  const { a, b } = pair;
  for (let i = 0; i < 20; i++) pair.ping(a, b, i);
  const sent = pair.wire
    .filter((packet) => isEsp(packet) && bytesEqual(packet.destination, b.address));
  assert.ok(sent.length > 20);
  const spi = espSpi(sent[0]!.bytes);
  const seen = new Set(sent.map(({ bytes }) => espSequence(bytes)));
  const [delivered, before] = [b.delivered.length, opened()];
  for (let i = 0; i < DATAGRAMS; i++) {
    const packet = chance.pick(sent);
    const bytes = chance.pick([
      () => packet.bytes,
      () => altered(packet.bytes, chance),
      () => chance.bytes(chance.below(100)),
      () => Uint8Array.of(0, 0, 0, 1 + chance.below(255), ...chance.bytes(40)),
      () =>
        Uint8Array.of(...packet.bytes.subarray(0, 7), 1 + chance.below(255), ...chance.bytes(40)),
    ])();
    const isKeepalive = bytes.length === 1 && bytes[0] === 0xff;
    const isKnown = bytes.length >= 8 && espSpi(bytes) === spi;
    const mayBeRight = isKnown && !seen.has(espSequence(bytes));
    const [total, work] = [counted(b), opened()];
    pair.inject(b, { ...packet, bytes });
    assert.equal(counted(b), total + (isKeepalive ? 0 : 1), toHex(bytes));
    if (!mayBeRight) assert.equal(opened(), work, toHex(bytes));
  }
  assert.equal(b.delivered.length, delivered);
  assert.ok(opened() > before + 100);
  for (const reason of REASONS) assert.ok(b.engine.status().drops[reason]! > 0, reason);
  pair.ping(a, b, 99);
  assert.equal(b.delivered.length, delivered + 1);
});
