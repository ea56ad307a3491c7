/** What happens to ESP packets that an administrator may want to have in the log (RFC 4303 §4). */

import type { DropReason } from "../base/drop_reason.ts";

/** In the order of RFC 4303 §3.3.3, §3.4.1 to §3.4.4. */
export const AUDIT_EVENTS = ["overflow", "fragment", "no-sa", "replay", "icv-failed"] as const;

export type AuditEvent = typeof AUDIT_EVENTS[number];

/** The event that a drop is; undefined for those that are none. */
export function auditEventOf(reason: DropReason): AuditEvent | undefined {
  switch (reason) {
    case "sequence-exhausted":
      return "overflow";
    case "esp-fragment":
      return "fragment";
    case "esp-unknown-spi":
      return "no-sa";
    case "esp-replayed":
    case "esp-left-of-window":
      return "replay";
    case "esp-icv-failed":
      return "icv-failed";
    default:
      return undefined;
  }
}
