/**
 * Both data threads beside the engine's side of them, on one thread: what passes there and what
 * comes back, packet for packet as the plain path has it.
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { DropCounters } from "../../lib/base/drop_reason.ts";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { type Instant, instant } from "../../lib/base/time.ts";
import { EspCipherPool } from "../../lib/crypto/esp_cipher_pool.ts";
import { ESP_SUITES } from "../../lib/crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { InboundLane } from "../../lib/esp/inbound_lane.ts";
import { LaneLender } from "../../lib/esp/lane_lender.ts";
import { OutboundLane } from "../../lib/esp/outbound_lane.ts";
import {
  type InboundSa,
  NO_REKEY_LIMITS,
  type OutboundSa,
} from "../../lib/esp/security_association.ts";
import { SPI_FILTER_SIZE, SpiFilter } from "../../lib/esp/spi_filter.ts";
import { openLibcrypto } from "../../ffi/libcrypto.ts";
import { makeLaneSide } from "../support/lane_side.ts";
import {
  bufferOf,
  CountingRandom,
  innerPacket,
  LOCAL_HIT,
  PEER_HIT,
  saPair,
  SPI,
} from "../support/sa_pair.ts";
import { tcpPacket } from "../support/tcp_packets.ts";

const NOW = instant(0);
const PROVIDERS = [PORTABLE_PROVIDER, openLibcrypto()].filter((provider) => provider !== undefined);

interface World {
  readonly outbound: OutboundLane;
  readonly inbound: InboundLane;
  readonly forOutbound: LaneLender<OutboundSa>;
  readonly forInbound: LaneLender<InboundSa>;
  readonly knownSpis: SpiFilter;
  readonly drops: { readonly outbound: DropCounters; readonly inbound: DropCounters };
  /** What the engine's side hears, in words. */
  hear(): string[];
  /** Octets of what was passed on last. */
  passedOn: Uint8Array[];
  /** Memory of the rings, where keys have been. */
  readonly commands: readonly SharedArrayBuffer[];
  isReplyAwaited: boolean;
}

function makeWorld({ slots = 4, ring = 1 << 16, provider = PORTABLE_PROVIDER } = {}): World {
  const side = () => makeLaneSide(provider, slots, ring);
  const [out, into] = [side(), side()];
  const knownSpis = new SharedArrayBuffer(SPI_FILTER_SIZE);
  const forOutbound = new LaneLender<OutboundSa>(out.memory);
  const forInbound = new LaneLender<InboundSa>(into.memory);
  const buffer = new PacketBuffer(2000);
  const world: World = {
    outbound: new OutboundLane({ ...out.lane, random: new CountingRandom() }),
    inbound: new InboundLane({
      ...into.lane,
      knownSpis,
      isReplyAwaited: () => world.isReplyAwaited,
    }),
    forOutbound,
    forInbound,
    knownSpis: new SpiFilter(knownSpis),
    drops: { outbound: out.drops, inbound: into.drops },
    passedOn: [],
    commands: [out.memory.commands, into.memory.commands],
    isReplyAwaited: false,
    hear() {
      const heard: string[] = [];
      const note = (what: string) => (packet: PacketBuffer) => {
        heard.push(what);
        world.passedOn.push(packet.contents().slice());
      };
      const listener = {
        packet: note("packet"),
        innerPacket: note("inner packet"),
        news: (_sa: unknown, news: string) => heard.push(news),
        refused: ({ reason, spi }: { reason: string; spi: number }) =>
          heard.push(`${reason} ${spi}`),
      };
      while (forOutbound.drain(buffer, listener));
      while (forInbound.drain(buffer, listener));
      return heard;
    },
  };
  return world;
}

/** A pair of SAs that can be lent, as the engine has them: keys in a pool. */
function lendable(suiteId = 13, provider = PORTABLE_PROVIDER) {
  const pair = saPair(suiteId, { provider: new EspCipherPool(provider) });
  pair.outbound.isWatched = true;
  return pair;
}

/** Everything that was lent arrives. */
function obey({ outbound, inbound }: World): void {
  const buffer = new PacketBuffer(2000);
  assert.equal(outbound.takeCommands(buffer), false);
  assert.equal(inbound.takeCommands(buffer), false);
}

function payloads(): Uint8Array[] {
  return [0, 1, 15, 16, 700, 1360].map((length) =>
    Uint8Array.from({ length }, (_, i) => i + length)
  );
}

