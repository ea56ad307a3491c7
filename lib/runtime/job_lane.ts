/** What the program's workers do: hard puzzles in one, public-key work in the other. */

import { PORTABLE_PUBLIC_KEYS } from "../crypto/portable_public_keys.ts";
import type { PublicKeyProvider } from "../crypto/public_key_provider.ts";
import type { Digest } from "../crypto/rhash.ts";
import type { Job } from "../hip/jobs.ts";
import { runJob } from "../hip/run_job.ts";
import { rehearseExchanges, rehearsePuzzles } from "./job_rehearsal.ts";
import { PUZZLE_LANE, serveJobs } from "./job_service.ts";
import { SYSTEM_RANDOM } from "./system_random.ts";

/**
 * Takes jobs one at a time and answers each with its result. Called once, as the whole of a
 * worker's module.
 *
 * @param openPublicKeys Not called for hard puzzles. What it throws keeps the worker from loading.
 * @param openDigest For puzzles; the same holds for it. The runtime hashes when there is none.
 */
export function serveLane(
  openPublicKeys: () => PublicKeyProvider,
  openDigest?: () => Digest | undefined,
): void {
  const isPuzzles = self.name === PUZZLE_LANE;
  const publicKeys = isPuzzles ? PORTABLE_PUBLIC_KEYS : openPublicKeys();
  const compute = openDigest?.();
  const run = (job: Job) => runJob(job, publicKeys, compute);
  const rehearse = isPuzzles ? rehearsePuzzles : rehearseExchanges;
  serveJobs(run, publicKeys.name, rehearse(run, SYSTEM_RANDOM));
}
