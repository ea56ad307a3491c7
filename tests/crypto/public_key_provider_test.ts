/** One suite for every provider of public-key work, and what they must make of one another. */

import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { openLibcryptoPublicKeys } from "../../ffi/libcrypto_public_keys.ts";
import { checkPublicKeys } from "../../ffi/libcrypto_key_self_test.ts";
import { concatBytes, fromHex, toHex } from "../../lib/base/bytes.ts";
import { agree, DH_GROUPS, publicValueLength } from "../../lib/crypto/dh_group.ts";
import { isUsableEd25519Key } from "../../lib/crypto/ed25519_key.ts";
import type { PublicHostIdentity } from "../../lib/crypto/host_key.ts";
import { integerToBytes } from "../../lib/crypto/integers.ts";
import { PORTABLE_PUBLIC_KEYS } from "../../lib/crypto/portable_public_keys.ts";
import { MAX_CACHED_KEYS, PrivateKeyCache } from "../../lib/crypto/private_key_cache.ts";
import type { PublicKeyProvider } from "../../lib/crypto/public_key_provider.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import { generateHostIdentity } from "../../lib/identity/host_identity.ts";
import { ALL_IDENTITY_KINDS, testIdentity } from "../support/identities.ts";

const LIBCRYPTO = openLibcryptoPublicKeys();
const PROVIDERS: readonly PublicKeyProvider[] = LIBCRYPTO === undefined
  ? [PORTABLE_PUBLIC_KEYS]
  : [PORTABLE_PUBLIC_KEYS, LIBCRYPTO];

const MESSAGE = new TextEncoder().encode("a message of some length, with a trailing octet\n");
const seeded = (octet = 1) => new SeededRandom(new Uint8Array(32).fill(octet));

