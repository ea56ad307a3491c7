/**
 * From HIP records to HITs (RFC 8005 §4.1): the HIT that counts is always computed from the key;
 * the one in the record is a hint and no more.
 */

import { bytesEqual, toHex } from "../base/bytes.ts";
import { MalformedPacketError } from "../base/errors.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { dnsKeyToHostIdentity, hitOf, hitSuiteId } from "../identity/hit.ts";
import { HIP, type HipRecord, publicKeyProblem } from "../wire/dns/hip.ts";
import { type DnsMessage, rdataOf } from "../wire/dns/message.ts";
import { sameName } from "../wire/dns/name.ts";
import { Reader } from "../wire/reader.ts";
import { TYPE } from "../wire/dns/code_points.ts";
import { recordsOf } from "./chain.ts";
import { MAX_HIP_RECORDS, MAX_RENDEZVOUS_NAMES } from "./constants.ts";
import type { DnsCounters } from "./counters.ts";
import { isInHierarchicalPrefix } from "./locator_rules.ts";

/** A HIT that some HIP record or static entry gives to a name. */
export interface NamedPeer {
  readonly hit: Uint8Array;
  /** Undefined only for static entries without a key. */
  readonly identity: PublicHostIdentity | undefined;
  /** HIT as it stood in the record; undefined for static entries. */
  readonly recordHit: Uint8Array | undefined;
  /** Without the owner itself; in order of preference within a record (RFC 8005 §5.6). */
  readonly rendezvousNames: readonly Uint8Array[];
  /** From the hosts file; none for DNS. */
  readonly staticLocators: readonly Uint8Array[];
  readonly source: "static" | "dns";
}

/**
 * The usable HIP records of `owner` as peers, each HIT once, ordered by suite and then by arrival.
 *
 * @param onMismatch Called for each record whose HIT is not that of its key.
 */
export function peersOfAnswer(
  message: DnsMessage,
  owner: Uint8Array,
  suitePreference: readonly number[],
  counters: DnsCounters,
  onMismatch: (recordHit: Uint8Array, hit: Uint8Array) => void,
): NamedPeer[] {
  const records = recordsOf(message, TYPE.HIP, owner);
  if (records.length > MAX_HIP_RECORDS) {
    counters.count("hip-records-surplus", records.length - MAX_HIP_RECORDS);
  }
  const peers = new Map<string, NamedPeer>();
  for (const record of records.slice(0, MAX_HIP_RECORDS)) {
    const parsed = parseRecord(rdataOf(message, record), counters);
    if (parsed === undefined) continue;
    const identity = identityOf(parsed);
    if (identity === undefined) {
      counters.count("hip-records-unusable");
      continue;
    }
    const hit = hitOf(identity);
    if (!bytesEqual(hit, parsed.hit)) {
      counters.count("hit-mismatches");
      onMismatch(parsed.hit, hit);
    }
    // RFC 8005 §4.1: the owner's own name in this place means the same as no name.
    const rendezvousNames = parsed.rendezvousNames.slice(0, MAX_RENDEZVOUS_NAMES)
      .filter((name) => !sameName(name, owner));
    const known = peers.get(toHex(hit));
    peers.set(toHex(hit), {
      hit,
      identity,
      recordHit: known?.recordHit ?? parsed.hit,
      rendezvousNames: [...(known?.rendezvousNames ?? []), ...rendezvousNames],
      staticLocators: [],
      source: "dns",
    });
  }
  const rank = (peer: NamedPeer) => {
    const place = suitePreference.indexOf(hitSuiteId(peer.hit));
    return place < 0 ? suitePreference.length : place;
  };
  return [...peers.values()].sort((a, b) => rank(a) - rank(b));
}

function parseRecord(rdata: Uint8Array, counters: DnsCounters): HipRecord | undefined {
  try {
    return HIP.parse(new Reader(rdata, "HIP record"));
  } catch (error) {
    if (!(error instanceof MalformedPacketError)) throw error;
    counters.count("hip-records-malformed");
    return undefined;
  }
}

/** The Host Identity of a record that may be used, or undefined. */
function identityOf(record: HipRecord): PublicHostIdentity | undefined {
  if (record.hit.length !== 16) return undefined;
  // A hierarchical HIT does not follow from the key alone (RFC 9374 §3.5), and the flat HIT of
  // that key is not what the record offers.
  if (isInHierarchicalPrefix(record.hit)) return undefined;
  if (publicKeyProblem(record.pkAlgorithm, record.publicKey) !== undefined) return undefined;
  return dnsKeyToHostIdentity(record.pkAlgorithm, record.publicKey);
}
