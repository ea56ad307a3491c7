/**
 * What is known of a name: HIP records and addresses asked of the proxy as an application would
 * ask, and the lines of the hosts file. Asking for AAAA also tells the engine where the HITs are.
 */

import { bytesEqual, toHex } from "../base/bytes.ts";
import type { Instant } from "../base/time.ts";
import type { StaticNames } from "../dns/static_names.ts";
import { describeAlgorithm } from "../identity/host_identity.ts";
import { dnsKeyToHostIdentity, formatHit, hitOf, isHit } from "../identity/hit.ts";
import type { PeerMapping } from "../identity/peer_directory.ts";
import { FLAG, RCODE, rcodeName, TYPE } from "../wire/dns/code_points.ts";
import { HIP } from "../wire/dns/hip.ts";
import { formatHipRdata } from "../wire/dns/hip_presentation.ts";
import { answersOfType, type DnsMessage, rdataOf } from "../wire/dns/message.ts";
import { formatHostName, parseName } from "../wire/dns/name.ts";
import { formatIpAddress, mapIpv4, parseIpAddress } from "../wire/ip_address.ts";
import { Reader } from "../wire/reader.ts";
import { ApiRefusal, type LookupReport } from "./api_protocol.ts";
import { type DnsServerAddress, queryDns } from "./dns_client.ts";

type IdentityEntry = Omit<LookupReport["identities"][number], "isAccepted">;

/** Where to look. */
export interface LookupSources {
  /** The proxy; undefined when it does not serve. */
  readonly proxy: DnsServerAddress | undefined;
  readonly staticNames: StaticNames;
  /** Whether a HIT's suite is one that we can verify. */
  readonly accepts: (hit: Uint8Array) => boolean;
  /** What the engine knows of a HIT. */
  readonly mappingOf: (hit: Uint8Array) => PeerMapping | undefined;
  /** What stands for a HIT in IPv4, 4 octets. */
  readonly lsiOf: (hit: Uint8Array) => Uint8Array | undefined;
  /** Whether programs that know IPv6 get LSIs too. */
  readonly lsisAreForAll: boolean;
  readonly now: () => Instant;
}

/**
 * Looks a name up everywhere.
 *
 * @throws {ApiRefusal} When it is not a domain name.
 */
export async function lookupName(sources: LookupSources, text: string): Promise<LookupReport> {
  let name: Uint8Array;
  try {
    name = parseName(text);
  } catch {
    throw new ApiRefusal("bad-request", `"${text}" is neither a HIT nor a domain name`);
  }
  const ask = (type: number) =>
    sources.proxy === undefined ? undefined : queryDns(sources.proxy, name, type);
  const [hip, aaaa, a] = await Promise.all([ask(TYPE.HIP), ask(TYPE.AAAA), ask(TYPE.A)]);

  const addresses = [...addressesIn(aaaa, TYPE.AAAA), ...addressesIn(a, TYPE.A)];
  const hits = addresses.filter(isHit);
  const identities = [
    ...staticIdentities(sources.staticNames, name),
    ...recordIdentities(hip),
  ].filter(isFirstOfItsHit);
  // A HIT that the proxy released is usable even where its record was not asked again.
  for (const hit of hits.map(formatHit)) {
    if (identities.some((identity) => identity.hit === hit)) continue;
    identities.push({ hit, kind: null, rendezvous: [], source: "dns" });
  }
  const known = [...hits, ...staticHits(sources.staticNames, name)];
  const mappings = [...new Set(known.map(formatHit))].flatMap((hit) =>
    mappingReport(sources, parseIpAddress(hit))
  );
  return {
    name: formatHostName(name),
    identities: identities.map((identity) => ({
      ...identity,
      isAccepted: sources.accepts(parseIpAddress(identity.hit)),
    })),
    records: recordsIn(hip),
    mappings,
    locators: [...new Set(mappings.flatMap(({ locators }) => locators))],
    answer: addresses.map(formatIpAddress).filter((address) =>
      sources.lsisAreForAll || !mappings.some(({ lsi }) => lsi === address)
    ),
    responseCode: responseCode(aaaa, sources.proxy !== undefined),
  };
}

