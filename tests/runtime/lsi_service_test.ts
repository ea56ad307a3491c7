/** LSIs on a host in memory: its routes and addresses, the file, and who may not have what. */

import assert from "node:assert/strict";
import { UserError } from "../../lib/base/errors.ts";
import { type LogLevel, SILENT } from "../../lib/base/logger.ts";
import { instant } from "../../lib/base/time.ts";
import { hostPlan } from "../../lib/host/host_plan.ts";
import {
  DEFAULT_LSI_POOL,
  lsiNumber,
  type LsiPool,
  LsiTable,
  mappedAddress,
} from "../../lib/identity/lsi.ts";
import { HostConfigurator } from "../../lib/runtime/host_configurator.ts";
import { formatLsis, parseLsis } from "../../lib/runtime/lsi_file.ts";
import { LsiService, type LsiServiceOptions } from "../../lib/runtime/lsi_service.ts";
import { NetlinkClient } from "../../lib/runtime/netlink_client.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { LINK_FLAG } from "../../lib/wire/netlink/link.ts";
import { MESSAGE } from "../../lib/wire/netlink/message.ts";
import type { Route } from "../../lib/wire/netlink/route.ts";
import { FakeKernel } from "../support/fake_kernel.ts";

const HIP0 = 7;
const OWN = parseIpAddress("2001:22::1");
const SECOND = parseIpAddress("2001:23::2");
const PEER = parseIpAddress("2001:22::77");

function route(prefix: string, length: number, table = 254): Route {
  return {
    destination: parseIpAddress(prefix),
    prefixLength: 96 + length,
    interfaceIndex: 2,
    table,
    type: 1,
    protocol: 4,
    metric: 0,
    preferredSource: undefined,
  };
}

interface Host {
  readonly kernel: FakeKernel;
  readonly table: LsiTable;
  readonly service: LsiService;
  readonly configurator: HostConfigurator;
  readonly file: string;
  readonly log: string[];
  print(...kinds: string[]): string[];
}

/** A host with LSIs; `inside` sees it, and it is taken down. */
async function onHost(
  options: Partial<LsiServiceOptions> & { kernel?: FakeKernel; file?: string },
  inside: (host: Host) => void | Promise<void>,
): Promise<void> {
  const kernel = options.kernel ?? new FakeKernel();
  if (kernel.links.length === 0) {
    kernel.links.push({ index: 2, name: "eth0", flags: LINK_FLAG.UP, mtu: 1500 });
    kernel.links.push({ index: HIP0, name: "hip0", flags: 0, mtu: 1500 });
  }
  const file = options.file ?? await Deno.makeTempFile();
  const client = new NetlinkClient(kernel.open());
  const configurator = new HostConfigurator(client, HIP0, SILENT);
  const table = new LsiTable();
  const log: string[] = [];
  const service = new LsiService({
    table,
    mode: "v4only",
    pool: DEFAULT_LSI_POOL,
    routesPool: false,
    interfaceIndex: HIP0,
    ownHits: [OWN, SECOND],
    client,
    configurator,
    file,
    nameOf: () => "www.example",
    now: () => instant(1000),
    logger: { log: (level: LogLevel, message) => log.push(`${level}: ${message}`) },
    ...options,
  });
  try {
    const wish = { interfaceIndex: HIP0, innerMtu: 1400, hits: [OWN, SECOND], lsis: service.wish };
    configurator.apply(hostPlan(wish));
    service.listen();
    const print = (...kinds: string[]) =>
      kernel.print().split("\n").filter((line) =>
        kinds.some((kind) => line.startsWith(`${kind} `)) && /\d+\.\d+\.\d+\.\d+/.test(line)
      );
    await inside({ kernel, table, service, configurator, file, log, print });
  } finally {
    service.close();
    if (options.file === undefined) await Deno.remove(file);
  }
}

Deno.test("DNS-075 DNS-077 each identity has an LSI on the device, each peer a route of its own from the first, and rules keep our LSIs in", async () => {
  await onHost({}, ({ service, table, print, configurator, kernel }) => {
    const [own, second] = [OWN, SECOND].map((hit) => formatIpAddress(table.ofHit(hit)!.address));
    assert.deepEqual(
      print("address").sort(),
      [
        `address ${own}/128 dev 7`,
        `address ${second}/128 dev 7`,
      ].sort(),
    );
    assert.deepEqual(print("route"), []);
    const lsi = service.ofHit(instant(1000), PEER)!.join(".");
    assert.deepEqual(print("route"), [`route ${lsi}/128 dev 7 table 254 metric 1024 src ${own}`]);
    service.ofHit(instant(1000), PEER);
    assert.equal(print("route").length, 1);
    assert.deepEqual(
      print("rule").sort(),
      [own, second].flatMap((address) => [
        `rule 5204: from ${address}/128 lookup 254 suppress_prefixlength 31`,
        `rule 5205: from ${address}/128 prohibit`,
      ]).sort(),
    );
    assert.deepEqual(service.hitOf(Uint8Array.from(lsi.split("."), Number)), PEER);
    configurator.restore();
    assert.deepEqual(print("address", "route", "rule"), []);
    assert.equal(kernel.rules.length, 0);
  });
});

