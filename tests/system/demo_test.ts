/**
 * `hip demo` as a newcomer runs it: the compiled binary that HIP_BINARY names, its output in a
 * pipe. Whatever way it ends, nothing of it may be left.
 */

import assert from "node:assert/strict";
import { leftovers, runLab } from "../support/lab_run.ts";

const ignore = Deno.uid() !== 0 || Deno.env.get("HIP_BINARY") === undefined;

/** After these times Ctrl-C comes: while hosts are made, agents start, the exchange runs. */
const INTERRUPTIONS_MS = [600, 1200, 2000, 2800];

async function assertFetched(args: readonly string[], path: RegExp): Promise<void> {
  const run = await runLab(["demo", ...args]);
  const { code, stdout: text, stderr } = run;
  assert.equal(code, 0, stderr);
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
  for (const line of text.split("\n")) {
    assert.ok(line.length <= 80, `${line.length} columns: ${line}`);
    assert.ok(!line.includes("\x1b"), "no colours in a pipe");
  }
  assert.deepEqual(await leftovers(run), []);
}

Deno.test({
  name: "hip demo fetches a page over HIP by name, tells every step in 80 columns, leaves nothing",
  ignore,
  fn: () => assertFetched([], /^ {2}path {11}fd00:1::10 -> fd00:2::80, UDP 10500$/m),
});

Deno.test({
  name: "hip demo works over IPv4 and with RSA identities",
  ignore,
  fn: () =>
    assertFetched(
      ["--ipv4", "--identity", "rsa"],
      /^ {2}path {11}10\.99\.1\.10 -> 10\.99\.2\.80, UDP 10500$/m,
    ),
});

Deno.test({
  name: "Two demos at once do not meet; --json prints their results and nothing else",
  ignore,
  fn: async () => {
    const runs = await Promise.all([
      runLab(["demo", "--json", "--identity", "ed25519"]),
      runLab(["demo", "--json"]),
    ]);
    for (const run of runs) {
      const { code, stdout, stderr } = run;
      assert.equal(code, 0, stderr);
      const result = JSON.parse(stdout);
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
      const run = await runLab(["demo"], interruptMs);
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
