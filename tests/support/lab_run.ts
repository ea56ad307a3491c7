/** Runs of the compiled program that make labs by themselves, and what they leave behind. */

/** A run that has ended. */
export interface LabRun {
  readonly pid: number;
  /** Stands in the environment of every process of this run. */
  readonly mark: string;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program that HIP_BINARY names, interrupted after `interruptMs` when given. */
export async function runLab(args: readonly string[], interruptMs?: number): Promise<LabRun> {
  const value = crypto.randomUUID();
  const child = new Deno.Command(Deno.env.get("HIP_BINARY") ?? "", {
    args: [...args],
    env: { HIP_LAB_RUN: value },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = interruptMs === undefined ? undefined : setTimeout(() => {
    try {
      child.kill("SIGINT");
    } catch {
      // It was faster.
    }
  }, interruptMs);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return {
    pid: child.pid,
    mark: `HIP_LAB_RUN=${value}`,
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** What a run has left: namespaces and folders that carry its number, processes that its mark. */
export async function leftovers({ pid, mark }: LabRun): Promise<string[]> {
  const prefix = `hiplab-${pid}-`;
  const { stdout } = await new Deno.Command("ip", { args: ["netns", "list"] }).output();
  const found = new TextDecoder().decode(stdout).split("\n")
    .filter((line) => line.startsWith(prefix));
  for await (const { name } of Deno.readDir(Deno.env.get("TMPDIR") ?? "/tmp")) {
    if (name.startsWith(prefix)) found.push(name);
  }
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const environment = await Deno.readTextFile(`/proc/${name}/environ`).catch(() => "");
    if (environment.includes(mark)) {
      found.push(await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => name));
    }
  }
  return found;
}