for (const provider of PROVIDERS) {
  Deno.test(`What a data thread seals the plain path opens, and the other way round, in every suite (${provider.name})`, () => {
    for (const suiteId of ESP_SUITES.keys()) {
      const lent = lendable(suiteId, provider);
      const plain = saPair(suiteId, { provider });
      const world = makeWorld({ provider });
      assert.ok(world.forOutbound.take(lent.outbound) && world.forInbound.take(lent.inbound));
      obey(world);
      for (const payload of payloads()) {
        const packet = innerPacket(payload);
        const sealed = bufferOf(packet);
        assert.equal(world.outbound.handleTunPacket(sealed, false), "transmit");
        assert.equal(decapsulate(plain.inbound, sealed), undefined);
        assert.deepEqual(sealed.contents(), packet);
        const received = bufferOf(packet);
        assert.equal(encapsulate(plain.outbound, received), undefined);
        received.path.protocol = 50;
        assert.equal(world.inbound.handleDatagram(NOW, received), "deliver");
        assert.deepEqual(received.contents(), packet);
      }
      // The engine's side counts along, without a word having been said.
      const { length } = payloads();
      assert.deepEqual([lent.outbound.packets, lent.inbound.packets], [
        BigInt(length),
        BigInt(length),
      ]);
      assert.equal(lent.outbound.sequenceLow, length);
      assert.deepEqual(world.hear(), []);
    }
  });
}

Deno.test("Keys do not stay in the memory between the threads, and go when the SA is wiped", () => {
  const world = makeWorld();
  const { outbound, inbound } = lendable();
  const keys = [outbound.sealer, inbound.opener].map((cipher) =>
    cipher.storedKeys!()!.encryption.slice()
  );
  world.forOutbound.take(outbound);
  world.forInbound.take(inbound);
  const holdsKeys = () =>
    world.commands.map((memory, i) =>
      Buffer.from(new Uint8Array(memory)).includes(Buffer.from(keys[i]!))
    );
  assert.deepEqual(holdsKeys(), [true, true]);
  obey(world);
  assert.deepEqual(holdsKeys(), [false, false]);
  outbound.wipe();
  inbound.wipe();
  // At once, before the threads have heard of it:
  const packet = bufferOf(innerPacket(new Uint8Array(8)));
  assert.equal(world.outbound.handleTunPacket(packet, false), "consumed");
  assert.deepEqual(world.hear(), ["packet"]);
  assert.deepEqual([world.outbound.size, world.inbound.size], [1, 1]);
  obey(world);
  assert.deepEqual([world.outbound.size, world.inbound.size], [0, 0]);
  assert.deepEqual([world.forOutbound.lentCount, world.forInbound.lentCount], [1, 1]);
  world.hear();
  assert.deepEqual([world.forOutbound.lentCount, world.forInbound.lentCount], [0, 0]);
});

Deno.test("What a thread that sends cannot place comes to the engine as it was", () => {
  const world = makeWorld();
  const { outbound } = lendable();
  const strange = bufferOf(innerPacket(new Uint8Array(8)));
  const syn = tcpPacket({ family: 6, source: LOCAL_HIT, destination: PEER_HIT, flags: 0x02 });
  world.outbound.handleTunPacket(strange, false);
  world.forOutbound.take(outbound);
  obey(world);
  outbound.innerLimit = 1300;
  const long = innerPacket(new Uint8Array(1300));
  const fragment = innerPacket(new Uint8Array(16), { nextHeader: 44 });
  for (const packet of [long, fragment, syn, Uint8Array.of(0x45, 0, 0, 1)]) {
    assert.equal(world.outbound.handleTunPacket(bufferOf(packet), false), "consumed");
    world.hear();
    assert.deepEqual(world.passedOn.at(-1), packet);
  }
  assert.equal(outbound.packets, 0n);
  // What the engine has judged goes, however long.
  for (const packet of [long, syn]) {
    world.forOutbound.pass(bufferOf(packet));
    const ordered = new PacketBuffer(2000);
    assert.equal(world.outbound.takeCommands(ordered), true);
    assert.equal(world.outbound.handleTunPacket(ordered, true), "transmit");
  }
  assert.equal(outbound.packets, 2n);
});

Deno.test("News are told once: nobody watches, a rekey is due, the SA is spent", () => {
  const world = makeWorld();
  const { outbound, inbound } = lendable();
  outbound.isWatched = false;
  outbound.rekeyLimits = { octets: 1, sequence: Infinity };
  inbound.rekeyLimits = { octets: 1, sequence: Infinity };
  world.forOutbound.take(outbound);
  world.forInbound.take(inbound);
  obey(world);
  for (let i = 0; i < 3; i++) {
    const packet = bufferOf(innerPacket(new Uint8Array(8)));
    assert.equal(world.outbound.handleTunPacket(packet, false), "transmit");
    assert.equal(world.inbound.handleDatagram(NOW, packet), "deliver");
  }
  assert.deepEqual(world.hear(), ["rekey-due", "unwatched", "rekey-due"]);
  assert.deepEqual([outbound.rekeyLimits, outbound.isWatched], [NO_REKEY_LIMITS, true]);
  outbound.words.fill(0xffffffff, 2, 4);
  const last = bufferOf(innerPacket(new Uint8Array(8)));
  assert.equal(world.outbound.handleTunPacket(last, false), "consumed");
  assert.deepEqual(world.hear(), ["spent"]);
  assert.equal(world.drops.outbound.get("sequence-exhausted"), 1);
});

