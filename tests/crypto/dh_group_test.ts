import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import {
  agree,
  DH_GROUPS,
  generateDhKeyPair,
  publicValueLength,
} from "../../lib/crypto/dh_group.ts";
import { integerFromBytes, integerToBytes, powerModulo } from "../../lib/crypto/integers.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";

const random = () => new SeededRandom(new Uint8Array(32).fill(5));

/** RFC 5903 §8.1 to §8.3: i, X and Y of g^i, r, X and Y of g^r, X of g^ir. */
const RFC_5903: [number, string[]][] = [
  [7, [
    "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
    "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180",
    "5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3",
    "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
    "D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63",
    "56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB",
    "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE",
  ]],
  [8, [
    "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655" +
    "E35B538041E649EE3FAEF896783AB194",
    "667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6" +
    "DE3AC808ACB4BDB4C88732AEE95F41AA",
    "9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38E" +
    "EB9FCFF3C2C947DAE69B4C634573A81C",
    "41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942" +
    "E0308312916B8ED2960E4BD55A7448FC",
    "E558DBEF53EECDE3D3FCCFC1AEA08A89A987475D12FD950D83CFA41732BC509D" +
    "0D1AC43A0336DEF96FDA41D0774A3571",
    "DCFBEC7AACF3196472169E838430367F66EEBE3C6E70C416DD5F0C68759DD1FF" +
    "F83FA40142209DFF5EAAD96DB9E6386C",
    "11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4" +
    "D603135569B9E9D09CF5D4A270F59746",
  ]],
  [9, [
    "0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A0" +
    "95AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D4A52",
    "0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBE" +
    "E1E3BF42E00B8E380AEAE57C2D107564941885942AF5A7F4601723C4195D176CED3E",
    "017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10A" +
    "D8A788015AC405D7799DC75E7B7D5B6CF2261A6A7F1507438BF01BEB6CA3926F9582",
    "0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E" +
    "9C677D600B343757A3BDBF2A3163E4C2F869CCA7458AA4A4EFFC311F5CB151685EB9",
    "00D0B3975AC4B799F5BEA16D5E13E9AF971D5E9B984C9F39728B5E5739735A21" +
    "9B97C356436ADC6E95BB0352F6BE64A6C2912D4EF2D0433CED2B6171640012D9460F",
    "015C68226383956E3BD066E797B623C27CE0EAC2F551A10C2C724D9852077B87" +
    "220B6536C5C408A1D2AEBB8E86D678AE49CB57091F4732296579AB44FCD17F0FC56A",
    "01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04" +
    "D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3DDEA",
  ]],
];

Deno.test("DHG-019 KEY-004 agree() gives the shared secrets of RFC 5903 for P-256, P-384, P-521", () => {
  for (const [groupId, numbers] of RFC_5903) {
    const [i, gix, giy, r, grx, gry, shared] = numbers.map(fromHex);
    const initiator = { groupId, privateKey: i!, publicValue: concatBytes(gix!, giy!) };
    const responder = { groupId, privateKey: r!, publicValue: concatBytes(grx!, gry!) };
    equal(toHex(agree(initiator, responder.publicValue)!), toHex(shared!));
    equal(toHex(agree(responder, initiator.publicValue)!), toHex(shared!));
    // A leading 04 is accepted too.
    const prefixed = concatBytes(Uint8Array.of(4), responder.publicValue);
    equal(toHex(agree(initiator, prefixed)!), toHex(shared!));
  }
});

/** floor(2^bits * pi), by Machin's formula. */
function piTimesPowerOfTwo(bits: number): bigint {
  const guard = 64n;
  const one = 1n << (BigInt(bits) + guard);
  const arctan = (x: bigint) => {
    let [term, sum] = [one / x, one / x];
    for (let n = 3n, sign = -1n; term !== 0n; n += 2n, sign = -sign) {
      term /= x * x;
      sum += sign * (term / n);
    }
    return sum;
  };
  return 4n * (4n * arctan(5n) - arctan(239n)) >> guard;
}

Deno.test("DHG-001 DHG-002 MODP groups 3, 4 and 11 have the primes of RFC 3526 and generator 2", () => {
  const groups: [number, number, bigint][] = [[3, 1536, 741804n], [11, 2048, 124476n], [
    4,
    3072,
    1690314n,
  ]];
  for (const [groupId, bits, c] of groups) {
    const n = BigInt(bits);
    const prime = (1n << n) - (1n << (n - 64n)) - 1n +
      ((piTimesPowerOfTwo(bits - 130) + c) << 64n);
    const pair = generateDhKeyPair(groupId, random());
    const exponent = integerFromBytes(pair.privateKey);
    equal(integerFromBytes(pair.publicValue), powerModulo(2n, exponent, prime));
    const kij = agree(pair, integerToBytes(3n, 1));
    equal(integerFromBytes(kij!), powerModulo(3n, exponent, prime));
    // p - 1 and above are refused, p - 2 is the last value accepted.
    equal(agree(pair, integerToBytes(prime - 1n, bits / 8)), undefined);
    equal(agree(pair, integerToBytes(prime, bits / 8)), undefined);
    notEqual(agree(pair, integerToBytes(prime - 2n, bits / 8)), undefined);
  }
});

