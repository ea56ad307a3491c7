import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { briefOctets } from "../../lib/base/brief_octets.ts";

Deno.test("pieces of blocks are zero, as long as asked for, and nobody else's", () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 4096 }), { minLength: 1, maxLength: 60 });
  fc.assert(fc.property(lengths, (lengths) => {
    const pieces = lengths.map((length, i) => {
      const piece = briefOctets(length);
      deepEqual(piece, new Uint8Array(length));
      return piece.fill(i + 1);
    });
    pieces.forEach((piece, i) => equal(piece.every((octet) => octet === i + 1), true));
  }));
});