for (const provider of PROVIDERS) {
  const { name } = provider;

  Deno.test(`${name}: the self-test finds every answer right`, () => {
    checkPublicKeys(provider);
  });

  Deno.test(`${name}: signatures of every kind verify with every provider, and only as they are`, () => {
    for (const kind of ALL_IDENTITY_KINDS) {
      const [own, other] = [testIdentity(kind, "alice"), testIdentity(kind, "bob")];
      const signature = provider.sign(own, MESSAGE, seeded());
      for (const judge of PROVIDERS) {
        const what = `${kind} judged by ${judge.name}`;
        equal(judge.verify(own, signature, MESSAGE), true, what);
        equal(judge.verify(other, signature, MESSAGE), false, what);
        equal(judge.verify(own, signature, MESSAGE.subarray(1)), false, what);
        equal(judge.verify(own, signature.subarray(1), MESSAGE), false, what);
        equal(judge.verify(own, concatBytes(signature, Uint8Array.of(0)), MESSAGE), false, what);
        equal(judge.verify(own, concatBytes(Uint8Array.of(0), signature), MESSAGE), false, what);
        equal(judge.verify(own, new Uint8Array(signature.length), MESSAGE), false, what);
        equal(judge.verify(own, new Uint8Array(signature.length).fill(255), MESSAGE), false, what);
        equal(judge.verify(own, new Uint8Array(0), MESSAGE), false, what);
        for (let at = 1; at < signature.length; at += 7) {
          const altered = signature.slice();
          altered[at]! ^= 0x10;
          equal(judge.verify(own, altered, MESSAGE), false, `${what}, octet ${at}`);
        }
        // What came before leaves nothing behind.
        equal(judge.verify(own, signature, MESSAGE), true, what);
      }
    }
  });

  Deno.test(`${name}: messages of no octet and of many are signed`, () => {
    for (const kind of ["rsa", "ecdsa-p256", "ecdsa-p384", "ed25519"] as const) {
      const own = testIdentity(kind, "alice");
      for (const length of [0, 1, 2008, 100_000]) {
        const message = new Uint8Array(length).fill(length);
        const signature = provider.sign(own, message, seeded());
        for (const judge of PROVIDERS) equal(judge.verify(own, signature, message), true, kind);
      }
    }
  });

  Deno.test(`${name}: each of many keys signs with itself, also when keys take turns`, () => {
    const owners = Array.from(
      { length: MAX_CACHED_KEYS + 4 },
      (_, i) => generateHostIdentity(i % 2 === 0 ? "ecdsa-p256" : "ed25519", seeded(i)),
    );
    for (const own of [...owners, ...owners]) {
      equal(provider.verify(own, provider.sign(own, MESSAGE, seeded()), MESSAGE), true);
    }
    // Another key under the same HIT is another key.
    const [, first, , second] = owners;
    const mixed = { ...first!, privateKey: second!.privateKey };
    provider.sign(first!, MESSAGE, seeded());
    equal(provider.verify(second!, provider.sign(mixed, MESSAGE, seeded()), MESSAGE), true);
  });

  Deno.test(`${name}: a private key that is none is an error, and harms no other`, () => {
    const own = testIdentity("ecdsa-p256", "alice");
    const broken = [
      new Uint8Array(0),
      own.privateKey.subarray(1),
      own.privateKey.subarray(0, 60),
      new Uint8Array(own.privateKey.length),
    ];
    for (const privateKey of broken) {
      throws(() => provider.sign({ ...own, privateKey }, MESSAGE, seeded()));
      equal(provider.verify(own, provider.sign(own, MESSAGE, seeded()), MESSAGE), true);
    }
  });

  Deno.test(`${name}: a key that differs from a good one in any octet verifies nothing`, () => {
    for (const kind of ["rsa", "ecdsa-p256", "ecdsa-p384", "ed25519"] as const) {
      const own = testIdentity(kind, "alice");
      const signature = provider.sign(own, MESSAGE, seeded());
      for (let at = 0; at < own.hostIdentity.length; at += 5) {
        const hostIdentity = own.hostIdentity.slice();
        hostIdentity[at]! ^= 0x81;
        const other = { algorithm: own.algorithm, hostIdentity };
        equal(provider.verify(own, signature, MESSAGE), true);
        equal(provider.verify(other, signature, MESSAGE), false, `${kind}, octet ${at}`);
      }
    }
  });

  Deno.test(`${name}: Ed25519 keys of small order or in a longer form are refused`, () => {
    // With the neutral element as key, R = 0 and S = 0 satisfy the equation for every message.
    const neutral = "01" + "00".repeat(31);
    const keys = [neutral, "ee" + "ff".repeat(30) + "7f", "01" + "00".repeat(30) + "80"];
    const signature = fromHex(neutral + "00".repeat(32));
    for (const key of keys) {
      const signer = { algorithm: 13, hostIdentity: fromHex("00010000" + key) };
      for (let i = 0; i < 4; i++) {
        equal(provider.verify(signer, signature, Uint8Array.of(i)), false);
      }
    }
  });

  Deno.test(`${name}: both ends of every group agree, whoever computes the other end`, () => {
    for (const groupId of DH_GROUPS) {
      for (const peer of PROVIDERS) {
        const a = provider.generateDhKeyPair(groupId, seeded(1));
        const b = peer.generateDhKeyPair(groupId, seeded(2));
        const kij = provider.agree(a, b.publicValue)!;
        equal(toHex(kij), toHex(peer.agree(b, a.publicValue)!), `group ${groupId}`);
        equal(a.publicValue.length, publicValueLength(groupId));
      }
    }
  });

  Deno.test(`${name}: the same generator gives the same key pair as with any provider`, () => {
    for (const groupId of DH_GROUPS) {
      const expected = PORTABLE_PUBLIC_KEYS.generateDhKeyPair(groupId, seeded());
      deepEqual(provider.generateDhKeyPair(groupId, seeded()), expected);
    }
    throws(() => provider.generateDhKeyPair(6, seeded()), RangeError);
  });

  Deno.test(`${name}: public values that are none give no key, and a good one still does`, () => {
    for (const groupId of DH_GROUPS) {
      const pair = provider.generateDhKeyPair(groupId, seeded());
      const width = pair.publicValue.length;
      const altered = pair.publicValue.slice();
      altered[width - 1]! ^= 1;
      const bad = [
        new Uint8Array(0),
        Uint8Array.of(0),
        Uint8Array.of(1),
        new Uint8Array(width),
        new Uint8Array(width).fill(0xff),
        concatBytes(pair.publicValue, Uint8Array.of(0)),
        new Uint8Array(2048).fill(4),
        ...(groupId >= 7 && groupId <= 10
          ? [altered, pair.publicValue.subarray(1), concatBytes(Uint8Array.of(2), altered)]
          : []),
      ];
      for (const value of bad) {
        equal(provider.agree(pair, value), undefined, `group ${groupId}`);
        notEqual(provider.agree(pair, pair.publicValue), undefined);
      }
      const wiped = { ...pair, privateKey: new Uint8Array(pair.privateKey.length) };
      throws(() => provider.agree(wiped, pair.publicValue), RangeError);
    }
  });

  Deno.test(`${name}: Kij keeps its leading zeros, in MODP and on a curve`, () => {
    const pair = { groupId: 3, privateKey: Uint8Array.of(2), publicValue: new Uint8Array(0) };
    equal(toHex(provider.agree(pair, Uint8Array.of(9))!), toHex(integerToBytes(81n, 192)));
    const peer = provider.generateDhKeyPair(7, seeded()).publicValue;
    for (let i = 0n; i < 2000n; i++) {
      const scalar = { groupId: 7, privateKey: integerToBytes(i + 1n, 32), publicValue: peer };
      const kij = provider.agree(scalar, peer)!;
      equal(kij.length, 32);
      if (kij[0] === 0) return equal(toHex(kij), toHex(agree(scalar, peer)!));
    }
    throw new Error("No shared secret with a leading zero was met");
  });

  Deno.test(`${name}: answers false, and never throws, for keys and signatures out of thin air`, () => {
    const kinds = ["rsa", "dsa", "ecdsa-p256", "ecdsa-p384", "ecdsa-low", "ed25519"] as const;
    const anyKey: fc.Arbitrary<PublicHostIdentity> = fc.oneof(
      fc.record({
        algorithm: fc.constantFrom(3, 5, 7, 9, 13, 0, 99),
        hostIdentity: fc.uint8Array({ maxLength: 410, size: "max" }),
      }),
      // A good key but for two octets or its end.
      fc.record({
        kind: fc.constantFrom(...kinds),
        at: fc.nat(),
        octets: fc.uint8Array({ minLength: 2, maxLength: 2 }),
        cut: fc.nat(3),
      }).map(({ kind, at, octets, cut }) => {
        const { algorithm, hostIdentity } = testIdentity(kind, "alice");
        const changed = hostIdentity.slice(0, hostIdentity.length - cut);
        changed.set(octets, at % (changed.length - 1));
        return { algorithm, hostIdentity: changed };
      }),
    );
    const anySignature = fc.uint8Array({ maxLength: 260, size: "max" });
    fc.assert(
      fc.property(anyKey, anySignature, (key, signature) => {
        equal(provider.verify(key, signature, MESSAGE), false);
        for (const length of [41, 42, 64, 96, 128, 256]) {
          equal(provider.verify(key, new Uint8Array(length).fill(1), MESSAGE), false);
        }
      }),
      { numRuns: 200 },
    );
  });
}

