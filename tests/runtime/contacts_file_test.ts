import assert from "node:assert/strict";
import { SILENT } from "../../lib/base/logger.ts";
import type { Contact } from "../../lib/engine/contacts.ts";
import { ContactsFile, formatContacts, parseContacts } from "../../lib/runtime/contacts_file.ts";
import { statePaths } from "../../lib/runtime/state_paths.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";

const BOOT = "6f3c1d0e-0000-4000-8000-000000000001";

function contact(peer: number, address: string, peerPort: number): Contact {
  return {
    localHit: parseIpAddress("2001:22:1::1"),
    peerHit: parseIpAddress(`2001:22:2::${peer}`),
    address: parseIpAddress(address),
    peerPort,
  };
}

const CONTACTS = [contact(1, "192.0.2.7", 10500), contact(2, "2001:db8::7", 0)];

Deno.test("contacts come back as they were written, in order", () => {
  assert.deepEqual(parseContacts(BOOT, formatContacts(BOOT, CONTACTS)), CONTACTS);
});

Deno.test("contacts of another boot are not used, and lines that make no sense are passed over", () => {
  const text = formatContacts(BOOT, CONTACTS);
  assert.deepEqual(parseContacts("another", text), []);
  assert.deepEqual(parseContacts(BOOT, ""), []);
  const [boot, first, second] = text.split("\n");
  const damaged = [
    boot,
    first!.replace("2001:22:2::1", "2001:db8::1"),
    "one two three",
    first!.slice(0, 20),
    second,
    first!.replace("10500", "70000"),
    "2001:22:1::1 2001:22:",
  ].join("\n");
  assert.deepEqual(parseContacts(BOOT, damaged), [CONTACTS[1]]);
});

Deno.test("LOS-005 the file holds two HITs and an address for each peer, no longer than the host runs, is its owner's alone, and is written by the end", async () => {
  assert.match(statePaths(undefined).contactsFile, /^\/run\//);
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/contacts`;
    const file = new ContactsFile(path, () => CONTACTS, SILENT);
    assert.deepEqual(file.read(), []);
    file.touch();
    file.close();
    const lines = (await Deno.readTextFile(path)).trim().split("\n");
    assert.match(lines[0]!, /^boot [0-9a-f-]{36}$/);
    assert.equal(lines[1], "2001:22:1::1 2001:22:2::1 192.0.2.7 10500");
    assert.equal(lines.length, 1 + CONTACTS.length);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.deepEqual(new ContactsFile(path, () => [], SILENT).read(), CONTACTS);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
