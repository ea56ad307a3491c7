/** The configurator against a kernel in memory: every plan from every other, and back to nothing. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { UserError } from "../../lib/base/errors.ts";
import { SILENT } from "../../lib/base/logger.ts";
import {
  EMPTY_PLAN,
  guardPlan,
  HIT_PREFIX,
  hostPlan,
  type HostState,
} from "../../lib/host/host_plan.ts";
import { describeState } from "../../lib/host/host_diff.ts";
import { HostConfigurator } from "../../lib/runtime/host_configurator.ts";
import { NetlinkClient } from "../../lib/runtime/netlink_client.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { LINK_FLAG } from "../../lib/wire/netlink/link.ts";
import { MESSAGE } from "../../lib/wire/netlink/message.ts";
import { FakeKernel } from "../support/fake_kernel.ts";

const HIP0 = 7;
const EOPNOTSUPP = 95;
const EPERM = 1;
const ENODEV = 19;
/** RTPROT_KERNEL of linux/rtnetlink.h. */
const PROTOCOL_KERNEL = 2;

function freshHost(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.links.push(
    { index: 1, name: "lo", flags: LINK_FLAG.UP | LINK_FLAG.LOOPBACK, mtu: 65536 },
    { index: 2, name: "eth0", flags: LINK_FLAG.UP, mtu: 1500 },
    { index: HIP0, name: "hip0", flags: 0, mtu: 1500 },
  );
  kernel.addresses.push({
    interfaceIndex: 2,
    address: parseIpAddress("fd00::1"),
    prefixLength: 64,
    flags: 0,
  });
  kernel.labels.push({ prefix: parseIpAddress("2002::"), prefixLength: 16, label: 2 });
  kernel.rules.push({
    priority: 32766,
    source: undefined,
    destination: undefined,
    action: 1,
    table: 254,
    suppressPrefixLength: undefined,
    protocol: 2,
  });
  return kernel;
}

function configure(kernel: FakeKernel, index: number | undefined = HIP0): HostConfigurator {
  return new HostConfigurator(new NetlinkClient(kernel.open()), index, SILENT);
}

function plan(innerMtu: number, ...hits: string[]): HostState {
  return hostPlan({ interfaceIndex: HIP0, innerMtu, hits: hits.map(parseIpAddress) });
}

/** Two peers for which other HITs are the source. */
const WITH_ROUTES = hostPlan({
  interfaceIndex: HIP0,
  innerMtu: 1400,
  hits: ["2001:22::1", "2001:22::2", "2001:22::3"].map(parseIpAddress),
  routes: [
    { peerHit: parseIpAddress("2001:22::a"), localHit: parseIpAddress("2001:22::2") },
    { peerHit: parseIpAddress("2001:22::b"), localHit: parseIpAddress("2001:22::3") },
  ],
});

const PLANS: HostState[] = [
  guardPlan([]),
  plan(1400, "2001:22::1"),
  plan(1280, "2001:22::1"),
  plan(1400, "2001:22::1", "2001:23::2"),
  plan(1400, "2001:23::2", "2001:22::1"),
  plan(1400),
  EMPTY_PLAN,
  WITH_ROUTES,
];

Deno.test("DNS-223 without another IPv6 source nothing of this host goes beyond the link", () => {
  const wish = { interfaceIndex: HIP0, innerMtu: 1400, hits: [] };
  const rules = (hasIpv6Source: boolean) =>
    describeState(hostPlan({ ...wish, hasIpv6Source })).filter((line) =>
      / 5206: /.test(` ${line}`)
    );
  assert.deepEqual(rules(true), []);
  assert.deepEqual(rules(false), [
    "rule 5206: from all to 2000::/3 iif lo unreachable",
    "rule 5206: from all to ::/3 iif lo unreachable",
    "rule 5206: from all to fc00::/7 iif lo unreachable",
  ]);
});

Deno.test("DNS-224 The plan on a fresh host: addresses, route, a label of its own for HITs, rules", () => {
  const kernel = freshHost();
  configure(kernel).apply(plan(1400, "2001:22::1"));
  assert.equal(
    kernel.print(),
    `link 1 lo up mtu 65536
link 2 eth0 up mtu 1500
link 7 hip0 up mtu 1400
address 2001:22::1/128 dev 7
address fd00::1/64 dev 2
route 2001:20::/28 dev 7 table 254 metric 1024 src 2001:22::1
label 2001:20::/28 label 139
label 2002::/16 label 2
rule 32766: from all lookup 254
rule 5201: from all to 2001:20::/28 lookup 254 suppress_prefixlength 27
rule 5202: from all to 2001:20::/28 unreachable
rule 5203: from 2001:20::/28 unreachable`,
  );
});

