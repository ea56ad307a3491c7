/**
 * Known questions that a provider of ESP suites answers before it is trusted with packets:
 * a packet of draft-mcgrew-gcm-test-01 section 4, test case 2 of RFC 4868 §2.7.2, and case 1 of
 * RFC 3602 §4.
 */

import { bytesEqual, concatBytes, fromHex } from "../lib/base/bytes.ts";
import type { Random } from "../lib/base/random.ts";
import type { EspProvider } from "../lib/crypto/esp_suite.ts";

const NO_KEY = new Uint8Array(0);

const GCM_KEY = fromHex("4c80cdefbb5d10da906ac73c3613a634 2e443b68");
const GCM_SEQUENCE_HIGH = 0x87654321;
const GCM_PACKET = fromHex(
  `00004321 00000000 4956ed7e3b244cfe
   fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34
   cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce
   61bc17d768fd9732 459018148f6cbe722fd04796562dfdb4`,
);
const GCM_PLAINTEXT = fromHex(
  `45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000
   00000000045f736970045f756470037369700963796265726369747902646b00
   0021000101020201`,
);

const HMAC_KEY = new TextEncoder().encode("JefeJefeJefeJefeJefeJefeJefeJefe");
/** The message without its last four octets, which stand for the high sequence word. */
const HMAC_PACKET = new TextEncoder().encode("what do ya want for noth");
const HMAC_SEQUENCE_HIGH = 0x696e673f; // "ing?"
const HMAC_ICV = fromHex("167f928588c5cc2eef8e3093caa0e87c");

const CBC_KEY = fromHex("06a9214036b8a15b512e03d534120006");
const CBC_IV = fromHex("3dafba429d9eb430b422da802c9fac41");
const CBC_PLAINTEXT = new TextEncoder().encode("Single block msg");
const CBC_CIPHERTEXT = fromHex("e353779c1079aeb82708942dbe77181a");

/**
 * Asks the questions.
 *
 * @throws {Error} On the first wrong answer.
 */
export function checkProvider(provider: EspProvider): void {
  check(provider, "AES-GCM", opensGcm(provider));
  check(provider, "HMAC-SHA-256", sealsHmac(provider));
  check(provider, "AES-CBC", sealsCbc(provider));
}

function check(provider: EspProvider, what: string, isRight: boolean): void {
  if (isRight) return;
  throw new Error(
    `Cannot use ${provider.name}: wrong answer to a known question about ${what}; ` +
      "repair or remove the library",
  );
}

/** Opens the packet, and refuses it with one bit of the ICV turned over. */
function opensGcm(provider: EspProvider): boolean {
  const opener = provider.opener(13, { encryption: GCM_KEY, authentication: NO_KEY });
  const packet = GCM_PACKET.slice();
  const isOpened = opener.open(packet, 0, packet.length, GCM_SEQUENCE_HIGH);
  const isPlain = bytesEqual(packet.subarray(16, 16 + GCM_PLAINTEXT.length), GCM_PLAINTEXT);
  const altered = GCM_PACKET.slice();
  altered[altered.length - 1]! ^= 1;
  const isRefused = !opener.open(altered, 0, altered.length, GCM_SEQUENCE_HIGH);
  opener.wipe();
  return isOpened && isPlain && isRefused;
}

function sealsHmac(provider: EspProvider): boolean {
  const keys = { encryption: NO_KEY, authentication: HMAC_KEY };
  const sealer = provider.sealer(7, keys, fixedRandom(CBC_IV));
  const packet = concatBytes(HMAC_PACKET, new Uint8Array(16));
  const { length } = HMAC_PACKET;
  const isSealed = sealer.seal(packet, 0, length, HMAC_SEQUENCE_HIGH, 0);
  sealer.wipe();
  return isSealed && bytesEqual(packet.subarray(length), HMAC_ICV);
}

function sealsCbc(provider: EspProvider): boolean {
  const keys = { encryption: CBC_KEY, authentication: new Uint8Array(32) };
  const sealer = provider.sealer(8, keys, fixedRandom(CBC_IV));
  const opener = provider.opener(8, keys);
  const packet = new Uint8Array(8 + 16 + 16 + 16);
  packet.set(CBC_PLAINTEXT, 24);
  const isSealed = sealer.seal(packet, 0, 40, 0, 0);
  const isRight = bytesEqual(packet.subarray(24, 40), CBC_CIPHERTEXT);
  const isOpened = opener.open(packet, 0, packet.length, 0);
  sealer.wipe();
  opener.wipe();
  return isSealed && isRight && isOpened && bytesEqual(packet.subarray(24, 40), CBC_PLAINTEXT);
}

/** Gives the same octets over and over. */
function fixedRandom(octets: Uint8Array): Random {
  return {
    fill(bytes) {
      for (let i = 0; i < bytes.length; i++) bytes[i] = octets[i % octets.length]!;
    },
  };
}
