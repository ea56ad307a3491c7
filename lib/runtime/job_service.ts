/**
 * What passes between the job runner and its workers, and the worker's half of it. One message is
 * one job or one result; the first message of a worker says that it has loaded.
 */

import { wipe } from "../base/bytes.ts";
import type { JobRequest } from "../engine/effects.ts";
import type { Job, JobResult } from "../hip/jobs.ts";
import type { JobDone } from "./ports.ts";

/** Name of the worker for puzzles; every other does public-key work. */
export const PUZZLE_LANE = "puzzles";

/** What a worker says. */
export type WorkerMessage = {
  readonly kind: "ready";
  /** Name of the provider that does the worker's public-key work. */
  readonly publicKeys: string;
} | {
  readonly kind: "done";
  readonly done: JobDone;
};

/** The part of a worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<JobRequest>) => void) | null;
  postMessage(message: WorkerMessage): void;
}

/** A worker without jobs for so long has time to rehearse, in milliseconds. */
const IDLE_MS = 10;

/**
 * Answers every message with what `run` makes of it; an error thrown is a failed job.
 *
 * @param publicKeys Name of the provider that `run` uses.
 * @param rehearsal Short steps, done one at a time when no job came for a while; a real job never
 *   waits for more than one of them. What goes wrong there ends the rehearsal and nothing else.
 */
export function serveJobs(
  run: (job: Job) => JobResult,
  publicKeys: string,
  rehearsal?: Iterator<void>,
): void {
  const scope = globalThis as unknown as WorkerScope;
  let rest = rehearsal;
  let timer: number | undefined;
  const rehearse = () => {
    try {
      if (rest?.next().done) rest = undefined;
    } catch {
      rest = undefined;
    }
    if (rest !== undefined) timer = setTimeout(rehearse, 0);
  };
  const rehearseWhenIdle = () => {
    clearTimeout(timer);
    if (rest !== undefined) timer = setTimeout(rehearse, IDLE_MS);
  };
  scope.onmessage = (event) => {
    const { id, job } = event.data;
    let result: JobResult;
    try {
      result = run(job);
    } catch (error) {
      result = { kind: "failed", reason: "hip-job-failed", detail: String(error) };
    }
    scope.postMessage({ kind: "done", done: { id, result } });
    // Private keys, seeds and what was drawn from them; both are this thread's own copies.
    wipeOctets(job);
    wipeOctets(result);
    rehearseWhenIdle();
  };
  scope.postMessage({ kind: "ready", publicKeys });
  rehearseWhenIdle();
}

/** Overwrites every array of octets in a plain value. */
function wipeOctets(value: unknown): void {
  if (value instanceof Uint8Array) wipe(value);
  else if (typeof value === "object" && value !== null) Object.values(value).forEach(wipeOctets);
}
