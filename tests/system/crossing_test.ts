/**
 * Both ends begin at the same time, and their packets cross: a gate in the router lets the I1s, or
 * the I2s, pass only when both are there.
 *
 * ```
 *   client               router                    server
 *   hip up, curl,        gate.ts, captures         hip up, curl, transfer server
 *   transfer server      on both links
 * ```
 */

import assert from "node:assert/strict";
import { waitFor } from "../../lib/lab/services.ts";
import { CLIENT_ADDRESSES, SERVER_ADDRESSES } from "../../lib/lab/lab.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import {
  associationWith,
  CANNOT_RUN,
  hitOf,
  type Scene,
  startFixture,
  untilStatus,
  withScene,
} from "../support/system.ts";
import { Capture, hipFlaws, type SeenPacket } from "../support/system_capture.ts";
import { assertClean, assertJoined, makeOctets, upload } from "../support/system_transfer.ts";

const LENGTH = 5_000_000;
const RATE = "20M";

/** Each knows from its hosts file where the other is. */
async function introduce({ client, server }: Scene): Promise<void> {
  const pairs = [
    [client, server, SERVER_ADDRESSES.ipv6],
    [server, client, CLIENT_ADDRESSES.ipv6],
  ] as const;
  for (const [agent, peer, address] of pairs) {
    const line = `${hitOf(peer)} locator=${address} peer.test\n`;
    await Deno.writeTextFile(`${agent.stateFolder}/hosts`, line, { mode: 0o600 });
    await untilStatus(agent, "the hosts file", ({ knownPeers }) => knownPeers > 0);
  }
}

/** Whether the first packet of a type that came from `own` was there before the other one's. */
function isFirst(packets: readonly SeenPacket[], type: number, own: string): boolean {
  const [first] = packets.filter(({ hipType }) => hipType === type);
  assert.ok(packets.some(({ hipType, source }) => hipType === type && source !== own));
  return first!.source === own;
}

for (const name of ["I1", "I2"] as const) {
  for (const greater of ["client", "server"] as const) {
    Deno.test({
      name:
        `NAT-004 FSM-063 FSM-064 ${name}s cross, the ${greater} has the greater HIT: one association, ` +
        "the greater the Responder, and transfers both ways arrive",
      ignore: CANNOT_RUN,
      fn: () =>
        withScene({ families: "ipv6", greater }, async (scene) => {
          const { lab, client, server } = scene;
          for (const { host } of [client, server]) await startFixture(host, "transfer_server.ts");
          await introduce(scene);
          const octets = await makeOctets(lab, LENGTH);
          const log = `${lab.folder}/gate`;
          await startFixture(lab.router, "gate.ts", String(PACKET[name]), log);
          const toClient = await Capture.start(lab, lab.router, "to-client");
          const toServer = await Capture.start(lab, lab.router, "to-server");

          const first = upload(client.host, `[${hitOf(server)}]`, octets, RATE);
          if (name === "I2") {
            // An I1 that finds its receiver in I2-SENT is answered, whoever has the greater HIT.
            await waitFor("the first I2", async () => {
              return (await Deno.readTextFile(log).catch(() => "")).includes("held");
            });
          }
          const second = upload(server.host, `[${hitOf(client)}]`, octets, RATE);
          await Promise.all([first.isWhole, second.isWhole]);
          assert.match(await Deno.readTextFile(log), /open/);

          await assertJoined(scene);
          const [winner, loser] = greater === "client" ? [client, server] : [server, client];
          assert.equal((await associationWith(winner, loser)).role, "responder");
          assert.equal((await associationWith(loser, winner)).role, "initiator");

          for (
            const [capture, own] of [
              [toClient, CLIENT_ADDRESSES.ipv6],
              [toServer, SERVER_ADDRESSES.ipv6],
            ] as const
          ) {
            const packets = await capture.packets();
            assert.ok(isFirst(packets, PACKET[name], own), `${name} was sent before one came`);
            assertClean(packets);
            // What came through the gate has the checksum that its sender wanted, whole.
            const inUdp = packets.filter(({ protocol, isInUdp, source }) =>
              protocol === "hip" && isInUdp && source !== own
            );
            assert.ok(inUdp.length > 0);
            for (const { udpChecksum } of inUdp) assert.equal(udpChecksum[1], "1");
            assert.equal(await hipFlaws(capture), "");
          }
        }),
    });
  }
}
