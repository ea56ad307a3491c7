import assert from "node:assert/strict";
import { ESP_SUITES, espSuite } from "../../lib/crypto/esp_suite.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { innerMtu, offeredMtu, type OuterForm } from "../../lib/esp/inner_mtu.ts";
import { DEFAULT_CONFIG } from "../../lib/runtime/config.ts";
import { bufferOf, innerPacket, saPair } from "../support/sa_pair.ts";

const COLUMNS: [number, OuterForm][] = [
  [1500, { family: 4, isUdp: true }],
  [1500, { family: 6, isUdp: true }],
  [1400, { family: 4, isUdp: true }],
  [1280, { family: 6, isUdp: true }],
  [1500, { family: 4 }],
  [1500, { family: 6 }],
];

/** Octets before ESP on the wire: IP, and UDP. */
const OUTER_HEADERS: [number, OuterForm][] = [
  [20, { family: 4 }],
  [28, { family: 4, isUdp: true }],
  [40, { family: 6 }],
  [48, { family: 6, isUdp: true }],
];

/** The check values of the conformance list; suite 1 differs from 8 in the shorter ICV alone. */
const CHECK_VALUES: Record<number, number[]> = {
  1: [1462, 1446, 1366, 1222, 1478, 1462],
  7: [1486, 1466, 1386, 1246, 1494, 1474],
  8: [1462, 1446, 1366, 1222, 1478, 1446],
  9: [1462, 1446, 1366, 1222, 1478, 1446],
  10: [1486, 1466, 1386, 1246, 1494, 1474],
  11: [1478, 1458, 1378, 1238, 1486, 1466],
  12: [1486, 1466, 1386, 1246, 1494, 1474],
  13: [1478, 1458, 1378, 1238, 1486, 1466],
  14: [1490, 1470, 1390, 1250, 1498, 1478],
  15: [1478, 1458, 1378, 1238, 1486, 1466],
};

Deno.test("ESP-211 the inner MTU of every suite has the check values", () => {
  for (const [id, values] of Object.entries(CHECK_VALUES)) {
    const got = COLUMNS.map(([pathMtu, outer]) => innerMtu(espSuite(Number(id)), pathMtu, outer));
    assert.deepEqual(got, values, `suite ${id}`);
  }
});

Deno.test("ESP-211 a packet of the inner MTU fits the path, one octet more does not", () => {
  for (const suite of ESP_SUITES.values()) {
    const { outbound } = saPair(suite.id);
    for (const [headers, outer] of OUTER_HEADERS) {
      for (let pathMtu = 1380; pathMtu < 1420; pathMtu++) {
        const mtu = innerMtu(suite, pathMtu, outer);
        for (const [extra, fits] of [[0, true], [1, false]] as const) {
          const buffer = bufferOf(innerPacket(new Uint8Array(mtu - 40 + extra)));
          assert.equal(encapsulate(outbound, buffer), undefined);
          const length = headers + buffer.length;
          assert.equal(length <= pathMtu, fits, `${suite.name}, ${headers}, path MTU ${pathMtu}`);
        }
      }
    }
  }
});

Deno.test("ESP-219 IPv6 is never offered less than 1280", () => {
  assert.equal(offeredMtu(espSuite(8), 1280, { family: 6, isUdp: true }), 1280);
  assert.equal(offeredMtu(espSuite(8), 1500, { family: 6 }), 1446);
});

Deno.test("ESP-220 the device's MTU is 1400 at most unless set, and fits 1500 with every suite, UDP included", () => {
  assert.ok(DEFAULT_CONFIG.mtu <= 1400);
  for (const suite of ESP_SUITES.values()) {
    for (const family of [4, 6] as const) {
      assert.ok(innerMtu(suite, 1500, { family, isUdp: true }) >= DEFAULT_CONFIG.mtu, suite.name);
    }
  }
});
