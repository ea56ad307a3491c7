/** `hip rekey PEER`: replaces the keys of one association. */

import type { Command } from "commander";
import { ApiClient } from "../runtime/api_client.ts";
import type { AssociationReport } from "../runtime/api_protocol.ts";
import { type CliContext, example, pathsOf } from "./context.ts";

export function registerRekey(program: Command, context: CliContext): void {
  program.command("rekey")
    .description("replace the ESP keys of an association; happens by itself every hour")
    .argument("<peer>", "name or HIT")
    .option("--dh", "from a new Diffie-Hellman key instead of the old key material")
    .addHelpText("after", example("sudo hip rekey www.example.org --dh"))
    .action(async (peer: string, options: { dh?: true }, command: Command) => {
      const { socketFile } = pathsOf(command, context);
      const withDh = options.dh ?? false;
      const report = await ApiClient.ask<AssociationReport>(socketFile, "rekey", { peer, withDh });
      const { inboundSpi, outboundSpi } = report;
      context.output.print(
        `The association with ${peer} has new keys: SPI ${inboundSpi} in, ${outboundSpi} out.`,
      );
    });
}
