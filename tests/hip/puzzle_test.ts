import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { rhashLength } from "../../lib/crypto/rhash.ts";
import {
  checkSolution,
  lowBitsAreZero,
  puzzleRandomI,
  type PuzzleSubject,
  solvePuzzle,
  solves,
} from "../../lib/hip/puzzle.ts";
import { PUZZLE } from "../../lib/wire/hip/parameters/puzzle.ts";
import { SOLUTION } from "../../lib/wire/hip/parameters/solution.ts";
import { openCapture } from "../support/captured_exchange.ts";
import { CAPTURES } from "../support/captures.ts";

const HIT_I = new Uint8Array(16).fill(0x11);
const HIT_R = new Uint8Array(16).fill(0x22);

const SUBJECT: PuzzleSubject = {
  initiatorHit: HIT_I,
  responderHit: HIT_R,
  initiatorAddress: new Uint8Array(16).fill(0x33),
  responderAddress: new Uint8Array(16).fill(0x44),
  opaque: new Uint8Array([1, 2]),
};

for (const name of CAPTURES) {
  Deno.test(`PUZ-001 PUZ-004 PUZ-005 solves() agrees with the solution in ${name}`, () => {
    const { r1, i2, rhash } = openCapture(name);
    const { difficultyK } = r1.require(PUZZLE);
    const { randomI, solutionJ } = i2.require(SOLUTION);
    assert.ok(difficultyK > 0);
    assert.ok(solves(rhash, difficultyK, randomI, i2.senderHit, i2.receiverHit, solutionJ));
    assert.ok(!solves(rhash, 128, randomI, i2.senderHit, i2.receiverHit, solutionJ));
    const zeros = trailingZeros(
      createHash(rhash).update(randomI).update(i2.senderHit).update(i2.receiverHit)
        .update(solutionJ).digest(),
    );
    assert.ok(solves(rhash, zeros, randomI, i2.senderHit, i2.receiverHit, solutionJ));
    assert.ok(!solves(rhash, zeros + 1, randomI, i2.senderHit, i2.receiverHit, solutionJ));
  });
}

/** Slow and obvious: the digest as one integer. */
function trailingZeros(bytes: Uint8Array): number {
  let value = bytes.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
  let count = 0;
  while (count < bytes.length * 8 && (value & 1n) === 0n) {
    value >>= 1n;
    count++;
  }
  return count;
}

Deno.test("PUZ-001 lowBitsAreZero() looks at the last bits of the last octets", () => {
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 4 }),
    fc.integer({ min: 0, max: 40 }),
    (bytes, count) => {
      const shifted = new Uint8Array([...bytes, 0]);
      for (const octets of [bytes, shifted]) {
        const expected = count <= octets.length * 8 && trailingZeros(octets) >= count;
        assert.equal(lowBitsAreZero(octets, count), expected);
      }
    },
  ));
  assert.ok(lowBitsAreZero(new Uint8Array([0xff, 0x80]), 7));
  assert.ok(!lowBitsAreZero(new Uint8Array([0x00, 0x01]), 1));
});

Deno.test("PUZ-007 solves() takes every #J when #K is 0", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (solutionJ) => {
    assert.ok(solves("sha1", 0, new Uint8Array(20), HIT_I, HIT_R, solutionJ));
  }));
});

Deno.test("PUZ-003 solves() wants #I and #J as wide as RHASH", () => {
  for (const rhash of ["sha256", "sha384", "sha1", "cshake128"] as const) {
    const n = rhashLength(rhash);
    const right = new Uint8Array(n);
    assert.ok(solves(rhash, 0, right, HIT_I, HIT_R, right));
    assert.ok(!solves(rhash, 0, right, HIT_I, HIT_R, new Uint8Array(n - 1)));
    assert.ok(!solves(rhash, 0, new Uint8Array(n + 1), HIT_I, HIT_R, right));
  }
});

