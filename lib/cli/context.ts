/** What every command is given. */

import type { Command } from "commander";
import type { Platform } from "../runtime/ports.ts";
import { type StatePaths, statePaths } from "../runtime/state_paths.ts";
import type { Environment } from "./environment.ts";
import type { Output } from "./output.ts";

/** The surroundings of one run of the program. */
export interface CliContext {
  readonly platform: Platform;
  readonly environment: Environment;
  readonly output: Output;
}

/** Adds one command to the program; every file in this folder that is a command exports one. */
export type RegisterCommand = (program: Command, context: CliContext) => void;

/** The paths that `--state` or HIP_STATE asks for. */
export function pathsOf(command: Command, context: CliContext): StatePaths {
  return statePaths(stateFolderOf(command, context));
}

/** The state folder as an absolute path, or undefined for the usual places. */
export function stateFolderOf(command: Command, context: CliContext): string | undefined {
  const given: unknown = command.optsWithGlobals()["state"];
  const named = typeof given === "string" ? given : context.environment.HIP_STATE;
  if (named === undefined || named === "") return undefined;
  return named.startsWith("/") ? named : `${Deno.cwd()}/${named}`;
}

/** Text behind a command's help: one example with what it does. */
export function example(...lines: readonly string[]): string {
  return `\nExample:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}
