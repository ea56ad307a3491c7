/**
 * The command line: which commands there are, and how they end. A `UserError` becomes one sentence
 * behind the command's name and its exit code; anything else is a mistake of ours and says so in
 * one line.
 */

import { Command, CommanderError } from "commander";
import { UserError } from "../base/errors.ts";
import type { Platform } from "../runtime/ports.ts";
import { registerBench } from "./bench.ts";
import { registerClose } from "./close.ts";
import type { CliContext, RegisterCommand } from "./context.ts";
import { registerDemo } from "./demo.ts";
import { registerDns } from "./dns.ts";
import { registerDoctor } from "./doctor.ts";
import { registerDown } from "./down.ts";
import type { Environment } from "./environment.ts";
import { sentence } from "./format.ts";
import { registerHost } from "./host.ts";
import { registerIdentity } from "./identity.ts";
import { registerLabCommands } from "./lab_commands.ts";
import { registerLookup } from "./lookup.ts";
import { COLUMNS, type Output, systemOutput } from "./output.ts";
import { registerPing } from "./ping.ts";
import { registerRekey } from "./rekey.ts";
import { registerStatus } from "./status.ts";
import { registerUp } from "./up.ts";
import { registerVersion } from "./version.ts";
import { registerWait } from "./wait.ts";

/** In the order of `hip help`. */
const COMMANDS: readonly RegisterCommand[] = [
  registerUp,
  registerDown,
  registerStatus,
  registerWait,
  registerPing,
  registerLookup,
  registerIdentity,
  registerDns,
  registerHost,
  registerRekey,
  registerClose,
  registerDoctor,
  registerBench,
  registerDemo,
  registerVersion,
  registerLabCommands,
];

/** Exit code for a command line that cannot be understood. */
const USAGE = 2;

/**
 * Runs one command.
 *
 * @param args Arguments behind the program's name.
 * @param platform The operating system.
 * @param environment Environment variables.
 * @param output Where to print; the terminal unless a test says otherwise.
 * @returns The exit code. Never rejects.
 */
export async function runCli(
  args: string[],
  platform: Platform,
  environment: Environment,
  output: Output = systemOutput(environment.NO_COLOR),
): Promise<number> {
  const context: CliContext = { platform, environment, output };
  let running = "hip";
  const program = makeProgram(context, (name) => running = name);
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version end this way too, with code 0.
      return error.exitCode === 0 ? 0 : USAGE;
    }
    if (error instanceof UserError) {
      output.note(`${running}: ${sentence(error.message)}`);
      return error.exitCode;
    }
    const problem = error instanceof Error ? error.message : String(error);
    output.note(
      `${running}: unexpected error: ${sentence(problem)} ` +
        "Run it again with HIP_DEBUG=1 to see where.",
    );
    if (environment.HIP_DEBUG && error instanceof Error) output.note(error.stack ?? "");
    return 70;
  }
}

/** The whole program as commander sees it; `onRun` hears which command runs ("hip up"). */
export function makeProgram(context: CliContext, onRun: (name: string) => void): Command {
  const { output } = context;
  const program = new Command("hip");
  let parsing = "hip";
  program
    .description("Reach other hosts by name, over the Host Identity Protocol.")
    .option("--state <dir>", "folder of keys, settings and state (env HIP_STATE)")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show help for a command")
    .addHelpText(
      "after",
      "\nStart with:\n  sudo hip up                    # on both hosts\n" +
        "  hip identity show --hosts      # one line for the other host's hosts file\n" +
        "  hip ping NAME",
    )
    .configureOutput({
      writeOut: (text) => output.print(text.trimEnd()),
      writeErr: (text) => output.note(text.trimEnd()),
      outputError: (text, write) => {
        const problem = text.replace(/^error: /, "").replace(/\n/g, " ").trim();
        write(`${parsing}: ${sentence(problem)} See: ${parsing} --help`);
      },
      getOutHelpWidth: () => COLUMNS,
      getErrHelpWidth: () => COLUMNS,
    })
    .exitOverride();
  // Commands inherit these settings, so they are made afterwards.
  for (const register of COMMANDS) register(program, context);
  for (const parent of [program, ...program.commands]) {
    parent.hook("preSubcommand", (_, subcommand) => {
      parsing = nameOf(subcommand);
    });
  }
  program.hook("preAction", (_, action) => onRun(nameOf(action)));
  return program;
}

/** "hip identity new". */
function nameOf(command: Command): string {
  const parent = command.parent;
  return parent === null ? command.name() : `${nameOf(parent)} ${command.name()}`;
}
