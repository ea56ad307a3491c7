import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError } from "../../lib/base/errors.ts";
import { CONFIG_KEYS, DEFAULT_CONFIG, parseConfig } from "../../lib/runtime/config.ts";

const FILE = "/etc/hip/hip.conf";

function problemOf(text: string, overrides: string[] = []): string {
  try {
    parseConfig(text, FILE, overrides);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  throw new assert.AssertionError({ message: `"${text}" was accepted` });
}

Deno.test("parseConfig() gives the defaults for an empty file and for comments alone", () => {
  assert.deepEqual(parseConfig("", FILE), DEFAULT_CONFIG);
  assert.deepEqual(parseConfig("# nothing\n\n   # here\n", FILE), DEFAULT_CONFIG);
});

Deno.test("parseConfig() reads every kind of value", () => {
  const config = parseConfig(
    [
      "dh_groups = 9, 3   # strong, then old",
      "esp_suites=8 7",
      "esn = off",
      "puzzle_difficulty = 10",
      "encrypt_host_id = no",
      "listen = 127.0.0.53",
      "upstream = 10.0.2.3, 2001:db8::1",
      "resolver = none",
      "interface = hip1",
      "mtu = 1280",
      "crypto = portable",
      "identity = web1",
      "identity_kind = rsa",
      "log_level = debug",
    ].join("\n"),
    FILE,
  );
  assert.deepEqual(config, {
    ...DEFAULT_CONFIG,
    dhGroups: [9, 3],
    espSuites: [8, 7],
    esn: "off",
    puzzleDifficulty: 10,
    encryptHostId: false,
    listen: "127.0.0.53",
    upstream: ["10.0.2.3", "2001:db8::1"],
    resolver: "none",
    interfaceName: "hip1",
    mtu: 1280,
    crypto: "portable",
    identity: "web1",
    identityKind: "rsa",
    logLevel: "debug",
  });
});

Deno.test("parseConfig() names file, line and the nearest key for an unknown one", () => {
  assert.equal(
    problemOf("# head\npuzle_difficulty = 3\n"),
    `${FILE}, line 2: unknown key "puzle_difficulty". Use "puzzle_difficulty".`,
  );
  const far = problemOf("colour = blue");
  assert.match(far, /line 1: unknown key "colour"\. Known keys: identity, /);
  for (const name of ["constructor", "__proto__", "toString"]) {
    assert.match(problemOf(`${name} = 1`), /unknown key/);
  }
});

Deno.test("parseConfig() refuses a repeated key and names both lines", () => {
  assert.equal(
    problemOf("mtu = 1400\n\nmtu = 1300"),
    `${FILE}, line 3: "mtu" was set in line 1 already. Keep one of the two lines.`,
  );
});

Deno.test("parseConfig() refuses values out of range and says what is wanted", () => {
  assert.equal(
    problemOf("mtu = 1279"),
    `${FILE}, line 1: mtu cannot be "1279". Use a whole number from 1280 to 9000.`,
  );
  const bad = [
    "puzzle_difficulty = 21",
    "puzzle_difficulty = -1",
    "puzzle_difficulty = 1.5",
    "dh_groups = 7, 12",
    "dh_groups = 7 7",
    "dh_groups =",
    "hip_ciphers = 3",
    "esp_suites = 0",
    "encrypt_host_id = true",
    "listen = localhost",
    "upstream = dns.example.org",
    "resolver = maybe",
    "accept_icmp = too-big, redirect",
    "audit = everything",
    "path_mtu_lifetime = 59",
    "idle_timeout = 0",
    "interface = a-name-that-is-too-long",
    "interface = ..",
    "identity = ../../etc/shadow",
    "no equals sign",
  ];
  for (const line of bad) assert.match(problemOf(line), /line 1: /, line);
});

Deno.test("parseConfig() lets options win over the file, the last one first", () => {
  const config = parseConfig("mtu = 1400", FILE, ["mtu=1300", "mtu=1350"]);
  assert.equal(config.mtu, 1350);
  assert.match(problemOf("", ["mtu=x"]), /^option "mtu=x": mtu cannot be "x"/);
});

Deno.test("The default never offers ESP without encryption, and every default can be written", () => {
  assert.ok(!DEFAULT_CONFIG.espSuites.includes(7));
  assert.ok(DEFAULT_CONFIG.espSuites.includes(8) && DEFAULT_CONFIG.espSuites.includes(9));
  const text = [
    `dh_groups = ${DEFAULT_CONFIG.dhGroups}`,
    `hip_ciphers = ${DEFAULT_CONFIG.hipCiphers}`,
    `esp_suites = ${DEFAULT_CONFIG.espSuites}`,
    `hit_suites = ${DEFAULT_CONFIG.hitSuites}`,
    `puzzle_difficulty = ${DEFAULT_CONFIG.puzzleDifficulty}`,
    `mtu = ${DEFAULT_CONFIG.mtu}`,
    "path_mtu_discovery = yes",
    `path_mtu_lifetime = ${DEFAULT_CONFIG.pathMtuLifetimeSeconds}`,
    `accept_icmp = ${DEFAULT_CONFIG.acceptIcmp}`,
    `idle_timeout = ${DEFAULT_CONFIG.idleTimeoutSeconds}`,
    "audit = none",
    `interface = ${DEFAULT_CONFIG.interfaceName}`,
    `listen = ${DEFAULT_CONFIG.listen}`,
    "upstream = auto",
  ].join("\n");
  assert.deepEqual(parseConfig(text, FILE), DEFAULT_CONFIG);
});

Deno.test("parseConfig() accepts or throws ConfigError, whatever the text", () => {
  const key = fc.oneof(fc.constantFrom(...CONFIG_KEYS), fc.string());
  const line = fc.tuple(key, fc.string()).map(([k, v]) => `${k} = ${v}`);
  fc.assert(fc.property(fc.array(fc.oneof(line, fc.string())), (lines) => {
    try {
      parseConfig(lines.join("\n"), FILE);
    } catch (error) {
      assert.ok(error instanceof ConfigError);
    }
  }));
});

Deno.test("parseConfig() reads lists of words, all and none", () => {
  const config = parseConfig("accept_icmp = none\naudit = icv-failed, replay", FILE);
  assert.deepEqual(config.acceptIcmp, []);
  assert.deepEqual(config.audit, ["replay", "icv-failed"]);
  assert.equal(parseConfig("audit = all", FILE).audit.length, 5);
});
