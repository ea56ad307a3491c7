import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import fc from "fast-check";
import { ConfigError } from "../../lib/base/errors.ts";
import { CONFIG_KEYS, DEFAULT_CONFIG } from "../../lib/runtime/config.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { REFUSED, rule } from "../support/policy_pair.ts";
import { parseConfig } from "../../lib/runtime/config_file.ts";

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
      "identities = web1, mail",
      "opportunistic = no",
      "puzzle_difficulty_max = 18",
      "rekey_after = 30m",
      "rekey_octets = 4G",
      "rekey_dh = no",
      "idle_timeout = 2d",
      "i1_timeout = 250ms",
      "i1_retries = 3",
      "i2_timeout = 2",
      "i2_retries = 4",
      "max_associations = 100000",
      "icmp_to_strangers = yes",
      "transport = udp",
      "udp_port = 10600",
    ].join("\n"),
    FILE,
  );
  assert.deepEqual(config, {
    ...DEFAULT_CONFIG,
    transport: "udp",
    udpPort: 10_600,
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
    identities: ["web1", "mail"],
    opportunistic: false,
    puzzleDifficultyMax: 18,
    rekeyAfter: seconds(1800),
    rekeyOctets: 2 ** 32,
    rekeyDh: false,
    idleTimeoutSeconds: 172_800,
    i1Timeout: milliseconds(250),
    i1Retries: 3,
    i2Timeout: seconds(2),
    i2Retries: 4,
    maxAssociations: 100_000,
    icmpToStrangers: true,
  });
});

Deno.test("parseConfig() names file, line and the nearest key for an unknown one", () => {
  assert.equal(
    problemOf("# head\npuzle_difficulty = 3\n"),
    `${FILE}, line 2: unknown key "puzle_difficulty". Use "puzzle_difficulty".`,
  );
  const hint = (key: string) => /unknown key "[^"]*"\. (.*)$/.exec(problemOf(`${key} = 1`))![1];
  assert.equal(hint("esp-suite"), 'Use "esp_suites".');
  assert.equal(
    hint("retransmit_timeout"),
    "Similar ones: idle_timeout, i1_timeout, i2_timeout. All keys: hip up --help.",
  );
  assert.match(hint("rekey_dh_after")!, /^Similar ones: rekey_after, rekey_octets, rekey_dh\. /);
  for (const key of ["colour", "x", "foo"]) assert.equal(hint(key), "All keys: hip up --help.");
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
    "listen = 192.0.2.1",
    "listen = ::",
    "upstream = dns.example.org",
    "resolver = maybe",
    "accept_icmp = too-big, redirect",
    "audit = everything",
    "path_mtu_lifetime = 59",
    "idle_timeout = 0",
    "idle_timeout = 366d",
    "idle_timeout = soon",
    "rekey_after = 1s",
    "rekey_octets = 1023K",
    "rekey_octets = 64X",
    "i1_retries = 0",
    "i1_timeout = 99ms",
    "puzzle_difficulty_max = 25",
    "identities = a/b",
    "interface = a-name-that-is-too-long",
    "interface = ..",
    "identity = ../../etc/shadow",
    "no equals sign",
  ];
  for (const line of bad) assert.match(problemOf(line), /line 1: /, line);
});

Deno.test("DHG-004 groups, ciphers and suites without a meaning are refused with the reason", () => {
  assert.equal(
    problemOf("dh_groups = 7, 5"),
    `${FILE}, line 1: dh_groups cannot be "7, 5". Group 5 (MODP 6144) is deprecated since ` +
      "RFC 7401, and nobody may offer it. Use numbers out of 3, 4, 7, 8, 9, 10, 11.",
  );
  for (const group of [0, 1, 2, 6]) {
    assert.match(
      problemOf(`dh_groups = ${group}`),
      new RegExp(`Group ${group} .*(deprec|reserved)`),
    );
  }
  assert.match(problemOf("dh_groups = 12"), /"12"\. Use numbers out of/);
  for (const cipher of [0, 3]) {
    assert.match(
      problemOf(`hip_ciphers = ${cipher}`),
      /is reserved\. Use numbers out of 1, 2, 4\./,
    );
  }
  assert.match(problemOf("hit_suites = 4"), /HIT suite 4 is not assigned\. .* 1, 2, 3, 5\./);
  for (const suite of [0, 2, 3, 4, 5, 6]) {
    assert.match(problemOf(`esp_suites = ${suite}`), /ESP suite \d is (deprecated|reserved)/);
  }
  assert.match(problemOf("esp_suites = 7, 8, 9, 10, 11, 12, 13"), /Name 6 at most/);
});