Deno.test("Replays and forgeries are counted by the thread, and a few a second told for the audit log", () => {
  const world = makeWorld();
  const { outbound, inbound } = lendable();
  world.forInbound.take(inbound);
  obey(world);
  const sealed = bufferOf(innerPacket(new Uint8Array(8)));
  encapsulate(outbound, sealed);
  const wire = sealed.contents().slice();
  const receive = (bytes: Uint8Array, at: Instant = NOW) => {
    const buffer = bufferOf(bytes.slice());
    buffer.path.protocol = 50;
    return world.inbound.handleDatagram(at, buffer);
  };
  assert.equal(receive(wire), "deliver");
  const forged = wire.slice();
  forged[7]! += 1;
  for (let i = 0; i < 500; i++) {
    assert.equal(receive(wire), "consumed");
    assert.equal(receive(forged), "consumed");
  }
  assert.deepEqual(world.drops.inbound.toJSON(), { "esp-replayed": 500, "esp-icv-failed": 500 });
  const told = world.hear();
  assert.equal(told.length, 20);
  assert.deepEqual([...new Set(told)], [`esp-replayed ${SPI}`, `esp-icv-failed ${SPI}`]);
  receive(wire, instant(1000));
  assert.equal(world.hear().length, 1);
});

Deno.test("An SPI that the engine may know is the engine's, of others it sees a hundred a second", () => {
  const world = makeWorld();
  const packet = (spi: number) => {
    const buffer = bufferOf(new Uint8Array(40));
    buffer.view.setUint32(buffer.start, spi);
    buffer.path.protocol = 50;
    return buffer;
  };
  world.knownSpis.add(70_000);
  for (let i = 0; i < 300; i++) world.inbound.handleDatagram(NOW, packet(80_000));
  assert.equal(world.hear().length, 100);
  assert.equal(world.drops.inbound.get("esp-unknown-spi"), 200);
  world.inbound.handleDatagram(NOW, packet(70_000));
  assert.deepEqual(world.hear(), ["packet"]);
  world.knownSpis.remove(70_000);
  world.inbound.handleDatagram(NOW, packet(70_000));
  assert.deepEqual(world.hear(), []);
});

Deno.test("NAT-005 NAT-027 In UDP, ESP is the thread's, HIP the engine's, and all else counted or nothing", () => {
  const world = makeWorld();
  const { outbound, inbound } = lendable();
  world.forInbound.take(inbound);
  obey(world);
  const receive = (bytes: Uint8Array) => {
    const buffer = bufferOf(bytes);
    buffer.path.protocol = 17;
    buffer.path.peerPort = 10500;
    return world.inbound.handleDatagram(NOW, buffer);
  };
  const sealed = bufferOf(innerPacket(new Uint8Array(8)));
  encapsulate(outbound, sealed);
  assert.equal(receive(sealed.contents().slice()), "deliver");
  assert.equal(receive(Uint8Array.of(0xff)), "consumed");
  assert.deepEqual(world.drops.inbound.toJSON(), {});
  receive(Uint8Array.of(0xfe));
  receive(Uint8Array.of(1, 2, 3));
  receive(Uint8Array.of(0, 0, 0, 255, 0, 0, 0, 1));
  receive(Uint8Array.of(0, 0, 1, 0));
  assert.deepEqual(world.drops.inbound.toJSON(), {
    "esp-too-short": 1,
    "udp-too-short": 2,
    "udp-reserved-spi": 1,
  });
  const hip = Uint8Array.of(0, 0, 0, 0, 59, 4, 1, 0x21);
  receive(hip);
  assert.deepEqual(world.hear(), ["packet"]);
  assert.deepEqual(world.passedOn.at(-1), hip);
});

