/**
 * The agent as a process in the background: started from the command line, it is its own session
 * leader, reports trouble on standard error until it is ready and keeps a log file from then on.
 */

import { UserError } from "../base/errors.ts";
import { ApiClient, ApiClientError, NotUpError } from "./api_client.ts";
import { readIfThere, removeIfThere, writeFileAtomically } from "./atomic_file.ts";

/** How long a start may take, in milliseconds: RSA keys and R1 pools on slow hosts included. */
const START_TIMEOUT_MS = 30_000;

/** Between two looks at the control socket, in milliseconds. */
const POLL_MS = 20;

/** The program and the arguments in front of ours, to run this very program again. */
export function ownCommand(): { program: string; arguments: string[] } {
  if (Deno.build.standalone) return { program: Deno.execPath(), arguments: [] };
  return {
    program: Deno.execPath(),
    arguments: ["run", "--quiet", "-A", new URL(Deno.mainModule).pathname],
  };
}

/**
 * Starts an agent in the background and waits until it is ready.
 *
 * @param args Arguments of `hip`, such as `["up", "--foreground"]`.
 * @param socketFile Where it will answer.
 * @throws {UserError} With what the agent said, when it stops before it is ready.
 */
export async function startDaemon(args: readonly string[], socketFile: string): Promise<void> {
  const own = ownCommand();
  const child = new Deno.Command(own.program, {
    args: [...own.arguments, ...args],
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    detached: true,
  }).spawn();
  child.unref();
  const complaints = collect(child.stderr);
  let isOver = false;
  const ended = child.status.then((status) => {
    isOver = true;
    return status;
  });
  const deadline = performance.now() + START_TIMEOUT_MS;
  const outcome = await Promise.race([
    ended,
    untilReady(socketFile, deadline, () => isOver),
  ]);
  if (outcome === "ready") return;
  if (outcome === "late") {
    child.kill("SIGTERM");
    throw new UserError(
      `it was not ready within ${START_TIMEOUT_MS / 1000} s and was stopped. ` +
        "See why with: sudo hip up --foreground",
    );
  }
  const { code } = await ended;
  const last = (await complaints).trim().split("\n").pop() ?? "";
  const reason = last.replace(/^hip up: /, "");
  throw new UserError(reason === "" ? `the agent ended with code ${code}.` : reason, code || 1);
}

async function untilReady(
  socketFile: string,
  deadline: number,
  isOver: () => boolean,
): Promise<"ready" | "late" | "over"> {
  while (performance.now() < deadline) {
    if (isOver()) return "over";
    try {
      await ApiClient.ask(socketFile, "wait", { timeoutMs: START_TIMEOUT_MS });
      return "ready";
    } catch (error) {
      // Not there yet, or gone again: the end of the process tells which.
      const isExpected = error instanceof NotUpError || error instanceof UserError;
      if (!isExpected || error instanceof ApiClientError) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return "late";
}

async function collect(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) text = (text + decoder.decode(chunk)).slice(-10_000);
  return text;
}

/** Notes our process id in `path`. */
export function writeProcessId(path: string): void {
  writeFileAtomically(path, `${Deno.pid}\n`, { mode: 0o644 });
}

/** Removes the note, if it is ours. */
export function removeProcessId(path: string): void {
  if (readIfThere(path)?.trim() === String(Deno.pid)) removeIfThere(path);
}

/**
 * The process named in `path` when it is alive and is this program; undefined when the note is
 * missing or stale, its number perhaps in use by another program.
 */
export function runningProcess(path: string): number | undefined {
  const pid = Number(readIfThere(path)?.trim() ?? "");
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  try {
    const commandLine = Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
    return commandLine.includes("up") && commandLine.includes("--foreground") ? pid : undefined;
  } catch {
    return undefined;
  }
}
