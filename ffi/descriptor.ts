/** The end of what was opened. */

import { checked } from "./errno.ts";
import { libc } from "./libc.ts";

/** Runs `setUp` on a new descriptor, which it closes when that fails. */
export function orClose<T>(descriptor: number, setUp: () => T): T {
  try {
    return setUp();
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
}

/** Closes a descriptor, if it is ours to close. */
export function closeOwned(descriptor: number, isOwner: boolean): void {
  if (isOwner) checked("close a descriptor", libc.close(descriptor));
}
