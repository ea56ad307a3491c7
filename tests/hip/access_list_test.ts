import assert from "node:assert/strict";
import { seconds } from "../../lib/base/time.ts";
import { AccessList } from "../../lib/hip/access_list.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";
import { REFUSED, rule } from "../support/policy_pair.ts";

const NEAR = parseIpAddress("2001:22:1::5");
const FAR = parseIpAddress("2001:22:2::5");
const OTHER_SUITE = parseIpAddress("2001:21::5");

Deno.test("POL-006 the most specific rule decides: a HIT, then anonymous, then the longest prefix, then everybody", () => {
  const list = new AccessList([
    rule("2001:22::/32"),
    rule("*", REFUSED),
    rule("2001:22:1::/48", REFUSED),
    rule("anonymous"),
    rule(FAR, REFUSED),
  ]);
  assert.equal(list.refuses(OTHER_SUITE, false), true);
  assert.equal(list.refuses(OTHER_SUITE, true), false);
  assert.equal(list.refuses(NEAR, false), true);
  assert.equal(list.refuses(NEAR, true), false);
  assert.equal(list.refuses(parseIpAddress("2001:22:3::5"), false), false);
  assert.equal(list.refuses(FAR, true), true);
});

Deno.test("An I1 is refused unless its sender may turn out to be one who is served", () => {
  const closed = new AccessList([rule("*", REFUSED), rule(NEAR)]);
  assert.deepEqual([NEAR, FAR].map((hit) => closed.refusesI1(hit)), [false, true]);
  const forAnonymous = new AccessList([rule("*", REFUSED), rule("anonymous"), rule(FAR, REFUSED)]);
  assert.deepEqual([NEAR, FAR].map((hit) => forAnonymous.refusesI1(hit)), [false, true]);
  const neither = new AccessList([rule("*", REFUSED), rule("anonymous", REFUSED)]);
  assert.equal(neither.refusesI1(NEAR), true);
  assert.equal(new AccessList([rule("anonymous", REFUSED)]).refusesI1(NEAR), false);
  assert.equal(AccessList.OPEN.refusesI1(NEAR), false);
});

Deno.test("What a rule does not say comes from the next one that does", () => {
  const list = new AccessList([
    rule("*", { idleTimeout: seconds(60), espSuites: [8] }),
    rule("anonymous", { idleTimeout: seconds(5) }),
    rule("2001:22::/32", { espSuites: [13, 9] }),
    rule(NEAR, { idleTimeout: seconds(86_400) }),
  ]);
  assert.equal(list.idleTimeoutFor(NEAR, true), seconds(86_400));
  assert.equal(list.idleTimeoutFor(FAR, true), seconds(5));
  assert.equal(list.idleTimeoutFor(FAR, false), seconds(60));
  assert.deepEqual(list.espSuitesFor(NEAR), [13, 9]);
  assert.deepEqual(list.espSuitesFor(OTHER_SUITE), [8]);
  assert.deepEqual(list.espSuiteLists, [[13, 9], [8]]);
  assert.equal(AccessList.OPEN.espSuitesFor(NEAR), undefined);
});
