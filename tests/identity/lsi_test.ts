import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { instant } from "../../lib/base/time.ts";
import { DEFAULT_LSI_POOL, LSI_QUARANTINE, LsiTable } from "../../lib/identity/lsi.ts";
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
    assert.ok(entry.lsi >= DEFAULT_LSI_POOL.first && entry.lsi < DEFAULT_LSI_POOL.first + 2 ** 17);
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

Deno.test("DNS-073 the low 24 bits of the SHA-256 of a HIT choose its LSI, the next free one on a conflict", () => {
  const low24 = createHash("sha256").update(hit(1)).digest().readUIntBE(29, 3);
  const wide = new LsiTable();
  wide.setPool({ first: 0x0a000000, prefixLength: 8 });
  const wanted = 0x0a000000 + low24;
  assert.equal(wide.assign(hit(1))!.lsi, wanted);
  const taken = new LsiTable();
  taken.setPool({ first: 0x0a000000, prefixLength: 8 });
  assert.equal(taken.fix(wanted, hit(2), instant(0))!.lsi, wanted);
  assert.equal(taken.assign(hit(1))!.lsi, wanted + 1);
});

Deno.test("DNS-074 networks, broadcasts, well-known servers and what is somebody else's are never LSIs", () => {
  const table = new LsiTable();
  table.setPool({ first: 0x01000000, prefixLength: 8 });
  table.isForbidden = (lsi) => lsi === 0x01020304;
  for (const lsi of [0x01000005, 0x01010101, 0x01020300, 0x010203ff, 0x01020304, 0x02000001]) {
    assert.equal(table.fix(lsi, hit(1), instant(0)), undefined, lsi.toString(16));
  }
  assert.equal(table.fix(0x01020305, hit(1), instant(0))!.lsi, 0x01020305);
  const narrow = new LsiTable();
  narrow.setPool({ first: 0xc0a80000, prefixLength: 24 });
  narrow.isForbidden = (lsi) => lsi !== 0xc0a80042;
  assert.equal(narrow.assign(hit(7))!.lsi, 0xc0a80042);
  assert.equal(narrow.assign(hit(8)), undefined);
});

Deno.test("DNS-078 DNS-079 a full table gives an LSI to another HIT once it was out of use for a day, and never one of ours", () => {
  const day = 24 * 3600 * 1000;
  const table = new LsiTable(3);
  table.assign(hit(1), instant(0), true);
  const second = table.assign(hit(2), instant(0))!;
  table.assign(hit(3), instant(5));
  // Answered again, and written to.
  table.assign(hit(2), instant(10));
  assert.equal(table.assign(hit(4), instant(day + 4)), undefined);
  assert.ok(table.assign(hit(4), instant(day + 5)) !== undefined);
  assert.equal(table.ofHit(hit(3)), undefined);
  second.lastUse = instant(day);
  assert.equal(table.assign(hit(5), instant(2 * day - 1)), undefined);
  assert.ok(table.assign(hit(5), instant(2 * day)) !== undefined);
  assert.ok(table.ofHit(hit(1)) !== undefined);
  assert.equal(table.size, 3);
  const indexes = [...table.entries()].map(({ index }) => index);
  assert.deepEqual(indexes.sort(), [0, 1, 2]);
  assert.equal(LSI_QUARANTINE, day);
});

Deno.test("DNS-079 65,536 LSIs are the most", () => {
  const table = new LsiTable();
  for (let n = 0; n < 65_536; n++) assert.ok(table.assign(hit(n)) !== undefined);
  assert.equal(table.assign(hit(70_000)), undefined);
  assert.equal(Math.max(...[...table.entries()].map(({ index }) => index)), 65_535);
});

Deno.test("what cannot be routed is not assigned, and whoever watches hears of all that changes", () => {
  const table = new LsiTable(1);
  const heard: string[] = [];
  let takes = false;
  table.watcher = {
    assigned: ({ hit }) => {
      heard.push(`assigned ${hit[15]}`);
      return takes;
    },
    released: ({ hit }) => heard.push(`released ${hit[15]}`),
  };
  assert.equal(table.assign(hit(1)), undefined);
  assert.equal(table.size, 0);
  takes = true;
  const first = table.assign(hit(1), instant(0))!;
  // The operator names another one: a HIT has one LSI.
  const wanted = first.lsi + 256;
  assert.equal(table.fix(wanted, hit(1), instant(1))!.lsi, wanted);
  assert.equal(table.ofLsi(first.lsi), undefined);
  table.assign(hit(2), instant(LSI_QUARANTINE + 1));
  assert.deepEqual(heard, [
    "assigned 1",
    "assigned 1",
    "released 1",
    "assigned 1",
    "released 1",
    "assigned 2",
  ]);
});