Deno.test("DHG-003 both ends of every group agree, at full width", () => {
  deepEqual(DH_GROUPS, [3, 4, 7, 8, 9, 10, 11]);
  const widths = new Map([
    [3, [192, 192]],
    [4, [384, 384]],
    [7, [64, 32]],
    [8, [96, 48]],
    [9, [132, 66]],
    [10, [40, 20]],
    [11, [256, 256]],
  ]);
  const source = random();
  for (const groupId of DH_GROUPS) {
    const a = generateDhKeyPair(groupId, source);
    const b = generateDhKeyPair(groupId, source);
    const kij = agree(a, b.publicValue)!;
    equal(toHex(kij), toHex(agree(b, a.publicValue)!));
    deepEqual([a.publicValue.length, kij.length], widths.get(groupId));
    equal(publicValueLength(groupId), a.publicValue.length);
    notEqual(toHex(a.privateKey), toHex(b.privateKey));
  }
});

Deno.test("generateDhKeyPair() draws on the generator it is given and nothing else", () => {
  for (const groupId of DH_GROUPS) {
    deepEqual(generateDhKeyPair(groupId, random()), generateDhKeyPair(groupId, random()));
  }
});

Deno.test("Kij keeps its leading zeros, in MODP and on a curve", () => {
  const pair = { groupId: 3, privateKey: Uint8Array.of(2), publicValue: new Uint8Array(0) };
  const kij = agree(pair, Uint8Array.of(9));
  equal(toHex(kij!), toHex(integerToBytes(81n, 192)));
  const source = random();
  for (let i = 0; i < 600; i++) {
    const a = generateDhKeyPair(7, source);
    const shared = agree(a, fromHex(RFC_5903[0]![1][1]! + RFC_5903[0]![1][2]!))!;
    equal(shared.length, 32);
    if (shared[0] === 0) return;
  }
  throw new Error("No shared secret with a leading zero was met");
});

Deno.test("DHG-024 DHG-022 MODP values 0, 1, p - 1 and longer ones give no key", () => {
  for (const groupId of [3, 4, 11]) {
    const pair = generateDhKeyPair(groupId, random());
    const width = publicValueLength(groupId);
    for (const value of [0n, 1n]) {
      equal(agree(pair, integerToBytes(value, width)), undefined);
      equal(agree(pair, integerToBytes(value, 1)), undefined);
    }
    equal(agree(pair, new Uint8Array(0)), undefined);
    equal(agree(pair, new Uint8Array(width).fill(0xff)), undefined);
    equal(agree(pair, integerToBytes(4n, width + 1)), undefined);
  }
});

Deno.test("DHG-024 DHG-022 points off the curve, out of range or of another length give no key", () => {
  for (const groupId of [7, 8, 9, 10]) {
    const pair = generateDhKeyPair(groupId, random());
    const width = publicValueLength(groupId);
    const altered = pair.publicValue.slice();
    altered[width - 1]! ^= 1;
    const bad = [
      altered,
      new Uint8Array(width),
      new Uint8Array(width).fill(0xff),
      pair.publicValue.subarray(0, width - 1),
      concatBytes(pair.publicValue, Uint8Array.of(0)),
      concatBytes(Uint8Array.of(2), pair.publicValue),
      concatBytes(Uint8Array.of(2), pair.publicValue.subarray(0, width / 2)),
      new Uint8Array(0),
      Uint8Array.of(0),
    ];
    for (const value of bad) equal(agree(pair, value), undefined);
    notEqual(agree(pair, pair.publicValue), undefined);
  }
});

Deno.test("DHG-004 reserved and deprecated groups 0, 1, 2, 5, 6 do not exist", () => {
  for (const groupId of [0, 1, 2, 5, 6, 12]) {
    equal(DH_GROUPS.includes(groupId), false);
    throws(() => generateDhKeyPair(groupId, random()), RangeError);
  }
});

Deno.test("agree() refuses a private key that was wiped, instead of asking native code", () => {
  for (const groupId of DH_GROUPS) {
    const { publicValue, privateKey } = generateDhKeyPair(groupId, random());
    const wiped = { groupId, publicValue, privateKey: new Uint8Array(privateKey.length) };
    throws(() => agree(wiped, publicValue), RangeError);
  }
});
