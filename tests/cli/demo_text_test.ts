import { wrap } from "../../lib/cli/format.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type DemoResult,
  drawing,
  introduction,
  nextSteps,
  resultTable,
  reuseLines,
  routerLines,
} from "../../lib/cli/demo_text.ts";
import { COLUMNS } from "../../lib/cli/output.ts";
import { CLIENT_ADDRESSES, SERVER_ADDRESSES } from "../../lib/lab/lab.ts";

const RESULT: DemoResult = {
  name: "www.hip.test",
  serverHit: "2001:22:a171:f557:8d52:955a:8fc8:f4d0",
  clientHit: "2001:22:be9e:e2f1:2b9:b22c:10fd:d2c0",
  identityKind: "ECDSA P-256",
  dnsServer: "knotd",
  connectedTo: "2001:22:a171:f557:8d52:955a:8fc8:f4d0",
  localAddress: "fd00:1::10",
  peerAddress: "fd00:2::80",
  transport: "UDP 10500",
  inboundSpi: "0x92863bda",
  outboundSpi: "0x64743592",
  espSuite: "AES-GCM with a 16-octet ICV",
  dhGroup: "P-256",
  baseExchangeMs: 4.1,
  puzzleMs: 0.6,
  pageOctets: 100,
  fetchMs: 12.3,
  secondFetchMs: 3.2,
  secondFetchExchanges: 0,
  isReused: true,
  routerPackets: { hip: 4, esp: 20, inUdp: 24, other: 0 },
};

const plain = (_: unknown, text: string) => text;

Deno.test("Everything around the ladder fits 80 columns", () => {
  const lines = [
    ...drawing(CLIENT_ADDRESSES, SERVER_ADDRESSES, "both"),
    ...introduction(),
    ...reuseLines(RESULT),
    ...routerLines(RESULT),
    ...resultTable(RESULT, plain),
    ...nextSteps(),
  ];
  for (const line of lines) assert.ok(line.length <= COLUMNS, line);
});

Deno.test("drawing() names the three hosts and only the addresses they have", () => {
  const both = drawing(CLIENT_ADDRESSES, SERVER_ADDRESSES, "both").join("\n");
  for (const word of ["client", "router", "server", "fd00:1::10", "fd00:2::80", "10.99.2.80"]) {
    assert.ok(both.includes(word), word);
  }
  assert.doesNotMatch(drawing(CLIENT_ADDRESSES, SERVER_ADDRESSES, "ipv4").join("\n"), /fd00/);
  const walls = drawing(CLIENT_ADDRESSES, SERVER_ADDRESSES, "both").slice(0, 5);
  assert.equal(new Set(walls.map((line) => line.length)).size, 1, "the boxes line up");
});

Deno.test("The table tells name, HIT, SPIs, suite, time of the base exchange and the page", () => {
  assert.deepEqual(resultTable(RESULT, plain), [
    "  name           www.hip.test",
    "  HIT            2001:22:a171:f557:8d52:955a:8fc8:f4d0 (ECDSA P-256)",
    "  SPIs           in 0x92863bda, out 0x64743592",
    "  suite          AES-GCM with a 16-octet ICV, key exchange P-256",
    "  path           fd00:1::10 -> fd00:2::80, UDP 10500",
    "  base exchange  4.1 ms, of which puzzle 0.6 ms",
    "  page fetched   100 octets in 12 ms, the second time in 3.2 ms",
  ]);
});

Deno.test("The proof is claimed only where the router counted and nothing else crossed it", () => {
  assert.match(
    routerLines(RESULT).join(" "),
    /4 HIP packets, 20 ESP packets \(all in UDP\) and 0 others/,
  );
  assert.match(routerLines(RESULT).join(" "), /only HIP and ESP crossed the router/);
  const mixed = { ...RESULT, routerPackets: { hip: 4, esp: 20, inUdp: 24, other: 1 } };
  assert.doesNotMatch(routerLines(mixed).join(" "), /only HIP and ESP/);
  const raw = { ...RESULT, routerPackets: { hip: 4, esp: 20, inUdp: 0, other: 0 } };
  assert.match(routerLines(raw).join(" "), /20 ESP packets and 0 others/);
  assert.deepEqual(routerLines({ ...RESULT, routerPackets: null }), []);
});

Deno.test("Reuse is claimed only where no HIP packet and no other SPI was needed", () => {
  assert.match(reuseLines(RESULT).join(" "), /No new exchange was needed/);
  for (const change of [{ secondFetchExchanges: 4 }, { isReused: false }]) {
    assert.doesNotMatch(
      reuseLines({ ...RESULT, ...change }).join(" "),
      /No new exchange was needed/,
    );
  }
});

Deno.test("wrap() keeps all words in order and no line longer than it must be", () => {
  const word = fc.stringMatching(/^[a-z]{1,12}$/);
  fc.assert(fc.property(fc.array(word, { minLength: 1 }), fc.nat(40), (words, width) => {
    const lines = wrap(words.join(" "), width);
    assert.deepEqual(lines.join(" "), words.join(" "));
    for (const line of lines) assert.ok(line.length <= width || !line.includes(" "));
  }));
});
