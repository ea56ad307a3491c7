import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import {
  addHostsEntry,
  entryIdentity,
  formatHostsLine,
  parseHostsFile,
  parseHostsLine,
  removeHostsEntries,
} from "../../lib/dns/hosts_file.ts";
import { StaticNames } from "../../lib/dns/static_names.ts";
import { dnsKeyToHostIdentity, formatHit, hitOf } from "../../lib/identity/hit.ts";
import { formatHostName, parseName } from "../../lib/wire/dns/name.ts";
import { encodeBase64 } from "../../lib/wire/dns/hip_presentation.ts";
import { formatIpAddress } from "../../lib/wire/ip_address.ts";

const KEY = ed25519.getPublicKey(new Uint8Array(createHash("sha256").update("hosts").digest()));
const IDENTITY = dnsKeyToHostIdentity(4, KEY)!;
const HIT = formatHit(hitOf(IDENTITY));
const FULL = `${HIT} locator=192.0.2.9,2001:db8::9 rvs=rvs.example.org key=${
  encodeBase64(KEY)
} alg=4 web1.example web1`;

Deno.test("a line with every option is read, and printed back equal", () => {
  const entry = parseHostsLine(FULL)!;
  assert.equal(entry.kind, "hit");
  assert.deepEqual(entry.locators.map(formatIpAddress), ["192.0.2.9", "2001:db8::9"]);
  assert.deepEqual(entry.names.map(formatHostName), ["web1.example", "web1"]);
  assert.deepEqual(entry.rendezvousNames.map(formatHostName), ["rvs.example.org"]);
  assert.deepEqual(entryIdentity(entry), IDENTITY);
  assert.equal(formatHostsLine(entry), FULL);
  assert.equal(formatHostsLine(parseHostsLine("192.0.2.7  a b # c")!), "192.0.2.7 a b");
});

Deno.test("DNS-182 malformed lines are reported with their number, the others take effect", () => {
  const lines = [
    "# comment",
    FULL,
    "not-an-address name",
    `${HIT}`,
    `${HIT} key=${encodeBase64(KEY)} name`,
    `2001:25::1 key=${encodeBase64(KEY)} alg=4 name`,
    `${HIT} colour=red name`,
    `${HIT} locator=127.0.0.1 name`,
    "192.0.2.1 locator=192.0.2.2 name",
    `${HIT} a..b`,
    "",
    "192.0.2.7 web1",
  ];
  const { entries, problems } = parseHostsFile(lines.join("\n"));
  assert.equal(entries.length, 2);
  assert.deepEqual(problems.map((problem) => problem.line), [3, 4, 5, 6, 7, 8, 9, 10]);
  assert.match(problems[3]!.message, /the key's HIT is 2001:25:/);
});

Deno.test("StaticNames joins the lines of a name and tells the engine of every HIT", () => {
  const names = new StaticNames(parseHostsFile(`${FULL}\n192.0.2.7 WEB1\n198.18.0.5 web1`).entries);
  const [peer] = names.peersOf(parseName("Web1"));
  assert.deepEqual(peer!.locators.map(formatIpAddress), ["192.0.2.9", "2001:db8::9", "192.0.2.7"]);
  assert.equal(names.peersOf(parseName("web2")).length, 0);
  assert.deepEqual(names.namesOf(peer!.hit).map(formatHostName), ["web1.example", "web1"]);
  const [mapping, ...others] = names.mappings();
  assert.equal(others.length, 0);
  assert.equal(mapping!.name, "web1.example");
  assert.equal(mapping!.source, "static");
  assert.equal(mapping!.expires, undefined);
  assert.deepEqual(mapping!.identity, IDENTITY);
  assert.equal(mapping!.locators.length, 3);
});

Deno.test("addHostsEntry() replaces the same entry and keeps all other lines as they are", () => {
  const text = `# mine\n${FULL}\nbroken line\n192.0.2.7   db  # spaced`;
  const changed = addHostsEntry(text, parseHostsLine(`${HIT} web1.example`)!);
  assert.equal(
    changed,
    `# mine\nbroken line\n192.0.2.7   db  # spaced\n${HIT} web1.example\n`,
  );
  assert.equal(addHostsEntry("", parseHostsLine(FULL)!), `${FULL}\n`);
});

Deno.test("removeHostsEntries() takes away the lines of a name or an address", () => {
  const text = `# mine\n${FULL}\n192.0.2.7 web1 db\n192.0.2.8 db2\n`;
  assert.deepEqual(removeHostsEntries(text, "WEB1"), {
    text: "# mine\n192.0.2.8 db2\n",
    removed: 2,
  });
  assert.deepEqual(removeHostsEntries(text, "192.0.2.8").removed, 1);
  assert.deepEqual(removeHostsEntries(text, HIT).removed, 1);
  assert.deepEqual(removeHostsEntries(text, "nobody"), { text, removed: 0 });
});

Deno.test("DNS-177 lines that share a name belong together: HITs, its LSI and addresses", () => {
  const text = `# first\n198.18.7.9 web1 other\n${HIT} web1\n192.0.2.7 WEB1\n192.0.2.8 web1\n`;
  const names = new StaticNames(parseHostsFile(text).entries);
  const [peer] = names.peersOf(parseName("web1"));
  assert.equal(formatHit(peer!.hit), HIT);
  assert.deepEqual(peer!.locators.map(formatIpAddress), ["192.0.2.7", "192.0.2.8"]);
  const fixed = names.lsis().map((
    { lsi, hit, line },
  ) => [formatIpAddress(lsi), formatHit(hit), line]);
  assert.deepEqual(fixed, [["198.18.7.9", HIT, 2]]);
  assert.deepEqual(new StaticNames(parseHostsFile("198.18.7.9 nobody").entries).lsis(), []);
  // In another pool it is an address like any other.
  const pool = { first: 0x0a000000, prefixLength: 8 };
  const elsewhere = new StaticNames(parseHostsFile(text, pool).entries);
  assert.deepEqual(elsewhere.lsis(), []);
  assert.equal(elsewhere.peersOf(parseName("web1"))[0]!.locators.length, 3);
});
