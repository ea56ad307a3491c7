import assert from "node:assert/strict";
import { UserError } from "../../lib/base/errors.ts";
import { type Config, DEFAULT_CONFIG } from "../../lib/runtime/config.ts";
import type { IpFamily, UdpSocketOptions } from "../../lib/runtime/ports.ts";
import { describeTransport, openUdpPort } from "../../lib/runtime/udp_port.ts";
import { FakeIpSocket } from "../support/fake_ports.ts";
import { BOB, rule } from "../support/policy_pair.ts";

/** A system that has UDP for some families; `asked` is what was wanted of it. */
class Kernel {
  readonly asked: [number, IpFamily, UdpSocketOptions | undefined][] = [];
  readonly sockets: FakeIpSocket[] = [];

  constructor(readonly families: readonly IpFamily[], readonly error: Error = TAKEN) {}

  openUdpSocket(port: number, family: IpFamily, options?: UdpSocketOptions): FakeIpSocket {
    this.asked.push([port, family, options]);
    if (!this.families.includes(family)) throw this.error;
    const socket = new FakeIpSocket(17, family);
    this.sockets.push(socket);
    return socket;
  }
}

const TAKEN = new UserError("cannot use UDP port 10500: another program has it.");

function config(more: Partial<Config> = {}): Config {
  return { ...DEFAULT_CONFIG, ...more };
}

Deno.test("NAT-014 by default both families have a socket on UDP port 10500", () => {
  const kernel = new Kernel([4, 6]);
  const { sockets, problems } = openUdpPort(config(), kernel);
  assert.deepEqual(sockets.map(({ family }) => family), [6, 4]);
  assert.deepEqual(problems, []);
  const options = { discoversPathMtu: true, sharesPort: false };
  assert.deepEqual(kernel.asked, [[10500, 6, options], [10500, 4, options]]);
});

Deno.test("the port and path MTU discovery are as configured, and who may have it too is said", () => {
  const kernel = new Kernel([4, 6]);
  openUdpPort(config({ udpPort: 4500, pathMtuDiscovery: false }), kernel, true);
  assert.deepEqual(kernel.asked[0], [4500, 6, { discoversPathMtu: false, sharesPort: true }]);
});

Deno.test("no port is opened when nothing is to go over UDP, and one when a single peer is", () => {
  const kernel = new Kernel([4, 6]);
  assert.deepEqual(openUdpPort(config({ transport: "raw" }), kernel).sockets, []);
  assert.deepEqual(kernel.asked, []);
  const peers = [rule("*"), rule(BOB.hit, { transport: "udp" })];
  assert.equal(openUdpPort(config({ transport: "raw", peers }), kernel).sockets.length, 2);
});

Deno.test("what cannot be had is said in a sentence each, and the rest is used", () => {
  const one = openUdpPort(config(), new Kernel([4]));
  assert.deepEqual(one.sockets.map(({ family }) => family), [4]);
  assert.deepEqual(one.problems, [
    "HIP goes without UDP over IPv6: cannot use UDP port 10500: another program has it.",
  ]);
  const none = openUdpPort(config(), new Kernel([]));
  assert.deepEqual(none.sockets, []);
  assert.deepEqual(none.problems, [
    "HIP goes without UDP: cannot use UDP port 10500: another program has it.",
  ]);
});

Deno.test("where nothing but UDP is allowed, no port at all is an error of the user's", () => {
  assert.throws(() => openUdpPort(config({ transport: "udp" }), new Kernel([])), UserError);
  assert.equal(openUdpPort(config({ transport: "udp" }), new Kernel([6])).sockets.length, 1);
});

Deno.test("another failure of the system ends the start and leaves no socket open", () => {
  const kernel = new Kernel([6], new Error("no memory"));
  assert.throws(() => openUdpPort(config(), kernel), /no memory/);
  assert.deepEqual(kernel.sockets.map(({ isClosed }) => isClosed), [true]);
});

Deno.test("describeTransport() says what is wanted and what there is", () => {
  assert.equal(describeTransport(config(), true), "auto, UDP port 10500");
  assert.equal(describeTransport(config({ transport: "raw" }), false), "raw, no UDP port");
});