Deno.test("DNS-072 LSIs are the same after a restart, those out of use for a day are free again", async () => {
  const file = await Deno.makeTempFile();
  const had = new Map<string, string>();
  const note = (table: LsiTable) => {
    for (const { lsi, hit } of table.entries()) had.set(formatIpAddress(hit), String(lsi));
  };
  await onHost({ file }, ({ service, table }) => {
    for (let n = 1; n < 50; n++) service.ofHit(instant(1000), parseIpAddress(`2001:22::1:${n}`));
    note(table);
  });
  // One that the hash alone would not give.
  const stored = parseLsis(await Deno.readTextFile(file));
  assert.deepEqual(stored.length, 51);
  const moved = parseIpAddress("198.18.99.99");
  await Deno.writeTextFile(
    file,
    formatLsis(stored.map((line, i) => i === 50 ? { ...line, lsi: lsiNumber(moved) } : line)),
  );
  had.set(formatIpAddress(stored[50]!.hit), String(lsiNumber(moved)));
  await onHost({ file }, ({ table, service, print }) => {
    assert.equal(print("route").length, 49);
    for (const [hit, lsi] of had) assert.equal(String(table.ofHit(parseIpAddress(hit))!.lsi), lsi);
    assert.equal(service.formerNames.length, 49);
    assert.equal(service.formerNames[0]!.name, "www.example");
  });
  const old = parseLsis(await Deno.readTextFile(file))
    .map((line) => ({ ...line, lastUse: Date.now() - 24 * 3600 * 1000 - 1 }));
  await Deno.writeTextFile(file, formatLsis(old));
  await onHost({ file }, ({ table, print }) => {
    assert.equal(table.size, 2);
    assert.equal(print("address").length, 2);
  });
  await Deno.remove(file);
});

Deno.test("DNS-074 addresses of interfaces, resolvers and what narrower routes lead to are not given out", async () => {
  const kernel = new FakeKernel();
  kernel.addresses.push({
    interfaceIndex: 2,
    address: parseIpAddress("198.18.7.1"),
    prefixLength: 128,
    flags: 0,
  });
  kernel.routes.push(route("198.19.0.0", 16), route("0.0.0.0", 0), route("198.0.0.0", 8));
  await onHost({ kernel }, ({ table, service }) => {
    service.setResolvers(["198.18.7.2", "fe80::1%eth0", "2001:db8::1"]);
    const fixed = (lsi: string) => service.fix(parseIpAddress(lsi), PEER);
    for (const lsi of ["198.18.7.1", "198.18.7.2", "198.19.3.3", "192.0.2.1"]) {
      assert.equal(fixed(lsi), false, lsi);
    }
    assert.equal(fixed("198.18.7.3"), true);
    for (let n = 0; n < 500; n++) {
      service.ofHit(instant(1000), parseIpAddress(`2001:22::2:${n}`));
    }
    for (const { address } of table.entries()) {
      assert.match(formatIpAddress(address), /^198\.18\./);
    }
  });
});

Deno.test("a pool that the host uses as a whole is refused with the way out", async () => {
  for (const prefix of [15, 14]) {
    const kernel = new FakeKernel();
    kernel.routes.push(route("198.18.0.0", prefix));
    const tried = onHost({ kernel }, () => {});
    if (prefix === 14) await tried;
    else {
      await assert.rejects(
        tried,
        (error: unknown) =>
          error instanceof UserError &&
          /198\.18\.0\.0\/15.*lsi_pool.*lsi = off/.test(error.message),
      );
    }
  }
});

Deno.test("DNS-076 a pool routed as a whole that holds a resolver is refused, naming both; one route serves all", async () => {
  await onHost({ routesPool: true }, ({ service, print }) => {
    service.ofHit(instant(1000), PEER);
    const routes = print("route");
    assert.equal(routes.length, 1);
    assert.match(routes[0]!, /^route 198\.18\.0\.0\/111 dev 7 .* src 198\.1[89]\./);
    assert.throws(
      () => service.setResolvers(["192.0.2.1", "198.19.0.53"]),
      (error: unknown) =>
        error instanceof UserError && /198\.19\.0\.53 .*198\.18\.0\.0\/15/.test(error.message),
    );
    service.setResolvers(["192.0.2.1"]);
  });
  await onHost({}, ({ service }) => service.setResolvers(["198.19.0.53"]));
});

Deno.test("an LSI that cannot be routed is not given out", async () => {
  await onHost({}, ({ kernel, service, log }) => {
    kernel.refused.set(MESSAGE.NEW_ROUTE, 1);
    assert.equal(service.ofHit(instant(1000), PEER), undefined);
    assert.ok(log.some((line) => line.startsWith("warning: No LSI for 2001:22::77 www.example:")));
    kernel.refused.clear();
    assert.ok(service.ofHit(instant(1000), PEER) !== undefined);
  });
});

Deno.test("an LSI fixed by the operator takes the place of the one there was, route included", async () => {
  await onHost({}, ({ service, print }) => {
    service.ofHit(instant(1000), PEER);
    assert.equal(service.fix(parseIpAddress("198.18.7.3"), PEER), true);
    assert.deepEqual(print("route").map((line) => line.split("/")[0]), ["route 198.18.7.3"]);
    assert.equal(service.fix(parseIpAddress("198.18.7.3"), parseIpAddress("2001:22::78")), false);
  });
});

Deno.test("lines of the file that make no sense are passed over", () => {
  const text = formatLsis([{ lsi: 0xc6120709, hit: PEER, lastUse: 1e12, name: "" }]);
  assert.equal(text, "198.18.7.9 2001:22::77 2001-09-09T01:46:40.000Z -\n");
  const broken = ["", "x", "198.18.7.9 192.0.2.1 2001-09-09T01:46:40.000Z -", "a b c d"];
  const parsed = parseLsis(`${broken.join("\n")}\n${text}198.18.7.9 2001:22::77 never -\n`);
  assert.deepEqual(parsed, [{ lsi: 0xc6120709, hit: PEER, lastUse: 1e12, name: "" }]);
  const pool: LsiPool = DEFAULT_LSI_POOL;
  assert.equal(formatIpAddress(mappedAddress(pool.first)), "198.18.0.0");
});
