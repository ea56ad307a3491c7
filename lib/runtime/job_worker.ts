/** The other side of `job_runner.ts`: takes jobs one at a time, answers each with its result. */

import { runJob } from "../hip/run_job.ts";
import { rehearseExchanges, rehearsePuzzles } from "./job_rehearsal.ts";
import { PUZZLE_LANE, serveJobs } from "./job_service.ts";
import { SYSTEM_RANDOM } from "./system_random.ts";

const rehearse = self.name === PUZZLE_LANE ? rehearsePuzzles : rehearseExchanges;
serveJobs(runJob, rehearse(runJob, SYSTEM_RANDOM));
