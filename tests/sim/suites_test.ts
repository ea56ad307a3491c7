/**
 * Whole exchanges with data and a rekey under every algorithm that the registries know: Host Identity
 * algorithms against one another, Diffie-Hellman groups, HIP ciphers, ESP suites, over IPv4 and IPv6.
 */

import { strict as assert } from "node:assert";
import { seconds } from "../../lib/base/time.ts";
import { DH_GROUPS } from "../../lib/crypto/dh_group.ts";
import { ESP_SUITES } from "../../lib/crypto/esp_suite.ts";
import { rhashLength, rhashOfSuite } from "../../lib/crypto/rhash.ts";
import { hitSuiteId } from "../../lib/identity/hit.ts";
import { type HipPacket, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { ESP_TRANSFORM } from "../../lib/wire/hip/parameters/esp_transform.ts";
import { HIP_CIPHER } from "../../lib/wire/hip/parameters/hip_cipher.ts";
import { HIP_MAC } from "../../lib/wire/hip/parameters/hip_mac.ts";
import { HIP_SIGNATURE } from "../../lib/wire/hip/parameters/hip_signature.ts";
import { HIT_SUITE_LIST } from "../../lib/wire/hip/parameters/hit_suite_list.ts";
import { PUZZLE } from "../../lib/wire/hip/parameters/puzzle.ts";
import { ALL_IDENTITY_KINDS, testIdentity } from "../support/identities.ts";
import { establish, makePair, type Pair, type PairOptions } from "./pair.ts";

/** What both ends say of their association must be the same. */
function agreed({ alice, bob }: Pair) {
  const choiceOf = ({ dhGroup, hipCipher, espSuite }: NonNullable<
    ReturnType<typeof alice.associationWith>
  >) => ({ dhGroup, hipCipher, espSuite });
  const atAlice = choiceOf(alice.associationWith(bob)!);
  assert.deepEqual(choiceOf(bob.associationWith(alice)!), atAlice);
  return atAlice;
}

/** An exchange, data both ways, a rekey with a new DH key, and data on the new SAs. */
function meet(options: PairOptions): Pair {
  const pair = makePair(options);
  establish(pair);
  const { world, alice, bob } = pair;
  assert.ok(bob.rekey(alice, true));
  world.advance(seconds(2));
  assert.notEqual(
    bob.associationWith(alice)!.inboundSpi,
    new DataView(pair.link.named("R2")[0]!.bytes.buffer).getUint32(40 + 12),
    "the rekey has not changed the SPI that R2 named",
  );
  const pings = [alice.application.ping(bob), bob.application.ping(alice)] as const;
  world.advance(seconds(1));
  assert.ok(alice.application.hasReply(pings[0]) && bob.application.hasReply(pings[1]));
  assert.deepEqual(alice.engine.status().drops, {});
  assert.deepEqual(bob.engine.status().drops, {});
  return pair;
}

/** The first packet of this name. */
function packetNamed({ link }: Pair, name: string): HipPacket {
  return parseHipPacket(link.named(name)[0]!.bytes);
}

ALL_IDENTITY_KINDS.forEach((initiator, row) => {
  ALL_IDENTITY_KINDS.forEach((responder, column) => {
    const ids = `${initiator} ${responder}`.includes("ecdsa") ? "NEG-002 " : "";
    Deno.test(`${ids}${initiator} and ${responder}: the Responder's HIT Suite decides the hash, each signs with its own algorithm`, () => {
      const [alice, bob] = [testIdentity(initiator, "alice"), testIdentity(responder, "bob")];
      const pair = meet({ family: (row + column) % 2 === 0 ? 4 : 6, alice, bob });
      const [r1, i2] = [packetNamed(pair, "R1"), packetNamed(pair, "I2")];
      const length = rhashLength(rhashOfSuite(hitSuiteId(bob.hit)));
      assert.equal(r1.require(PUZZLE).randomI.length, length);
      assert.equal(i2.require(HIP_MAC).mac.length, length);
      assert.ok(r1.require(HIT_SUITE_LIST).suiteIds.includes(hitSuiteId(alice.hit)));
      assert.equal(i2.require(HIP_SIGNATURE).algorithm, alice.algorithm);
      assert.equal(packetNamed(pair, "R2").require(HIP_SIGNATURE).algorithm, bob.algorithm);
      assert.equal(pair.alice.associationWith(pair.bob)!.peerAlgorithm, bob.algorithm);
      assert.equal(pair.bob.associationWith(pair.alice)!.peerAlgorithm, alice.algorithm);
    });
  });
});

for (const family of [4, 6] as const) {
  for (const group of DH_GROUPS) {
    // The Initiator likes another group better: the Responder's order decides.
    const other = group === 7 ? 8 : 7;
    Deno.test(`Diffie-Hellman group ${group} over IPv${family}, which the Responder prefers and the Initiator lists last`, () => {
      const pair = meet({
        family,
        alicePolicy: { dhGroups: [other, group] },
        bobPolicy: { dhGroups: [group, other] },
      });
      assert.equal(agreed(pair).dhGroup, group);
      for (const name of ["R1", "I2", "UPDATE"]) {
        assert.equal(packetNamed(pair, name).require(DIFFIE_HELLMAN).groupId, group, name);
      }
    });
  }

  for (const cipher of [1, 2, 4]) {
    const ids = cipher === 1 ? "CIP-002 " : "";
    Deno.test(`${ids}HIP cipher ${cipher} over IPv${family}, for an Initiator that takes no other`, () => {
      const pair = meet({
        family,
        alicePolicy: { hipCiphers: [cipher] },
        bobPolicy: { hipCiphers: [4, 2, 1] },
      });
      assert.equal(agreed(pair).hipCipher, cipher);
      assert.deepEqual(packetNamed(pair, "R1").require(HIP_CIPHER).cipherIds, [4, 2, 1]);
      assert.deepEqual(packetNamed(pair, "I2").require(HIP_CIPHER).cipherIds, [cipher]);
    });
  }

  for (const { id, name } of ESP_SUITES.values()) {
    Deno.test(`ESP suite ${id}, ${name}, over IPv${family}, the Responder's first that the Initiator takes`, () => {
      const others = [8, 13, 9].filter((suite) => suite !== id);
      const pair = meet({
        family,
        alicePolicy: { espSuites: [...others, id] },
        bobPolicy: { espSuites: [id, ...others] },
      });
      assert.equal(agreed(pair).espSuite, name);
      assert.deepEqual(packetNamed(pair, "R1").require(ESP_TRANSFORM).suiteIds, [id, ...others]);
      assert.deepEqual(packetNamed(pair, "I2").require(ESP_TRANSFORM).suiteIds, [id]);
    });
  }
}

const MISFITS: [
  title: string,
  alice: PairOptions["alicePolicy"],
  bob: PairOptions["bobPolicy"],
  why: string,
  setting: string,
][] = [
  ["group", { dhGroups: [7] }, { dhGroups: [8] }, "hip-no-common-group", "dh_groups"],
  ["HIP cipher", { hipCiphers: [2] }, { hipCiphers: [4] }, "hip-no-common-cipher", "hip_ciphers"],
  ["ESP suite", { espSuites: [8] }, { espSuites: [13] }, "hip-no-common-esp-suite", "esp_suites"],
  ["HIT Suite", {}, { hitSuites: [1] }, "hip-unsupported-suite", "hit_suites"],
];

for (const [title, alicePolicy, bobPolicy, why, setting] of MISFITS) {
  Deno.test(`without a common ${title} the Initiator says ${why} and ends in E-FAILED`, () => {
    const { world, alice, bob } = makePair({
      ...(alicePolicy === undefined ? {} : { alicePolicy }),
      ...(bobPolicy === undefined ? {} : { bobPolicy }),
    });
    alice.connect(bob);
    world.runUntil(() => alice.stateTowards(bob) === "E-FAILED", seconds(20));
    const failure = alice.associationWith(bob)!.failure!;
    assert.ok(failure.startsWith("the peer's R1 was refused: "), failure);
    assert.ok(failure.endsWith(` (${why}); compare ${setting} on both hosts`), failure);
    assert.equal(bob.engine.status().associations.length, 0);
  });
}
