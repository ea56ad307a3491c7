/** Hidden commands that the lab's hosts run: small servers that need no package. */

import type { Command } from "commander";
import { readZone, serveZone } from "../lab/zone_server.ts";
import { readIfThere } from "../runtime/atomic_file.ts";
import { UserError } from "../base/errors.ts";

export function registerLabCommands(program: Command): void {
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
}
