/**
 * Full load for a long time, between two agents of the compiled program in namespaces:
 *
 *     deno task soak [--minutes N] [--transport udp|raw]
 *
 * TCP in both directions over several flows, without a pause; meanwhile rekeys, with and without new
 * DH keys, and now and then a CLOSE. Each minute a line: octets moved, resident memory of both
 * agents, packets dropped. It ends with a verdict: whether memory stood still, whether every
 * connection lived to the end, and which counters of dropped packets grew. Needs root.
 */

import { parseArgs } from "node:util";
import { SERVER_NAME } from "../lib/lab/agents.ts";
import { EXPLAINED_DROPS } from "../tests/support/explained_drops.ts";
import {
  associationWith,
  hip,
  hitOf,
  type Scene,
  statusOf,
  withScene,
} from "../tests/support/system.ts";

const FLOWS = 4;
const MINUTE_MS = 60_000;
const REKEY_EVERY_MS = 20_000;
const CLOSE_EVERY_MS = 5 * MINUTE_MS;

/** How much more memory an agent may have at the end than after a quarter of the time. */
const MOST_GROWTH = 1.05;

/** Fewer samples say nothing about memory. */
const FEWEST_SAMPLES = 8;

interface Sample {
  readonly octets: number;
  /** Of the client's and of the server's agent. */
  readonly resident: readonly [number, number];
}

function residentMegabytes(processId: number): number {
  const status = Deno.readTextFileSync(`/proc/${processId}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / 1000;
}

async function sample({ client, server }: Scene): Promise<Sample> {
  const { associations } = await statusOf(client);
  const [one] = associations;
  return {
    octets: (one?.octetsIn ?? 0) + (one?.octetsOut ?? 0),
    resident: [
      residentMegabytes(client.process.pid),
      residentMegabytes(server.process.pid),
    ],
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

/** Whether the last quarter of the samples is where the second was. */
function isFlat(values: readonly number[]): boolean {
  if (values.length < FEWEST_SAMPLES) return true;
  const quarter = values.length >> 2;
  const before = median(values.slice(quarter, 2 * quarter));
  const after = median(values.slice(-quarter));
  return after <= before * MOST_GROWTH;
}

async function soak(scene: Scene, minutes: number): Promise<string[]> {
  const { client, server } = scene;
  const faults: string[] = [];
  const listener = server.host.spawn(["iperf3", "--server", "--one-off"]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const seconds = Math.round(minutes * 60);
  const load = client.host.run(
    ["iperf3", "-c", hitOf(server), "-t", `${seconds}`, "-P", `${FLOWS}`, "--bidir", "--json"],
    { timeoutMs: (seconds + 60) * 1000 },
  );
  let isRunning = true;
  load.then(() => isRunning = false);
  const samples: Sample[] = [];
  let withDh = false;
  let [nextRekey, nextClose, nextSample] = [REKEY_EVERY_MS, CLOSE_EVERY_MS, 0];
  const startedAt = performance.now();
  while (isRunning) {
    const at = performance.now() - startedAt;
    if (at >= nextSample) {
      nextSample += MINUTE_MS;
      const taken = await sample(scene);
      samples.push(taken);
      const memory = taken.resident.map((megabytes) => `${megabytes.toFixed(0)} MB`).join(", ");
      console.log(
        `${(at / MINUTE_MS).toFixed(0).padStart(4)} min  ${
          (taken.octets / 1e9).toFixed(1)
        } GB  ${memory}`,
      );
    }
    if (at >= nextClose) {
      nextClose += CLOSE_EVERY_MS;
      await hip(client, "close", hitOf(server));
    } else if (at >= nextRekey) {
      nextRekey += REKEY_EVERY_MS;
      withDh = !withDh;
      const [one, other] = withDh ? [client, server] : [server, client];
      await hip(one, "rekey", hitOf(other), ...(withDh ? ["--dh"] : []));
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const { code, stdout, stderr } = await load;
  await listener.status;
  if (code !== 0) faults.push(`a connection broke: ${(stderr || stdout).trim().split("\n").pop()}`);
  else {
    const { end } = JSON.parse(stdout);
    const sum = (end.sum_received.bytes + end.sum_received_bidir_reverse.bytes) / 1e9;
    console.log(
      `${sum.toFixed(1)} GB arrived, ${(8 * sum / seconds).toFixed(2)} Gbit/s on average`,
    );
  }
  for (const [i, name] of (["client", "server"] as const).entries()) {
    const agent = scene[name];
    if (!isFlat(samples.map(({ resident }) => resident[i]!))) {
      faults.push(`the memory of the ${name}'s agent grew`);
    }
    const { drops } = await statusOf(agent);
    console.log(`dropped at the ${name}: ${JSON.stringify(drops)}`);
    for (const reason of Object.keys(drops)) {
      if (!EXPLAINED_DROPS.has(reason)) faults.push(`the ${name} dropped packets: ${reason}`);
    }
  }
  return faults;
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    minutes: { type: "string", default: "60" },
    transport: { type: "string", default: "udp" },
  },
});
let faults: string[] = [];
await withScene({ settings: [`transport=${values.transport}`] }, async (scene) => {
  await hip(scene.client, "ping", SERVER_NAME, "-c", "2");
  await associationWith(scene.client, scene.server);
  faults = await soak(scene, Number(values.minutes));
});
for (const fault of faults) console.log(`FAULT: ${fault}`);
console.log(faults.length === 0 ? "sound" : `${faults.length} faults`);
Deno.exit(faults.length === 0 ? 0 : 1);
