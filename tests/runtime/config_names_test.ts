import assert from "node:assert/strict";
import { parseConfig } from "../../lib/runtime/config_file.ts";
import { parseName } from "../../lib/wire/dns/name.ts";

const read = (text: string, overrides: string[] = []) => parseConfig(text, "hip.conf", overrides);

Deno.test("name_mode adds up, one mode for some suffixes a line, each suffix once", () => {
  const { nameModes } = read("name_mode = require a.example b.example\nname_mode = off .\n");
  assert.deepEqual(
    nameModes.map(({ suffix, mode }) => [mode, suffix]),
    [
      ["off", parseName(".")],
      ["require", parseName("a.example")],
      ["require", parseName("b.example")],
    ],
  );
  const twice = "name_mode = off a.example\nname_mode = require b.example A.example\n";
  assert.throws(() => read(twice), /line 2: "name_mode" was set in line 1 already/);
  // An option wins over the file.
  const [first] = read("name_mode = off a.example\n", ["name_mode=require a.example"]).nameModes;
  assert.equal(first!.mode, "require");
});

Deno.test("unusable modes, names and pools are refused with what to write instead", () => {
  for (
    const [line, message] of [
      ["name_mode = sometimes a.example", /Use one of hit-first, hit-only, require, off/],
      ["name_mode = require", /Say for which names/],
      ["name_mode = require a..b", /"a\.\.b" is no domain name/],
      ["require_dnssec = a..b", /"a\.\.b" is no domain name/],
      ["lsi = maybe", /Use one of on, v4only, off/],
      ["lsi_pool = 198.18.0.0", /IPv4 prefix of 8 to 24 bits/],
      ["lsi_pool = 198.18.0.1/15", /IPv4 prefix of 8 to 24 bits/],
      ["lsi_pool = 10.0.0.0/7", /IPv4 prefix of 8 to 24 bits/],
      ["lsi_pool = fd00::/16", /IPv4 prefix of 8 to 24 bits/],
      ["lsi_pool = 1.2.3/24", /IPv4 prefix of 8 to 24 bits/],
    ] as const
  ) {
    assert.throws(() => read(line), message, line);
  }
  assert.deepEqual(read("lsi_pool = 1.0.0.0/8").lsiPool, { first: 0x01000000, prefixLength: 8 });
  assert.deepEqual(read("require_dnssec = example.org, .").requireDnssec, [
    parseName("example.org"),
    parseName("."),
  ]);
});
