/**
 * Every reason for which a packet is discarded, and the counters that go with them. A packet that
 * vanishes without one of these is a defect.
 */

/** Name and meaning; the names are what `hip status --json` shows. */
export const DROP_REASONS = {
  // ESP, inbound
  "esp-too-short": "shorter than SPI, sequence number, IV, trailer and ICV of its suite",
  "esp-unknown-spi": "no inbound SA has this SPI",
  "esp-replayed": "sequence number seen before",
  "esp-left-of-window": "sequence number too old for the replay window",
  "esp-misaligned": "ciphertext is not a multiple of the alignment of its suite",
  "esp-icv-failed": "ICV wrong: altered, or sealed with another key",
  "esp-bad-padding": "pad length or padding octets wrong after decryption",
  "esp-forbidden-next-header": "next header opens a tunnel or a HIP header inside ESP",
  "esp-dummy": "dummy packet, next header 59; discarded by design",
  "esp-not-established": "SA exists but its association may not carry data yet",
  "esp-hard-limit": "the SA has carried all that its keys are good for",
  "esp-fragment": "piece of a packet, which the system should have put together",
  // inner packets, outbound
  "tun-not-ipv6": "not an IPv6 packet",
  "tun-malformed": "IPv6 header and packet length disagree",
  "tun-too-big": "more than the path carries; the sender was told with Packet Too Big",
  "tun-fragment": "piece of a packet whose other pieces did not come, or do not fit together",
  "tun-offload-malformed": "virtio_net_hdr does not fit the packet that came with it",
  "tun-not-a-hit": "destination is not a HIT",
  "tun-not-an-lsi": "IPv4, and not between an LSI of ours and one of a peer",
  "lsi-redirected": "that nobody has a port: only IPv4 waits there, which gets what comes next",
  "lsi-untranslatable": "ICMP that has no counterpart in the other version, or a wrong checksum",
  "tun-source-not-local": "source is not one of the local HITs",
  "tun-not-anonymous": "source is not the anonymous identity that this peer is to meet",
  "esp-wrong-inner-address": "inner addresses are not the HITs of the SA",
  "sequence-exhausted": "the SA's sequence number space is used up",
  "seal-failed": "the cipher refused to seal the packet",
  "staged-overflow": "too many packets waited for the association; the oldest went",
  "staged-expired": "the association did not come about in time",
  "association-closed": "the association closed while the packet waited",
  // HIP packets: form
  "hip-malformed": "header, length or parameter not as RFC 7401 demands",
  "hip-bad-checksum": "checksum wrong",
  "hip-bad-version": "version other than 2",
  "hip-unknown-type": "packet type unknown",
  "hip-unknown-critical-parameter": "critical parameter unknown",
  "hip-parameter-order": "parameters not in ascending order of type",
  // HIP packets: meaning
  "hip-not-for-us": "receiver HIT is not one of ours",
  "hip-invalid-hit": "sender HIT is not a HIT, or does not follow from the Host Identity",
  "hip-no-association": "no association for this pair of HITs",
  "hip-wrong-state": "the association's state has no use for this packet",
  "hip-own-packet": "sender HIT is our own",
  "hip-rate-limited": "more such packets than the rate limit answers",
  "hip-tie-break": "crossing exchange; the other one goes on",
  "hip-overtaken": "I2 of an exchange that its sender gave up for the association there is",
  "hip-no-common-group": "no common Diffie-Hellman group",
  "hip-wrong-group": "Diffie-Hellman group is not the one the lists demand",
  "hip-bad-public-value": "Diffie-Hellman public value not valid in its group",
  "hip-unsupported-suite": "HIT suite not supported",
  "hip-suite-list-differs": "HIT_SUITE_LIST is not the one of the R1 that could not be verified",
  "hip-no-common-cipher": "no acceptable HIP_CIPHER, or not exactly one chosen",
  "hip-no-common-esp-suite": "no acceptable ESP suite, or not exactly one chosen",
  "hip-no-transport-format": "no acceptable transport format",
  "hip-old-generation": "R1 generation counter out of range",
  "hip-unknown-puzzle": "puzzle not issued by us, or too long ago",
  "hip-puzzle-failed": "puzzle solution wrong",
  "hip-known-bad-solution": "a solution with which a packet failed before",
  "hip-puzzle-unsolvable": "puzzle too difficult for its lifetime or our limit",
  "hip-mac-failed": "HIP_MAC or HIP_MAC_2 wrong",
  "hip-signature-failed": "signature wrong",
  "hip-decryption-failed": "ENCRYPTED does not hold what it must",
  "hip-unexpected-identity": "Host Identity is not the one expected",
  "hip-spi-invalid": "SPI 0 to 255, or old SPI not zero in a base exchange",
  "hip-keymat-index": "KEYMAT index differs from ours",
  "hip-echo-mismatch": "echo response differs from what was asked",
  "hip-replayed": "update identifier or packet seen before",
  "hip-outside-window": "update identifier beyond what may be outstanding",
  "hip-too-long": "the answer would exceed the longest HIP packet",
  "hip-rekey-failed": "a rekey came to nothing; the old SAs stay",
  "hip-wrong-transport": "in UDP or without, where the configuration has the other for this peer",
  "hip-refused": "the access list, or a switch, does not let this peer start an exchange",
  "hip-busy": "too many half-open associations or jobs",
  "hip-job-failed": "a computation failed or its worker was lost",
  // ICMP about packets that we sent
  "icmp-malformed": "no ICMP error with a right checksum that quotes enough of a packet",
  "icmp-not-ours": "quotes a packet that we did not send, or not lately",
  "icmp-not-accepted": "of a kind that the configuration ignores",
  "icmp-no-use": "nothing follows from it in the state that its association or SA is in",
  "icmp-rate-limited": "more ICMP errors than are looked at",
  // datagrams
  "datagram-malformed": "IP header or length not usable",
  "datagram-unknown": "neither HIP nor ESP",
  "udp-too-short": "datagram of less than four octets that is no keepalive",
  "udp-reserved-spi": "datagram that begins with an SPI of 1 to 255",
  "send-failed": "the system refused to send",
  "thread-busy": "the next thread on its way has too much to do",
} as const;

