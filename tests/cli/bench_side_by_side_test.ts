/** The rounds of hip bench, over subjects whose traffic is made up. */

import assert from "node:assert/strict";
import { UserError } from "../../lib/base/errors.ts";
import { figureOf, figuresOf } from "../../lib/cli/bench_figures.ts";
import {
  runRounds,
  SIDE_BY_SIDE_PARTS,
  type SideBySidePart,
} from "../../lib/cli/bench_side_by_side.ts";
import type { Subject } from "../../lib/cli/bench_subjects.ts";

const PLAN = { rounds: 3, pings: 5, flowSeconds: 1, trialSeconds: 0.1, resolution: 1.1 };

/** What a subject can do, and what goes wrong with it. */
interface Nature {
  readonly isForeign?: boolean;
  readonly capacity?: number;
  /** The flow of this number, from 1, fails. */
  readonly failsAtFlow?: number;
  /** Above this rate trials with UDP fail for another reason than loss. */
  readonly breaksAbove?: number;
  /** Octets that its device counts for each that a flow moved; no device without it. */
  readonly carriedShare?: number;
}

/** Every flow moves a gigabyte; what is done is written into `diary`. */
function subject(name: string, nature: Nature, diary: string[] = []): Subject {
  const { isForeign = false, capacity = 50_000, failsAtFlow, breaksAbove, carriedShare } = nature;
  let flowCount = 0;
  let carried = 0;
  return {
    name,
    isForeign,
    address: "fd00::1",
    client: {
      run: () => {
        const stdout = JSON.stringify([{ stats64: { tx: { bytes: carried } } }]);
        return Promise.resolve({ code: 0, stdout, stderr: "" });
      },
    },
    traffic: {
      tools: { iperf3: true, ping: true },
      tcp: (_, flows) => {
        if (++flowCount === failsAtFlow) return Promise.reject(new UserError("it broke."));
        if (flows === 1) diary.push(name);
        carried += 1e9 * (carriedShare ?? 0);
        return Promise.resolve({ octets: 1e9, bitsPerSecond: flows * 1e9 });
      },
      udp: (_, { rate, seconds }) => {
        if (rate > (breaksAbove ?? Infinity)) return Promise.reject(new UserError("it broke."));
        const lost = Math.max(0, rate - capacity) * seconds;
        const sent = rate * seconds;
        return Promise.resolve({ sent, received: sent - lost, lost, seconds });
      },
      roundTrips: (_, count) => Promise.resolve(Array.from({ length: count }, (_, i) => 1 + i)),
    },
    ...carriedShare === undefined
      ? {}
      : { tunnel: { device: "tun0", client: Deno.pid, server: Deno.pid } },
  };
}

async function rounds(
  subjects: readonly Subject[],
  parts: readonly SideBySidePart[] = SIDE_BY_SIDE_PARTS,
) {
  const kept: string[] = [];
  const { signal } = new AbortController();
  const options = { signal, note: () => {}, keep: (text: string) => void kept.push(text) };
  const { samples, left } = await runRounds(subjects, new Set(parts), PLAN, options);
  return { figures: figuresOf(samples), samples, left: left.map(({ name }) => name), kept };
}

Deno.test("in each round all subjects take their turn, and another one begins", async () => {
  const diary: string[] = [];
  await rounds(["a", "b", "c"].map((name) => subject(name, {}, diary)), ["throughput"]);
  assert.deepEqual(diary.join(""), "abc" + "abc" + "bca" + "cab");
});

Deno.test("every measure has a sample of each round, and the first traffic counts for none", async () => {
  const { samples, figures } = await rounds([
    subject("raw", {}),
    subject("x", { carriedShare: 1 }),
  ]);
  for (const { measure, subject, values } of samples) {
    const isNone = subject === "raw" && /memory|its processes/.test(measure);
    const expected = isNone ? 0 : /memory/.test(measure) ? 2 : PLAN.rounds;
    assert.equal(values.length, expected, `${measure}, ${subject}`);
  }
  assert.equal(figureOf(figures, "TCP, one flow", "x")?.median, 1000);
  assert.equal(figureOf(figures, "TCP, four flows", "x")?.median, 4000);
  assert.equal(figureOf(figures, "round trip, idle", "raw")?.median, 3);
  const packets = figureOf(figures, "UDP, 64 octets", "raw")!;
  assert.ok(packets.max <= 50_000 && packets.min > 40_000, JSON.stringify(packets));
});

Deno.test("only what is asked for has figures", async () => {
  const { figures } = await rounds([subject("raw", {})], ["ping"]);
  assert.deepEqual(figures.map(({ measure }) => measure), [
    "round trip, idle",
    "round trip, loaded",
  ]);
});

Deno.test("a program of others that fails is left out with all its figures, and named", async () => {
  const broken = subject("yggdrasil", { isForeign: true, failsAtFlow: 3 });
  const { figures, left, kept } = await rounds([subject("raw", {}), broken]);
  assert.deepEqual(left, ["raw"]);
  assert.deepEqual(kept, ["yggdrasil is left out: it broke."]);
  assert.ok(figures.every(({ subject }) => subject === "raw"));
});

Deno.test("what fails of our own ends the run", async () => {
  await assert.rejects(rounds([subject("raw", {}), subject("hip-esp", { failsAtFlow: 3 })]), {
    message: "it broke.",
  });
});

Deno.test("a rate at which iperf3's own connection breaks has failed, and the search goes on", async () => {
  const subjects = [subject("raw", { breaksAbove: 30_000 })];
  const { figures } = await rounds(subjects, ["packets"]);
  const { median } = figureOf(figures, "UDP, 1400 octets", "raw")!;
  assert.ok(median > 20_000 && median <= 30_000, String(median));
});

Deno.test("traffic that does not pass the tunnel is no figure of it", async () => {
  const beside = subject("wireguard-go", { isForeign: true, carriedShare: 0.5 });
  const { left, kept } = await rounds([subject("raw", {}), beside]);
  assert.deepEqual(left, ["raw"]);
  assert.match(kept[0]!, /of 1000000000 octets its tunnel carried 500000000/);
});
