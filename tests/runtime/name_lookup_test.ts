import assert from "node:assert/strict";
import { instant } from "../../lib/base/time.ts";
import { StaticNames } from "../../lib/dns/static_names.ts";
import type { PeerMapping } from "../../lib/identity/peer_directory.ts";
import { lookupName } from "../../lib/runtime/name_lookup.ts";
import { toHex } from "../../lib/base/bytes.ts";
import { encodeBase64 } from "../../lib/wire/dns/hip_presentation.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { hipRdata, TestDnsServer } from "../support/dns_server.ts";
import { ECDSA_HIT, ECDSA_KEY, HIT, zone } from "../support/proxy_bench.ts";

Deno.test(
  "DNS-238 of a name is shown: HIP records as received, HITs derived, locators, rendezvous data, time left and provenance",
  { sanitizeOps: false, sanitizeResources: false },
  async () => {
    const wrong = parseIpAddress("2001:22::bad");
    const records = zone(
      { name: "www.example", type: "AAAA", data: HIT },
      { name: "www.example", type: "A", data: "198.18.7.9" },
    );
    records.records[0]!.data = hipRdata(3, wrong, ECDSA_KEY, ["rvs.example"]);
    const port = 30_000 + Math.floor(Math.random() * 20_000);
    const server = await TestDnsServer.start(records, port);
    const mapping: PeerMapping = {
      hit: ECDSA_HIT,
      identity: undefined,
      locators: [parseIpAddress("192.0.2.80")],
      rendezvous: [parseIpAddress("192.0.2.53")],
      name: "www.example",
      source: "dns-secure",
      expires: instant(61_500),
    };
    try {
      const report = await lookupName({
        proxy: { address: "127.0.0.1", port, timeoutMs: 3000 },
        staticNames: StaticNames.NONE,
        accepts: () => true,
        mappingOf: () => mapping,
        lsiOf: () => Uint8Array.of(198, 18, 7, 9),
        lsisAreForAll: false,
        now: () => instant(1000),
      }, "www.example");
      assert.deepEqual(report.records, [
        `( 3 ${toHex(wrong).toUpperCase()} ${encodeBase64(ECDSA_KEY)} rvs.example. )`,
      ]);
      assert.deepEqual(
        report.identities.map(({ hit, kind, rendezvous }) => [hit, kind, rendezvous]),
        [
          [HIT, "ECDSA P-256, the record's HIT is wrong", ["rvs.example"]],
        ],
      );
      assert.deepEqual(report.mappings, [{
        hit: HIT,
        lsi: "198.18.7.9",
        source: "dns-secure",
        locators: ["192.0.2.80"],
        rendezvous: ["192.0.2.53"],
        secondsLeft: 60,
      }]);
      assert.deepEqual(report.locators, ["192.0.2.80"]);
      // What stands for a HIT in IPv4 is for programs that ask for nothing else.
      assert.deepEqual(report.answer, ["2001:db8::9", "2001:db8::1", HIT, "192.0.2.80"]);
    } finally {
      await server.close();
    }
  },
);
