/** The loop with every port in memory and an engine that does as it is told. */

import assert from "node:assert/strict";
import { SILENT } from "../../lib/base/logger.ts";
import type { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { type Instant, instant } from "../../lib/base/time.ts";
import type { EngineEvent, JobRequest, OutgoingPacket } from "../../lib/engine/effects.ts";
import type { JobResult } from "../../lib/hip/jobs.ts";
import type { LocalLocator } from "../../lib/host/local_locators.ts";
import { Loop, type LoopEngine } from "../../lib/runtime/loop.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import {
  FakeClock,
  FakeIpSocket,
  FakeJobRunner,
  FakeReadiness,
  FakeTunDevice,
  NO_THREADS,
} from "../support/fake_ports.ts";
import { tcpPacket } from "../support/tcp_packets.ts";

const OURS = parseIpAddress("fd00::1");
const THEIRS = parseIpAddress("fd00::2");

/** Notes what it is given; gives what a test put into its queues. */
class ScriptedEngine implements LoopEngine {
  readonly calls: string[] = [];
  readonly transmit: OutgoingPacket[] = [];
  readonly deliver: Uint8Array[] = [];
  readonly jobs: JobRequest[] = [];
  readonly events: EngineEvent[] = [];
  timeout: Instant | undefined;
  onDatagram: (buffer: PacketBuffer) => "deliver" | "consumed" = () => "deliver";

  handleTunPacket(_now: Instant, buffer: PacketBuffer): "transmit" | "consumed" {
    this.calls.push(`tun ${buffer.contents().join(" ")}`);
    buffer.path.protocol = 50;
    buffer.path.localAddress.set(OURS);
    buffer.path.peerAddress.set(THEIRS);
    return "transmit";
  }

  handleDatagram(_now: Instant, buffer: PacketBuffer): "deliver" | "consumed" {
    this.calls.push(`datagram ${buffer.path.protocol} ${buffer.contents().join(" ")}`);
    return this.onDatagram(buffer);
  }

  handleJobDone(_now: Instant, id: number, result: JobResult): void {
    this.calls.push(`job ${id} ${result.kind}`);
  }

  handleLocatorsChanged(_now: Instant, locators: readonly LocalLocator[]): void {
    this.calls.push(`locators ${locators.length}`);
  }

  handleTimeout(now: Instant): void {
    this.calls.push(`timeout ${now}`);
    this.timeout = undefined;
  }

  pollTransmit(): OutgoingPacket | undefined {
    return this.transmit.shift();
  }
  pollDeliver(): Uint8Array | undefined {
    return this.deliver.shift();
  }
  pollJob(): JobRequest | undefined {
    return this.jobs.shift();
  }
  pollEvent(): EngineEvent | undefined {
    return this.events.shift();
  }
  readonly forThreads = NO_THREADS;
  nextTimeout(): Instant | undefined {
    return this.timeout;
  }
}

function makeWorld() {
  const engine = new ScriptedEngine();
  const tun = new FakeTunDevice();
  const hip = new FakeIpSocket(139, 6);
  const esp = new FakeIpSocket(50, 6);
  const icmp = new FakeIpSocket(58, 6);
  const readiness = new FakeReadiness();
  const clock = new FakeClock();
  const jobs = new FakeJobRunner(() => ({ kind: "verify-r1" }));
  const monitor = { locators: [] as LocalLocator[], drain: () => false };
  const events: EngineEvent[] = [];
  const told: number[] = [];
  const loop = new Loop({
    engine,
    tun,
    sockets: [hip, esp, icmp],
    monitor,
    readiness,
    clock,
    jobs,
    logger: SILENT,
    onEvent: (event) => events.push(event),
    onLocators: () => told.push(monitor.locators.length),
  });
  return { engine, tun, hip, esp, icmp, readiness, clock, jobs, monitor, loop, events, told };
}

/** Runs until the loop has slept `sleeps` times and would sleep again; then stops it. */
async function runUntilAsleep(world: ReturnType<typeof makeWorld>, sleeps = 0): Promise<void> {
  const { readiness, loop } = world;
  let left = sleeps;
  readiness.onWait = (timeoutMs) => {
    if (timeoutMs === 0) return;
    if (left-- === 0) loop.stop();
    else readiness.wake();
  };
  await loop.run();
}

