import assert from "node:assert/strict";
import { createBroker, createClient, type InterfaceDescriptor } from "dbus-native";
import { UserError } from "../../lib/base/errors.ts";
import { ResolvedLink } from "../../lib/runtime/resolved_link.ts";

const INTERFACE: InterfaceDescriptor = {
  name: "org.freedesktop.resolve1.Manager",
  methods: {
    SetLinkDNS: ["ia(iay)", "", [], []],
    SetLinkDomains: ["ia(sb)", "", [], []],
    SetLinkDefaultRoute: ["ib", "", [], []],
    SetLinkDNSSEC: ["is", "", [], []],
    SetLinkDNSOverTLS: ["is", "", [], []],
    SetLinkLLMNR: ["is", "", [], []],
    SetLinkMulticastDNS: ["is", "", [], []],
    RevertLink: ["i", "", [], []],
    FlushCaches: ["", "", [], []],
  },
  properties: { DNS: "a(iiay)", FallbackDNS: "a(iiay)", DNSSEC: "s" },
};

interface Service {
  /** Calls as "SetLinkDNS 7 ...". */
  readonly calls: string[];
  /** A method that fails. */
  refuses: string | undefined;
  DNS: unknown[];
  FallbackDNS: unknown[];
  DNSSEC: string;
}

/** A bus in this process, with a systemd-resolved on it if there is to be one. */
async function withBus(
  hasService: boolean,
  test: (link: ResolvedLink, service: Service) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const socket = `${folder}/bus`;
  const broker = createBroker();
  await new Promise<void>((resolve, reject) =>
    broker.listen({ socket }, (error) => error ? reject(error) : resolve())
  );
  const service: Service = {
    calls: [],
    refuses: undefined,
    DNS: [],
    FallbackDNS: [],
    DNSSEC: "no",
  };
  const bus = createClient({ socket, authMethods: ["EXTERNAL"] });
  try {
    if (hasService) {
      const methods = Object.keys(INTERFACE.methods!).map((
        name,
      ) => [name, (...values: unknown[]) => {
        const plain = values.slice(0, -1).map((value) => JSON.stringify(value, bytesAsList)).join(
          " ",
        );
        service.calls.push(`${name} ${plain}`.trim());
        if (service.refuses === name) throw new Error("Not this one");
      }]);
      const object = Object.assign(service, Object.fromEntries(methods));
      bus.exportInterface(object, "/org/freedesktop/resolve1", INTERFACE);
      await bus.requestName("org.freedesktop.resolve1", 0);
    }
    await test(new ResolvedLink(7, socket), service);
  } finally {
    await bus.close();
    broker.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function bytesAsList(_key: string, value: unknown): unknown {
  const { type, data } = (value ?? {}) as { type?: string; data?: unknown };
  return type === "Buffer" ? data : value;
}

Deno.test("DNS-208 the link gets the proxy as its server, for all names, without DNSSEC", async () => {
  await withBus(true, async (link, service) => {
    await link.takeOver("127.0.0.1");
    assert.deepEqual(service.calls, [
      'SetLinkDNSSEC 7 "no"',
      'SetLinkDNSOverTLS 7 "no"',
      'SetLinkLLMNR 7 "no"',
      'SetLinkMulticastDNS 7 "no"',
      "SetLinkDNS 7 [[2,[127,0,0,1]]]",
      "SetLinkDefaultRoute 7 true",
      'SetLinkDomains 7 [[".",true]]',
      "FlushCaches",
    ]);
    await link.restore();
    assert.deepEqual(service.calls.slice(-2), ["RevertLink 7", "FlushCaches"]);
  });
});

Deno.test("DNS-209 servers of other links are asked, the fallback only without any", async () => {
  await withBus(true, async (link, service) => {
    service.FallbackDNS = [[0, 2, Uint8Array.of(192, 0, 2, 99)]];
    const linkLocal = Uint8Array.of(0xfe, 0x80, ...new Array(13).fill(0), 1);
    service.DNS = [
      [7, 2, Uint8Array.of(127, 0, 0, 1)],
      [2, 2, Uint8Array.of(192, 0, 2, 53)],
      [3, 10, linkLocal],
      [3, 10, Uint8Array.of(1, 2)],
    ];
    const state = await link.look();
    assert.ok(state !== undefined);
    assert.ok(link.isInForce(state, "127.0.0.1"));
    assert.ok(!link.isInForce(state, "192.0.2.53"));
    assert.deepEqual(link.upstreams(state, ["127.0.0.1"]), ["192.0.2.53", "fe80::1%3"]);
    service.DNS = service.DNS.slice(0, 1);
    assert.deepEqual(link.upstreams((await link.look())!, ["127.0.0.1"]), ["192.0.2.99"]);
  });
});

Deno.test("a refusal is one sentence, and what was set is taken back", async () => {
  await withBus(true, async (link, service) => {
    service.refuses = "SetLinkDNS";
    await assert.rejects(link.takeOver("127.0.0.1"), UserError);
    assert.ok(service.calls.includes("RevertLink 7"));
  });
});

Deno.test("without systemd-resolved, or without a bus, nothing is set and nothing hangs", async () => {
  await withBus(false, async (link) => {
    assert.equal(await link.look(), undefined);
    await link.restore();
  });
  await assert.rejects(new ResolvedLink(7, "/nonexistent/bus").look());
});
