/** What of a packet's form is fixed, and what stands in a header of which nothing is known. */

import assert from "node:assert/strict";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { ESP_SUITES, espSuite } from "../../lib/crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { decapsulate } from "../../lib/esp/decapsulate.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { bufferOf, innerPacket, LOCAL_ADDRESS, PEER_HIT, saPair } from "../support/sa_pair.ts";

const SUITES = [...ESP_SUITES.keys()].filter((suite) => PORTABLE_PROVIDER.supports(suite));

function sizeOf(suiteId: number, payload: number): number {
  const { ivLength, padModulus, icvLength } = espSuite(suiteId);
  return 8 + ivLength + Math.ceil((payload + 2) / padModulus) * padModulus + icvLength;
}

Deno.test("ESP-023 an SA keeps the layout of its suite through turns of the counter and new addresses", () => {
  for (const suite of SUITES) {
    const { outbound, inbound } = saPair(suite);
    const check = () => {
      for (const length of [0, 1, 40, 333]) {
        const buffer = bufferOf(innerPacket(new Uint8Array(length)));
        assert.equal(encapsulate(outbound, buffer), undefined);
        assert.equal(buffer.length, sizeOf(suite, length), `suite ${suite}, ${length}`);
        assert.equal(decapsulate(inbound, buffer), undefined);
      }
    };
    check();
    outbound.setAddresses(LOCAL_ADDRESS.slice(), LOCAL_ADDRESS.slice());
    check();
    outbound.words[3] = 0xfffffffe;
    inbound.window.check(0xfffffffe);
    inbound.window.commit(0, 0xfffffffe);
    check();
  }
});

Deno.test("ESP-023 a packet in the layout of another suite with the same keys is refused, first or later", () => {
  for (const [suite, other] of [[12, 13], [13, 12]] as const) {
    const { inbound, outbound } = saPair(suite);
    const wrong = saPair(other).outbound;
    for (let i = 0; i < 4; i++) {
      const buffer = bufferOf(innerPacket(new Uint8Array(40)));
      assert.equal(encapsulate(wrong, buffer), undefined);
      assert.equal(decapsulate(inbound, buffer), "esp-icv-failed");
      const good = bufferOf(innerPacket(new Uint8Array(40)));
      assert.equal(encapsulate(outbound, good), undefined);
      assert.equal(decapsulate(inbound, good), undefined);
    }
  }
});

Deno.test("ESP-184 where nothing is known of the outer header the inner one has hop limit 64, class 0, flow label 0", () => {
  const { outbound, inbound } = saPair(13);
  const sent = bufferOf(innerPacket(new Uint8Array(8), { trafficClass: 0xb9, hopLimit: 3 }));
  assert.equal(encapsulate(outbound, sent), undefined);
  // As it is made: nobody has filled in a path.
  const buffer = new PacketBuffer(2048);
  buffer.load(sent.contents());
  assert.equal(decapsulate(inbound, buffer), undefined);
  const { bytes, start } = buffer;
  assert.deepEqual([...bytes.subarray(start, start + 4)], [0x60, 0, 0, 0]);
  assert.equal(bytes[start + 7], 64);
  assert.deepEqual(bytes.subarray(start + 24, start + 40), PEER_HIT);
});