function fromPeer(...octets: number[]) {
  const bytes = Uint8Array.from(octets);
  return { source: THEIRS, destination: OURS, bytes, trafficClass: 0, hopLimit: 64 };
}

function outgoing(protocol: number, destination: Uint8Array, ...octets: number[]): OutgoingPacket {
  return { ...fromPeer(...octets), protocol, source: OURS, destination };
}

Deno.test("Packets go from the TUN to the socket of their protocol and back", async () => {
  const world = makeWorld();
  world.tun.fromApplications.push(Uint8Array.of(1, 2));
  world.esp.fromPeers.push(fromPeer(3, 4));
  await runUntilAsleep(world);
  assert.deepEqual(world.engine.calls, ["locators 0", "datagram 50 3 4", "tun 1 2"]);
  assert.deepEqual(world.esp.sent.map((packet) => [...packet.bytes]), [[1, 2]]);
  assert.deepEqual(world.tun.written, [Uint8Array.of(3, 4)]);
});

Deno.test("ICMP leaves and comes in through a socket of its own", async () => {
  const world = makeWorld();
  world.engine.transmit.push(outgoing(58, THEIRS, 4, 0));
  world.icmp.fromPeers.push(fromPeer(2, 0));
  world.engine.onDatagram = () => "consumed";
  await runUntilAsleep(world);
  assert.deepEqual(world.icmp.sent.map((packet) => [...packet.bytes]), [[4, 0]]);
  assert.ok(world.engine.calls.includes("datagram 58 2 0"));
  assert.equal(world.loop.drops.get("send-failed"), 0);
});

Deno.test("What the engine wants is carried out: packets, inner packets, jobs, events", async () => {
  const world = makeWorld();
  const { engine } = world;
  const event = { kind: "drop", at: instant(0), reason: "esp-replayed", detail: "" } as const;
  engine.onDatagram = () => {
    engine.transmit.push(outgoing(139, THEIRS, 9));
    engine.deliver.push(Uint8Array.of(8));
    engine.jobs.push({ id: 5, job: { kind: "verify-r1", r1: OURS, expectedIdentity: undefined } });
    engine.events.push(event);
    return "consumed";
  };
  world.hip.fromPeers.push(fromPeer(1));
  await runUntilAsleep(world);
  assert.deepEqual(world.hip.sent.map((packet) => [...packet.bytes]), [[9]]);
  assert.deepEqual(world.tun.written, [Uint8Array.of(8)]);
  assert.deepEqual(world.jobs.submitted.map(({ id }) => id), [5]);
  assert.deepEqual(world.events, [event]);
});

Deno.test("A packet that no socket takes is counted, whatever the cause", async () => {
  const world = makeWorld();
  world.esp.result = "busy";
  world.tun.fromApplications.push(Uint8Array.of(1));
  // No IPv4 socket in this world.
  world.engine.transmit.push(outgoing(139, parseIpAddress("192.0.2.1"), 1));
  world.tun.takesPackets = false;
  world.engine.deliver.push(Uint8Array.of(1));
  await runUntilAsleep(world);
  assert.equal(world.loop.drops.get("send-failed"), 3);
});

Deno.test("A datagram that could not be read is counted and not shown to the engine", async () => {
  const world = makeWorld();
  world.hip.fromPeers.push(fromPeer());
  await runUntilAsleep(world);
  assert.equal(world.loop.drops.get("datagram-malformed"), 1);
  assert.deepEqual(world.engine.calls, ["locators 0"]);
});

Deno.test("A packet over which the engine throws does not keep others from being served", async () => {
  const world = makeWorld();
  world.engine.onDatagram = (buffer) => {
    if (buffer.bytes[buffer.start] === 1) throw new Error("defect");
    return "deliver";
  };
  world.esp.fromPeers.push(fromPeer(1), fromPeer(2));
  await runUntilAsleep(world);
  assert.deepEqual(world.tun.written, [Uint8Array.of(2)]);
  assert.equal(world.loop.faults, 1);
});

Deno.test("No source keeps another one waiting for more than its budget", async () => {
  const world = makeWorld();
  for (let i = 0; i < 200; i++) world.esp.fromPeers.push(fromPeer(7));
  world.tun.fromApplications.push(Uint8Array.of(1));
  await runUntilAsleep(world);
  assert.equal(world.engine.calls.indexOf("tun 1"), 1 + 64);
  assert.equal(world.tun.written.length, 200);
});

