/**
 * Waiting work of many clients, taken from each client in turn: whoever has much waits for itself,
 * and not those who have little.
 */

import { Queue } from "../base/queue.ts";

export class FairQueue<T> {
  /** The client whose turn it is first. */
  readonly #byClient = new Map<string, Queue<T>>();

  push(client: string, item: T): void {
    const waiting = this.#byClient.get(client);
    if (waiting !== undefined) return waiting.push(item);
    const queue = new Queue<T>();
    queue.push(item);
    this.#byClient.set(client, queue);
  }

  /** The oldest item of the next client that may have one taken; its turn is then over. */
  take(mayTake: (client: string) => boolean): { client: string; item: T } | undefined {
    for (const [client, queue] of this.#byClient) {
      if (!mayTake(client)) continue;
      const item = queue.shift()!;
      this.#byClient.delete(client);
      if (queue.length > 0) this.#byClient.set(client, queue);
      return { client, item };
    }
    return undefined;
  }
}
