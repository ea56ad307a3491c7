import assert from "node:assert/strict";
import { Ladder, ladderHead, ladderLines, type LadderStep } from "../../lib/cli/demo_ladder.ts";
import { COLUMNS } from "../../lib/cli/output.ts";
import type { EventReport } from "../../lib/runtime/api_protocol.ts";

const HIT = "2001:22:a171:f557:8d52:955a:8fc8:f4d0";

const plain = (_: unknown, text: string) => text;

function packet(name: string, direction: "in" | "out", wallMs: number): EventReport {
  return { kind: "packet", wallMs, direction, packet: name, peerHit: HIT, lengthOctets: 56 };
}

const state = (to: string, wallMs: number): EventReport => ({ kind: "state", wallMs, to });

/** What a client tells in one base exchange. */
const EXCHANGE: readonly EventReport[] = [
  { kind: "learned", wallMs: 995, name: "www.hip.test", peerHit: HIT, locators: [] },
  { kind: "learned", wallMs: 996, name: "www.hip.test", peerHit: HIT, locators: [] },
  { kind: "staged", wallMs: 1000, peerHit: HIT, packets: 1 },
  state("I1-SENT", 1000),
  packet("I1", "out", 1000),
  packet("R1", "in", 1001.5),
  { kind: "puzzle-solved", wallMs: 1002, peerHit: HIT, difficultyK: 10, tries: 612 },
  packet("I2", "out", 1003),
  state("I2-SENT", 1003),
  packet("R2", "in", 1005),
  state("ESTABLISHED", 1005.2),
];

function play(events: readonly EventReport[]): { ladder: Ladder; steps: LadderStep[] } {
  const ladder = new Ladder();
  return { ladder, steps: events.flatMap((event) => ladder.add(event)) };
}

Deno.test("A base exchange becomes one step for each thing that happened, in order", () => {
  const { ladder, steps } = play(EXCHANGE);
  assert.deepEqual(steps.map(({ atMs, picture }) => [Number(atMs.toFixed(1)), picture.trim()]), [
    [-5, "DNS: name -> HIT"],
    [0, "first packet waits"],
    [0, "------- I1 -------->"],
    [1.5, "<-------- R1 -------"],
    [2, "puzzle solved"],
    [3, "------- I2 -------->"],
    [5, "<-------- R2 -------"],
    [5.2, "====== ESP ========>"],
  ]);
  assert.match(steps[0]!.meaning, /2001:22:a171:\.\.\.:f4d0/);
  assert.match(steps[4]!.meaning, /612 hashes/);
  assert.equal(ladder.exchanges, 1);
  assert.ok(ladder.isEstablished);
});

Deno.test("Steps are kept back until the first I1 gives the zero, and told at once from then", () => {
  const ladder = new Ladder();
  assert.deepEqual(ladder.add(EXCHANGE[0]!), []);
  assert.deepEqual(ladder.add(EXCHANGE[2]!), []);
  assert.equal(ladder.add(packet("I1", "out", 1000)).length, 3);
  assert.equal(ladder.add(packet("R1", "in", 1001)).length, 1);
});

Deno.test("A retransmission is called one", () => {
  const { steps } = play([packet("I1", "out", 0), packet("I1", "out", 500)]);
  assert.deepEqual(steps.map(({ meaning }) => /once more/.test(meaning)), [false, true]);
  assert.equal(steps[1]!.atMs, 500);
});

Deno.test("A packet that no newcomer expects is still shown by its name", () => {
  const { steps } = play([packet("I1", "out", 0), packet("NOTIFY", "in", 1)]);
  assert.match(steps[1]!.picture, /^ <-+ NOTIFY -+ $/);
});

Deno.test("Every line of the ladder has its rails in place and fits 80 columns", () => {
  const { ladder, steps } = play(EXCHANGE);
  const lines = [...steps, ladder.page(123_456_789, 1234)]
    .flatMap((step) => ladderLines(step, plain));
  for (const line of lines) {
    assert.ok(line.length <= COLUMNS, line);
    assert.equal(line[11], "|", line);
    assert.equal(line[34], "|", line);
  }
  assert.equal(lines.at(0)?.slice(0, 9), "  -5.0 ms");
  for (const line of ladderHead(plain)) assert.ok(line.length <= COLUMNS, line);
  const head = ladderHead(plain).at(-1);
  assert.equal(head?.indexOf("client"), 11);
  assert.equal(head?.indexOf("server"), 35 - "server".length);
});
