/**
 * The loop with real SAs against the one-packet path: what leaves in batches is opened packet by
 * packet, what was sealed packet by packet is opened in batches (RFC 7402: both are the same packets
 * on the wire).
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { openLibcrypto } from "../../ffi/libcrypto.ts";
import { SILENT } from "../../lib/base/logger.ts";
import type { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import type { InboundSa, OutboundSa } from "../../lib/esp/security_association.ts";
import { Loop, type LoopEngine } from "../../lib/runtime/loop.ts";
import {
  FakeClock,
  FakeIpSocket,
  FakeJobRunner,
  FakeReadiness,
  FakeTunDevice,
  NO_THREADS,
} from "../support/fake_ports.ts";
import {
  bufferOf,
  innerPacket,
  LOCAL_ADDRESS,
  LOCAL_HIT,
  PEER_ADDRESS,
  PEER_HIT,
  saPair,
} from "../support/sa_pair.ts";
import { slowSegments } from "../support/slow_segments.ts";
import {
  arbitraryTcp,
  superSegmentHeader,
  type TcpFields,
  tcpPacket,
  withPartialChecksum,
} from "../support/tcp_packets.ts";

/** An engine that is nothing but its two SAs. */
class SaEngine implements LoopEngine {
  constructor(readonly outbound: OutboundSa, readonly inbound: InboundSa) {}

  handleTunPacket(_now: unknown, buffer: PacketBuffer): "transmit" | "consumed" {
    return encapsulate(this.outbound, buffer) === undefined ? "transmit" : "consumed";
  }
  handleDatagram(_now: unknown, buffer: PacketBuffer): "deliver" | "consumed" {
    return decapsulate(this.inbound, buffer) === undefined ? "deliver" : "consumed";
  }
  handleJobDone(): void {}
  handleLocatorsChanged(): void {}
  handleTimeout(): void {}
  pollTransmit(): undefined {}
  pollDeliver(): undefined {}
  pollJob(): undefined {}
  pollEvent(): undefined {}
  readonly forThreads = NO_THREADS;
  nextTimeout(): undefined {}
}

function makeWorld(suiteId: number, provider = PORTABLE_PROVIDER) {
  const { outbound, inbound } = saPair(suiteId, { provider });
  const tun = new FakeTunDevice();
  const esp = new FakeIpSocket(50, 4);
  const readiness = new FakeReadiness();
  const loop = new Loop({
    engine: new SaEngine(outbound, inbound),
    tun,
    sockets: [esp],
    monitor: { locators: [], drain: () => false },
    readiness,
    clock: new FakeClock(),
    jobs: new FakeJobRunner(() => assert.fail("no jobs here")),
    logger: SILENT,
  });
  const run = async () => {
    readiness.onWait = (timeoutMs) => {
      if (timeoutMs === undefined) loop.stop();
    };
    await loop.run();
    assert.equal(loop.faults, 0);
    assert.deepEqual(loop.drops.toJSON(), {});
  };
  return { outbound, inbound, tun, esp, run };
}

/** Between the two HITs of the SAs; the flow label, which BEET does not carry, is zero. */
function inner(fields: Partial<TcpFields>): Uint8Array {
  return tcpPacket({ ...fields, family: 6, source: LOCAL_HIT, destination: PEER_HIT });
}

const PROVIDERS = [PORTABLE_PROVIDER, openLibcrypto()].filter((provider) => provider !== undefined);
const SUITES = [8, 9, 12, 13] as const;

const streams = fc.array(
  fc.oneof(
    arbitraryTcp(4000, 6).map((fields) => ({ packet: inner(fields), gsoSize: 700 })),
    fc.uint8Array({ maxLength: 300 }).map((payload) => ({
      packet: innerPacket(payload),
      gsoSize: 0,
    })),
  ),
  { minLength: 1, maxLength: 30, size: "max" },
);

for (const provider of PROVIDERS) {
  Deno.test(`What leaves in batches is opened packet by packet (${provider.name})`, async () => {
    await fc.assert(
      fc.asyncProperty(streams, fc.constantFrom(...SUITES), async (stream, suiteId) => {
        const { inbound, tun, esp, run } = makeWorld(suiteId, provider);
        const expected: Uint8Array[] = [];
        for (const { packet, gsoSize } of stream) {
          const isSuper = gsoSize > 0;
          const given = isSuper ? withPartialChecksum(packet) : packet;
          if (isSuper) tun.headers.set(given, superSegmentHeader(packet, gsoSize));
          tun.fromApplications.push(given);
          expected.push(...(isSuper ? slowSegments(packet, gsoSize) : [packet]));
        }
        await run();
        const opened = esp.sent.map(({ bytes, trafficClass, hopLimit }) => {
          const buffer = bufferOf(bytes);
          buffer.path.trafficClass = trafficClass;
          buffer.path.hopLimit = hopLimit;
          assert.equal(decapsulate(inbound, buffer), undefined);
          return buffer.contents().slice();
        });
        assert.deepEqual(opened, expected);
      }),
      { numRuns: 25 },
    );
  });

  Deno.test(`What was sealed packet by packet is opened in batches (${provider.name})`, async () => {
    await fc.assert(
      fc.asyncProperty(streams, fc.constantFrom(...SUITES), async (stream, suiteId) => {
        const { outbound, tun, esp, run } = makeWorld(suiteId, provider);
        const packets = stream.flatMap(({ packet, gsoSize }) =>
          gsoSize > 0 ? slowSegments(packet, gsoSize) : [packet]
        );
        for (const packet of packets) {
          const buffer = bufferOf(packet);
          assert.equal(encapsulate(outbound, buffer), undefined);
          const { trafficClass, hopLimit } = buffer.path;
          esp.fromPeers.push({
            source: PEER_ADDRESS,
            destination: LOCAL_ADDRESS,
            bytes: buffer.contents().slice(),
            trafficClass,
            hopLimit,
          });
        }
        await run();
        assert.deepEqual(tun.written, packets);
      }),
      { numRuns: 25 },
    );
  });
}

Deno.test("A flow of super-segments arrives as super-segments", async () => {
  const sender = makeWorld(13, PROVIDERS.at(-1));
  const receiver = makeWorld(13, PROVIDERS.at(-1));
  const payload = new Uint8Array(50_000).map((_, i) => i * 11);
  const packet = inner({ payload });
  const given = withPartialChecksum(packet);
  sender.tun.headers.set(given, superSegmentHeader(packet, 1328));
  sender.tun.fromApplications.push(given);
  await sender.run();
  receiver.esp.fromPeers.push(...sender.esp.sent);
  await receiver.run();
  assert.deepEqual(receiver.tun.runs, [Math.ceil(payload.length / 1328)]);
  assert.deepEqual(receiver.tun.written, slowSegments(packet, 1328));
});
