/**
 * CLOSE while a transfer runs: data that goes on makes a new association.
 *
 * ```
 *   client                        router                   server
 *   hip up, curl                                           hip up, transfer server
 *   hip close                     <-- download --          hip close, at last both at once
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import { waitFor } from "../../lib/lab/services.ts";
import {
  associationWith,
  CANNOT_RUN,
  hip,
  hitOf,
  startTransfers,
  statusOf,
  withScene,
} from "../support/system.ts";
import { assertJoined, download } from "../support/system_transfer.ts";

const LENGTH = 50_000_000;
const RATE = "4M";

Deno.test({
  name:
    "FSM-062 A transfer goes on after CLOSE by either end and by both at once, each time under " +
    "a new association",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async (scene) => {
      const { lab, client, server } = scene;
      const hash = await startTransfers(server.host, LENGTH);
      assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "1")).code, 0);
      const copy = { copy: `${lab.folder}/copy`, length: LENGTH, hash };
      const transfer = download(client.host, SERVER_NAME, copy, RATE);

      const seen = new Set([(await associationWith(client, server)).inboundSpi]);
      const closeBy = async (...ends: (typeof client)[]) => {
        const closed = await Promise.all(
          ends.map((end) => hip(end, "close", hitOf(end === client ? server : client))),
        );
        for (const { code, stderr } of closed) assert.equal(code, 0, stderr);
        // For a moment there may be none.
        await waitFor("a new association", async () =>
          (await statusOf(client)).associations.some(({ state, inboundSpi }) =>
            state === "ESTABLISHED" && !seen.has(inboundSpi)
          ));
        seen.add((await associationWith(client, server)).inboundSpi);
      };
      await closeBy(client);
      await closeBy(server);
      await closeBy(client, server);
      assert.ok(transfer.isRunning(), "all of it happened under the transfer");
      await transfer.isWhole;
      await assertJoined(scene);
    }),
});
