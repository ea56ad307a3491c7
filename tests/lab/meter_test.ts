/** The built-in traffic meter, against itself on loopback. */

import assert from "node:assert/strict";
import { measureEchoes, measureFlows, serveMeter } from "../../lib/lab/meter.ts";

Deno.test("the meter counts the octets of all flows, and times echoes", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = assert.rejects(serveMeter(listener));
  const { port } = listener.addr as Deno.NetAddr;
  const { octets, bitsPerSecond } = await measureFlows("127.0.0.1", port, 4, 0.2);
  // Four connections began, so four chunks at least have come.
  assert.ok(octets >= 4 * 128 * 1024, String(octets));
  const seconds = octets * 8 / bitsPerSecond;
  assert.ok(seconds >= 0.2 && seconds < 5, String(seconds));
  const times = await measureEchoes("127.0.0.1", port, 20);
  assert.equal(times.length, 20);
  assert.ok(times.every((ms) => ms > 0));
  listener.close();
  await serving;
});
