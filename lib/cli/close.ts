/** `hip close PEER`: ends one association. */

import type { Command } from "commander";
import { ApiClient } from "../runtime/api_client.ts";
import { type CliContext, example, pathsOf } from "./context.ts";

export function registerClose(program: Command, context: CliContext): void {
  program.command("close")
    .description("close the association with a peer")
    .argument("<peer>", "name or HIT")
    .addHelpText("after", example("sudo hip close www.example.org"))
    .action(async (peer: string, _options: unknown, command: Command) => {
      await ApiClient.ask(pathsOf(command, context).socketFile, "close", { peer });
      context.output.print(`The association with ${peer} is closed.`);
    });
}
