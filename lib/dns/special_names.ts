/** Names that are answered here because they must not leave the host (RFC 6761 §6, RFC 7686 §2). */

import { CLASS_IN, RCODE, TYPE } from "../wire/dns/code_points.ts";
import { isUnder, parseName } from "../wire/dns/name.ts";
import { type ClientQuery, localReply } from "./client_query.ts";
import { LOCAL_TTL_SECONDS } from "./constants.ts";

const LOCALHOST = parseName("localhost.");
const NONEXISTENT = [parseName("invalid."), parseName("onion.")];
const LOCAL = parseName("local.");

const LOOPBACK_IPV4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK_IPV6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** The whole answer for a special name, or undefined for any other name. */
export function answerSpecialName(query: ClientQuery): Uint8Array | undefined {
  const { name, type } = query.question;
  if (query.question.class !== CLASS_IN) return undefined;
  if (NONEXISTENT.some((suffix) => isUnder(name, suffix))) {
    return localReply(query, RCODE.NXDOMAIN);
  }
  if (!isUnder(name, LOCALHOST)) return undefined;
  const address = type === TYPE.A ? LOOPBACK_IPV4 : type === TYPE.AAAA ? LOOPBACK_IPV6 : undefined;
  return localReply(query, RCODE.NOERROR, (builder) => {
    if (address === undefined) return;
    const record = { name, type, class: CLASS_IN, ttlSeconds: LOCAL_TTL_SECONDS };
    builder.add("answer", record, address);
  });
}

/** Whether the name belongs to multicast DNS (RFC 6762 §3): no HIP record is asked for. */
export function isMulticastDnsName(name: Uint8Array): boolean {
  return isUnder(name, LOCAL);
}
