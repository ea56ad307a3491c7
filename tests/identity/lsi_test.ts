import assert from "node:assert/strict";
import { LSI_PREFIX, LsiTable } from "../../lib/identity/lsi.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";

function hit(n: number): Uint8Array {
  const bytes = parseIpAddress("2001:22::");
  new DataView(bytes.buffer).setUint32(12, n);
  return bytes;
}

Deno.test("a HIT has one LSI, found both ways, in 198.18.0.0/15 and never .0 or .255", () => {
  const table = new LsiTable();
  const seen = new Set<number>();
  for (let n = 0; n < 2000; n++) {
    const entry = table.assign(hit(n))!;
    assert.equal(table.assign(hit(n)), entry);
    assert.equal(table.ofLsi(entry.lsi), entry);
    assert.equal(table.ofHit(hit(n)), entry);
    assert.ok(entry.lsi >= LSI_PREFIX && entry.lsi < LSI_PREFIX + 2 ** 17);
    assert.ok(![0, 255].includes(entry.lsi & 255));
    assert.match(formatIpAddress(entry.address), /^198\.1[89]\./);
    seen.add(entry.lsi);
  }
  assert.deepEqual([seen.size, table.size], [2000, 2000]);
  assert.equal(table.ofHit(hit(2000)), undefined);
});

Deno.test("HITs with the same end have LSIs of their own", () => {
  const table = new LsiTable();
  const [one, two] = [hit(77), hit(77)];
  two[6] = 9;
  const entries = [one, two].map((each) => table.assign(each)!);
  assert.notEqual(entries[0]!.lsi, entries[1]!.lsi);
  assert.equal(table.ofHit(one), entries[0]);
  assert.equal(table.ofHit(two), entries[1]);
});

Deno.test("a full table gives no further LSI and keeps those it gave", () => {
  const table = new LsiTable(3);
  const entries = [1, 2, 3, 4].map((n) => table.assign(hit(n)));
  assert.equal(entries[3], undefined);
  assert.equal(table.assign(hit(2)), entries[1]);
});
