/**
 * `hip bench` side by side with the tunnels that are installed, as a user runs it: the compiled
 * binary that HIP_BINARY names. Whatever way it ends, nothing of it may be left.
 */

import assert from "node:assert/strict";
import type { Figure } from "../../lib/cli/bench_figures.ts";
import { SUBJECTS } from "../../lib/cli/bench_names.ts";
import { missingPackages } from "../../lib/lab/tunnel.ts";
import { STRONGSWAN } from "../../lib/lab/strongswan.ts";
import { WIREGUARD_GO } from "../../lib/lab/wireguard.ts";
import { YGGDRASIL } from "../../lib/lab/yggdrasil.ts";
import { leftovers, runLab } from "../support/lab_run.ts";

const ignore = Deno.uid() !== 0 || Deno.env.get("HIP_BINARY") === undefined;

const PROGRAMS = { "wireguard-go": WIREGUARD_GO, "strongswan": STRONGSWAN, "yggdrasil": YGGDRASIL };

/** After these times Ctrl-C comes: while hosts are made, and while traffic flows. */
const INTERRUPTIONS_MS = [1500, 7000];

const QUICK = ["bench", "--quick", "--only", "throughput,cpu,memory"];

Deno.test({
  name: "hip bench sets every tunnel that is installed beside raw veth, and leaves nothing",
  ignore,
  fn: async () => {
    const plot = await Deno.makeTempFile({ suffix: ".svg" });
    const run = await runLab([...QUICK, "--json", "--svg", plot]);
    assert.equal(run.code, 0, run.stderr);
    const figures = JSON.parse(run.stdout) as Figure[];
    const seen = new Set(figures.map(({ subject }) => subject));
    for (const [name, program] of Object.entries(PROGRAMS)) {
      const missing = await missingPackages(program);
      assert.equal(seen.has(name), missing.length === 0, `${name}: ${run.stderr}`);
      if (missing.length > 0) assert.match(run.stderr, /not installed \(apt-get install /);
    }
    const find = (measure: string, subject: string) =>
      figures.find((figure) => figure.measure === measure && figure.subject === subject)!;
    for (const { name } of SUBJECTS.filter(({ name }) => seen.has(name))) {
      const { median, min, max, unit, ratioToRaw } = find("TCP, one flow", name);
      assert.ok(0 < min && min <= median && median <= max, name);
      assert.equal(unit, "Mbit/s");
      assert.equal(ratioToRaw, median / find("TCP, one flow", "raw").median);
      if (name === "raw") continue;
      // In user space: its own processes do the work.
      assert.ok(find("CPU, its processes", name).median > 1, name);
      assert.ok(find("memory, idle", name).median > 1, name);
    }
    assert.ok(seen.has("raw") && seen.has("hip-esp"));
    assert.match(await Deno.readTextFile(plot), /^<svg .*hip ESP.*<\/svg>\n$/s);
    await Deno.remove(plot);
    assert.deepEqual(await leftovers(run), []);
  },
});

for (const interruptMs of INTERRUPTIONS_MS) {
  Deno.test({
    name: `hip bench, interrupted after ${interruptMs} ms, says so and leaves nothing`,
    ignore,
    fn: async () => {
      const run = await runLab(QUICK, interruptMs);
      assert.equal(run.code, 130, run.stderr);
      assert.match(run.stderr, /\nhip bench: interrupted\.\n$/);
      assert.deepEqual(await leftovers(run), []);
    },
  });
}
