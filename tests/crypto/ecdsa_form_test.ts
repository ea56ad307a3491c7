import { equal, throws } from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { ecdsaFromDer, ecdsaToDer } from "../../lib/crypto/ecdsa_form.ts";

/** r | s in four octets each, and DER (X.690 §8.3: the fewest octets, a zero before a high bit). */
const FORMS: readonly [string, string][] = [
  ["0102030405060708", "3008" + "020401020304" + "020405060708"],
  ["0000000180000000", "300a" + "020101" + "02050080000000"],
  ["00800000000000ff", "3009" + "020400800000" + "020200ff"],
  ["ffffffff00007fff", "300b" + "020500ffffffff" + "02027fff"],
  ["0000000000000000", "3006" + "020100" + "020100"],
];

Deno.test("SIG-004 ECDSA numbers keep their width in r | s and lose it in DER", () => {
  for (const [fixed, body] of FORMS) {
    const der = "30" + (body.length / 2 - 2).toString(16).padStart(2, "0") + body.slice(4);
    equal(toHex(ecdsaToDer(fromHex(fixed))), der);
    equal(toHex(ecdsaFromDer(fromHex(der), 4)), fixed);
  }
});

Deno.test("ecdsaFromDer() refuses what is no DER and numbers that are too long", () => {
  for (const der of ["", "30", "3003020101", "3006020101040101", "300a02050100000000020101"]) {
    throws(() => ecdsaFromDer(fromHex(der), 4), SyntaxError, der);
  }
});
