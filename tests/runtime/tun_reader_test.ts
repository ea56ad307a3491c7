import assert from "node:assert/strict";
import { DropCounters } from "../../lib/base/drop_reason.ts";
import { makeSlabs } from "../../lib/runtime/slabs.ts";
import { TunReader } from "../../lib/runtime/tun_reader.ts";
import { FakeTunDevice } from "../support/fake_ports.ts";
import { slowSegments } from "../support/slow_segments.ts";
import { superSegmentHeader, tcpPacket, withPartialChecksum } from "../support/tcp_packets.ts";

function makeWorld(slabCount: number) {
  const tun = new FakeTunDevice();
  const drops = new DropCounters();
  const [source, ...slabs] = makeSlabs(1 + slabCount, 2000);
  const reader = new TunReader(tun, source!, drops);
  const fill = () => slabs.slice(0, reader.fill(slabs)).map((slab) => slab.contents().slice());
  return { tun, drops, fill };
}

Deno.test("A super-segment that does not fit into the slabs goes on with the next ones", () => {
  const { tun, fill } = makeWorld(4);
  const whole = tcpPacket({ payload: new Uint8Array(1000).map((_, i) => i) });
  const partial = withPartialChecksum(whole);
  tun.fromApplications.push(Uint8Array.of(1), partial, Uint8Array.of(2));
  tun.headers.set(partial, superSegmentHeader(whole, 200));
  const segments = slowSegments(whole, 200);
  assert.deepEqual(fill(), [Uint8Array.of(1), ...segments.slice(0, 3)]);
  assert.deepEqual(fill(), [...segments.slice(3), Uint8Array.of(2)]);
  assert.deepEqual(fill(), []);
});

Deno.test("What cannot be cut is counted, and what follows is read", () => {
  const { tun, drops, fill } = makeWorld(4);
  const whole = tcpPacket({ payload: new Uint8Array(100) });
  const partial = withPartialChecksum(whole);
  tun.fromApplications.push(partial, Uint8Array.of(2));
  tun.headers.set(partial, superSegmentHeader(whole, 0));
  assert.deepEqual(fill(), [Uint8Array.of(2)]);
  assert.deepEqual(drops.toJSON(), { "tun-offload-malformed": 1 });
});
