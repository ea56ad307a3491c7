import assert from "node:assert/strict";
import fc from "fast-check";
import { ReplayWindow, replayWindowWords } from "../../lib/esp/replay_window.ts";
import { SlowReplayWindow } from "../support/slow_replay_window.ts";

function windowOf(size: number, high = 0, low = 0): ReplayWindow {
  const words = new Uint32Array(3 + replayWindowWords(size) + 2).fill(0xdeadbeef);
  words.fill(0, 3, 3 + replayWindowWords(size));
  const window = new ReplayWindow(words, 3, size);
  if (high !== 0 || low !== 0) window.commit(high, low);
  return window;
}

/** Checks one number against the window and, as if its ICV were right, commits it. */
function accept(window: ReplayWindow, low: number): string {
  const reason = window.check(low);
  if (reason !== undefined) return reason;
  window.commit(window.inferredHigh, low);
  return `${window.inferredHigh}`;
}

Deno.test("ESP-137 ESP-140 ESP-144 ESP-145 ESP-146 ESP-148 the window agrees with its slow twin at every edge", () => {
  const near = (center: number) =>
    fc.integer({ min: -70, max: 70 }).map((delta) => (center + delta) >>> 0);
  fc.assert(
    fc.property(
      fc.constantFrom(32, 64, 96, 1024),
      fc.constantFrom(0, 1, 2, 0xfffffffe, 0xffffffff),
      fc.array(
        fc.oneof(
          near(0),
          near(0xffffffff),
          near(64),
          near(1024),
          near(2048),
          near(0x80000000),
          fc.integer({ min: 0, max: 0xffffffff }),
          fc.constant(-1),
          fc.integer({ min: -2200, max: 2200 }).map((step) => ({ step })),
        ),
        { size: "max", maxLength: 150 },
      ),
      fc.infiniteStream(fc.integer({ min: 0, max: 4 })),
      (size, startHigh, numbers, verdicts) => {
        const window = windowOf(size);
        const twin = new SlowReplayWindow(size);
        if (startHigh !== 0) {
          window.commit(startHigh, 5);
          twin.commit((BigInt(startHigh) << 32n) | 5n);
        }
        for (const step of numbers) {
          const low = typeof step === "object"
            ? (window.highestLow + step.step) >>> 0
            : step === -1
            ? window.highestLow
            : step;
          const expected = twin.check(low);
          const reason = window.check(low);
          if (typeof expected === "string") {
            assert.equal(reason, expected);
            continue;
          }
          assert.equal(reason, undefined);
          assert.equal((BigInt(window.inferredHigh) << 32n) | BigInt(low), expected);
          // One packet in five has a wrong ICV and leaves no trace.
          if (verdicts.next().value === 0) continue;
          window.commit(window.inferredHigh, low);
          twin.commit(expected);
          assert.equal(
            (BigInt(window.highestHigh) << 32n) | BigInt(window.highestLow),
            twin.highest,
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("ESP-130 ESP-146 a fresh window takes 1 first and never takes 0", () => {
  const window = windowOf(64);
  assert.equal(window.check(0), "esp-replayed");
  assert.equal(accept(window, 1), "0");
  assert.equal(window.check(0), "esp-replayed");
  assert.equal(window.check(1), "esp-replayed");
});

Deno.test("ESP-145 while Th is 0 a low word of subspace Th - 1 is dropped", () => {
  assert.equal(windowOf(64).check(0xffffffff), "esp-left-of-window");
  assert.equal(windowOf(64, 0, 62).check(0xffffffff), "esp-left-of-window");
  assert.equal(windowOf(64, 0, 62).check(0xfffffffe), undefined); // below Bl: ahead, high word 0
});

Deno.test("ESP-144 case B reaches back across the turn of the low word", () => {
  const window = windowOf(64, 7, 3);
  assert.equal(window.check(0xffffffff), undefined);
  assert.equal(window.inferredHigh, 6);
  window.commit(6, 0xffffffff);
  assert.equal(window.check(0xffffffff), "esp-replayed");
  assert.equal(window.highestHigh, 7);
  assert.equal(window.highestLow, 3);
});

Deno.test("ESP-144 case A guesses the next high word below the window", () => {
  const window = windowOf(64, 7, 1000);
  assert.equal(window.check(1000 - 64), undefined);
  assert.equal(window.inferredHigh, 8);
  assert.equal(window.check(1000 - 63), undefined);
  assert.equal(window.inferredHigh, 7);
});

Deno.test("beyond the last number of all there is none to guess", () => {
  assert.equal(windowOf(64, 0xffffffff, 1000).check(5), "esp-left-of-window");
});

Deno.test("ESP-139 ESP-149 check alone changes nothing", () => {
  const words = new Uint32Array(replayWindowWords(64));
  const window = new ReplayWindow(words, 0, 64);
  window.commit(3, 500);
  const before = words.slice();
  for (const low of [0, 1, 436, 437, 499, 500, 501, 564, 0xffffffff]) window.check(low);
  assert.deepEqual(words, before);
});

Deno.test("ESP-148 a jump of a window or more clears it wholly", () => {
  const window = windowOf(64);
  for (let low = 1; low <= 64; low++) assert.equal(accept(window, low), "0");
  assert.equal(accept(window, 64 + 4096), "0");
  for (let low = 64 + 4096 - 63; low < 64 + 4096; low++) assert.equal(accept(window, low), "0");
});

Deno.test("ESP-141 ESP-142 ESP-143 the width is configurable, at least 32, and 1024 when unsaid", async () => {
  const { DEFAULT_REPLAY_WINDOW } = await import("../../lib/esp/replay_window.ts");
  assert.equal(DEFAULT_REPLAY_WINDOW, 1024);
  for (const size of [0, 31, 33, 16, 2 ** 31, 64.5, NaN]) {
    assert.throws(() => replayWindowWords(size), RangeError);
  }
  assert.equal(windowOf(4096).size, 4096);
});

Deno.test("the window writes only its own words", () => {
  const words = new Uint32Array(3 + replayWindowWords(32) + 3).fill(0xdeadbeef);
  words.fill(0, 3, 3 + replayWindowWords(32));
  const window = new ReplayWindow(words, 3, 32);
  for (let i = 1; i < 2000; i += 7) accept(window, i);
  for (const i of [0, 1, 2]) {
    assert.equal(words[i], 0xdeadbeef);
    assert.equal(words[words.length - 1 - i], 0xdeadbeef);
  }
});