Deno.test("the self-test throws on any wrong answer of a provider", () => {
  const flipped = (octets: Uint8Array) => {
    const other = octets.slice();
    other[other.length - 1]! ^= 1;
    return other;
  };
  const portable = PORTABLE_PUBLIC_KEYS;
  const spoiled: [Partial<PublicKeyProvider>, RegExp][] = [
    [{ verify: () => true }, /ECDSA P-256/],
    [{ verify: () => false }, /ECDSA P-256/],
    [{ sign: (...job) => flipped(portable.sign(...job)) }, /ECDSA P-256/],
    [{
      sign: (own, ...job) =>
        own.algorithm === 13 ? flipped(portable.sign(own, ...job)) : portable.sign(own, ...job),
    }, /Ed25519/],
    [{ verify: (key, ...job) => key.algorithm === 5 || portable.verify(key, ...job) }, /RSA/],
    ...DH_GROUPS.filter((groupId) => groupId !== 10).map((groupId) =>
      [{
        agree: (pair, value) => {
          const kij = portable.agree(pair, value);
          return pair.groupId === groupId && kij !== undefined ? flipped(kij) : kij;
        },
      }, new RegExp(`group ${groupId};`)] as [Partial<PublicKeyProvider>, RegExp]
    ),
    [{
      agree: (pair, value) => portable.agree(pair, value) ?? new Uint8Array(32),
    }, /group 7/],
  ];
  for (const [part, what] of spoiled) {
    throws(() => checkPublicKeys({ ...portable, ...part }), what);
  }
});

Deno.test("a PrivateKeyCache makes a key once, keeps a bounded number and releases the others", () => {
  const made: string[] = [];
  const released: string[] = [];
  const cache = new PrivateKeyCache<string>(
    ({ privateKey }) => {
      if (privateKey.length === 0) throw new SyntaxError("no key");
      made.push(toHex(privateKey));
      return toHex(privateKey);
    },
    (key) => released.push(key),
  );
  const identity = (name: number, key: number) => ({
    algorithm: 7,
    hostIdentity: new Uint8Array(0),
    hit: Uint8Array.of(name),
    privateKey: Uint8Array.of(key),
  });
  for (let round = 0; round < 3; round++) equal(cache.get(identity(1, 1)), "01");
  deepEqual(made, ["01"]);
  equal(cache.get(identity(1, 2)), "02");
  deepEqual(released, ["01"]);
  throws(() => cache.get({ ...identity(1, 0), privateKey: new Uint8Array(0) }), SyntaxError);
  for (let i = 10; i < 10 + MAX_CACHED_KEYS; i++) cache.get(identity(i, i));
  deepEqual(released, ["01", "02"]);
  equal(made.length, 2 + MAX_CACHED_KEYS);
  cache.forget(identity(10, 10));
  deepEqual(released, ["01", "02", "0a"]);
  cache.forget(identity(99, 99));
  cache.get(identity(10, 10));
  equal(made.length, 3 + MAX_CACHED_KEYS);
});

Deno.test("isUsableEd25519Key() refuses the points of small order and coordinates beyond p", () => {
  equal(isUsableEd25519Key(testIdentity("ed25519", "alice").hostIdentity.slice(4)), true);
  // RFC 8032 §5.1.3: y is below 2^255 - 19. The neutral element is all that -x can be 0 for.
  const p = (1n << 255n) - 19n;
  const key = (y: bigint) => integerToBytes(y, 32).reverse();
  for (const y of [0n, 1n, p - 1n, p, p + 1n, p + 3n, (1n << 255n) - 1n]) {
    equal(isUsableEd25519Key(key(y)), false);
    equal(isUsableEd25519Key(key(y + (1n << 255n))), false);
  }
  equal(isUsableEd25519Key(key(3n)), true);
  equal(isUsableEd25519Key(new Uint8Array(31).fill(3)), false);
});
