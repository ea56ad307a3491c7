/** What is to happen when: a binary heap in order of time, equal times in order of insertion. */

import type { Instant } from "../../lib/base/time.ts";

interface Entry {
  readonly at: Instant;
  readonly number: number;
  readonly action: () => void;
}

export class EventQueue {
  readonly #heap: Entry[] = [];
  #number = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** When the next action is due. */
  nextAt(): Instant | undefined {
    return this.#heap[0]?.at;
  }

  add(at: Instant, action: () => void): void {
    const heap = this.#heap;
    const entry = { at, number: this.#number++, action };
    let child = heap.push(entry) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (comesBefore(heap[parent]!, entry)) break;
      heap[child] = heap[parent]!;
      child = parent;
    }
    heap[child] = entry;
  }

  /** Takes out the next action. */
  take(): (() => void) | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first?.action;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && comesBefore(heap[child + 1]!, heap[child]!)) child++;
      if (comesBefore(last, heap[child]!)) break;
      heap[parent] = heap[child]!;
      parent = child;
    }
    heap[parent] = last;
    return first.action;
  }
}

function comesBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.number < b.number);
}
