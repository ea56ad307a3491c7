import assert from "node:assert/strict";
import fc from "fast-check";
import { parseIpv4Header } from "../../lib/wire/ipv4.ts";
import { UDP_HEADER_LENGTH, udpLength, udpSourcePort } from "../../lib/wire/udp.ts";
import {
  classifyUdp,
  HIP_UDP_PORT,
  type UdpContent,
  udpPayload,
  ZERO_MARKER_LENGTH,
} from "../../lib/wire/udp_encapsulation.ts";
import { fromHex } from "../../lib/base/bytes.ts";
import { readPcap } from "../support/pcap.ts";

/** What the UDP datagrams of a peer of another make carry, in order. */
function capturedPayloads(): Uint8Array[] {
  const url = new URL("../vectors/hipv2-ecdsa-p384-dh8-esp9-udp.pcap", import.meta.url);
  return [...readPcap(Deno.readFileSync(url))].map(({ ipPacket }) => {
    const { headerLength, totalLength } = parseIpv4Header(ipPacket);
    const datagram = ipPacket.slice(headerLength, totalLength);
    assert.ok(udpSourcePort(datagram) === HIP_UDP_PORT);
    return datagram.slice(UDP_HEADER_LENGTH, udpLength(datagram));
  });
}

function classify(bytes: Uint8Array): UdpContent {
  return classifyUdp(bytes, 0, bytes.length);
}

Deno.test("NAT-001 NAT-005 NAT-006 what another implementation sends over UDP is told apart", () => {
  const kinds = capturedPayloads().map(classify);
  assert.equal(kinds.filter((kind) => kind === "hip").length, 6);
  assert.ok(kinds.filter((kind) => kind === "esp").length > 1);
  assert.deepEqual(new Set(kinds), new Set(["hip", "esp"]));
});

Deno.test("NAT-001 NAT-002 a HIP packet goes into UDP as another implementation puts it there", () => {
  const captured = capturedPayloads().filter((payload) => classify(payload) === "hip");
  for (const payload of captured) {
    const packet = payload.slice(ZERO_MARKER_LENGTH);
    const sent = packet.slice();
    // Whatever stood there.
    sent.fill(0xee, 4, 6);
    assert.deepEqual(udpPayload(sent), payload);
    assert.deepEqual([...sent.subarray(4, 6)], [0xee, 0xee], "it is left as it was");
  }
});

const FORMS: readonly [hex: string, UdpContent][] = [
  ["ff", "keepalive"],
  ["", "short"],
  ["00", "short"],
  ["fe", "short"],
  ["ffff", "short"],
  ["000000", "short"],
  ["00000000", "hip"],
  ["0000000000", "hip"],
  ["00000001", "reserved"],
  ["000000ff", "reserved"],
  ["00000100", "esp"],
  ["ffffffff", "esp"],
  ["80000000", "esp"],
  ["00010000", "esp"],
  ["01000000ff", "esp"],
];

Deno.test("NAT-006 NAT-027 datagrams are told apart by their length and first four octets", () => {
  for (const [hex, content] of FORMS) assert.equal(classify(fromHex(hex)), content, hex);
});

Deno.test("only the octets of the datagram itself count", () => {
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 12 }),
    fc.uint8Array({ maxLength: 6 }),
    fc.uint8Array({ maxLength: 6 }),
    (payload, before, behind) => {
      const slab = Uint8Array.from([...before, ...payload, ...behind]);
      const [start, end] = [before.length, before.length + payload.length];
      assert.equal(classifyUdp(slab, start, end), classify(payload));
    },
  ));
});
