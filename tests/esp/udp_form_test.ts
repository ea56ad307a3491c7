import assert from "node:assert/strict";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { ESP_SUITES } from "../../lib/crypto/esp_suite.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { innerPacket, LOCAL_ADDRESS, PEER_ADDRESS, saPair } from "../support/sa_pair.ts";

Deno.test("NAT-011 what ESP carries in UDP is octet for octet what it is by itself, whatever the suite", () => {
  for (const [suiteId, { name }] of ESP_SUITES) {
    const [alone, inUdp] = [saPair(suiteId), saPair(suiteId)];
    inUdp.outbound.setAddresses(LOCAL_ADDRESS, PEER_ADDRESS, 10500);
    for (const length of [0, 1, 700]) {
      const [one, other] = [new PacketBuffer(2000), new PacketBuffer(2000)];
      const inner = innerPacket(new Uint8Array(length).fill(length));
      for (const [{ outbound }, buffer] of [[alone, one], [inUdp, other]] as const) {
        buffer.load(inner);
        assert.equal(encapsulate(outbound, buffer), undefined);
      }
      assert.deepEqual(other.contents(), one.contents(), name);
      assert.deepEqual([one.path.protocol, one.path.peerPort], [50, 0]);
      assert.deepEqual([other.path.protocol, other.path.peerPort], [17, 10500]);
      // Either end opens what was meant for the other.
      assert.equal(decapsulate(alone.inbound, other), undefined);
      assert.deepEqual(other.contents().slice(40), inner.slice(40));
    }
  }
});
