/** `hip version`. */

import type { Command } from "commander";
import { VERSION } from "../runtime/version.ts";
import { type CliContext, example } from "./context.ts";
import { printJson } from "./output.ts";

export function registerVersion(program: Command, context: CliContext): void {
  program.command("version")
    .description("print the version")
    .option("--json", "print JSON")
    .addHelpText("after", example("hip version"))
    .action((options: { json?: true }) => {
      if (options.json) printJson(context.output, { version: VERSION });
      else context.output.print(`hip ${VERSION}`);
    });
}
