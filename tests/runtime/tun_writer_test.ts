import assert from "node:assert/strict";
import { DropCounters } from "../../lib/base/drop_reason.ts";
import { makeSlabs } from "../../lib/runtime/slabs.ts";
import { TunWriter } from "../../lib/runtime/tun_writer.ts";
import { FakeTunDevice } from "../support/fake_ports.ts";
import { tcpPacket, USUAL_TCP } from "../support/tcp_packets.ts";
import { udpPacket } from "../support/udp_packets.ts";

/** Three segments in order, something else, two segments that go on, then three datagrams. */
const PACKETS = [
  ...[0, 100, 200, -1, 300, 400].map((offset) =>
    offset < 0 ? Uint8Array.of(0x60, 1, 2) : tcpPacket({
      sequence: USUAL_TCP.sequence + offset,
      payload: new Uint8Array(100).fill(offset),
    })
  ),
  ...[1, 2, 3].map((octet) => udpPacket({ payload: new Uint8Array(60).fill(octet) })),
];

function makeWorld() {
  const tun = new FakeTunDevice();
  const drops = new DropCounters();
  const writer = new TunWriter(tun, drops);
  const slabs = makeSlabs(PACKETS.length, 2000);
  const write = () => {
    PACKETS.forEach((packet, i) => {
      slabs[i]!.load(packet);
      writer.add(slabs[i]!);
    });
    writer.flush();
  };
  return { tun, drops, write };
}

Deno.test("Packets reach the device in their order, those of a flow that follow each other together", () => {
  const { tun, drops, write } = makeWorld();
  write();
  assert.deepEqual(tun.written, PACKETS);
  assert.deepEqual(tun.runs, [3, 2, 3]);
  // A batch that is done leaves nothing behind for the next one.
  write();
  assert.deepEqual(tun.written, [...PACKETS, ...PACKETS]);
  assert.deepEqual(drops.toJSON(), {});
});

Deno.test("A device without a header gets every packet by itself", () => {
  const { tun, write } = makeWorld();
  tun.offload = { hasHeader: false, checksums: false, segments: false, datagrams: false };
  write();
  assert.deepEqual(tun.written, PACKETS);
  assert.deepEqual(tun.runs, []);
});

Deno.test("A device that takes no UDP super-segments gets datagrams by themselves", () => {
  const { tun, write } = makeWorld();
  tun.offload = { hasHeader: true, checksums: true, segments: true, datagrams: false };
  write();
  assert.deepEqual(tun.written, PACKETS);
  assert.deepEqual(tun.runs, [3, 2]);
});

Deno.test("Every packet that the device refuses is counted, those of a run one by one", () => {
  const { tun, drops, write } = makeWorld();
  tun.takesPackets = false;
  write();
  assert.deepEqual(drops.toJSON(), { "send-failed": PACKETS.length });
});