function mappingReport(
  { mappingOf, lsiOf, now }: LookupSources,
  hit: Uint8Array,
): LookupReport["mappings"] {
  const mapping = mappingOf(hit);
  if (mapping === undefined) return [];
  const { source, locators, rendezvous, expires } = mapping;
  return [{
    hit: formatHit(hit),
    lsi: lsiOf(hit)?.join(".") ?? null,
    source,
    locators: locators.map(formatIpAddress),
    rendezvous: rendezvous.map(formatIpAddress),
    secondsLeft: expires === undefined ? null : Math.max(0, Math.floor((expires - now()) / 1000)),
  }];
}

/** HIP records as they came; what cannot be read is shown in the form of RFC 3597. */
function recordsIn(answer: DnsMessage | undefined): string[] {
  if (answer === undefined) return [];
  return answersOfType(answer, TYPE.HIP).map((record) => {
    const rdata = rdataOf(answer, record);
    try {
      return formatHipRdata(HIP.parse(new Reader(rdata, "HIP record")));
    } catch {
      return `\\# ${rdata.length} ${toHex(rdata)}`;
    }
  });
}

function isFirstOfItsHit(
  entry: IdentityEntry,
  index: number,
  all: readonly IdentityEntry[],
): boolean {
  return all.findIndex(({ hit }) => hit === entry.hit) === index;
}

function staticHits(names: StaticNames, name: Uint8Array): Uint8Array[] {
  return names.peersOf(name).map((peer) => peer.hit);
}

function staticIdentities(names: StaticNames, name: Uint8Array): IdentityEntry[] {
  return names.peersOf(name).map((peer) => ({
    hit: formatHit(peer.hit),
    kind: peer.identity === undefined ? null : describeAlgorithm(peer.identity),
    rendezvous: peer.rendezvousNames.map(formatHostName),
    source: "static",
  }));
}

function recordIdentities(answer: DnsMessage | undefined): IdentityEntry[] {
  if (answer === undefined) return [];
  const entries: IdentityEntry[] = [];
  for (const record of answersOfType(answer, TYPE.HIP)) {
    try {
      const value = HIP.parse(new Reader(rdataOf(answer, record), "HIP record"));
      const identity = dnsKeyToHostIdentity(value.pkAlgorithm, value.publicKey);
      if (identity === undefined) continue;
      // RFC 8005 §4.1: the HIT counts that follows from the key, whatever the record says.
      const hit = hitOf(identity);
      const mark = bytesEqual(hit, value.hit) ? "" : ", the record's HIT is wrong";
      entries.push({
        hit: formatHit(hit),
        kind: describeAlgorithm(identity) + mark,
        rendezvous: value.rendezvousNames.map(formatHostName),
        source: "dns",
      });
    } catch {
      // A record that cannot be read names nobody.
    }
  }
  return entries;
}

function addressesIn(answer: DnsMessage | undefined, type: number): Uint8Array[] {
  if (answer === undefined) return [];
  return answersOfType(answer, type)
    .map((record) => rdataOf(answer, record))
    .filter((rdata) => rdata.length === (type === TYPE.A ? 4 : 16))
    .map((rdata) => type === TYPE.A ? mapIpv4(rdata) : rdata.slice());
}

function responseCode(answer: DnsMessage | undefined, isServing: boolean): string {
  if (!isServing) return "the DNS proxy is off";
  if (answer === undefined) return "no answer from DNS";
  const rcode = answer.flags & FLAG.RCODE_MASK;
  const isEmpty = rcode === RCODE.NOERROR && answer.records.every((r) => r.section !== "answer");
  return isEmpty ? "NOERROR, no addresses" : rcodeName(rcode);
}