Deno.test("solvePuzzle() finds a #J that solves, going on from slice to slice", () => {
  for (const rhash of ["sha256", "sha384", "sha1", "cshake128"] as const) {
    const randomI = new Uint8Array(rhashLength(rhash)).fill(5);
    const hits = { initiatorHit: HIT_I, responderHit: HIT_R };
    let firstJ = new Uint8Array(randomI.length).fill(0xff);
    let tries = 0;
    for (;;) {
      const slice = solvePuzzle({
        kind: "solve-puzzle",
        rhash,
        randomI,
        ...hits,
        difficultyK: 9,
        firstJ,
        tries: 4,
      });
      tries += slice.tries;
      firstJ = slice.nextJ.slice();
      if (slice.solutionJ === undefined) {
        assert.equal(slice.tries, 4);
        continue;
      }
      assert.ok(solves(rhash, 9, randomI, HIT_I, HIT_R, slice.solutionJ));
      break;
    }
    assert.ok(tries > 4, `${rhash} was solved in the first slice: choose another #I`);
  }
});

Deno.test("solvePuzzle() counts #J up past the end of its field", () => {
  const { nextJ } = solvePuzzle({
    kind: "solve-puzzle",
    rhash: "sha1",
    randomI: new Uint8Array(20),
    initiatorHit: HIT_I,
    responderHit: HIT_R,
    difficultyK: 160,
    firstJ: new Uint8Array(20).fill(0xff),
    tries: 2,
  });
  assert.deepEqual(nextJ, new Uint8Array([...new Uint8Array(19), 1]));
});

Deno.test("PUZ-013 PUZ-020 PUZ-027 puzzleRandomI() gives another #I for another subject", () => {
  const secret = new Uint8Array(32).fill(1);
  const base = puzzleRandomI("sha384", secret, SUBJECT);
  assert.equal(base.length, 48);
  assert.deepEqual(puzzleRandomI("sha384", secret, { ...SUBJECT }), base);
  assert.notDeepEqual(puzzleRandomI("sha384", new Uint8Array(32), SUBJECT), base);
  for (const field of Object.keys(SUBJECT) as (keyof PuzzleSubject)[]) {
    const other = SUBJECT[field].slice();
    other[0]! ^= 1;
    assert.notDeepEqual(puzzleRandomI("sha384", secret, { ...SUBJECT, [field]: other }), base);
  }
});

Deno.test("PUZ-013 PUZ-014 PUZ-015 checkSolution() wants our #I and our #K", () => {
  const secret = new Uint8Array(32).fill(1);
  const randomI = puzzleRandomI("sha256", secret, SUBJECT);
  const { solutionJ } = solvePuzzle({
    kind: "solve-puzzle",
    rhash: "sha256",
    randomI,
    initiatorHit: HIT_I,
    responderHit: HIT_R,
    difficultyK: 6,
    firstJ: new Uint8Array(32),
    tries: 4096,
  });
  const answer = { randomI, solutionJ: solutionJ! };
  const check = (k: number, given = answer, subject = SUBJECT) =>
    checkSolution("sha256", secret, subject, k, given);
  assert.equal(check(6), undefined);
  assert.equal(check(64), "hip-puzzle-failed");
  // Passed over by the search: less than one octet of its hash decides.
  const passedOver = { ...answer, solutionJ: new Uint8Array(32) };
  assert.equal(check(6, passedOver), "hip-puzzle-failed");
  assert.equal(check(6, { ...answer, solutionJ: new Uint8Array(31) }), "hip-puzzle-failed");
  const foreign = { ...answer, randomI: new Uint8Array(32) };
  assert.equal(check(0, foreign), "hip-unknown-puzzle");
  const elsewhere = { ...SUBJECT, initiatorAddress: new Uint8Array(16) };
  assert.equal(check(6, answer, elsewhere), "hip-unknown-puzzle");
});
