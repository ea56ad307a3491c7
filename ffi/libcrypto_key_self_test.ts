/**
 * Known questions that a provider of public-key work answers before it is trusted with identities:
 * RFC 6979 A.2.5 and A.2.6, RFC 8032 §7.1 test 2, RFC 5903 §8.1 to §8.3, a signature of Wycheproof's
 * rsa_pss_2048_sha256_mgf1_32, and powers modulo the primes of RFC 3526 that were computed elsewhere.
 */

import { bytesEqual, concatBytes, fromHex, toHex } from "../lib/base/bytes.ts";
import { P256, P384 } from "../lib/crypto/ec_curve.ts";
import type { PrivateHostIdentity, PublicHostIdentity } from "../lib/crypto/host_key.ts";
import { ECDSA, EDDSA, RSA } from "../lib/crypto/hit_suite.ts";
import { emitEcPrivateKey, emitEd25519PrivateKey } from "../lib/crypto/private_key.ts";
import type { PublicKeyProvider } from "../lib/crypto/public_key_provider.ts";
import { digest } from "../lib/crypto/rhash.ts";
import { SeededRandom } from "../lib/crypto/seeded_random.ts";

const SAMPLE = new TextEncoder().encode("sample");

const P256_SCALAR = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
const P256_KEY = `00010460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6
   7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299`;
const P256_SIGNATURE = `0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef7719
   4861f0491e6998b9455193e34e7b0d284ddd7149a74b95b9261f13abde940954`;

const P384_SCALAR = `6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8
   96d5724e4c70a825f872c9ea60d2edf5`;
const P384_KEY = `000204ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c
   64def8f0ea9055866064a2545154 80bc138015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b
   3f1c9db1288b231c3ae0d4fe7344fd2533264720`;
const P384_SIGNATURE = `94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c
   81a648152e44acf96e36dd1e80fabe4699ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351
   d0a3a94fa329c145786e679e7b82c71a38628ac8`;

const ED25519_SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const ED25519_KEY = "000100003d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const ED25519_MESSAGE = Uint8Array.of(0x72);
const ED25519_SIGNATURE = `92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da
   085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00`;

const RSA_KEY = `03010001
   a2b451a07d0aa5f96e455671513550514a8a5b462ebef717094fa1fee82224e637f9746d3f7cafd31878d80325b6ef5a
   1700f65903b469429e89d6eac8845097b5ab393189db92512ed8a7711a1253facd20f79c15e8247f3d3e42e46e48c98e
   254a2fe9765313a03eff8f17e1a029397a1fa26a8dce26f490ed81299615d9814c22da610428e09c7d9658594266f5c0
   21d0fceca08d945a12be82de4d1ece6b4c03145b5d3495d4ed5411eb878daf05fd7afc3e09ada0f1126422f590975a19
   69816f48698bcbba1b4d9cae79d460d8f9f85e7975005d9bc22c4e5ac0f7c1a45d12569a62807d3b9a02e5a530e77306
   6f453d1f5b4c2e9cf7820283f742b9d5`;
const RSA_MESSAGE = new TextEncoder().encode("Test");
const RSA_SIGNATURE = `
   401eb03cdb47ca88033e3030f6bdecbac8f5c8fc1dd6a13d23d379ed9a2b309891d13d74fea9d21d159b9e6d8f37efa2
   489962e24555f56dd434ff1d31ce4f9f5abd3f22cbea8b691d6a11e44efb83e2bca155e6a164325e0fde2a8865afd5c9
   f51161a9d615f62af7ec2e31b3e5ab649c164490d31d88cfae35b84aea7925690f929a144b6d2f48e8fb894a52deecd1
   b9a6496990c4ecf1588699a42cacd10c53af350514e4291ea9a058e77f101e32c1c0cefa61d945f7bc931f8bd19e7ba3
   169358a60e5a8b0123bc3199b9fdcafe8e519c41ba675491a27b85e44ef2d77277c10fe107293c8290186913bc9a99b6
   40d8da041b64f31eab1d35920985f4a5`;

/** RFC 5903: i, X and Y of g^r, X of g^ir. */
const CURVE_SECRETS: readonly [number, string, string, string][] = [
  [
    7,
    "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
    `d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63
     56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab`,
    "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
  ],
  [
    8,
    `099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655
     e35b538041e649ee3faef896783ab194`,
    `e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d
     0d1ac43a0336def96fda41d0774a3571dcfbec7aacf3196472169e838430367f
     66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c`,
    `11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4
     d603135569b9e9d09cf5d4a270f59746`,
  ],
  [
    9,
    `0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0
     95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d4a52`,
    `00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21
     9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9460f
     015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87
     220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a`,
    `01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04
     d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea`,
  ],
];

