/**
 * What passes between the job runner and its workers, and the worker's half of it. One message is
 * one job or one result; the first message of a worker says that it has loaded.
 */

import type { JobRequest } from "../engine/effects.ts";
import type { Job, JobResult } from "../hip/jobs.ts";
import type { JobDone } from "./ports.ts";

/** What a worker says. */
export type WorkerMessage = { readonly kind: "ready" } | {
  readonly kind: "done";
  readonly done: JobDone;
};

/** The part of a worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<JobRequest>) => void) | null;
  postMessage(message: WorkerMessage): void;
}

/** Answers every message with what `run` makes of it; an error thrown is a failed job. */
export function serveJobs(run: (job: Job) => JobResult): void {
  const scope = globalThis as unknown as WorkerScope;
  scope.onmessage = (event) => {
    const { id, job } = event.data;
    let result: JobResult;
    try {
      result = run(job);
    } catch (error) {
      result = { kind: "failed", reason: "hip-job-failed", detail: String(error) };
    }
    scope.postMessage({ kind: "done", done: { id, result } });
  };
  scope.postMessage({ kind: "ready" });
}
