/**
 * The program: hands arguments, environment and the operating system to the command line. Only
 * this file imports `ffi/`.
 */

import { openLibcrypto } from "./ffi/libcrypto.ts";
import { linuxPlatform } from "./ffi/linux_platform.ts";
import { runCli } from "./lib/cli/run.ts";

if (import.meta.main) {
  const platform = linuxPlatform(openLibcrypto);
  Deno.exit(await runCli(Deno.args, platform, Deno.env.toObject()));
}
