/** What of `ffi/` can be tried without rights: waiting, netlink listings, errors in words. */

import assert from "node:assert/strict";
import { ERRNO, errnoName, SyscallError } from "../../ffi/errno.ts";
import { baseOf, Struct, writeAddress } from "../../ffi/memory.ts";
import { openNetlink } from "../../ffi/netlink_socket.ts";
import { makeReadiness } from "../../ffi/readiness.ts";
import { openTun } from "../../ffi/tun_device.ts";
import { UserError } from "../../lib/base/errors.ts";
import { NetlinkClient } from "../../lib/runtime/netlink_client.ts";
import { emitLinkQuery, LINK_FLAG, parseLink } from "../../lib/wire/netlink/link.ts";
import { emitMessage, FLAG, MESSAGE } from "../../lib/wire/netlink/message.ts";

/** How long `action` takes, in milliseconds. */
async function timed(action: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

Deno.test("A wait ends after its time, and not before", async () => {
  const readiness = makeReadiness([]);
  const span = await timed(() => readiness.wait(30));
  assert.ok(span >= 30 && span < 1000, `${span} ms`);
  await readiness.close();
});

Deno.test("A wake ends the wait under way, or the next one, and only one", async () => {
  const readiness = makeReadiness([]);
  const waiting = readiness.wait(undefined);
  readiness.wake();
  await waiting;
  readiness.wake();
  readiness.wake();
  await readiness.wait(undefined);
  assert.ok(await timed(() => readiness.wait(30)) >= 30);
  await readiness.close();
});

Deno.test("A wait ends when a descriptor becomes readable", async () => {
  const socket = openNetlink([]);
  const readiness = makeReadiness([socket]);
  assert.equal(socket.receive(), undefined);
  const type = MESSAGE.GET_LINK;
  const payload = emitLinkQuery();
  const flags = FLAG.REQUEST | FLAG.DUMP;
  socket.send(emitMessage({ type, flags, sequence: 1, portId: 0, payload }));
  await readiness.wait(undefined);
  assert.ok(socket.receive() instanceof Uint8Array);
  await readiness.close();
  socket.close();
});

Deno.test("Closing ends a wait under way", async () => {
  const readiness = makeReadiness([]);
  const waiting = readiness.wait(undefined);
  await readiness.close();
  await waiting;
});

Deno.test("The kernel lists the loopback interface", () => {
  const client = new NetlinkClient(openNetlink([]));
  const links = client.list("list links", MESSAGE.GET_LINK, emitLinkQuery())
    .map((message) => parseLink(message.payload));
  client.close();
  const loopback = links.find((link) => link.name === "lo");
  assert.ok(loopback && (loopback.flags & LINK_FLAG.LOOPBACK) !== 0);
});

Deno.test("A device name that the kernel cannot take is refused in words", () => {
  for (const name of ["", "sixteen-octets-x"]) {
    assert.throws(
      () => openTun(name),
      (error) => error instanceof UserError && /1 to 15/.test(error.message),
    );
  }
});

Deno.test({
  name: "Without rights the user is told to run it as root",
  ignore: Deno.uid() === 0,
  fn: () => {
    assert.throws(
      () => openTun("hip-test"),
      (error) => error instanceof UserError && /Run it as root|modprobe tun/.test(error.message),
    );
  },
});

Deno.test("An error of a system call names the call and the errno", () => {
  const error = new SyscallError("bind a netlink socket", ERRNO.EADDRINUSE);
  assert.equal(error.message, "Cannot bind a netlink socket: EADDRINUSE");
  assert.equal(errnoName(4000), "errno 4000");
});

Deno.test("Addresses are written with carry into the upper half", () => {
  const struct = new Struct(8);
  writeAddress(struct.view, 0, { low: 0xffff_fff0, high: 0x7f }, 0x20);
  assert.equal(struct.view.getBigUint64(0, true), 0x80_0000_0010n);
  writeAddress(struct.view, 0, baseOf(struct.bytes), 0);
  assert.equal(struct.view.getBigUint64(0, true), struct.address);
});
