/**
 * From HIP records to HITs (RFC 8005 §4.1): the HIT that counts is always computed from the key;
 * the one in the record is a hint and no more.
 */

import { bytesEqual, latin1, toHex } from "../base/bytes.ts";
import { MalformedPacketError } from "../base/errors.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import { dnsKeyToHostIdentity, hitOf, hitSuiteId } from "../identity/hit.ts";
import { HIP, type HipRecord, publicKeyProblem } from "../wire/dns/hip.ts";
import { type DnsMessage, rdataOf } from "../wire/dns/message.ts";
import { sameName } from "../wire/dns/name.ts";
import { Reader } from "../wire/reader.ts";
import { TYPE } from "../wire/dns/code_points.ts";
import { recordsOf } from "./chain.ts";
import { MAX_HIP_RECORDS, MAX_KNOWN_KEYS, MAX_RENDEZVOUS_NAMES } from "./constants.ts";
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

/** Hosts whose HIT was computed from their key; it costs more than all else in a cached answer. */
export class KnownKeys {
  /** By algorithm and key; undefined for a key that cannot be used. The oldest goes first. */
  readonly #hosts = new Map<string, KnownHost | undefined>();

  /** The host of a key. */
  hostOf({ pkAlgorithm, publicKey }: HipRecord): KnownHost | undefined {
    const key = `${pkAlgorithm} ${latin1(publicKey)}`;
    if (this.#hosts.has(key)) return this.#hosts.get(key);
    const identity = publicKeyProblem(pkAlgorithm, publicKey) === undefined
      ? dnsKeyToHostIdentity(pkAlgorithm, publicKey)
      : undefined;
    const host = identity && { identity, hit: hitOf(identity) };
    this.#hosts.set(key, host);
    for (const oldest of this.#hosts.keys()) {
      if (this.#hosts.size <= MAX_KNOWN_KEYS) break;
      this.#hosts.delete(oldest);
    }
    return host;
  }
}

interface KnownHost {
  readonly identity: PublicHostIdentity;
  readonly hit: Uint8Array;
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
  keys: KnownKeys,
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
    // A hierarchical HIT does not follow from the key alone (RFC 9374 §3.5), and the flat HIT of
    // that key is not what the record offers.
    const isUsable = parsed.hit.length === 16 && !isInHierarchicalPrefix(parsed.hit);
    const host = isUsable ? keys.hostOf(parsed) : undefined;
    if (host === undefined) {
      counters.count("hip-records-unusable");
      continue;
    }
    const { identity, hit } = host;
    if (!bytesEqual(hit, parsed.hit)) {
      counters.count("hit-mismatches");
      onMismatch(parsed.hit, hit);
    }
    const surplus = parsed.rendezvousNames.length - MAX_RENDEZVOUS_NAMES;
    if (surplus > 0) counters.count("rendezvous-names-surplus", surplus);
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
