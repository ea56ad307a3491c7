/**
 * Bad packets while a transfer runs: from the router, which is nobody's peer, and from the client's
 * own address, as one who listens on the path and forges its source would send them.
 *
 * ```
 *   client                          router                    server
 *   hip up, curl;                   send_hostile.ts:          hip up, transfer server
 *   send_hostile.ts: replays        noise, cuts, 1000 I1
 * ```
 */

import assert from "node:assert/strict";
import type { DropReason } from "../../lib/base/drop_reason.ts";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import { CLIENT_ADDRESSES, type LabHost, runCommand, SERVER_ADDRESSES } from "../../lib/lab/lab.ts";
import {
  associationWith,
  CANNOT_RUN,
  fixture,
  hip,
  hitOf,
  runFixture,
  startFixture,
  statusOf,
  withScene,
} from "../support/system.ts";
import { shell } from "../support/system_host.ts";
import { Capture } from "../support/system_capture.ts";

const LENGTH = 20_000_000;
const STRANGER = "2001:22:7777:1:2:3:4:5";

/** What must have been counted at least once, with HIP and ESP in UDP or without. */
const EXPECTED: readonly DropReason[] = [
  "esp-unknown-spi",
  "esp-replayed",
  "esp-icv-failed",
  "hip-bad-version",
  "hip-malformed",
  "hip-no-association",
  "hip-unknown-type",
  "hip-replayed",
];

const EXPECTED_OVER: Readonly<Record<"raw" | "udp", readonly DropReason[]>> = {
  raw: ["esp-too-short", "hip-bad-checksum"],
  udp: ["esp-too-short", "udp-too-short", "udp-reserved-spi"],
};

async function indexOf(host: LabHost, device: string): Promise<string> {
  return (await shell(host, `cat /sys/class/net/${device}/ifindex`)).trim();
}

for (const transport of ["raw", "udp"] as const) {
  Deno.test({
    name:
      `HLP-001 HLP-015 Bad packets (transport ${transport}) are counted under their reasons and ` +
      "not answered; the transfer beside them arrives",
    ignore: CANNOT_RUN,
    fn: () =>
      withScene(
        { families: "ipv6", settings: [`transport=${transport}`] },
        async ({ lab, client, server }) => {
          await startFixture(server.host, "transfer_server.ts");
          const expected = JSON.parse(
            (await runCommand(fixture("transfer_server.ts", "hash", String(LENGTH)))).stdout,
          );
          const recorder = await Capture.start(lab, client.host, "eth0");
          assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "2")).code, 0);
          await recorder.packets();
          const before = await associationWith(server, client);

          const witness = await Capture.start(lab, lab.router, "to-server");
          const file = `${lab.folder}/download`;
          const download = client.host.run([
            ...["curl", "-sf", "--limit-rate", "4M", "--max-time", "40", "-o", file],
            `http://${SERVER_NAME}:8080/${LENGTH}`,
          ], { timeoutMs: 45_000 });
          const { ipv6 } = SERVER_ADDRESSES;
          const attack = async (host: LabHost, device: string, from: string, ...rest: string[]) => {
            const index = await indexOf(host, device);
            const args = [from, ipv6, index, STRANGER, hitOf(server), transport, ...rest];
            return await runFixture<Record<string, number>>(host, "send_hostile.ts", ...args);
          };
          const { gatewayIpv6 } = SERVER_ADDRESSES;
          const [strange, replayed] = await Promise.all([
            attack(lab.router, "to-server", gatewayIpv6),
            attack(client.host, "eth0", CLIENT_ADDRESSES.ipv6, recorder.file),
          ]);
          assert.equal(strange["I1"], 1000);
          assert.deepEqual([replayed["replayed HIP"], replayed["replayed ESP"]], [20, 4]);

          assert.equal((await download).code, 0, "the transfer goes on");
          const { stdout } = await runCommand(["sha256sum", file]);
          assert.equal(stdout.split(" ")[0], expected);
          assert.equal((await hip(client, "ping", SERVER_NAME, "-c", "1")).code, 0);

          const status = await statusOf(server);
          assert.equal(status.associations.length, 1, "a thousand I1 left no state");
          const after = await associationWith(server, client);
          assert.equal(after.state, "ESTABLISHED");
          assert.deepEqual(
            [after.inboundSpi, after.outboundSpi],
            [before.inboundSpi, before.outboundSpi],
          );
          for (const reason of [...EXPECTED, ...EXPECTED_OVER[transport]]) {
            assert.ok(
              (status.drops[reason] ?? 0) > 0,
              `${reason}: ${JSON.stringify(status.drops)}`,
            );
          }

          // To the stranger went answers to its I1 and nothing else of HIP; no ESP at all. ICMP errors
          // quote what it sent, at most ten a second (RFC 7401 §5.4).
          const toRouter = (await witness.packets())
            .filter(({ source, destination }) => source === ipv6 && destination === gatewayIpv6);
          const kinds = new Set(
            toRouter.filter(({ protocol }) => protocol !== "icmpv6").map(({ protocol, hipType }) =>
              hipType === undefined ? protocol : `HIP ${hipType}`
            ),
          );
          assert.deepEqual([...kinds], ["HIP 2"]);
        },
      ),
  });
}
