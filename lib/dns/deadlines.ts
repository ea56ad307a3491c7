/**
 * What is to happen after a few fixed spans. What was set with one span comes due in the order in
 * which it was set, so that thousands of waits cost no more than one.
 */

import { Queue } from "../base/queue.ts";
import { after, type Duration, earliest, type Instant } from "../base/time.ts";

interface Entry<T> {
  readonly at: Instant;
  readonly item: T;
}

export class Deadlines<T> {
  readonly #isLive: (item: T) => boolean;
  readonly #bySpan = new Map<Duration, { head: Entry<T> | undefined; rest: Queue<Entry<T>> }>();

  /** @param isLive Whether an item still waits; others are passed over. */
  constructor(isLive: (item: T) => boolean) {
    this.#isLive = isLive;
  }

  /** Comes due `span` after `now`; `now` never falls. Few different spans. */
  set(now: Instant, span: Duration, item: T): void {
    const line = this.#bySpan.get(span) ?? { head: undefined, rest: new Queue<Entry<T>>() };
    this.#bySpan.set(span, line);
    line.rest.push({ at: after(now, span), item });
    line.head ??= line.rest.shift();
  }

  /** An item whose time has come, once for each `set`. */
  popDue(now: Instant): T | undefined {
    for (const line of this.#bySpan.values()) {
      this.#skipDead(line);
      if (line.head === undefined || line.head.at > now) continue;
      const { item } = line.head;
      line.head = line.rest.shift();
      return item;
    }
    return undefined;
  }

  /** When the next live item comes due. */
  next(): Instant | undefined {
    let next: Instant | undefined;
    for (const line of this.#bySpan.values()) {
      this.#skipDead(line);
      next = earliest(next, line.head?.at);
    }
    return next;
  }

  #skipDead(line: { head: Entry<T> | undefined; rest: Queue<Entry<T>> }): void {
    while (line.head !== undefined && !this.#isLive(line.head.item)) line.head = line.rest.shift();
  }
}
