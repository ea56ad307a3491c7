/**
 * The timer table: at most one wake-up per owner, found in order of time. Setting a timer again
 * moves it; a call too many does nothing.
 */

import type { Instant } from "../base/time.ts";

interface Entry<Owner> {
  readonly at: Instant;
  readonly order: number;
  readonly owner: Owner;
}

/** Binary heap with lazy removal: an entry that its owner no longer points to is passed over. */
export class TimerTable<Owner> {
  readonly #heap: Entry<Owner>[] = [];
  readonly #current = new Map<Owner, Entry<Owner>>();
  #order = 0;

  /** Owners with a timer. */
  get size(): number {
    return this.#current.size;
  }

  /** Wakes `owner` at `at` and not before; undefined stops its timer. */
  set(owner: Owner, at: Instant | undefined): void {
    const current = this.#current.get(owner);
    if (current?.at === at) return;
    if (at === undefined) {
      this.#current.delete(owner);
      return;
    }
    const entry = { at, order: this.#order++, owner };
    this.#current.set(owner, entry);
    this.#push(entry);
  }

  /** When the next timer runs out; undefined when none is set. */
  next(): Instant | undefined {
    return this.#peek()?.at;
  }

  /** An owner whose time has come, its timer now stopped; equal times in the order they were set. */
  popDue(now: Instant): Owner | undefined {
    const first = this.#peek();
    if (first === undefined || first.at > now) return undefined;
    this.#pop();
    this.#current.delete(first.owner);
    return first.owner;
  }

  #peek(): Entry<Owner> | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || this.#current.get(first.owner) === first) return first;
      this.#pop();
    }
  }

  #push(entry: Entry<Owner>): void {
    const heap = this.#heap;
    let child = heap.length;
    heap.push(entry);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (isEarlier(heap[parent]!, entry)) break;
      heap[child] = heap[parent]!;
      child = parent;
    }
    heap[child] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isEarlier(heap[child + 1]!, heap[child]!)) child++;
      if (isEarlier(last, heap[child]!)) break;
      heap[parent] = heap[child]!;
      parent = child;
    }
    heap[parent] = last;
  }
}

function isEarlier<Owner>(a: Entry<Owner>, b: Entry<Owner>): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