Deno.test("Packets of applications leave in their order and as they were, batch after batch", async () => {
  const world = makeWorld();
  const packets = Array.from({ length: 200 }, (_, i) => Uint8Array.of(i, i >> 1, 7));
  world.tun.fromApplications.push(...packets);
  await runUntilAsleep(world);
  assert.deepEqual(world.esp.sent.map(({ bytes }) => bytes), packets);
});

Deno.test("Segments that arrive in one batch are handed over together, and none waits for more", async () => {
  const world = makeWorld();
  const segments = Array.from(
    { length: 70 },
    (_, i) => tcpPacket({ sequence: i * 100, payload: new Uint8Array(100).fill(i) }),
  );
  for (const segment of segments) world.esp.fromPeers.push(fromPeer(...segment));
  await runUntilAsleep(world);
  assert.deepEqual(world.tun.runs, [64, 6]);
  assert.deepEqual(world.tun.written, segments);
});

Deno.test("Under load the loop rests every few milliseconds, so that others may run", async () => {
  const world = makeWorld();
  world.engine.onDatagram = () => {
    world.clock.advance(0.1);
    return "consumed";
  };
  for (let i = 0; i < 640; i++) world.esp.fromPeers.push(fromPeer(7));
  await runUntilAsleep(world);
  // 64 packets of 0.1 ms a turn: every turn is longer than a rest is put off.
  assert.equal(world.readiness.waits.filter((timeoutMs) => timeoutMs === 0).length, 10);
});

Deno.test("An idle loop sleeps without limit and does not wake up by itself", async () => {
  const world = makeWorld();
  const running = world.loop.run();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(world.readiness.waits, [undefined]);
  assert.equal(world.loop.wakeUps, 0);
  world.loop.stop();
  await running;
});

Deno.test("The loop sleeps until the engine's next timeout and then tells it", async () => {
  const world = makeWorld();
  world.engine.timeout = instant(250);
  const advance = world.clock;
  world.readiness.onWait = (timeoutMs) => {
    if (timeoutMs === undefined) return world.loop.stop();
    advance.advance(timeoutMs);
    world.readiness.wake();
  };
  await world.loop.run();
  assert.deepEqual(world.readiness.waits, [250, undefined]);
  assert.deepEqual(world.engine.calls, ["locators 0", "timeout 250"]);
});

Deno.test("A result that arrives while the loop sleeps is handled at once", async () => {
  const world = makeWorld();
  const running = world.loop.run();
  await Promise.resolve();
  world.jobs.submit({ id: 3, job: { kind: "verify-r1", r1: OURS, expectedIdentity: undefined } });
  world.engine.transmit.push(outgoing(139, THEIRS, 1));
  world.jobs.finishAll();
  assert.deepEqual(world.engine.calls, ["locators 0", "job 3 verify-r1"]);
  assert.equal(world.hip.sent.length, 1);
  world.loop.stop();
  await running;
});

Deno.test("A timeout set from outside that comes before the end of the sleep shortens it", async () => {
  const world = makeWorld();
  world.engine.timeout = instant(1000);
  const running = world.loop.run();
  await Promise.resolve();
  world.engine.timeout = instant(2000);
  world.loop.flush();
  assert.ok(world.readiness.isAsleep);
  world.engine.timeout = instant(100);
  world.loop.flush();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(world.readiness.waits, [1000, 100]);
  world.loop.stop();
  await running;
});

Deno.test("New locators reach every socket and the engine, and others are told", async () => {
  const world = makeWorld();
  const locator = { address: OURS, interfaceIndex: 2, prefixLength: 64, isDefault: true };
  let isChanged = false;
  world.monitor.drain = () => {
    if (isChanged) return false;
    isChanged = true;
    world.monitor.locators.push(locator);
    return true;
  };
  await runUntilAsleep(world);
  assert.deepEqual(world.engine.calls, ["locators 0", "locators 1"]);
  assert.deepEqual(world.told, [0, 1]);
  assert.deepEqual(world.hip.locators, [locator]);
  assert.deepEqual(world.esp.locators, [locator]);
});

Deno.test("When the TUN device is gone the loop ends with an error", async () => {
  const world = makeWorld();
  world.tun.close();
  await assert.rejects(world.loop.run(), /hip0 is gone/);
});