Deno.test("Whatever is implemented can be configured", () => {
  assert.deepEqual(parseConfig("dh_groups = 10 11 3 4 7 8 9", FILE).dhGroups, [
    ...[10, 11, 3, 4, 7, 8, 9],
  ]);
  assert.deepEqual(parseConfig("hip_ciphers = 1, 4, 2", FILE).hipCiphers, [1, 4, 2]);
  assert.deepEqual(parseConfig("hit_suites = 3, 5, 2, 1", FILE).hitSuites, [3, 5, 2, 1]);
  for (const suites of [[1, 7, 8, 9, 10], [15, 14, 13, 12, 11]]) {
    assert.deepEqual(parseConfig(`esp_suites = ${suites}`, FILE).espSuites, suites);
  }
});

Deno.test("parseConfig() reads the access list, one peer a line", () => {
  const { peers } = parseConfig(
    [
      "peer = 2001:22::1 idle_timeout=2d esp_suites=8,9",
      "peer = 2001:22::/32",
      "peer = 2001:22::2 anonymously refuse",
      "peer = 2001:22::3 transport=raw",
      "peer = anonymous refuse",
      "peer = * refuse   # everybody else",
    ].join("\n"),
    FILE,
    ["peer = 2001:21::1"],
  );
  assert.deepEqual(peers, [
    rule(parseIpAddress("2001:22::1"), { idleTimeout: seconds(172_800), espSuites: [8, 9] }),
    rule("2001:22::/32"),
    rule(parseIpAddress("2001:22::2"), { isMetAnonymously: true, isRefused: true }),
    rule(parseIpAddress("2001:22::3"), { transport: "raw" }),
    rule("anonymous", REFUSED),
    rule("*", REFUSED),
    rule(parseIpAddress("2001:21::1")),
  ]);
});

Deno.test("parseConfig() says what is wrong with a peer line", () => {
  const bad: [string, RegExp][] = [
    ["peer = 192.0.2.1", /192\.0\.2\.1 is an address and no HIT\. Name a HIT/],
    ["peer = web1.example.org", /Name a HIT, a prefix such as 2001:22::\/32, anonymous, or \*/],
    ["peer =", /Name a HIT/],
    ["peer = 2001:22::/16", /A prefix of HITs has 28 to 127 bits/],
    [
      "peer = 2001:22::1 deny",
      /use refuse, anonymously, esp_suites=8,9, idle_timeout=2d or transport=/,
    ],
    ["peer = 2001:22::1 esp_suites=3", /ESP suite 3 is deprecated/],
    ["peer = 2001:22::1 colour=blue", /Behind the peer, use refuse/],
    ["peer = 2001:22::/32 anonymously", /made for one peer, named by its HIT/],
    ["peer = anonymous esp_suites=8", /anonymous is known only after/],
    ["peer = anonymous transport=udp", /anonymous is known only after its transport is/],
    ["peer = 2001:22::1 transport=tcp", /Use one of auto, udp, raw/],
  ];
  for (const [line, expected] of bad) assert.match(problemOf(line), expected, line);
  assert.match(
    problemOf("peer = 2001:22::1\npeer = * refuse\npeer = 2001:22:0::1 refuse"),
    /line 3: "peer" was set in line 1 already/,
  );
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
    "identities = all",
    "opportunistic = yes",
    `puzzle_difficulty_max = ${DEFAULT_CONFIG.puzzleDifficultyMax}`,
    "rekey_after = 1h",
    "rekey_octets = 64G",
    "rekey_dh = yes",
    "i1_timeout = 500ms",
    `i1_retries = ${DEFAULT_CONFIG.i1Retries}`,
    "i2_timeout = 1s",
    `i2_retries = ${DEFAULT_CONFIG.i2Retries}`,
    `max_associations = ${DEFAULT_CONFIG.maxAssociations}`,
    "icmp_to_strangers = no",
    `interface = ${DEFAULT_CONFIG.interfaceName}`,
    `listen = ${DEFAULT_CONFIG.listen}`,
    "upstream = auto",
    "transport = auto",
    "udp_port = 10500",
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
