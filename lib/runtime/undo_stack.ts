/**
 * What must be taken back, in reverse order, when a start fails or the agent ends.
 *
 * One step that hangs must not keep the others from being taken back: it is left behind.
 */

import type { Logger } from "../base/logger.ts";

/** Longest that one step may take, in milliseconds; closing associations takes 2 s at most. */
const STEP_TIMEOUT_MS = 3000;

interface Step {
  readonly what: string;
  readonly undo: () => void | Promise<void>;
}

/** Steps taken so far. Unwinding never stops half-way: what fails is logged. */
export class UndoStack {
  readonly #steps: Step[] = [];
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Notes how to take a step back.
   *
   * @param what Begins a sentence that may follow with "failed": "Closing the TUN device".
   */
  push(what: string, undo: () => void | Promise<void>): void {
    this.#steps.push({ what, undo });
  }

  /** Takes back every step, the last one first; a second call finds nothing to do. */
  async unwind(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      this.#logger.log("debug", step.what);
      try {
        if (!await inTime(step.undo())) this.#logger.log("error", `${step.what} does not end`);
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        this.#logger.log("error", `${step.what} failed: ${problem}`);
      }
    }
  }
}

async function inTime(action: void | Promise<void>): Promise<boolean> {
  if (action === undefined) return true;
  let timer: number | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), STEP_TIMEOUT_MS);
  });
  try {
    return await Promise.race([action.then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
