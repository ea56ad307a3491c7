/** `BlockingWait` on poll(2), for a thread that has nothing else to do. */

import type { BlockingWait, Pollable } from "../lib/runtime/ports.ts";
import { libc } from "./libc.ts";
import { PollTable } from "./poll_table.ts";

/** In milliseconds, as poll takes them. */
const AT_ONCE = 0;
const FOREVER = -1;

export function makeBlockingWait(sources: readonly Pollable[]): BlockingWait {
  const table = new PollTable(sources);
  // A failure (EINTR, ENOMEM) is a wait that ended early.
  return {
    block: () => void libc.poll(table.bytes, table.count, FOREVER),
    look: () => void libc.poll(table.bytes, table.count, AT_ONCE),
    isReady: (source) => table.isReady(source),
  };
}