Deno.test("Traffic for a peer gets a source of its own; routes that the kernel made for our addresses stay", () => {
  const kernel = freshHost();
  const [general] = WITH_ROUTES.routes;
  const byKernel = {
    ...general!,
    destination: parseIpAddress("2001:22::1"),
    prefixLength: 128,
    protocol: PROTOCOL_KERNEL,
    metric: 256,
    preferredSource: undefined,
  };
  kernel.routes.push(byKernel);
  configure(kernel).apply(WITH_ROUTES);
  const routes = () => kernel.print().split("\n").filter((line) => line.startsWith("route "));
  assert.deepEqual(routes(), [
    "route 2001:20::/28 dev 7 table 254 metric 1024 src 2001:22::1",
    "route 2001:22::1/128 dev 7 table 254 metric 256",
    "route 2001:22::a/128 dev 7 table 254 metric 1024 src 2001:22::2",
    "route 2001:22::b/128 dev 7 table 254 metric 1024 src 2001:22::3",
  ]);
  configure(kernel).restore();
  assert.deepEqual(routes(), ["route 2001:22::1/128 dev 7 table 254 metric 256"]);
});

Deno.test("Plans applied in any order give the host that each gives on its own", () => {
  const expected = PLANS.map((wanted) => {
    const kernel = freshHost();
    // The device's MTU stays as it was last set; a first plan makes that the same for all.
    configure(kernel).apply(PLANS[1]!);
    configure(kernel).apply(wanted);
    return kernel.print().replace(/hip0 down mtu \d+/, "hip0 down");
  });
  const order = fc.array(fc.nat({ max: PLANS.length - 1 }), { minLength: 1, maxLength: 30 });
  fc.assert(fc.property(order, (indexes) => {
    const kernel = freshHost();
    const configurator = configure(kernel);
    for (const i of indexes) {
      configurator.apply(PLANS[i]!);
      assert.equal(kernel.print().replace(/hip0 down mtu \d+/, "hip0 down"), expected[i]);
    }
  }));
});

Deno.test("Applying a plan twice changes nothing the second time", () => {
  const kernel = freshHost();
  configure(kernel).apply(PLANS[3]!);
  for (const type of [MESSAGE.SET_LINK, MESSAGE.NEW_ADDRESS, MESSAGE.NEW_ROUTE, MESSAGE.NEW_RULE]) {
    kernel.refused.set(type, EPERM);
  }
  configure(kernel).apply(PLANS[3]!);
});

Deno.test("The empty plan restores the host", () => {
  const kernel = freshHost();
  const before = kernel.print();
  configure(kernel).apply(PLANS[3]!);
  configure(kernel).restore();
  assert.equal(kernel.print().replace("hip0 down mtu 1400", "hip0 down mtu 1500"), before);
});

Deno.test("What a killed process left is cleared without its device", () => {
  const kernel = freshHost();
  kernel.links.pop();
  const before = kernel.print();
  const left = plan(1400, "2001:22::1");
  kernel.labels.push(...left.labels);
  kernel.rules.push(...left.rules);
  configure(kernel, undefined).restore();
  assert.equal(kernel.print(), before);
});

Deno.test("A label of somebody else's for the HIT prefix is neither replaced nor removed", () => {
  const kernel = freshHost();
  kernel.labels.push({ prefix: HIT_PREFIX, prefixLength: 28, label: 42 });
  configure(kernel).apply(PLANS[1]!);
  configure(kernel).restore();
  assert.deepEqual(kernel.labels.map((label) => label.label), [2, 42]);
});

Deno.test("A kernel without labels and rules is warned of and used all the same", () => {
  const kernel = freshHost();
  for (const type of [MESSAGE.NEW_ADDRESS_LABEL, MESSAGE.NEW_RULE, MESSAGE.GET_ADDRESS_LABEL]) {
    kernel.refused.set(type, EOPNOTSUPP);
  }
  const lines: string[] = [];
  const logger = { log: (level: string, line: string) => level === "warning" && lines.push(line) };
  const client = new NetlinkClient(kernel.open());
  new HostConfigurator(client, HIP0, logger).apply(PLANS[1]!);
  assert.equal(kernel.routes.length, 1);
  assert.equal(lines.length, 4);
});

Deno.test("Without the right to change the network the user is told what to do", () => {
  const kernel = freshHost();
  kernel.refused.set(MESSAGE.SET_LINK, EPERM);
  assert.throws(
    () => configure(kernel).apply(PLANS[1]!),
    (error) => error instanceof UserError && /Run it as root/.test(error.message),
  );
});

Deno.test("A refused route is an error, and restoring afterwards leaves nothing", () => {
  const kernel = freshHost();
  kernel.refused.set(MESSAGE.NEW_ROUTE, ENODEV);
  assert.throws(() => configure(kernel).apply(PLANS[1]!), /add-route .*ENODEV/);
  configure(kernel).restore();
  assert.deepEqual(kernel.addresses.map((address) => address.interfaceIndex), [2]);
});
