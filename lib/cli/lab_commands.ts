/** Hidden commands that the lab's hosts run: small servers that need no package. */

import type { Command } from "commander";
import { measureEchoes, measureFlow, serveMeter } from "../lab/meter.ts";
import { readZone, serveZone } from "../lab/zone_server.ts";
import { readIfThere } from "../runtime/atomic_file.ts";
import { UserError } from "../base/errors.ts";
import type { CliContext } from "./context.ts";

export function registerLabCommands(program: Command, { output }: CliContext): void {
  program.command("lab-dns", { hidden: true })
    .requiredOption("--zone <file>", "zone file")
    .requiredOption("--listen <address...>", "addresses to answer on")
    .action(async (options: { zone: string; listen: string[] }) => {
      const text = readIfThere(options.zone);
      if (text === undefined) throw new UserError(`${options.zone} does not exist.`);
      await serveZone(readZone(text), options.listen);
    });
  program.command("lab-web", { hidden: true })
    .requiredOption("--page <text>", "what to serve")
    .action(async (options: { page: string }) => {
      await Deno.serve(
        { port: 80, hostname: "::", onListen: () => {} },
        () => new Response(options.page, { headers: { "content-type": "text/plain" } }),
      ).finished;
    });
  program.command("lab-meter", { hidden: true })
    .option("--to <address>", "measure against a meter there; serve without it")
    .option("--upload <seconds>", "bits per second away from here")
    .option("--download <seconds>", "bits per second to here")
    .option("--echoes <count>", "round trips in milliseconds, as JSON")
    .action(async (options: MeterOptions) => {
      const { to, upload, download, echoes } = options;
      if (to === undefined) await serveMeter();
      else if (echoes !== undefined) {
        output.print(JSON.stringify(await measureEchoes(to, Number(echoes))));
      } else {
        const direction = download === undefined ? "upload" : "download";
        output.print(String(await measureFlow(to, direction, Number(download ?? upload ?? 1))));
      }
    });
}

interface MeterOptions {
  readonly to?: string;
  readonly upload?: string;
  readonly download?: string;
  readonly echoes?: string;
}
