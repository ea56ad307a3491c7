/**
 * Which Update IDs of the peer were processed (RFC 7401 §6.12). IDs are compared on a circle of
 * 2^32, and may come in any order within a window.
 */

/** Bits of one word: how far back single IDs are remembered. */
const REMEMBERED = 32;

export class UpdateWindow {
  readonly #ahead: number;
  #highest: number;
  /** Bit n: whether `#highest` - n was seen. All before the first ID count as seen. */
  #seen = 0xffffffff;

  /**
   * @param ahead How many IDs the peer may have sent that did not arrive.
   * @param next The first ID that is expected.
   */
  constructor(ahead: number, next = 0) {
    this.#ahead = ahead;
    this.#highest = (next - 1) >>> 0;
  }

  /** "beyond" the window, "seen" before, too old to be told from that, or "new". */
  judge(updateId: number): "new" | "seen" | "beyond" {
    const distance = (updateId - this.#highest) | 0;
    if (distance > this.#ahead) return "beyond";
    if (distance > 0) return "new";
    if (-distance >= REMEMBERED) return "seen";
    return (this.#seen >>> -distance & 1) === 1 ? "seen" : "new";
  }

  /** Notes an ID that is new. */
  record(updateId: number): void {
    const distance = (updateId - this.#highest) | 0;
    if (distance > 0) {
      this.#seen = distance >= REMEMBERED ? 0 : this.#seen << distance;
      this.#highest = updateId;
    }
    this.#seen |= 1 << ((this.#highest - updateId) | 0);
  }

  /** Makes an ID that was recorded new again. */
  forget(updateId: number): void {
    this.#seen &= ~(1 << ((this.#highest - updateId) | 0));
  }
}
