/** How a step of the exchange says no, without throwing. */

import type { DropReason } from "../base/drop_reason.ts";
import type { JobFailure } from "./jobs.ts";

/** @param detail One clause for the local log, with the values that did not fit. */
export function failed(reason: DropReason, detail: string): JobFailure {
  return { kind: "failed", reason, detail };
}

/** Whether a step said no. Every other result has another `kind`. */
export function isFailure(value: object): value is JobFailure {
  return "kind" in value && value.kind === "failed";
}
