/**
 * Publishing with the servers that Debian has: what `hip identity show --dns` prints loads in each,
 * and `hip dns update` puts it into the zones of two of them.
 *
 * ```
 *   client                       router                            server
 *   hip, keys of the zone        knotd or named, primary of        -
 *                                hip.test, on 10.99.1.1
 * ```
 */

import assert from "node:assert/strict";
import { CLIENT_ADDRESSES, type Lab, runCommand } from "../../lib/lab/lab.ts";
import { waitFor } from "../../lib/lab/services.ts";
import { CANNOT_RUN, hipAt, SELF, withLab } from "../support/system.ts";

const { gatewayIpv4 } = CLIENT_ADDRESSES;
const SECRET = "c2VjcmV0LWZvci10ZXN0cy1vbmx5LW5vdGhpbmctZWxzZQ==";
const HEAD = "$ORIGIN hip.test.\n$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n" +
  `@ IN NS ns\nns IN A ${gatewayIpv4}\n`;

async function run(...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand(command, { timeoutMs: 20_000 });
  assert.equal(code, 0, `${command.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

Deno.test({
  name:
    "DNS-019 DNS-020 The zone lines of every kind of identity load in Knot DNS, BIND, NSD and PowerDNS",
  ignore: CANNOT_RUN,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const hip = (...args: string[]) => run(...SELF, "--state", `${folder}/state`, ...args);
      for (const kind of ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa", "dsa"]) {
        await hip("identity", "new", kind, "--kind", kind);
      }
      await hip("identity", "new", "hidden", "--anonymous");
      const lines = await hip(
        ...["identity", "show", "--dns", "--all", "--as", "www.hip.test"],
        ...["--rvs", "rvs.hip.test", "--rvs", "rvs.example.org"],
      );
      assert.equal(lines.trim().split("\n").length, 10);
      const zone = `${folder}/zone`;
      await Deno.writeTextFile(zone, HEAD + lines);
      await run("kzonecheck", "-o", "hip.test", zone);
      await run("named-checkzone", "hip.test", zone);
      await run("nsd-checkzone", "hip.test", zone);
      await Deno.writeTextFile(
        `${folder}/named.conf`,
        `zone "hip.test" { type master; file "${zone}"; };\n`,
      );
      await Deno.writeTextFile(
        `${folder}/pdns.conf`,
        `launch=bind\nbind-config=${folder}/named.conf\n`,
      );
      const pdns = await run("pdnsutil", `--config-dir=${folder}`, "check-zone", "hip.test");
      assert.match(pdns, /Checked 8 records of 'hip\.test', 0 errors/);

      // BIND knows the form of RFC 8005: the comments say the same as the lines.
      const readBack = async (text: string) => {
        await Deno.writeTextFile(zone, HEAD + text);
        const dump = await run("named-checkzone", "-D", "-o", "-", "hip.test", zone);
        return dump.split("\n").filter((line) => /\bHIP\b/.test(line)).sort();
      };
      const generic = await readBack(lines);
      assert.equal(generic.length, 5);
      assert.deepEqual(
        await readBack(lines.replace(/^[^;].*\n/gm, "").replace(/^; /gm, "")),
        generic,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

interface Primary {
  readonly start: (lab: Lab, folder: string) => Promise<void>;
}

const PRIMARIES: Readonly<Record<string, Primary>> = {
  "Knot DNS": {
    start: async ({ router }, folder) => {
      await Deno.writeTextFile(
        `${folder}/knot.conf`,
        `server:
  rundir: ${folder}
  listen: ${gatewayIpv4}@53
database:
  storage: ${folder}
key:
  - id: hip-update
    algorithm: hmac-sha256
    secret: ${SECRET}
acl:
  - id: updates
    key: hip-update
    action: update
zone:
  - domain: hip.test
    file: ${folder}/zone
    acl: updates
`,
      );
      router.spawn(["knotd", "-c", `${folder}/knot.conf`]);
      await Promise.resolve();
    },
  },
  BIND: {
    start: async ({ router }, folder) => {
      await Deno.writeTextFile(
        `${folder}/named.conf`,
        `key "hip-update" { algorithm hmac-sha256; secret "${SECRET}"; };
options {
  directory "${folder}"; pid-file none; session-keyfile none;
  listen-on { ${gatewayIpv4}; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no;
};
controls { };
zone "hip.test" {
  type primary; file "${folder}/zone";
  update-policy { grant hip-update name www.hip.test. HIP; };
};
`,
      );
      router.spawn(["named", "-f", "-c", `${folder}/named.conf`]);
      await Promise.resolve();
    },
  },
};

for (const [software, { start }] of Object.entries(PRIMARIES)) {
  Deno.test({
    name:
      `DNS-020 hip dns update puts the record into a zone of ${software}, signed, and takes it out`,
    ignore: CANNOT_RUN,
    fn: () =>
      withLab("ipv4", async (lab) => {
        const folder = `${lab.folder}/primary`;
        await Deno.mkdir(folder);
        await Deno.writeTextFile(`${folder}/zone`, HEAD);
        await start(lab, folder);
        const host = lab.client;
        await host.run(["sh", "-c", `echo nameserver ${gatewayIpv4} > /etc/resolv.conf`]);
        const records = async () =>
          (await host.run(["kdig", `@${gatewayIpv4}`, "www.hip.test", "TYPE55", "+short"])).stdout;
        await waitFor("the primary", async () =>
          /ns\.hip\.test/.test(
            (await host.run(["kdig", `@${gatewayIpv4}`, "hip.test", "NS", "+short"])).stdout,
          ));
        const key = `${lab.folder}/update.key`;
        const state = `${lab.folder}/state`;
        const writeKey = (secret: string, name = "hip-update") =>
          Deno.writeTextFile(
            key,
            `key "${name}" {\n\talgorithm hmac-sha256;\n\tsecret "${secret}";\n};\n`,
            { mode: 0o600 },
          );
        await writeKey(SECRET);
        const hip = (...args: string[]) => hipAt(host, state, ...args);
        const update = (...args: string[]) =>
          hip("dns", "update", "--as", "www.hip.test", "--key-file", key, ...args);
        assert.equal((await hip("identity", "new", "first")).code, 0);
        assert.equal((await hip("identity", "new", "second", "--kind", "ed25519")).code, 0);

        // Zone and server are those of the SOA record, asked of the system's own DNS server.
        const published = await update();
        assert.equal(published.code, 0, published.stderr);
        assert.equal(
          published.stdout,
          `www.hip.test has the HIP record of "first" in the zone hip.test on ${gatewayIpv4}.\n`,
        );
        const shown = (await hip("identity", "show", "--dns", "--as", "www.hip.test")).stdout;
        const generic = /TYPE55 (.*)\n/.exec(shown)![1]!;
        assert.equal((await records()).trim().toUpperCase(), generic.toUpperCase());

        const both = await update("--all", "--server", `${gatewayIpv4}@53`, "--zone", "hip.test");
        assert.equal(both.code, 0, both.stderr);
        assert.equal((await records()).trim().split("\n").length, 2);

        await writeKey("d3JvbmctYnV0LWxvbmctZW5vdWdoLXRvLWJlLW9uZQ==");
        const wrong = await update("--remove");
        assert.equal(wrong.code, 1);
        assert.match(wrong.stderr, /^hip dns update: 10\.99\.1\.1 refuses .*NOTAUTH: .*BADSIG/);
        await writeKey(SECRET, "somebody-else");
        assert.match((await update("--remove")).stderr, /NOTAUTH: .*BADKEY/);
        await writeKey(SECRET);
        const outside = await hip("dns", "update", "--as", "ns.hip.test", "--key-file", key);
        if (software === "BIND") {
          assert.match(outside.stderr, /refuses the update with REFUSED: allow/);
        }
        const lost = await update("--remove", "--server", "10.99.1.10", "--zone", "hip.test");
        assert.match(lost.stderr, /10\.99\.1\.10 does not answer over TCP/);
        assert.equal((await records()).trim().split("\n").length, 2, "nothing was removed");

        const removed = await update("--remove");
        assert.equal(removed.code, 0, removed.stderr);
        assert.match(
          removed.stdout,
          /^www\.hip\.test has no HIP record any more in the zone hip\.test/,
        );
        assert.equal(await records(), "");
      }),
  });
}
