/** What the proxy counts; the names are what `hip status --json` shows. They only grow. */

export const DNS_COUNTERS = {
  "queries-a": "client queries for A",
  "queries-aaaa": "client queries for AAAA",
  "queries-ptr": "client queries for PTR",
  "queries-other": "client queries for any other type",
  "queries-malformed": "client messages dropped or answered FORMERR or NOTIMP",
  "queries-refused": "client queries from other hosts' addresses, dropped",
  "queries-overflow":
    "client queries refused because too many were in progress, or too many of one client",
  "answers-modified": "answers that hold at least one HIT or LSI we put there",
  "hits-added": "HITs put into answers",
  "lsis-added": "LSIs put into answers",
  "lsis-exhausted": "answers without an LSI because none was free",
  "mappings-unanswered": "mappings about which the engine said nothing in time",
  "hints-removed": "address hints taken out of HTTPS and SVCB answers",
  "mappings-pushed": "mappings handed to the engine",
  "mappings-refused": "mappings the engine did not take",
  "hit-mismatches": "HIP records whose HIT does not follow from their key",
  "hip-records-malformed": "HIP records whose RDATA cannot be parsed",
  "hip-records-unusable": "HIP records with an unknown algorithm, a bad key or a HIT of odd length",
  "hip-answers-insecure": "HIP answers passed over because nobody had validated them",
  "hip-chain-mismatches": "HIP answers for another canonical name than the addresses have",
  "hip-records-surplus": "HIP records beyond the number used of one answer",
  "rendezvous-names-surplus": "rendezvous names beyond the number used of one record",
  "locators-surplus": "locators beyond the number used of one HIT",
  "hip-lookup-timeouts": "HIP lookups without any answer",
  "hip-lookup-errors": "HIP lookups answered with an error",
  "cache-hits": "questions answered from what upstream said before",
  "answers-truncated": "answers cut and sent with TC",
  "upstream-queries": "queries sent upstream",
  "upstream-timeouts": "attempts without an answer in time",
  "upstream-mismatches": "datagrams that answer no question of ours",
  "hits-withheld-unreachable": "HITs left out because they could not be reached lately",
  "hits-withheld-no-locator": "HITs left out because no address is known for them",
} as const;

export type DnsCounter = keyof typeof DNS_COUNTERS;

export class DnsCounters {
  readonly #counts = new Map<DnsCounter, number>();

  count(counter: DnsCounter, by = 1): void {
    this.#counts.set(counter, (this.#counts.get(counter) ?? 0) + by);
  }

  get(counter: DnsCounter): number {
    return this.#counts.get(counter) ?? 0;
  }

  /** The counters that are not zero, by name. */
  toJSON(): Partial<Record<DnsCounter, number>> {
    return Object.fromEntries(this.#counts) as Partial<Record<DnsCounter, number>>;
  }
}
