/**
 * `JobRunner` on worker threads: one for hard puzzles, one for public-key work, so that a long puzzle
 * never delays a signature. Each runs its jobs in the order in which they came. Who never meets a
 * hard puzzle, as on quiet days nobody does, never has the thread for them.
 */

import type { JobRequest } from "../engine/effects.ts";
import type { Job, JobFailure } from "../hip/jobs.ts";
import { PUZZLE_LANE, type WorkerMessage } from "./job_service.ts";
import type { JobDone, JobRunner } from "./ports.ts";

/** Jobs that may wait for one worker; later ones fail at once. */
export const MAX_QUEUED_JOBS = 256;

/** Puzzles up to this difficulty take less than a signature, a quarter of a millisecond. */
const EASY_K = 8;

export interface WorkerJobRunnerOptions {
  /** The module that the workers run; the portable one without it. */
  readonly workerUrl?: URL;
}

export class WorkerJobRunner implements JobRunner {
  readonly ready: Promise<void>;
  readonly #done: JobDone[] = [];
  readonly #puzzles: Lane;
  readonly #publicKeys: Lane;
  #pending = 0;
  #listener: () => void = () => {};
  #isAnnounced = false;

  constructor(options: WorkerJobRunnerOptions = {}) {
    const url = options.workerUrl ?? new URL("./portable_job_worker.ts", import.meta.url);
    const finish = (done: JobDone) => this.#finish(done);
    this.#puzzles = new Lane(PUZZLE_LANE, url, finish);
    this.#publicKeys = new Lane("public keys", url, finish);
    this.#publicKeys.start();
    this.ready = this.#publicKeys.ready;
    // Whoever awaits it sees the error; jobs fail one by one in any case.
    for (const { ready } of [this.#puzzles, this.#publicKeys]) ready.catch(() => {});
  }

  get pending(): number {
    return this.#pending;
  }

  get publicKeys(): string {
    return this.#publicKeys.provider;
  }

  submit(request: JobRequest): void {
    this.#pending++;
    this.#laneOf(request.job).submit(request);
  }

  poll(): JobDone | undefined {
    const done = this.#done.shift();
    if (done !== undefined) this.#pending--;
    return done;
  }

  onDone(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#puzzles.close();
    this.#publicKeys.close();
  }

  #laneOf(job: Job): Lane {
    const isHard = job.kind === "solve-puzzle" && job.difficultyK > EASY_K;
    return isHard ? this.#puzzles : this.#publicKeys;
  }

  /** Tells the listener later, never from inside `submit`, and once for what comes together. */
  #finish(done: JobDone): void {
    this.#done.push(done);
    if (this.#isAnnounced) return;
    this.#isAnnounced = true;
    queueMicrotask(() => {
      this.#isAnnounced = false;
      this.#listener();
    });
  }
}

/** One worker and its queue. */
class Lane {
  readonly ready: Promise<void>;
  /** Who does its public-key work; empty until it has loaded. */
  provider = "";
  readonly #name: string;
  readonly #url: URL;
  readonly #finish: (done: JobDone) => void;
  readonly #queue: JobRequest[] = [];
  #running: JobRequest | undefined;
  #worker: Worker | undefined;
  #isLoaded = false;
  #isClosed = false;
  #hasStarted = false;
  #settleReady: { resolve(): void; reject(error: Error): void };

  constructor(name: string, url: URL, finish: (done: JobDone) => void) {
    this.#name = name;
    this.#url = url;
    this.#finish = finish;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#settleReady = { resolve, reject };
  }

  /** Loads the worker, unless that has happened. The first job does so as well. */
  start(): void {
    if (this.#hasStarted || this.#isClosed) return;
    this.#hasStarted = true;
    this.#worker = this.#load();
  }

  submit(request: JobRequest): void {
    this.start();
    if (this.#worker === undefined) {
      this.#fail(request, "hip-job-failed", "there is no worker");
    } else if (this.#queue.length >= MAX_QUEUED_JOBS) {
      this.#fail(request, "hip-busy", `more than ${MAX_QUEUED_JOBS} jobs wait`);
    } else {
      this.#queue.push(request);
      this.#next();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#running = undefined;
    this.#queue.length = 0;
  }

  #load(): Worker {
    const worker = new Worker(this.#url, { type: "module", name: this.#name });
    worker.onmessage = (event: MessageEvent<WorkerMessage>) => {
      if (worker !== this.#worker) return;
      const message = event.data;
      if (message.kind === "ready") {
        this.#isLoaded = true;
        this.provider = message.publicKeys;
        this.#settleReady.resolve();
      } else {
        this.#running = undefined;
        this.#finish(message.done);
      }
      this.#next();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (worker === this.#worker) this.#replace(event.message);
    };
    return worker;
  }

  /** The worker died: its job is lost, and a new one takes the rest, unless none ever loads. */
  #replace(why: string): void {
    this.#worker?.terminate();
    const lost = this.#running;
    this.#running = undefined;
    if (this.#isLoaded) {
      this.#isLoaded = false;
      this.#worker = this.#load();
      if (lost) this.#fail(lost, "hip-job-failed", why);
      return;
    }
    this.#worker = undefined;
    this.#settleReady.reject(new Error(`Cannot start the worker for ${this.#name}: ${why}`));
    for (const request of this.#queue.splice(0)) this.#fail(request, "hip-job-failed", why);
  }

  #next(): void {
    if (!this.#isLoaded || this.#running !== undefined) return;
    this.#running = this.#queue.shift();
    if (this.#running !== undefined) this.#worker?.postMessage(this.#running);
  }

  #fail(request: JobRequest, reason: JobFailure["reason"], detail: string): void {
    this.#finish({ id: request.id, result: { kind: "failed", reason, detail } });
  }
}
