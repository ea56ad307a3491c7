import assert from "node:assert/strict";
import { EchoClient } from "../../lib/runtime/echo.ts";
import { buildIcmpv6Echo, type Icmpv6Echo, parseIcmpv6Echo } from "../../lib/wire/icmpv6.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";

const LOCAL = parseIpAddress("2001:22:1::1");
const PEER = parseIpAddress("2001:22:2::2");

function replyTo(request: Uint8Array, changes: Partial<Icmpv6Echo> = {}): Uint8Array {
  const echo = parseIcmpv6Echo(request);
  assert.ok(echo !== undefined && echo.kind === "request");
  return buildIcmpv6Echo({
    ...echo,
    kind: "reply",
    source: echo.destination,
    destination: echo.source,
    ...changes,
  });
}

const awaits = () => {};

Deno.test("EchoClient measures from request to reply and keeps the reply from the system", async () => {
  let now = 100;
  const sent: Uint8Array[] = [];
  const echo = new EchoClient(
    { now: () => now, inject: (packet) => sent.push(packet), awaits },
    0x4848,
  );
  const answer = echo.ask(LOCAL, PEER, 3, 60_000);
  assert.equal(sent.length, 1);
  now = 102.5;
  assert.equal(echo.takeReply(replyTo(sent[0]!)), true);
  assert.equal(await answer, 2.5);
  assert.equal(echo.takeReply(replyTo(sent[0]!)), false, "nothing is awaited any more");
});

Deno.test("EchoClient leaves the packets of others alone", async () => {
  const sent: Uint8Array[] = [];
  const echo = new EchoClient(
    { now: () => 0, inject: (packet) => sent.push(packet), awaits },
    0x4848,
  );
  const answer = echo.ask(LOCAL, PEER, 3, 60_000);
  const request = sent[0]!;
  assert.equal(echo.takeReply(replyTo(request, { identifier: 1 })), false);
  assert.equal(echo.takeReply(request), false);
  assert.equal(echo.takeReply(new Uint8Array(40)), false);
  // Ours, but for another request: taken, and it answers nothing.
  assert.equal(echo.takeReply(replyTo(request, { sequence: 4 })), true);
  assert.equal(echo.takeReply(replyTo(request, { source: LOCAL })), true);
  assert.equal(echo.takeReply(replyTo(request)), true);
  assert.equal(await answer, 0);
});

Deno.test("EchoClient gives up after its time", async () => {
  const echo = new EchoClient({ now: () => 0, inject: () => {}, awaits }, 1);
  assert.equal(await echo.ask(LOCAL, PEER, 1, 1), undefined);
});
