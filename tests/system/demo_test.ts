/**
 * `hip demo` as a newcomer runs it: the compiled binary that HIP_BINARY names, its output in a
 * pipe. Whatever way it ends, nothing of it may be left.
 */

import assert from "node:assert/strict";

const BINARY = Deno.env.get("HIP_BINARY") ?? "";
const ignore = Deno.uid() !== 0 || BINARY === "";

/** After these times Ctrl-C comes: while hosts are made, agents start, the exchange runs. */
const INTERRUPTIONS_MS = [600, 1200, 2000, 2800];

interface Finished {
  readonly pid: number;
  /** Stands in the environment of every process of this run. */
  readonly mark: string;
  readonly code: number;
  readonly lines: readonly string[];
  readonly stderr: string;
}

/** Runs the demo, interrupted after `interruptMs` when given. */
async function runDemo(args: readonly string[], interruptMs?: number): Promise<Finished> {
  const mark = `HIP_DEMO_TEST=${crypto.randomUUID()}`;
  const [name, value] = mark.split("=") as [string, string];
  const child = new Deno.Command(BINARY, {
    args: ["demo", ...args],
    env: { [name]: value },
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
    mark,
    code,
    lines: decoder.decode(stdout).split("\n"),
    stderr: decoder.decode(stderr),
  };
}

/** What a run has left: namespaces and folders that carry its number, processes that its mark. */
async function leftovers({ pid, mark }: Finished): Promise<string[]> {
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

async function assertFetched(args: readonly string[], path: RegExp): Promise<void> {
  const finished = await runDemo(args);
  const { code, lines, stderr } = finished;
  assert.equal(code, 0, stderr);
  const text = lines.join("\n");
  for (const packet of ["I1", "R1", "I2", "R2"]) assert.match(text, new RegExp(`-- ${packet} --`));
  assert.ok(
    ["I1", "R1", "I2", "R2", "ESP"].map((name) => text.search(`[-=] ${name} [-=]`))
      .every((at, index, all) => at >= 0 && (index === 0 || at > all[index - 1]!)),
    "the steps stand in order",
  );
  assert.match(text, /DNS: name -> HIT/);
  assert.match(text, /puzzle solved/);
  assert.match(text, /> Hello from www\.hip\.test!/);
  assert.match(text, /No\s+new\s+exchange\s+was\s+needed/);
  assert.match(text, /^ {2}HIT {12}2001:2\S+ \(/m);
  assert.match(text, /^ {2}SPIs {11}in 0x[0-9a-f]{8}, out 0x[0-9a-f]{8}$/m);
  assert.match(text, path);
  for (const line of lines) {
    assert.ok(line.length <= 80, `${line.length} columns: ${line}`);
    assert.ok(!line.includes("\x1b"), "no colours in a pipe");
  }
  assert.deepEqual(await leftovers(finished), []);
}

Deno.test({
  name: "hip demo fetches a page over HIP by name, tells every step in 80 columns, leaves nothing",
  ignore,
  fn: () => assertFetched([], /^ {2}path {11}fd00:1::10 -> fd00:2::80$/m),
});

Deno.test({
  name: "hip demo works over IPv4 and with RSA identities",
  ignore,
  fn: () =>
    assertFetched(
      ["--ipv4", "--identity", "rsa"],
      /^ {2}path {11}10\.99\.1\.10 -> 10\.99\.2\.80$/m,
    ),
});

Deno.test({
  name: "Two demos at once do not meet; --json prints their results and nothing else",
  ignore,
  fn: async () => {
    const runs = await Promise.all([
      runDemo(["--json", "--identity", "ed25519"]),
      runDemo(["--json"]),
    ]);
    for (const run of runs) {
      const { code, lines, stderr } = run;
      assert.equal(code, 0, stderr);
      const result = JSON.parse(lines.join("\n"));
      assert.equal(result.connectedTo, result.serverHit);
      assert.equal(result.isReused, true);
      assert.equal(result.secondFetchExchanges, 0);
      assert.equal(result.routerPackets?.other ?? 0, 0, "only HIP and ESP crossed the router");
      assert.deepEqual(await leftovers(run), []);
    }
  },
});

for (const interruptMs of INTERRUPTIONS_MS) {
  Deno.test({
    name: `hip demo, interrupted after ${interruptMs} ms, says so and leaves nothing`,
    ignore,
    fn: async () => {
      const run = await runDemo([], interruptMs);
      const { code, stderr } = run;
      // A fast machine may be through by then.
      assert.ok(code === 130 || (code === 0 && interruptMs > 2000), `${code}: ${stderr}`);
      if (code === 130) {
        assert.equal(stderr, "hip demo: interrupted; everything it made is removed.\n");
      }
      assert.deepEqual(await leftovers(run), []);
    },
  });
}