export type DropReason = keyof typeof DROP_REASONS;

const REASONS = Object.keys(DROP_REASONS) as DropReason[];
const INDEXES: ReadonlyMap<DropReason, number> = new Map(REASONS.map((reason, i) => [reason, i]));

/** A reason as a number, which is the same in all threads of this program. */
export function dropReasonIndex(reason: DropReason): number {
  return INDEXES.get(reason)!;
}

/** The reason that has this number. */
export function dropReasonAt(index: number): DropReason {
  return REASONS[index]!;
}

/** Octets of memory for all counters. */
export const DROP_COUNTERS_SIZE = REASONS.length * 8;

/** One counter per reason; they only grow. */
export class DropCounters {
  /** Whole numbers, exact up to 2^53. */
  readonly #counts: Float64Array;

  /**
   * @param memory `DROP_COUNTERS_SIZE` octets, all zero at first, where other threads may read what
   *   one counts; its own without it.
   */
  constructor(memory: ArrayBufferLike = new ArrayBuffer(DROP_COUNTERS_SIZE)) {
    this.#counts = new Float64Array(memory, 0, REASONS.length);
  }

  count(reason: DropReason): void {
    this.#counts[INDEXES.get(reason)!]! += 1;
  }

  get(reason: DropReason): number {
    return this.#counts[INDEXES.get(reason)!]!;
  }

  /** The counters that are not zero, by name. */
  toJSON(): Partial<Record<DropReason, number>> {
    const counted = REASONS.map((reason, i) => [reason, this.#counts[i]!] as const);
    return Object.fromEntries(counted.filter(([, count]) => count > 0));
  }
}

/** The sum of several tables of counters, by name. */
export function sumOfDrops(
  ...tables: readonly Partial<Record<DropReason, number>>[]
): Partial<Record<DropReason, number>> {
  const sum: Partial<Record<DropReason, number>> = {};
  for (const reason of REASONS) {
    const count = tables.reduce((total, table) => total + (table[reason] ?? 0), 0);
    if (count > 0) sum[reason] = count;
  }
  return sum;
}
