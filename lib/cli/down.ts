/** `hip down`: closes all associations, restores the host and ends the agent; repairs after crashes. */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import { ApiClient, NotUpError } from "../runtime/api_client.ts";
import { describeOpenSockets, openHipSockets } from "../runtime/open_sockets.ts";
import { readIfThere, removeIfThere } from "../runtime/atomic_file.ts";
import { runningProcess } from "../runtime/daemon.ts";
import type { Platform } from "../runtime/ports.ts";
import { repairHost, repairNetwork } from "../runtime/repair.ts";
import type { StatePaths } from "../runtime/state_paths.ts";
import { type CliContext, example, pathsOf } from "./context.ts";

/** How long an agent may take to end, in milliseconds: 2 s for CLOSE_ACKs, then the host. */
const STOP_TIMEOUT_MS = 10_000;

/** Between two looks at a process that is ending, in milliseconds. */
const POLL_MS = 20;

export function registerDown(program: Command, context: CliContext): void {
  program.command("down")
    .description("stop: close all associations and restore what up changed")
    .addHelpText("after", example("sudo hip down"))
    .action(async (_options: unknown, command: Command) => {
      const paths = pathsOf(command, context);
      context.output.print(await takeDown(paths, context.platform));
      const remark = describeOpenSockets(openHipSockets());
      if (remark !== undefined) context.output.print(remark);
    });
}

/** Ends the agent, however it is found; the sentence to print. */
async function takeDown(paths: StatePaths, platform: Platform): Promise<string> {
  const pid = runningProcess(paths.processIdFile);
  try {
    const client = await ApiClient.connect(paths.socketFile);
    try {
      // It hangs up when everything is restored. One that is stuck never answers.
      await within(STOP_TIMEOUT_MS, client.call("down").then(() => client.closed()));
    } finally {
      client.close();
    }
    if (pid !== undefined) await untilGone(pid);
    return "hip is down.";
  } catch (error) {
    if (!(error instanceof NotUpError)) throw error;
  }
  if (pid !== undefined) {
    // It runs but does not answer: starting, or stuck.
    Deno.kill(pid, "SIGTERM");
    await untilGone(pid);
    return "hip is down.";
  }
  const wasKilled = readIfThere(paths.processIdFile) !== undefined;
  const repaired = repairHost(paths);
  if (wasKilled) repairNetwork(platform);
  removeIfThere(paths.processIdFile);
  if (repaired.length > 0) {
    return "hip was not up; what it had left behind is cleared and the resolver restored.";
  }
  return wasKilled ? "hip was not up; what it had left behind is cleared." : "hip is not up.";
}

async function untilGone(pid: number): Promise<void> {
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (exists(pid)) {
    if (performance.now() > deadline) {
      throw new UserError(`the agent (pid ${pid}) does not end. Stop it with: sudo kill -9 ${pid}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function exists(pid: number): boolean {
  try {
    const state = /^State:\s*(\w)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
    // A zombie has ended; only its parent has not looked yet.
    return state !== "Z";
  } catch {
    return false;
  }
}

async function within(timeoutMs: number, promise: Promise<void>): Promise<void> {
  let timer: number | undefined;
  const timeout = new Promise<void>((resolve) => timer = setTimeout(resolve, timeoutMs));
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
