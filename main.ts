/**
 * The program: hands arguments, environment and the operating system to the command line. Only
 * this file, `job_worker.ts` and `data_worker.ts` import `ffi/`.
 */

import { linuxPlatform } from "./ffi/linux_platform.ts";
import { runCli } from "./lib/cli/run.ts";

if (import.meta.main) {
  const platform = linuxPlatform(
    new URL("./job_worker.ts", import.meta.url),
    new URL("./data_worker.ts", import.meta.url),
  );
  Deno.exit(await runCli(Deno.args, platform, Deno.env.toObject()));
}
