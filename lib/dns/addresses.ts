/** The addresses that an answer gives to one owner name. */

import { TYPE } from "../wire/dns/code_points.ts";
import { type DnsMessage, type DnsRecord, rdataOf } from "../wire/dns/message.ts";
import { mapIpv4 } from "../wire/ip_address.ts";
import { recordsOf } from "./chain.ts";
import { MAX_TTL_SECONDS } from "./constants.ts";

/**
 * Addresses of type A or AAAA at `owner`, as 16 octets each, with the records they stand in and
 * the smallest TTL, at most `MAX_TTL_SECONDS`. Records of the wrong size are passed over.
 */
export function addressesOf(
  message: DnsMessage,
  type: number,
  owner: Uint8Array,
): { records: DnsRecord[]; addresses: Uint8Array[]; ttlSeconds: number } {
  const size = type === TYPE.A ? 4 : 16;
  const records = recordsOf(message, type, owner)
    .filter((record) => record.end - record.rdataStart === size);
  const addresses = records.map((record) => {
    const rdata = rdataOf(message, record).slice();
    return type === TYPE.A ? mapIpv4(rdata) : rdata;
  });
  const ttlSeconds = Math.min(MAX_TTL_SECONDS, ...records.map((record) => record.ttl));
  return { records, addresses, ttlSeconds };
}
