/** The other side of `job_runner.ts`: takes jobs one at a time, answers each with its result. */

import { runJob } from "../hip/run_job.ts";
import { serveJobs } from "./job_service.ts";

serveJobs(runJob);