Deno.test("SYNs, and echo replies while the agent waits for one, are delivered by the engine's side", () => {
  const world = makeWorld();
  const { outbound, inbound } = lendable();
  world.forInbound.take(inbound);
  obey(world);
  const receive = (packet: Uint8Array) => {
    const buffer = bufferOf(packet);
    assert.equal(encapsulate(outbound, buffer), undefined);
    buffer.path.protocol = 50;
    return world.inbound.handleDatagram(NOW, buffer);
  };
  const syn = tcpPacket({ family: 6, source: LOCAL_HIT, destination: PEER_HIT, flags: 0x02 });
  const reply = innerPacket(Uint8Array.of(129, 0, 0, 0, 0, 1, 0, 1), { nextHeader: 58 });
  assert.equal(receive(syn), "consumed");
  assert.deepEqual([world.hear(), world.passedOn.at(-1)], [["inner packet"], syn]);
  assert.equal(receive(reply), "deliver");
  world.isReplyAwaited = true;
  assert.equal(receive(reply), "consumed");
  assert.deepEqual([world.hear(), world.passedOn.at(-1)], [["inner packet"], reply]);
  assert.equal(receive(innerPacket(new Uint8Array(8))), "deliver");
});

Deno.test("Without a free slot, without room in the ring, or without its keys an SA stays where it is", () => {
  const few = makeWorld({ slots: 1 });
  assert.equal(few.forOutbound.take(lendable().outbound), true);
  const second = lendable().outbound;
  assert.deepEqual([few.forOutbound.take(second), second.isOffloaded], [false, false]);
  const narrow = makeWorld({ ring: 64 });
  const third = lendable().outbound;
  assert.equal(narrow.forOutbound.pass(bufferOf(new Uint8Array(8))), true);
  assert.deepEqual([narrow.forOutbound.take(third), third.isOffloaded], [false, false]);
  assert.equal(encapsulate(third, bufferOf(innerPacket(new Uint8Array(8)))), undefined);
  const keyless = saPair(13).outbound;
  assert.deepEqual([few.forInbound.take(saPair(13).inbound), keyless.isOffloaded], [false, false]);
});

Deno.test("What was lent comes back when a thread has ended, and is wiped when that is not certain", () => {
  for (const hasEnded of [true, false]) {
    const world = makeWorld();
    const { outbound } = lendable();
    world.forOutbound.take(outbound);
    obey(world);
    world.outbound.handleTunPacket(bufferOf(innerPacket(new Uint8Array(8))), false);
    world.forOutbound.reclaim(hasEnded);
    assert.equal(outbound.isWiped, !hasEnded);
    if (!hasEnded) continue;
    assert.equal(outbound.isOffloaded, false);
    const next = bufferOf(innerPacket(new Uint8Array(8)));
    assert.equal(encapsulate(outbound, next), undefined);
    assert.equal(outbound.sequenceLow, 2);
  }
});

Deno.test("A slot is free again when a thread had no room to say so at first", () => {
  const world = makeWorld({ ring: 128 });
  const { outbound } = lendable();
  world.forOutbound.take(outbound);
  obey(world);
  // Nobody hears, until nothing more can be said.
  const stray = innerPacket(new Uint8Array(8));
  stray[24]! ^= 1;
  while (world.drops.outbound.get("thread-busy") === 0) {
    world.outbound.handleTunPacket(bufferOf(stray.slice()), false);
  }
  outbound.wipe();
  obey(world);
  assert.equal(world.forOutbound.lentCount, 1);
  world.hear();
  obey(world);
  world.hear();
  assert.equal(world.forOutbound.lentCount, 0);
});

Deno.test("What may be for programs of IPv4, and that nobody has a UDP port, is the engine's to judge", () => {
  const world = makeWorld();
  const { inbound, outbound } = lendable();
  world.forInbound.take(inbound);
  world.forOutbound.take(outbound);
  obey(world);
  const receive = (octets: Uint8Array) => {
    const sealed = bufferOf(octets);
    assert.equal(world.outbound.handleTunPacket(sealed, true), "transmit");
    sealed.path.protocol = 50;
    return world.inbound.handleDatagram(NOW, sealed);
  };
  const packet = innerPacket(new Uint8Array(8));
  assert.equal(receive(packet), "deliver");
  inbound.mayBeForIpv4 = true;
  assert.equal(receive(packet), "consumed");
  assert.deepEqual([world.hear(), world.passedOn.at(-1)], [["inner packet"], packet]);
  inbound.mayBeForIpv4 = false;
  assert.equal(receive(packet), "deliver");

  const quoted = innerPacket(new Uint8Array(8), { nextHeader: 17 });
  const error = (code: number) =>
    innerPacket(Uint8Array.of(1, code, 0, 0, 0, 0, 0, 0, ...quoted), { nextHeader: 58 });
  const unreachable = bufferOf(error(4));
  assert.equal(world.outbound.handleTunPacket(unreachable, false), "consumed");
  assert.deepEqual([world.hear(), world.passedOn.at(-1)], [["packet"], error(4)]);
  assert.equal(world.outbound.handleTunPacket(bufferOf(error(3)), false), "transmit");
});
