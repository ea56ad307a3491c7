/**
 * Randomness as an argument. The runtime gives the engine the system's generator, the simulator a
 * seeded one; nothing under `lib/` outside `lib/runtime/` draws any other.
 */

/** A source of uniformly distributed octets. */
export interface Random {
  /** Overwrites all of `bytes`. */
  fill(bytes: Uint8Array): void;
}

/** `length` fresh octets. */
export function randomBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  random.fill(bytes);
  return bytes;
}

/** A uniform integer, 0 to 2^32 - 1. */
export function randomUint32(random: Random): number {
  const bytes = randomBytes(random, 4);
  return new DataView(bytes.buffer).getUint32(0);
}
