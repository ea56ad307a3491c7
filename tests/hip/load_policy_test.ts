/** #K follows the load, slowly: up in steps, down after quiet, never faster than once a window. */

import assert from "node:assert/strict";
import { after, type Instant, instant } from "../../lib/base/time.ts";
import { LOAD_WINDOW, LoadPolicy, QUIET_WINDOWS } from "../../lib/hip/load_policy.ts";

const OPTIONS = { baseK: 0, maximumK: 16, maxPendingI2: 64 };

/** One window with so many I1s; returns when it is over. */
function passWindow(policy: LoadPolicy, now: Instant, i1s: number, pending = 0): Instant {
  for (let i = 0; i < i1s; i++) policy.noteI1(now);
  if (pending > 0) policy.noteI2(now, pending);
  const end = after(now, LOAD_WINDOW);
  policy.handleTimeout(end, 0);
  return end;
}

Deno.test("PUZ-023 without high load #K stays what is configured, and nothing asks for a timer", () => {
  const policy = new LoadPolicy(OPTIONS);
  assert.equal(policy.nextTimeout(), undefined);
  let now = instant(0);
  for (let i = 0; i < 5; i++) now = passWindow(policy, now, 900);
  assert.equal(policy.difficultyK, 0);
  assert.equal(policy.nextTimeout(), undefined);
});

Deno.test("PUZ-022 many I1s raise #K step by step to the maximum, and no further", () => {
  const policy = new LoadPolicy(OPTIONS);
  let now = instant(0);
  const seen: number[] = [];
  for (let i = 0; i < 5; i++) {
    now = passWindow(policy, now, 5000);
    seen.push(policy.difficultyK);
  }
  assert.deepEqual(seen, [8, 12, 16, 16, 16]);
});

Deno.test("PUZ-022 a queue of I2s raises #K as well", () => {
  const policy = new LoadPolicy(OPTIONS);
  passWindow(policy, instant(0), 0, 15);
  assert.equal(policy.difficultyK, 0);
  const busy = new LoadPolicy(OPTIONS);
  passWindow(busy, instant(0), 0, 16);
  assert.equal(busy.difficultyK, 8);
});

Deno.test("PUZ-023 #K falls after a row of quiet windows, in silence too, and the timer ends", () => {
  const policy = new LoadPolicy(OPTIONS);
  let now = passWindow(policy, instant(0), 5000);
  now = passWindow(policy, now, 5000);
  assert.equal(policy.difficultyK, 12);
  let windows = 0;
  for (let due = policy.nextTimeout(); due !== undefined; due = policy.nextTimeout()) {
    policy.handleTimeout(due, 0);
    windows++;
  }
  assert.equal(policy.difficultyK, 0);
  assert.equal(windows, 2 * QUIET_WINDOWS);
});

Deno.test("a load between busy and quiet leaves #K as it is", () => {
  const policy = new LoadPolicy(OPTIONS);
  let now = passWindow(policy, instant(0), 5000);
  for (let i = 0; i < 3 * QUIET_WINDOWS; i++) now = passWindow(policy, now, 2000);
  assert.equal(policy.difficultyK, 8);
});

Deno.test("a load that swings changes #K once per window at most, so that R1s to sign are few", () => {
  const policy = new LoadPolicy(OPTIONS);
  let now = instant(0);
  let changes = 0;
  let last = policy.difficultyK;
  for (let i = 0; i < 100; i++) {
    now = passWindow(policy, now, i % 2 === 0 ? 5000 : 0);
    if (policy.difficultyK !== last) changes++;
    last = policy.difficultyK;
  }
  assert.equal(changes, 3);
});

Deno.test("a configured #K is the least, and a maximum below it switches the policy off", () => {
  const policy = new LoadPolicy({ ...OPTIONS, baseK: 10 });
  let now = passWindow(policy, instant(0), 5000);
  assert.equal(policy.difficultyK, 14);
  for (let i = 0; i < 2 * QUIET_WINDOWS; i++) now = passWindow(policy, now, 0);
  assert.equal(policy.difficultyK, 10);
  const off = new LoadPolicy({ ...OPTIONS, baseK: 10, maximumK: 0 });
  passWindow(off, instant(0), 5000);
  assert.equal(off.difficultyK, 10);
});
