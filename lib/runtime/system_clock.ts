/** The monotonic clock of the system (CLOCK_MONOTONIC), counted from the start of the process. */

import { instant } from "../base/time.ts";
import type { Clock } from "./ports.ts";

export const SYSTEM_CLOCK: Clock = { now: () => instant(performance.now()) };
