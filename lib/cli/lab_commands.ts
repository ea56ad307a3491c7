/** Hidden commands that the lab's hosts run: small servers that need no package. */

import type { Command } from "commander";
import { measureEchoes, measureFlows, serveMeter } from "../lab/meter.ts";
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
    .requiredOption("--port <number>", "TCP port")
    .option("--to <address>", "measure against a meter there; serve without it")
    .option("--flows <count>", "connections at once", "1")
    .option("--seconds <number>", "how long they last", "1")
    .option("--echoes <count>", "round trips in milliseconds instead")
    .action(async (options: MeterOptions) => {
      const { to, echoes } = options;
      const port = Number(options.port);
      if (to === undefined) return await serveMeter(Deno.listen({ hostname: "::", port }));
      const reading = echoes === undefined
        ? await measureFlows(to, port, Number(options.flows), Number(options.seconds))
        : await measureEchoes(to, port, Number(echoes));
      output.print(JSON.stringify(reading));
    });
}

interface MeterOptions {
  readonly port: string;
  readonly to?: string;
  readonly flows: string;
  readonly seconds: string;
  readonly echoes?: string;
}
