import assert from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { readPcap } from "./pcap.ts";

const RECORD = "00000002 0007a120";

/** A big-endian capture file of one frame. */
function file(linkType: string, frame: string, magic = "a1b2c3d4"): Uint8Array {
  const length = (frame.replaceAll(" ", "").length / 2).toString(16).padStart(8, "0");
  return fromHex(
    `${magic} 0002 0004 00000000 00000000 00040000 ${linkType} ${RECORD} ${length} ${length} ${frame}`,
  );
}

Deno.test("readPcap() finds the IP packet behind each link header it knows", () => {
  const cases = [
    ["00000001", "000000000000 000000000000 0800 4511"],
    ["00000001", "000000000000 000000000000 86dd 6011"],
    ["00000065", "4511"],
    ["00000071", "0000 0001 0006 0000000000000000 0800 4511"],
    ["00000114", "0800 0000 00000001 0001 00 06 0000000000000000 4511"],
  ] as const;
  for (const [linkType, frame] of cases) {
    const [packet] = [...readPcap(file(linkType, frame))];
    assert.equal(toHex(packet!.ipPacket), frame.slice(-4));
    assert.equal(packet!.time, 2.5);
  }
});

Deno.test("readPcap() reads nanoseconds, passes over other frames and refuses what it cannot read", () => {
  const [packet] = [...readPcap(file("00000065", "4511", "a1b23c4d"))];
  assert.equal(packet!.time, 2.0005);
  const arp = file("00000001", "000000000000 000000000000 0806 0001");
  assert.deepEqual([...readPcap(arp)], []);
  assert.throws(() => [...readPcap(file("00000002", "4511"))], SyntaxError);
  assert.throws(() => [...readPcap(file("00000065", "4511", "0a0d0d0a"))], SyntaxError);
  assert.throws(() => [...readPcap(file("00000065", "4511").subarray(0, 41))], SyntaxError);
});
