import type { DropReason } from "../../lib/base/drop_reason.ts";

/**
 * What may be dropped under full load while keys change and associations end. Packets under way then
 * belong to nobody any more; both ends may begin anew at once, and send again what was answered
 * late; and a full load is full when queues overflow. Everything else has to be explained.
 */
export const EXPLAINED_DROPS: ReadonlySet<string> = new Set<DropReason>([
  "esp-unknown-spi",
  "esp-not-established",
  "association-closed",
  "staged-overflow",
  "thread-busy",
  "send-failed",
  "hip-replayed",
  "hip-wrong-state",
  "hip-tie-break",
]);
