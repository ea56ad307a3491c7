/** `hip wait`: returns when HITs can be bound and the resolver answers. */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import { ApiClient, ApiClientError, NotUpError } from "../runtime/api_client.ts";
import { type CliContext, example, pathsOf } from "./context.ts";

/** Between two attempts to reach an agent that is not there yet, in milliseconds. */
const RETRY_MS = 100;

export function registerWait(program: Command, context: CliContext): void {
  program.command("wait")
    .description("return when HITs can be bound and the resolver answers")
    .option("--timeout <seconds>", "give up after this long", "30")
    .addHelpText("after", example("hip wait --timeout 10 && systemctl start my-server"))
    .action(async (options: { timeout: string }, command: Command) => {
      const timeoutMs = Number(options.timeout) * 1000;
      if (!(timeoutMs >= 0 && timeoutMs <= 86_400_000)) {
        throw new UserError(`--timeout must be 0 to 86400 seconds, not "${options.timeout}".`);
      }
      await waitUntilReady(pathsOf(command, context).socketFile, timeoutMs);
    });
}

/** @throws {UserError} When the agent is not ready in time. */
async function waitUntilReady(socketFile: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = Math.max(0, deadline - performance.now());
    try {
      await ApiClient.ask(socketFile, "wait", { timeoutMs: left });
      return;
    } catch (error) {
      const mayCome = error instanceof NotUpError || error instanceof ApiClientError;
      if (!mayCome || left === 0) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(RETRY_MS, left)));
  }
}
