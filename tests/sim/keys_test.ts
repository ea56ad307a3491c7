/** What is left of keys: octets that are not zero, and memory that can still be reached. */

import { strict as assert } from "node:assert";
import { fileURLToPath } from "node:url";
import { seconds } from "../../lib/base/time.ts";
import { establish, makePair } from "./pair.ts";

interface Report {
  readonly associations: number;
  /** Pieces of memory in which keys have been. */
  readonly seen: number;
  readonly reachable: number;
  /** Of those, the ones that are not all zero. */
  readonly live: number;
}

/** Runs an association in a program of its own, to its end or not, and collects what is not reachable. */
async function collect(until: "open" | "ended"): Promise<Report[]> {
  const script = fileURLToPath(new URL("fixtures/collect_keys.ts", import.meta.url));
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--v8-flags=--expose-gc", script, until],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("when an association has ended no memory that its keys were in can be reached from an engine, but for the pool of ciphers, which is zero", async () => {
  for (const { associations, seen, reachable, live } of await collect("ended")) {
    assert.equal(associations, 0);
    assert.ok(seen > 40, `${seen} keys were seen`);
    assert.ok(reachable <= 1, `${reachable} of ${seen} can be reached`);
    assert.equal(live, 0);
  }
});

Deno.test("while an association lives its keys are reachable, so that the test of their end can fail", async () => {
  for (const { associations, reachable, live } of await collect("open")) {
    assert.equal(associations, 1);
    assert.ok(reachable > 1 && live > 1, `${reachable} can be reached, ${live} are not zero`);
  }
});

Deno.test("each step of an association overwrites the keys that it has no use for any more", () => {
  const pair = makePair();
  const { world, alice, bob } = pair;
  const counts = () =>
    [alice, bob].map(({ keys }) =>
      [
        keys.live("exchange"),
        keys.live("rekey"),
        keys.live("cipher"),
        keys.live("job"),
      ].join(" ")
    );
  establish(pair);
  assert.deepEqual(counts(), ["1 0 2 0", "1 0 2 0"]);
  alice.rekey(bob, false);
  world.advance(seconds(130));
  assert.deepEqual(counts(), ["1 0 2 0", "1 0 2 0"], "old SAs are gone");
  for (const host of [alice, bob]) {
    host.rekey(host === alice ? bob : alice, true);
    world.advance(seconds(130));
    // A key pair and a KEYMAT, for the next rekey; those of the rekey before are gone.
    assert.deepEqual(counts(), ["1 2 2 0", "1 2 2 0"]);
  }
  bob.close(alice);
  world.advance(seconds(1));
  // HIP keys alone, at the one who may have to answer CLOSE again.
  assert.deepEqual(counts(), ["1 0 0 0", "0 0 0 0"]);
  world.advance(seconds(30 * 60));
  assert.deepEqual(counts(), ["0 0 0 0", "0 0 0 0"]);
});
