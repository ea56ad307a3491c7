import assert from "node:assert/strict";
import { ownerOf } from "../../lib/runtime/socket_owners.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout";

Deno.test("the user at the other end of a connection, IPv4 and IPv6", () => {
  const list = [
    HEAD,
    "   0: 0100007F:0035 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 1",
    "   1: 0100007F:C350 0100007F:0035 01 00000000:00000000 00:00000000 00000000  1000        0 2",
    "   2: 0100007F:C351 0100007F:0035 01 00000000:00000000 00:00000000 00000000  1001        0 3",
  ].join("\n");
  const server = { address: "127.0.0.1", port: 53 };
  assert.equal(ownerOf(list, { address: "127.0.0.1", port: 50_000 }, server), "1000");
  assert.equal(ownerOf(list, { address: "127.0.0.1", port: 50_001 }, server), "1001");
  assert.equal(ownerOf(list, { address: "127.0.0.1", port: 50_002 }, server), undefined);
  const one = `${"0".repeat(24)}01000000`;
  const list6 = `${HEAD}\n 0: ${one}:0400 ${one}:0035 01 0:0 00:0 0 33 0 1`;
  const client = { address: "::1", port: 1024 };
  assert.equal(ownerOf(list6, client, { address: "::1", port: 53 }), "33");
});
