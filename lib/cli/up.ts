/**
 * `hip up`: starts the agent in the background and returns when names and HITs work; with
 * `--foreground` it is the agent.
 */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import { type Agent, startAgent } from "../runtime/agent.ts";
import { ApiClient, NotUpError } from "../runtime/api_client.ts";
import type { StatusReport } from "../runtime/api_protocol.ts";
import { readIfThere, systemProblem } from "../runtime/atomic_file.ts";
import { type Config, CONFIG_KEYS } from "../runtime/config.ts";
import { parseConfig } from "../runtime/config_file.ts";
import { startDaemon } from "../runtime/daemon.ts";
import { fileWriter, LogOutput, writeToStandardError } from "../runtime/log_output.ts";
import { requirePrivilege } from "../runtime/privilege.ts";
import { notifyServiceManager } from "../runtime/sd_notify.ts";
import type { StatePaths } from "../runtime/state_paths.ts";
import { type CliContext, example, pathsOf, stateFolderOf } from "./context.ts";
import { formatSpan, sentence, wrap } from "./format.ts";
import { COLUMNS } from "./output.ts";

interface UpOptions {
  readonly foreground?: true;
  readonly dns?: string;
  readonly option?: readonly string[];
  readonly log?: string;
}

export function registerUp(program: Command, context: CliContext): void {
  program.command("up")
    .description("start: make an identity if there is none, then carry traffic for HITs")
    .option("--foreground", "stay, and log to standard error")
    .option("--dns <mode>", "what to do to the system's resolver: auto, none or required")
    .option("-o, --option <key=value>", "a setting that wins over the file", collect)
    .option("--log <file>", "with --foreground: log to a file once ready")
    .addHelpText("after", example("sudo hip up", "sudo hip up -o puzzle_difficulty=10"))
    .addHelpText("after", () => `\n${settingsHelp(pathsOf(program, context).configFile)}`)
    .action(async (options: UpOptions, command: Command) => {
      const paths = pathsOf(command, context);
      const overrides = [
        ...options.option ?? [],
        ...options.dns === undefined ? [] : [`resolver=${options.dns}`],
      ];
      // Everything that can be found wrong without touching the host is found here.
      const config = readConfig(paths, overrides);
      if (await isUp(paths.socketFile)) {
        context.output.print("hip is already up.");
        if (overrides.length > 0) {
          context.output.note(
            `hip up: ${overrides.join(", ")} not applied. Run hip down first, then this again.`,
          );
        }
        return;
      }
      requirePrivilege(context.platform.euid());
      if (options.foreground) {
        await runInForeground(config, paths, options.log, context);
        return;
      }
      const folder = stateFolderOf(command, context);
      const args = [
        ...(folder === undefined ? [] : ["--state", folder]),
        ...["up", "--foreground", "--log", paths.logFile],
        ...overrides.flatMap((override) => ["--option", override]),
      ];
      const startedAt = performance.now();
      await startDaemon(args, paths.socketFile);
      const report = await ApiClient.ask<StatusReport>(paths.socketFile, "status");
      for (const line of summaryLines(report, performance.now() - startedAt)) {
        context.output.print(line);
      }
      for (const warning of report.warnings) context.output.note(`hip up: ${sentence(warning)}`);
    });
}

/** The settings by name, below the help. */
function settingsHelp(configFile: string): string {
  const keys = wrap(CONFIG_KEYS.join(", "), COLUMNS - 2).map((line) => `  ${line}`);
  return [`Settings, for -o or as lines KEY = VALUE in ${configFile}:`, ...keys].join("\n");
}

/** What `hip up` says at the end. */
export function summaryLines(report: StatusReport, tookMs: number): string[] {
  const identity = report.identities.find((candidate) => candidate.isDefault) ??
    report.identities[0];
  const who = identity === undefined
    ? ""
    : `  ${identity.hit}  (${identity.kind}, "${identity.name}")`;
  const { listen, upstream, isResolver, isServing } = report.dns;
  const was = upstream.length === 0 ? "" : ` (was ${upstream.slice(0, 3).join(", ")})`;
  const resolver = isResolver
    ? `resolver: ${listen}${was}`
    : isServing
    ? `resolver: unchanged, the proxy listens on ${listen}`
    : "resolver: unchanged";
  return [
    `hip is up.${who}`,
    `${resolver}   ready in ${formatSpan(tookMs)}`,
    "Try:  hip ping NAME    hip status    hip identity show --dns",
  ];
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

function readConfig(paths: StatePaths, overrides: readonly string[]): Config {
  let text: string | undefined;
  try {
    text = readIfThere(paths.configFile);
  } catch (error) {
    throw new UserError(
      `cannot read ${paths.configFile} (${systemProblem(error)}). ` +
        "Run it as root, or choose another folder with --state.",
    );
  }
  return parseConfig(text ?? "", paths.configFile, overrides);
}

async function isUp(socketFile: string): Promise<boolean> {
  try {
    await ApiClient.ask(socketFile, "wait", { timeoutMs: 0 });
    return true;
  } catch (error) {
    if (error instanceof NotUpError) return false;
    if (error instanceof UserError && error.name === "ApiClientError") return true;
    throw error;
  }
}

/** Is the agent until SIGTERM, SIGINT or `hip down`. */
async function runInForeground(
  config: Config,
  paths: StatePaths,
  logFile: string | undefined,
  { platform, environment, output }: CliContext,
): Promise<void> {
  let write = writeToStandardError;
  const logger = new LogOutput(config.logLevel, (line) => write(line));
  if (logFile !== undefined) {
    // The starter reads standard error for the reason of a failed start, and for nothing else.
    Deno.mkdirSync(paths.stateFolder, { recursive: true, mode: 0o700 });
    write = fileWriter(logFile);
  }
  let isStopWanted = false;
  let agent: Agent | undefined;
  const stop = () => {
    isStopWanted = true;
    agent?.shutdown();
  };
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  try {
    agent = await startAgent(config, platform, paths, logger);
    if (isStopWanted) agent.shutdown();
    await notifyServiceManager(environment.NOTIFY_SOCKET, "READY=1", logger);
    await agent.stopped;
    await notifyServiceManager(environment.NOTIFY_SOCKET, "STOPPING=1", logger);
  } catch (error) {
    logger.log("error", error instanceof Error ? error.message : String(error));
    if (environment.HIP_DEBUG && error instanceof Error) output.note(error.stack ?? "");
    throw error;
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
  }
}
