/** A run as a capture, in the eyes of tshark, which does not know our code. */

import { strict as assert } from "node:assert";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { packetTypeName } from "../../lib/wire/hip/code_points.ts";
import { isCommand } from "../support/commands.ts";
import { establish, makePair } from "./pair.ts";
import { PcapWriter } from "./pcap_writer.ts";

/** A life of an association with losses, and what was sent. */
function run(family: 4 | 6, seed: number) {
  const pair = makePair({ family, seed, link: { duplication: 0.1, jitter: milliseconds(20) } });
  pair.world.capture = new PcapWriter();
  establish(pair);
  const { world, alice, bob, link } = pair;
  link.conditions.loss = 0.1;
  alice.rekey(bob, true);
  world.advance(seconds(20));
  bob.close(alice);
  world.advance(seconds(20));
  return { names: link.sent.map(({ name }) => name), capture: world.capture!.contents() };
}

/** Protocols, HIP packet type, verdict of the checksum and malformations of each packet. */
async function readByTshark(capture: Uint8Array): Promise<string[][]> {
  const file = await Deno.makeTempFile({ suffix: ".pcap" });
  try {
    await Deno.writeFile(file, capture);
    const fields = ["frame.protocols", "hip.packet_type", "hip.checksum.status", "_ws.malformed"];
    const { success, stdout, stderr } = await new Deno.Command("tshark", {
      args: ["-n", "-r", file, "-T", "fields", ...fields.flatMap((field) => ["-e", field])],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trimEnd().split("\n").map((line) => line.split("\t"));
  } finally {
    await Deno.remove(file);
  }
}

const HAS_TSHARK = await isCommand("tshark");

for (const family of [4, 6] as const) {
  Deno.test({
    name:
      `tshark reads every packet of a run over IPv${family} as what it is, and its checksum as good`,
    ignore: !HAS_TSHARK,
    async fn() {
      const { names, capture } = run(family, 3);
      const read = await readByTshark(capture);
      assert.deepEqual(
        read.map(([protocols, type]) =>
          protocols?.endsWith("hip") ? packetTypeName(Number(type)) : "ESP"
        ),
        names,
      );
      for (const name of ["I1", "R1", "I2", "R2", "UPDATE", "CLOSE", "CLOSE_ACK", "ESP"]) {
        assert.ok(names.includes(name), `no ${name} in the run`);
      }
      const hip = read.filter(([protocols]) => protocols?.endsWith("hip"));
      assert.deepEqual(new Set(hip.map(([, , checksum]) => checksum)), new Set(["1"]));
      assert.ok(read.every(([, , , malformed]) => malformed === undefined || malformed === ""));
    },
  });
}

Deno.test("the same seed gives the same capture octet for octet, another seed another one", () => {
  const octets = (seed: number) => run(6, seed).capture;
  const first = octets(5);
  assert.deepEqual(octets(5), first);
  assert.notDeepEqual(octets(6), first);
});
