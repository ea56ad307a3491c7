/** `hip doctor`: says what is wrong with this host and how to mend it; `--repair` puts things back. */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import { ApiClient, NotUpError } from "../runtime/api_client.ts";
import type { StatusReport } from "../runtime/api_protocol.ts";
import { readIfThere, removeIfThere, systemProblem } from "../runtime/atomic_file.ts";
import { runningProcess } from "../runtime/daemon.ts";
import { hasDnsAnswer } from "../runtime/dns_client.ts";
import { type DoctorHost, examine, type Finding, systemFiles } from "../runtime/doctor.ts";
import { leftRules, repairHost, repairNetwork } from "../runtime/repair.ts";
import type { Platform } from "../runtime/ports.ts";
import type { StatePaths } from "../runtime/state_paths.ts";
import { type CliContext, example, pathsOf } from "./context.ts";
import { wrap } from "./format.ts";
import { COLUMNS, type Output, printJson } from "./output.ts";

/** How long an agent may take to answer, in milliseconds. */
const AGENT_TIMEOUT_MS = 3000;

interface DoctorOptions {
  readonly repair?: true;
  readonly json?: true;
}

export function registerDoctor(program: Command, context: CliContext): void {
  program.command("doctor")
    .description("look for what is wrong with this host and say how to mend it")
    .option("--repair", "put back what an agent that was killed left changed")
    .option("--json", "print JSON")
    .addHelpText("after", example("sudo hip doctor", "sudo hip doctor --repair"))
    .action(async (options: DoctorOptions, command: Command) => {
      const paths = pathsOf(command, context);
      const { output, platform } = context;
      const repaired = options.repair ? repair(paths, platform) : [];
      const findings = await examine(systemHost(paths, platform));
      if (options.json) printJson(output, { repaired, findings });
      else {
        for (const what of repaired) output.print(`${what} is as it was before hip up.`);
        for (const finding of findings) printFinding(output, finding);
      }
      const wrong = findings.filter(({ health }) => health === "bad").length;
      if (wrong > 0) {
        throw new UserError(
          wrong === 1 ? "one thing is wrong; see above." : `${wrong} things are wrong; see above.`,
        );
      }
    });
}

/** Puts back what can be; what it was. @throws {UserError} While an agent runs. */
function repair(paths: StatePaths, platform: Platform): string[] {
  if (runningProcess(paths.processIdFile) !== undefined) {
    throw new UserError("hip is up and in charge; there is nothing to repair. Try: sudo hip down");
  }
  const repaired = repairHost(paths);
  if ((leftRules(platform) ?? 0) > 0) {
    repairNetwork(platform);
    repaired.push("the kernel's table of rules");
  }
  if (readIfThere(paths.processIdFile) !== undefined) removeIfThere(paths.processIdFile);
  return repaired;
}

const MARKS = { good: ["ok", "green"], poor: ["mind", "yellow"], bad: ["BAD", "red"] } as const;
const SUBJECT_COLUMNS = 15;

function printFinding(output: Output, { subject, health, text }: Finding): void {
  const [mark, style] = MARKS[health];
  const indent = " ".repeat(5 + SUBJECT_COLUMNS);
  const [first = "", ...rest] = wrap(text, COLUMNS - indent.length);
  output.print(`${output.paint(style, mark.padEnd(5))}${subject.padEnd(SUBJECT_COLUMNS)}${first}`);
  for (const line of rest) output.print(`${indent}${line}`);
}

/** This machine. */
function systemHost(paths: StatePaths, platform: Platform): DoctorHost {
  return {
    ...systemFiles(paths),
    agent: () => askAgent(paths),
    tunProblem: () => {
      try {
        Deno.openSync("/dev/net/tun", { read: true, write: true }).close();
        return undefined;
      } catch (error) {
        return systemProblem(error);
      }
    },
    leftRules: () => leftRules(platform),
    answers: (address) => hasDnsAnswer([address]),
    packetFilter: async () => {
      try {
        const { success, stdout } = await new Deno.Command("nft", { args: ["list", "ruleset"] })
          .output();
        return success ? new TextDecoder().decode(stdout) : undefined;
      } catch {
        // No nft, or no right to run it: there is nothing to say.
        return undefined;
      }
    },
  };
}

async function askAgent(paths: StatePaths): Promise<StatusReport | "down" | "stuck"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"stuck">((resolve) => {
    timer = setTimeout(() => resolve("stuck"), AGENT_TIMEOUT_MS);
  });
  try {
    return await Promise.race([ApiClient.ask<StatusReport>(paths.socketFile, "status"), late]);
  } catch (error) {
    if (!(error instanceof NotUpError)) throw error;
    return runningProcess(paths.processIdFile) === undefined ? "down" : "stuck";
  } finally {
    clearTimeout(timer);
  }
}
