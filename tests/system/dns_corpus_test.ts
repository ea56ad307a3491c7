/**
 * What passes through the proxy, held against what the server behind it says.
 *
 * ```
 *   client                                     router
 *   hip before unbound on 127.0.0.2, which     knotd on 10.99.1.1 with a signed zone
 *   validates, and who asks both               and one that is signed with another key
 * ```
 */

import assert from "node:assert/strict";
import { generateHostIdentity } from "../../lib/identity/host_identity.ts";
import { hipRdata } from "../../lib/lab/agents.ts";
import { CLIENT_ADDRESSES, type Lab } from "../../lib/lab/lab.ts";
import { waitFor } from "../../lib/lab/services.ts";
import { SYSTEM_RANDOM } from "../../lib/runtime/system_random.ts";
import { toHex } from "../../lib/base/bytes.ts";
import { CANNOT_RUN, hipAt, runFixture, withLab } from "../support/system.ts";
import { shell } from "../support/system_host.ts";

const AUTHORITY = CLIENT_ADDRESSES.gatewayIpv4;

/** On the client itself: from anywhere else the proxy would not hand on AD (DNS-155). */
const RESOLVER = "127.0.0.2";

/** Fewer would not show much. */
const LEAST_QUESTIONS = 500;

function zoneText(): string {
  const rdata = hipRdata(generateHostIdentity("ecdsa-p256", SYSTEM_RANDOM));
  const strings = (count: number, letter: string) =>
    Array.from({ length: count }, (_, i) => `"${i} ${letter.repeat(200)}"`);
  const lines = [
    "$TTL 300",
    "@ SOA ns hostmaster 1 3600 600 86400 300",
    "@ NS ns",
    "@ MX 10 plain",
    '@ TXT "v=spf1 -all" "second"',
    '@ CAA 0 issue "ca.example"',
    `ns A ${AUTHORITY}`,
    `www TYPE55 \\# ${rdata.length} ${toHex(rdata)}`,
    "www A 10.99.2.80",
    "www AAAA fd00:2::80",
    ...[1, 2, 3].map((i) => `plain A 192.0.2.${i}`),
    ...[1, 2].map((i) => `plain AAAA 2001:db8::${i}`),
    "plain SRV 0 5 5060 www",
    'plain NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@hip.test!" .',
    "plain LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
    "plain SSHFP 1 1 0123456789abcdef0123456789abcdef01234567",
    "plain TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "plain OPENPGPKEY AQIDBAUGBwg=",
    "plain TYPE65280 \\# 5 0102030405",
    // A compression pointer inside unknown RDATA is none.
    "www TYPE65280 \\# 4 c00cc00c",
    ...strings(8, "m").map((text) => `www TXT ${text}`),
    ...strings(200, "b").map((text) => `big TXT ${text}`),
    ...[1, 2, 3, 4, 5].map((i) => `chain${i} CNAME ${i < 5 ? `chain${i + 1}` : "plain"}`),
    "lost CNAME nowhere",
    "dname DNAME hip.test.",
    '*.wild TXT "wild"',
    "*.wild MX 5 plain",
    "under SRV 1 1 1 plain",
    'under TXT "below"',
  ];
  return `${lines.join("\n")}\n`;
}

/** Starts knotd with both zones signed, and unbound before it; the second zone has another's key. */
async function startServers({ client, router, folder: lab }: Lab): Promise<void> {
  const folder = `${lab}/servers`;
  await Deno.mkdir(folder);
  for (const zone of ["hip.test", "bogus.test"]) {
    await Deno.writeTextFile(`${folder}/${zone}.zone`, `$ORIGIN ${zone}.\n${zoneText()}`);
  }
  const config = `${folder}/knot.conf`;
  await Deno.writeTextFile(
    config,
    `server:
  rundir: ${folder}
  listen: ${AUTHORITY}@53
database:
  storage: ${folder}
template:
  - id: default
    storage: ${folder}
    file: "%s.zone"
    dnssec-signing: on
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
zone:
  - domain: hip.test
  - domain: bogus.test
`,
  );
  router.spawn(["knotd", "-c", config]);
  let anchor = "";
  await waitFor("the keys of the zone", async () => {
    const { stdout } = await router.run(["keymgr", "-c", config, "hip.test", "ds"]);
    anchor = /^hip\.test\. DS \d+ 13 2 .*$/m.exec(stdout)?.[0] ?? "";
    return anchor !== "";
  });
  const wrong = anchor.replace("hip.test.", "bogus.test.");
  await Deno.writeTextFile(
    `${folder}/unbound.conf`,
    `server:
  interface: ${RESOLVER}
  access-control: 0.0.0.0/0 allow
  do-ip6: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "${folder}"
  use-syslog: no
  logfile: "${folder}/unbound.log"
  module-config: "validator iterator"
  trust-anchor: "${anchor}"
  trust-anchor: "${wrong}"
  local-zone: "test." nodefault
  # Times to live that run down would differ between two questions.
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
  rrset-roundrobin: no
  do-not-query-localhost: no
remote-control:
  control-enable: no
stub-zone:
  name: "hip.test"
  stub-addr: ${AUTHORITY}
stub-zone:
  name: "bogus.test"
  stub-addr: ${AUTHORITY}
`,
  );
  client.spawn(["unbound", "-d", "-c", `${folder}/unbound.conf`]);
  await waitFor("unbound", async () => {
    const { stdout } = await client.run(["kdig", `@${RESOLVER}`, "hip.test", "SOA", "+dnssec"]);
    return /Flags:[^;]* ad;/.test(stdout);
  });
}

Deno.test({
  name:
    "DNS-044 DNS-045 DNS-153 What the proxy does not rewrite is what unbound says, octet for octet but for the id",
  ignore: CANNOT_RUN,
  fn: () =>
    withLab("ipv4", async (lab) => {
      await startServers(lab);
      const host = lab.client;
      await shell(host, `echo nameserver ${RESOLVER} > /etc/resolv.conf`);
      const up = await hipAt(host, `${lab.folder}/state`, "up");
      assert.equal(up.code, 0, up.stderr);
      assert.match(up.stdout, /resolver: 127\.0\.0\.1 \(was 127\.0\.0\.2\)/);
      const outcome = await runFixture<{
        asked: number;
        kinds: Record<string, number>;
        differences: { what: string; direct: string; proxied: string }[];
      }>(host, "dns_corpus.ts", RESOLVER, "127.0.0.1");
      assert.ok(outcome.asked >= LEAST_QUESTIONS, `${outcome.asked} questions`);
      // The questions are worth something only when all of this is among the answers.
      for (const kind of ["RCODE 0", "RCODE 0, TC", "RCODE 2", "RCODE 3"]) {
        assert.ok((outcome.kinds[kind] ?? 0) > 0, `${kind}: ${JSON.stringify(outcome.kinds)}`);
      }
      assert.ok(Object.keys(outcome.kinds).some((kind) => /over 4096/.test(kind)));
      const shown = outcome.differences.map(({ what, direct, proxied }) =>
        `${what}: ${direct.slice(0, 120)} but ${proxied.slice(0, 120)}`
      );
      assert.equal(shown.join("\n"), "", shown.join("\n"));
    }),
});
