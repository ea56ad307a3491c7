import assert from "node:assert/strict";
import { generateHostIdentity, isWeakIdentity } from "../../lib/identity/host_identity.ts";
import { DEFAULT_CONFIG } from "../../lib/runtime/config.ts";
import { parseConfig } from "../../lib/runtime/config_file.ts";
import { SYSTEM_RANDOM } from "../../lib/runtime/system_random.ts";
import { weakChoices } from "../../lib/runtime/weak_choices.ts";
import { ALL_IDENTITY_KINDS, testIdentity } from "../support/identities.ts";

const named = (kind: (typeof ALL_IDENTITY_KINDS)[number]) => ({
  name: kind,
  identity: testIdentity(kind, "alice"),
});

Deno.test("HIT-018 identities have 112 bits of strength, but for those kinds that cannot, which are called weak", () => {
  const weak = ALL_IDENTITY_KINDS.filter((kind) => isWeakIdentity(named(kind).identity));
  assert.deepEqual(weak, ["dsa", "ecdsa-low"]);
  const kinds = [DEFAULT_CONFIG.identityKind, "rsa"] as const;
  for (const kind of kinds) {
    assert.equal(isWeakIdentity(generateHostIdentity(kind, SYSTEM_RANDOM)), false, kind);
  }
  const short = generateHostIdentity("rsa", SYSTEM_RANDOM, { rsaBits: 1536 });
  assert.equal(isWeakIdentity(short), true);
  const warnings = weakChoices(DEFAULT_CONFIG, [named("rsa"), { name: "old", identity: short }]);
  assert.deepEqual(warnings, [
    'The identity "old" (RSA 1536) has less than the 112 bits of strength that RFC 7401 wants.',
  ]);
});

Deno.test("weakChoices() names what goes unencrypted and what is weak, and nothing of the defaults", () => {
  const of = (...lines: string[]) => weakChoices(parseConfig(lines.join("\n"), "hip.conf"), []);
  assert.deepEqual(weakChoices(DEFAULT_CONFIG, [named("ecdsa-p256"), named("ed25519")]), []);
  assert.deepEqual(of("esp_suites = 1, 8, 9, 10, 11, 13"), []);
  const [suites, ...none] = of("esp_suites = 13, 7, 14", "peer = 2001:22::1 esp_suites=7,15");
  assert.equal(suites, "esp_suites has 7, 14, 15: data may go unencrypted.");
  assert.deepEqual(none, []);
  assert.match(of("hip_ciphers = 2, 1")[0]!, /hip_ciphers has 1 \(NULL\)/);
  assert.match(of("dh_groups = 7, 10")[0]!, /dh_groups has 10 .* 80 bits/);
});
