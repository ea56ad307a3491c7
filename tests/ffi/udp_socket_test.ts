/** What of UDP sockets can be tried without rights, on loopback. */

import assert from "node:assert/strict";
import { makeReadiness } from "../../ffi/readiness.ts";
import { attachUdpSocket, openUdpSocket } from "../../ffi/udp_socket.ts";
import { UserError } from "../../lib/base/errors.ts";
import type { IpFamily, IpSocket, OutgoingPacket } from "../../lib/runtime/ports.ts";
import { makeSlabs } from "../../lib/runtime/slabs.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";

/** A port above those that the system hands out by itself. */
let nextPort = 61_100;

function packetTo(port: number, address: string): OutgoingPacket {
  const loopback = parseIpAddress(address);
  const [source, destination] = [loopback, loopback];
  const bytes = Uint8Array.of(0, 0, 0, 0, 59);
  return { protocol: 17, peerPort: port, source, destination, bytes, trafficClass: 8, hopLimit: 9 };
}

/** Hands a test a port that no other test has. */
function withPort(test: (port: number) => Promise<void> | void): () => Promise<void> {
  return async () => await test(nextPort++);
}

const LOOPBACKS: readonly [IpFamily, string][] = [[4, "127.0.0.1"], [6, "::1"]];

async function receive(socket: IpSocket) {
  const readiness = makeReadiness([socket]);
  const [slab] = makeSlabs(1);
  await readiness.wait(5000);
  await readiness.close();
  assert.equal(socket.receive([slab!]), 1);
  const { localAddress, peerAddress, peerPort, protocol, trafficClass, hopLimit } = slab!.path;
  const addresses = [localAddress, peerAddress].map(formatIpAddress);
  return { bytes: slab!.contents(), addresses, peerPort, protocol, trafficClass, hopLimit };
}

Deno.test(
  "One port serves both families, each with its own socket",
  withPort(async (port) => {
    const sockets = LOOPBACKS.map(([family]) => openUdpSocket(port, family));
    for (const [i, [family, address]] of LOOPBACKS.entries()) {
      const sender = openUdpSocket(nextPort++, family);
      assert.equal(sender.sendPacket(packetTo(port, address)), "sent");
      const { bytes, addresses, ...rest } = await receive(sockets[i]!);
      assert.deepEqual(bytes, Uint8Array.of(0, 0, 0, 0, 59));
      assert.deepEqual(addresses, [address, address]);
      const header = { protocol: 17, trafficClass: 8, hopLimit: 9 };
      assert.deepEqual(rest, { ...header, peerPort: nextPort - 1 });
      sender.close();
    }
    for (const socket of sockets) socket.close();
  }),
);

Deno.test(
  "A port that another program has is refused in words",
  withPort((port) => {
    const socket = openUdpSocket(port, 4);
    assert.throws(
      () => openUdpSocket(port, 4),
      (error) => error instanceof UserError && error.message.includes(`UDP port ${port} (IPv4)`),
    );
    socket.close();
    openUdpSocket(port, 4).close();
  }),
);

Deno.test(
  "A port that is shared is opened again by those who share it, and by nobody else",
  withPort((port) => {
    const sockets = [1, 2].map(() => openUdpSocket(port, 6, { sharesPort: true }));
    assert.throws(() => openUdpSocket(port, 6), UserError);
    for (const socket of sockets) socket.close();
  }),
);

Deno.test(
  "A socket that was attached to an open one sends and receives, and leaves it open",
  withPort(async (port) => {
    const opened = openUdpSocket(port, 6);
    const attached = attachUdpSocket(opened.descriptor, 6);
    assert.equal(attached.sendPacket(packetTo(port, "::1")), "sent");
    assert.equal((await receive(attached)).peerPort, port);
    attached.close();
    assert.equal(opened.sendPacket(packetTo(port, "::1")), "sent");
    assert.equal((await receive(opened)).peerPort, port);
    opened.close();
  }),
);
