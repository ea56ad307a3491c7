/**
 * Full load through data threads, however many there are, while keys change and the association ends.
 *
 * ```
 *   client                        router                   server
 *   hip up, iperf3                                         hip up, iperf3 --server
 *   four flows each way           <------------>           hip rekey, hip close
 * ```
 */

import assert from "node:assert/strict";
import { type LabAgent, SERVER_NAME } from "../../lib/lab/agents.ts";
import { waitFor } from "../../lib/lab/services.ts";
import { EXPLAINED_DROPS } from "../support/explained_drops.ts";
import { associationWith, CANNOT_RUN, hip, hitOf, statusOf, withScene } from "../support/system.ts";

/** Of one round of load; rounds follow each other until everything has happened. */
const SECONDS = 6;

const CASES = [
  { transport: "udp", pairs: 1 },
  { transport: "udp", pairs: 3 },
  { transport: "raw", pairs: 2 },
] as const;

/** Four flows each way for a while. Rejects when a connection breaks or stands still. */
async function loadRound(client: LabAgent, server: LabAgent): Promise<void> {
  const command = [
    "iperf3",
    "-c",
    hitOf(server),
    "-t",
    `${SECONDS}`,
    "-P",
    "4",
    "--bidir",
    "--json",
  ];
  const { code, stdout, stderr } = await client.host.run(command, {
    timeoutMs: (SECONDS + 30) * 1000,
  });
  assert.equal(code, 0, stderr || stdout);
  const { sum_received: there, sum_received_bidir_reverse: back } = JSON.parse(stdout).end;
  assert.ok(there.bytes > 5e6 && back.bytes > 5e6, stdout);
}

/** How urgent each thread of a process is to the system (proc_pid_stat(5), field 19). */
function niceOfThreads(processId: number): number[] {
  return [...Deno.readDirSync(`/proc/${processId}/task`)].map(({ name }) => {
    const stat = Deno.readTextFileSync(`/proc/${processId}/task/${name}/stat`);
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  });
}

for (const { transport, pairs } of CASES) {
  Deno.test({
    name: `No connection breaks under full load (${transport}, ${pairs} pairs of data threads) ` +
      "when keys change and the association ends, and every packet that is lost has a reason",
    ignore: CANNOT_RUN,
    fn: () =>
      withScene({
        settings: [`transport=${transport}`, `data_threads=${pairs}`],
      }, async ({ client, server }) => {
        server.host.spawn(["iperf3", "--server"]);
        assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "2")).code, 0);
        await waitFor("data threads", async () => {
          const both = await Promise.all([statusOf(client), statusOf(server)]);
          return both.every(({ dataPath }) => dataPath.threads === 2 * pairs);
        });
        const urgent = niceOfThreads(client.process.pid).filter((nice) => nice < 0);
        const each = (nice: number) => Array<number>(pairs).fill(nice);
        assert.deepEqual(urgent.toSorted((a, b) => a - b), [...each(-10), ...each(-5)]);
        let isEnough = false;
        const load = (async () => {
          do await loadRound(client, server); while (!isEnough);
        })();
        // A step that fails first is what the test reports then.
        load.catch(() => {});
        const seen = new Set([(await associationWith(client, server)).inboundSpi]);
        const steps = [
          () => hip(client, "rekey", hitOf(server)),
          () => hip(server, "rekey", hitOf(client), "--dh"),
          () => hip(client, "close", hitOf(server)),
          () => hip(client, "rekey", hitOf(server), "--dh"),
        ];
        for (const step of steps) {
          await new Promise((resolve) => setTimeout(resolve, 500));
          const { code, stderr } = await step();
          assert.equal(code, 0, stderr);
          await waitFor("another SPI", async () =>
            (await statusOf(client)).associations.some(({ state, inboundSpi }) =>
              state === "ESTABLISHED" && !seen.has(inboundSpi)
            ));
          seen.add((await associationWith(client, server)).inboundSpi);
        }
        isEnough = true;
        await load;
        for (const agent of [client, server]) {
          const { drops } = await statusOf(agent);
          const unexplained = Object.keys(drops).filter((reason) =>
            !EXPLAINED_DROPS.has(reason)
          );
          assert.deepEqual(unexplained, [], JSON.stringify(drops));
        }
      }),
  });
}
