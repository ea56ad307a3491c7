/**
 * New keys while a transfer runs.
 *
 * ```
 *   client                        router                   server
 *   hip up, curl                                           hip up, transfer server
 *   hip rekey, then --dh          <-- download --          hip rekey
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import { runCommand } from "../../lib/lab/lab.ts";
import {
  associationWith,
  CANNOT_RUN,
  hip,
  hitOf,
  startTransfers,
  statusOf,
  withScene,
} from "../support/system.ts";

const LENGTH = 200_000_000;
const LIMIT_MS = 60_000;

Deno.test({
  name: "A transfer goes on unharmed while both ends rekey, with and without new DH keys",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async ({ lab, client, server }) => {
      const expected = await startTransfers(server.host, LENGTH);
      assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "1")).code, 0);
      const seen = new Set([(await associationWith(client, server)).inboundSpi]);

      const file = `${lab.folder}/download`;
      const url = `http://${SERVER_NAME}:8080/${LENGTH}`;
      // Slow enough to be under way all the time.
      const curl = ["curl", "-sf", "--limit-rate", "40M", "--max-time", "55", "-o", file, url];
      const download = client.host.run(curl, { timeoutMs: LIMIT_MS });
      let isRunning = true;
      download.then(() => isRunning = false);
      const rekey = async (agent: typeof client, peer: typeof client, ...options: string[]) => {
        const { code, stderr } = await hip(agent, "rekey", hitOf(peer), ...options);
        assert.equal(code, 0, stderr);
        const { inboundSpi, state } = await associationWith(client, server);
        assert.equal(state, "ESTABLISHED");
        assert.ok(!seen.has(inboundSpi), "a rekey changes the SPI");
        seen.add(inboundSpi);
      };
      await rekey(client, server);
      await rekey(client, server, "--dh");
      assert.ok(isRunning, "the transfer is under way");
      await rekey(server, client);

      assert.equal((await download).code, 0);
      const { stdout } = await runCommand(["sha256sum", file]);
      assert.equal(stdout.split(" ")[0], expected);
      for (const agent of [client, server]) {
        const { associations, drops } = await statusOf(agent);
        assert.equal(associations.length, 1);
        for (const reason of ["esp-icv-failed", "esp-unknown-spi", "esp-replayed"] as const) {
          assert.equal(drops[reason] ?? 0, 0, reason);
        }
      }
    }),
});
