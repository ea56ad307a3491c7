/**
 * The agent of one end goes away and comes back while a transfer runs. The applications' sockets
 * stay, the HITs stay, the associations do not.
 *
 * ```
 *   client                        router                     server
 *   hip up, curl                  capture on both links      hip up, transfer server;
 *                                                            killed, or hip down; then hip up
 * ```
 */

import assert from "node:assert/strict";
import { type LabAgent, SERVER_NAME, startLabAgent, stopLabAgent } from "../../lib/lab/agents.ts";
import { CANNOT_RUN, hip, type Scene, SELF, startTransfers, withScene } from "../support/system.ts";
import { Capture, hipFlaws } from "../support/system_capture.ts";
import {
  assertClean,
  assertJoined,
  download,
  longestGap,
  makeOctets,
  upload,
} from "../support/system_transfer.ts";

/** More than sockets hold beside what has been read when the agent is gone. */
const LENGTH = 30_000_000;
/** Octets per second: the transfer is under way for some seconds. */
const RATE = "5M";

/** Its start, and TCP's patience at that time; half a minute would be a stall. */
const LONGEST_GAP_SECONDS = 15;

type Departure = "killed" | "stopped";

async function restart({ lab }: Scene, agent: LabAgent, departure: Departure): Promise<LabAgent> {
  if (departure === "stopped") await stopLabAgent(agent, SELF);
  else {
    agent.process.kill("SIGKILL");
    await agent.process.status;
  }
  return await startLabAgent(lab, agent.host, SELF, agent, []);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

for (const departure of ["killed", "stopped"] as const) {
  Deno.test({
    name: `LOS-001 LOS-002 LOS-009 Transfers both ways go on after the agent of one end was ` +
      `${departure} and started again`,
    ignore: CANNOT_RUN,
    fn: () =>
      withScene({}, async (scene) => {
        const { lab, client } = scene;
        let { server } = scene;
        const hash = await startTransfers(server.host, LENGTH);
        const octets = await makeOctets(lab, LENGTH);
        assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "1")).code, 0);
        const copy = { copy: `${lab.folder}/copy`, length: LENGTH, hash };

        // The one who restarts sends, then the one who stays.
        const transfers = {
          download: () => download(client.host, SERVER_NAME, copy, RATE),
          upload: () => upload(client.host, SERVER_NAME, octets, RATE),
        };
        for (const [name, begin] of Object.entries(transfers)) {
          const capture = await Capture.start(lab);
          const transfer = begin();
          await pause(800);
          assert.ok(transfer.isRunning(), "the transfer is under way");
          server = await restart(scene, server, departure);
          await transfer.isWhole;
          await assertJoined({ client, server });
          const packets = await capture.packets();
          const gap = longestGap(packets);
          console.log(`${name}, server ${departure}: no data for ${gap.toFixed(1)} s`);
          assert.ok(gap < LONGEST_GAP_SECONDS, `${gap} s`);
          assertClean(packets);
          assert.equal(await hipFlaws(capture), "");
          assert.ok(packets.some(({ hipType }) => hipType === 4), "there was a new exchange");
        }
      }),
  });
}
