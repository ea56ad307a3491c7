/**
 * Which clients ask for both kinds of address at once. One that asks for A alone knows no IPv6 and
 * gets LSIs; one that asks for AAAA too, from the same socket, gets HITs there.
 */

import { elapsed, type Instant } from "../base/time.ts";
import { nameKey } from "../wire/dns/name.ts";
import type { ClientQuery } from "./client_query.ts";
import { MAX_REMEMBERED, TWIN_QUERY_SPAN } from "./constants.ts";

export class TwinQueries {
  /** When a client asked for AAAA last; the oldest first. */
  readonly #asked = new Map<string, Instant>();

  /** Notes a question for AAAA. */
  note(now: Instant, query: ClientQuery): void {
    const key = twinKey(query);
    this.#asked.delete(key);
    this.#asked.set(key, now);
    for (const [oldest, at] of this.#asked) {
      if (this.#asked.size <= MAX_REMEMBERED && elapsed(at, now) <= TWIN_QUERY_SPAN) break;
      this.#asked.delete(oldest);
    }
  }

  /** Whether one question was for AAAA shortly before or after `at`. */
  has(query: ClientQuery, at: Instant): boolean {
    const asked = this.#asked.get(twinKey(query));
    return asked !== undefined && Math.abs(asked - at) <= TWIN_QUERY_SPAN;
  }
}

/** Client socket and name: what twins have in common. */
export function twinKey({ client, question }: ClientQuery): string {
  return `${client.transport} ${client.source} ${nameKey(question.name)}`;
}
