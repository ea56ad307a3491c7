/**
 * First in, first out, in a ring: both ends cost the same however many wait, which the `shift` of a
 * long array does not. What is taken is no longer held.
 */

const SMALLEST_CAPACITY = 16;

export class Queue<T> {
  #slots: (T | undefined)[] = new Array(SMALLEST_CAPACITY).fill(undefined);
  #first = 0;
  #length = 0;

  /** Values that wait. */
  get length(): number {
    return this.#length;
  }

  push(value: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#first + this.#length) & (this.#slots.length - 1)] = value;
    this.#length++;
  }

  /** Takes the oldest value; undefined when none waits. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const value = this.#slots[this.#first];
    this.#slots[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#slots.length - 1);
    this.#length--;
    return value;
  }

  /** Doubles the ring, so that its size stays a power of two. */
  #grow(): void {
    const old = this.#slots;
    const slots: (T | undefined)[] = new Array(old.length * 2).fill(undefined);
    for (let i = 0; i < this.#length; i++) slots[i] = old[(this.#first + i) & (old.length - 1)];
    this.#slots = slots;
    this.#first = 0;
  }
}
