/**
 * Makes the single executable `dist/hip` with `deno compile`.
 *
 *     deno task compile [--release] [--output FILE]
 *
 * `deno compile` puts the program behind a runtime base, which Deno downloads from its own host unless
 * DENORT_BIN names a local one. Without DENORT_BIN, a base that install.sh has fetched and checked on a
 * host without access to Deno's is used; `--release` never takes that one.
 */

import { dirname } from "node:path";

/** Loaded by URL at run time, so `deno compile` does not find them by itself. */
const WORKERS = ["job_worker.ts", "data_worker.ts", "lib/runtime/portable_job_worker.ts"];

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function denortFromInstaller(): Promise<string | undefined> {
  const home = Deno.env.get("HOME");
  const cache = Deno.env.get("XDG_CACHE_HOME") || (home ? `${home}/.cache` : "/var/cache");
  const path = `${cache}/hip-toolchain/denort-from-npm`;
  return await exists(path) ? path : undefined;
}

async function compile(output: string, isRelease: boolean): Promise<number> {
  const env: Record<string, string> = {};
  if (!Deno.env.has("DENORT_BIN") && !isRelease) {
    const denort = await denortFromInstaller();
    if (denort !== undefined) env["DENORT_BIN"] = denort;
  }
  await Deno.mkdir(dirname(output), { recursive: true });
  const { code } = await new Deno.Command(Deno.execPath(), {
    // The types are checked by `deno task ok`; a build need not do it again.
    args: [
      "compile",
      "--quiet",
      "--no-check",
      "--allow-all",
      ...WORKERS.flatMap((worker) => ["--include", worker]),
      "--output",
      output,
      "main.ts",
    ],
    env,
  }).spawn().status;
  return code;
}

if (import.meta.main) {
  let output = "dist/hip";
  let isRelease = false;
  for (let i = 0; i < Deno.args.length; i++) {
    const argument = Deno.args[i];
    const value = Deno.args[i + 1];
    if (argument === "--release") isRelease = true;
    else if (argument === "--output" && value !== undefined) output = Deno.args[++i]!;
    else {
      console.error(`compile: there is no option ${argument}; use --release or --output FILE`);
      Deno.exit(2);
    }
  }
  Deno.exit(await compile(output, isRelease));
}