/** Group, octets of the exponent 0x010203..., SHA-256 of 3^exponent at full width. */
const MODP_SECRETS: readonly [number, number, string][] = [
  [3, 32, "c3c93716a0a4d3c344dbab7f817b35f76363f9701f49cd30e2e3f8f9e1155ce9"],
  [4, 40, "7de9c86e6a033136380a9d2afd617f1360711f26569546c934f4fe3accc49d1b"],
  [11, 36, "6b4ef5947978c37853979b18fd6103c81554882ffc551ad7456f16b0755b1303"],
];

/**
 * Asks the questions.
 *
 * @throws {Error} On the first wrong answer.
 */
export function checkPublicKeys(provider: PublicKeyProvider): void {
  const check = (what: string, isRight: boolean) => {
    if (isRight) return;
    throw new Error(
      `Cannot use ${provider.name}: wrong answer to a known question about ${what}; ` +
        "repair or remove the library",
    );
  };
  const p256 = signer(ECDSA, P256_KEY, emitEcPrivateKey(P256, fromHex(P256_SCALAR)));
  const p384 = signer(ECDSA, P384_KEY, emitEcPrivateKey(P384, fromHex(P384_SCALAR)));
  const ed25519 = signer(EDDSA, ED25519_KEY, emitEd25519PrivateKey(fromHex(ED25519_SEED)));
  const rsa = { algorithm: RSA, hostIdentity: fromHex(RSA_KEY) };
  check("ECDSA P-256", judges(provider, p256, P256_SIGNATURE, SAMPLE) && signs(provider, p256));
  check("ECDSA P-384", judges(provider, p384, P384_SIGNATURE, SAMPLE) && signs(provider, p384));
  check("Ed25519", judges(provider, ed25519, ED25519_SIGNATURE, ED25519_MESSAGE));
  const signature = provider.sign(ed25519, ED25519_MESSAGE, noRandom());
  check("Ed25519", bytesEqual(signature, fromHex(ED25519_SIGNATURE)));
  check("RSA-PSS", judges(provider, rsa, RSA_SIGNATURE, RSA_MESSAGE));
  for (const [groupId, scalar, peer, secret] of CURVE_SECRETS) {
    check(`group ${groupId}`, agreesOnCurve(provider, groupId, scalar, peer, secret));
  }
  for (const [groupId, length, hash] of MODP_SECRETS) {
    const exponent = Uint8Array.from({ length }, (_, i) => i + 1);
    const pair = { groupId, privateKey: exponent, publicValue: new Uint8Array(0) };
    const secret = provider.agree(pair, Uint8Array.of(3));
    check(
      `group ${groupId}`,
      secret !== undefined && toHex(digest("sha256", secret)) === hash,
    );
  }
}

function signer(algorithm: number, key: string, privateKey: Uint8Array): PrivateHostIdentity {
  const hostIdentity = fromHex(key);
  // No HIT, only a name for the key among the others here.
  return { algorithm, hostIdentity, privateKey, hit: hostIdentity.slice(0, 16) };
}

/** Takes the signature, and refuses it with one bit of it or of the message turned over. */
function judges(
  provider: PublicKeyProvider,
  key: PublicHostIdentity,
  signature: string,
  message: Uint8Array,
): boolean {
  const right = fromHex(signature);
  const [wrong, other] = [right.slice(), message.slice()];
  wrong[wrong.length >> 1]! ^= 1;
  other[0]! ^= 1;
  return provider.verify(key, right, message) && !provider.verify(key, wrong, message) &&
    !provider.verify(key, right, other);
}

function signs(provider: PublicKeyProvider, key: PrivateHostIdentity): boolean {
  return provider.verify(key, provider.sign(key, SAMPLE, noRandom()), SAMPLE);
}

/** Agrees as RFC 5903 says, and refuses the peer's point moved off the curve. */
function agreesOnCurve(
  provider: PublicKeyProvider,
  groupId: number,
  scalar: string,
  peer: string,
  secret: string,
): boolean {
  const pair = { groupId, privateKey: fromHex(scalar), publicValue: new Uint8Array(0) };
  const point = fromHex(peer);
  const off = concatBytes(point.subarray(0, point.length - 1), Uint8Array.of(point.at(-1)! ^ 1));
  const kij = provider.agree(pair, point);
  return kij !== undefined && bytesEqual(kij, fromHex(secret)) &&
    provider.agree(pair, off) === undefined;
}

/** What the questions draw is never used for anything. */
function noRandom(): SeededRandom {
  return new SeededRandom(new Uint8Array(32));
}
