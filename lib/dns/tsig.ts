/**
 * Transaction signatures (TSIG, RFC 8945): a key shared with one server authenticates a request and
 * its answer. Pure: the time is an argument.
 */

import { concatBytes, constantTimeEqual } from "../base/bytes.ts";
import { type HmacHash, hmacOf } from "../crypto/hmac.ts";
import { TYPE } from "../wire/dns/code_points.ts";
import { parseMessage, rdataOf } from "../wire/dns/message.ts";
import { nameKey, parseName, readName, sameName } from "../wire/dns/name.ts";

/** Algorithm names (RFC 8945 §6); HMAC-MD5 is left out as §6 wants. */
const ALGORITHMS: Readonly<Record<string, HmacHash>> = {
  "hmac-sha1": "sha1",
  "hmac-sha224": "sha224",
  "hmac-sha256": "sha256",
  "hmac-sha384": "sha384",
  "hmac-sha512": "sha512",
};

/** Names of the algorithms that can be used. */
export const TSIG_ALGORITHMS: readonly string[] = Object.keys(ALGORITHMS);

const CLASS_ANY = 255;

/** Seconds by which clocks may differ (RFC 8945 §10). */
const FUDGE_SECONDS = 300;

/** Octets between the algorithm's name and the MAC: time, fudge, MAC size (§4.2). */
const MAC_HEAD_OCTETS = 10;

/** Errors of the TSIG record itself (§3) in words. */
const ERRORS: Readonly<Record<number, string>> = {
  16: "it finds the signature wrong (BADSIG): is the secret the same on both sides?",
  17: "it does not know the key (BADKEY): are name and algorithm those of its configuration?",
  18: "its clock differs by more than five minutes (BADTIME)",
  22: "it wants a longer signature (BADTRUNC)",
};

/** A key as both sides have it. */
export interface TsigKey {
  readonly name: Uint8Array;
  /** One of `TSIG_ALGORITHMS`. */
  readonly algorithm: string;
  readonly secret: Uint8Array;
}

/** A signed request and what its answer is checked against. */
export interface SignedRequest {
  readonly bytes: Uint8Array;
  readonly mac: Uint8Array;
}

/**
 * Appends a TSIG record (§4.2) to a message that has none.
 *
 * @param nowSeconds Seconds since 1970.
 */
export function signRequest(key: TsigKey, message: Uint8Array, nowSeconds: number): SignedRequest {
  const timer = timerOctets(nowSeconds, FUDGE_SECONDS);
  const mac = hmacOf(
    ALGORITHMS[key.algorithm]!,
    key.secret,
    message,
    variables(key, timer, 0, new Uint8Array(0)),
  );
  const rdata = concatBytes(
    algorithmName(key),
    timer,
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  );
  const record = concatBytes(
    key.name,
    uint16(TYPE.TSIG),
    uint16(CLASS_ANY),
    uint16(0),
    uint16(0),
    uint16(rdata.length),
    rdata,
  );
  const bytes = concatBytes(message, record);
  const view = new DataView(bytes.buffer);
  view.setUint16(10, view.getUint16(10) + 1);
  return { bytes, mac };
}

/**
 * Checks the TSIG record of an answer (§5.3).
 *
 * @param requestMac Of the request that it answers.
 * @returns What is wrong with it, to stand behind "the server's answer: "; undefined when it is
 *   the server's and unaltered.
 * @throws {MalformedPacketError} When the message or the record cannot be walked.
 */
export function answerProblem(
  key: TsigKey,
  bytes: Uint8Array,
  requestMac: Uint8Array,
  nowSeconds: number,
): string | undefined {
  const message = parseMessage(bytes);
  const record = message.records.at(-1);
  if (record?.section !== "additional" || record.type !== TYPE.TSIG) return "it is not signed";
  if (record.class !== CLASS_ANY || record.ttl !== 0) return "its signature has a wrong form";
  const rdata = rdataOf(message, record);
  const algorithm = readName(rdata, 0);
  const macStart = algorithm.next + MAC_HEAD_OCTETS;
  if (macStart > rdata.length) return "its signature is cut off";
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.length);
  const macEnd = macStart + view.getUint16(macStart - 2);
  if (macEnd + 6 > rdata.length) return "its signature is cut off";
  const mac = rdata.subarray(macStart, macEnd);
  const error = view.getUint16(macEnd + 2);
  const otherData = rdata.subarray(macEnd + 6);
  if (view.getUint16(macEnd + 4) !== otherData.length) return "its signature has a wrong form";
  // BADSIG and BADKEY come without a MAC (§5.3.2): there is no key to make one with.
  if (error !== 0) return ERRORS[error] ?? `it has TSIG error ${error}`;
  if (!sameName(record.name, key.name) || !sameName(algorithm.name, algorithmName(key))) {
    return "it is signed with another key";
  }
  const unsigned = bytes.slice(0, record.start);
  const head = new DataView(unsigned.buffer);
  head.setUint16(10, head.getUint16(10) - 1);
  head.setUint16(0, view.getUint16(macEnd));
  const timer = rdata.subarray(algorithm.next, algorithm.next + 8);
  const expected = hmacOf(
    ALGORITHMS[key.algorithm]!,
    key.secret,
    uint16(requestMac.length),
    requestMac,
    unsigned,
    variables(key, timer, error, otherData),
  );
  if (!constantTimeEqual(mac, expected)) return "its signature is wrong";
  const signedAt = view.getUint16(algorithm.next) * 2 ** 32 + view.getUint32(algorithm.next + 2);
  const fudge = view.getUint16(algorithm.next + 6);
  return Math.abs(nowSeconds - signedAt) > fudge ? "it was signed at another time" : undefined;
}

/** Time signed, 48 bits, and fudge (§4.2). */
function timerOctets(seconds: number, fudge: number): Uint8Array {
  const octets = new Uint8Array(8);
  const view = new DataView(octets.buffer);
  view.setUint16(0, Math.floor(seconds / 2 ** 32));
  view.setUint32(2, seconds % 2 ** 32);
  view.setUint16(6, fudge);
  return octets;
}

/** The TSIG variables of the digest (§4.3.3). */
function variables(
  key: TsigKey,
  timer: Uint8Array,
  error: number,
  otherData: Uint8Array,
): Uint8Array {
  return concatBytes(
    canonical(key.name),
    uint16(CLASS_ANY),
    uint16(0),
    uint16(0),
    algorithmName(key),
    timer,
    uint16(error),
    uint16(otherData.length),
    otherData,
  );
}

function algorithmName(key: TsigKey): Uint8Array {
  return parseName(key.algorithm);
}

/** In small letters, as names enter a digest. */
function canonical(name: Uint8Array): Uint8Array {
  return Uint8Array.from(nameKey(name), (character) => character.charCodeAt(0));
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}
