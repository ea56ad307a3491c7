import { equal, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import { toHex } from "../../lib/base/bytes.ts";
import { randomBytes } from "../../lib/base/random.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";

Deno.test("SeededRandom is SHA-256 over seed and counter, however its octets are asked for", () => {
  const seed = new Uint8Array(32).fill(3);
  const block = (counter: number) => {
    const octets = new Uint8Array(8);
    octets[7] = counter;
    return createHash("sha256").update(seed).update(octets).digest("hex");
  };
  const expected = block(0) + block(1) + block(2);
  equal(toHex(randomBytes(new SeededRandom(seed), 96)), expected);
  const piecewise = new SeededRandom(seed);
  const pieces = [1, 31, 0, 33, 31].map((length) => toHex(randomBytes(piecewise, length)));
  equal(pieces.join(""), expected);
});

Deno.test("SeededRandom takes seeds of 32 octets only", () => {
  throws(() => new SeededRandom(new Uint8Array(31)), RangeError);
  throws(() => new SeededRandom(new Uint8Array(33)), RangeError);
});
