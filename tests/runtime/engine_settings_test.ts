/** What settings in the file make the engine do. */

import assert from "node:assert/strict";
import { milliseconds, seconds } from "../../lib/base/time.ts";
import { ESP_SUITES } from "../../lib/crypto/esp_suite.ts";
import type { EngineOptions } from "../../lib/engine/engine.ts";
import { AccessList } from "../../lib/hip/access_list.ts";
import { hostIdTlv } from "../../lib/hip/packet_builder.ts";
import { IDENTITY_KINDS } from "../../lib/identity/host_identity.ts";
import { parseConfig } from "../../lib/runtime/config_file.ts";
import { controlSettings, exchangePolicy } from "../../lib/runtime/engine_settings.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { HIP_FIELD, parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { ENCRYPTED } from "../../lib/wire/hip/parameters/encrypted.ts";
import { ESP_TRANSFORM } from "../../lib/wire/hip/parameters/esp_transform.ts";
import { HIP_CIPHER } from "../../lib/wire/hip/parameters/hip_cipher.ts";
import type { EnginePair } from "../support/engine_pair.ts";
import { hipOctets } from "../support/datagrams.ts";
import { states, swallowing, typeOf, wireTypes } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";
import { ALICE, BOB, hosted, unlikePair } from "../support/policy_pair.ts";

/** What an agent with these lines in its file gives its engine. */
function configured(...lines: string[]): Partial<EngineOptions> {
  const config = parseConfig(lines.join("\n"), "hip.conf");
  return {
    policy: exchangePolicy(config),
    settings: controlSettings(config),
    access: new AccessList(config.peers),
  };
}

function offered(pair: EnginePair): { ciphers: readonly number[]; espSuites: readonly number[] } {
  const r1 = parseHipPacket(hipOctets(pair.wire.find((packet) => typeOf(packet) === PACKET.R1)!)!);
  return {
    ciphers: r1.require(HIP_CIPHER).cipherIds,
    espSuites: r1.require(ESP_TRANSFORM).suiteIds,
  };
}

function pinged(ofA: Partial<EngineOptions>, ofB: Partial<EngineOptions> = ofA): EnginePair {
  const pair = unlikePair(ofA, ofB);
  pair.ping(pair.a, pair.b);
  return pair;
}

Deno.test("ESP-008 ESP-017 the default offers a mandatory ESP suite and not suite 1; the configuration may turn both around", () => {
  const usual = offered(pinged(configured())).espSuites;
  assert.ok(usual.includes(8) || usual.includes(9));
  assert.ok(!usual.includes(1));
  const odd = pinged(configured("esp_suites = 1"));
  assert.deepEqual(offered(odd).espSuites, [1]);
  assert.equal(odd.b.delivered.length, 1);
});

Deno.test("Every ESP suite carries data when it is configured", () => {
  for (const [id, { name }] of ESP_SUITES) {
    const pair = pinged(configured(`esp_suites = ${id}`));
    assert.equal(pair.b.delivered.length, 1, name);
    assert.equal(pair.a.engine.association(BOB.hit)?.espSuite, name);
  }
});

Deno.test("Every DH group makes keys when it is configured", () => {
  for (const group of [3, 4, 7, 8, 9, 10, 11]) {
    const pair = pinged(configured(`dh_groups = ${group}`));
    assert.equal(pair.b.delivered.length, 1, `group ${group}`);
    assert.equal(pair.a.engine.association(BOB.hit)?.dhGroup, group);
  }
});

Deno.test("CIP-002 with hip_ciphers = 1 at both ends the exchange goes on, and ENCRYPTED holds plain HOST_ID", () => {
  const pair = pinged(configured("hip_ciphers = 1", "dh_groups = 7"));
  assert.equal(pair.b.delivered.length, 1);
  const i2 = parseHipPacket(hipOctets(pair.wire.find((packet) => typeOf(packet) === PACKET.I2)!)!);
  assert.deepEqual(i2.require(ENCRYPTED).data, hostIdTlv(ALICE));
});

Deno.test("CIP-007 the configuration may leave the mandatory cipher out", () => {
  const pair = pinged(
    configured("hip_ciphers = 4", "dh_groups = 7"),
    configured("hip_ciphers = 4"),
  );
  assert.deepEqual(offered(pair).ciphers, [4]);
  assert.equal(pair.b.delivered.length, 1);
});

Deno.test("NEG-002 by default, hosts of every HIT suite meet, as Initiator and as Responder", () => {
  for (const kind of IDENTITY_KINDS) {
    const ours = configured("dh_groups = 7");
    const of = (owner: "alice" | "bob") => ({
      ...ours,
      identities: hosted([testIdentity(kind, owner)]),
    });
    assert.deepEqual(states(pinged(of("alice"), ours)), ["ESTABLISHED", "ESTABLISHED"], kind);
    assert.deepEqual(states(pinged(ours, of("bob"))), ["ESTABLISHED", "ESTABLISHED"], kind);
  }
});

Deno.test("TMR-002 TMR-003 TMR-004 tries and first waits of I1 and I2 are as configured", () => {
  const lines = [
    "transport = raw",
    "i1_retries = 2",
    "i1_timeout = 3s",
    "i2_retries = 3",
    "i2_timeout = 7s",
  ];
  const sentAt = (type: number, isLost: number) => {
    const pair = unlikePair(configured(...lines), {});
    const times: number[] = [];
    pair.passes = (packet) => {
      if (typeOf(packet) === type) times.push(pair.now);
      return typeOf(packet) !== isLost;
    };
    pair.a.engine.connect(pair.now, pair.b.hit);
    pair.settle();
    pair.advance(seconds(200));
    return times.map((at) => at - times[0]!);
  };
  assert.deepEqual(sentAt(PACKET.I1, PACKET.I1), [0, 3000]);
  assert.deepEqual(sentAt(PACKET.I2, PACKET.R2), [0, 7000, 21_000]);
});

Deno.test("Switches and limits of the file reach the engine", () => {
  const settings = controlSettings(parseConfig(
    [
      "transport = udp",
      "rekey_after = never",
      "rekey_octets = 1M",
      "rekey_dh = no",
      "puzzle_difficulty = 18",
      "icmp_to_strangers = yes",
      "opportunistic = no",
      "idle_timeout = 1h",
      "encrypt_host_id = no",
      "max_associations = 100000",
    ].join("\n"),
    "hip.conf",
  ));
  assert.equal(settings.transport, "udp");
  assert.equal(settings.rekeyAge, milliseconds(Infinity));
  assert.equal(settings.rekeyOctets, 2 ** 20);
  assert.equal(settings.rekeyWithDh, false);
  // Under load puzzles do not get easier.
  assert.equal(settings.puzzleDifficultyKMax, 18);
  assert.equal(settings.icmpToStrangers, true);
  assert.equal(settings.answersOpportunistic, false);
  assert.equal(settings.unusedAssociationLifetime, seconds(3600));
  assert.equal(settings.encryptHostId, false);
  assert.equal(settings.maxAssociations, 100_000);
});

/** Every parameter of RFC 7401 §5.2 and RFC 7402 §5.1. */
const BASE_PARAMETERS: ReadonlySet<number> = new Set<number>([
  PARAMETER.ESP_INFO,
  PARAMETER.R1_COUNTER,
  PARAMETER.PUZZLE,
  PARAMETER.SOLUTION,
  PARAMETER.SEQ,
  PARAMETER.ACK,
  PARAMETER.DH_GROUP_LIST,
  PARAMETER.DIFFIE_HELLMAN,
  PARAMETER.HIP_CIPHER,
  PARAMETER.ENCRYPTED,
  PARAMETER.HOST_ID,
  PARAMETER.HIT_SUITE_LIST,
  PARAMETER.CERT,
  PARAMETER.NOTIFICATION,
  PARAMETER.ECHO_REQUEST_SIGNED,
  PARAMETER.ECHO_RESPONSE_SIGNED,
  PARAMETER.TRANSPORT_FORMAT_LIST,
  PARAMETER.ESP_TRANSFORM,
  PARAMETER.HIP_MAC,
  PARAMETER.HIP_MAC_2,
  PARAMETER.HIP_SIGNATURE_2,
  PARAMETER.HIP_SIGNATURE,
  PARAMETER.ECHO_REQUEST_UNSIGNED,
  PARAMETER.ECHO_RESPONSE_UNSIGNED,
]);

Deno.test("TLV-018 by default every packet, from I1 to CLOSE_ACK, holds parameters of RFC 7401 and RFC 7402 and no others", () => {
  // Without encryption of HOST_ID there is no ENCRYPTED for anything to hide in.
  const pair = pinged(configured("encrypt_host_id = no"));
  const { a, b } = pair;
  for (const withDh of [false, true]) {
    assert.ok(a.engine.rekey(pair.now, b.hit, { withDh }));
    pair.settle();
  }
  const [update] = swallowing(
    pair,
    PACKET.UPDATE,
    () => b.engine.rekey(pair.now, a.hit, { withDh: false }),
  );
  const damaged = update!.bytes.slice();
  hipOctets({ ...update!, bytes: damaged })![HIP_FIELD.controls + 1]! ^= 1;
  pair.inject(a, { ...update!, bytes: damaged });
  pair.settle();
  a.engine.close(pair.now, b.hit);
  pair.settle();
  const types = new Set(wireTypes(pair));
  for (const name of ["I1", "R1", "I2", "R2", "UPDATE", "NOTIFY", "CLOSE", "CLOSE_ACK"] as const) {
    assert.ok(types.has(PACKET[name]), name);
  }
  for (const packet of pair.wire.filter((one) => typeOf(one) !== -1)) {
    for (const { type } of parseHipPacket(hipOctets(packet)!).parameters) {
      assert.ok(BASE_PARAMETERS.has(type), `parameter ${type} in packet ${typeOf(packet)}`);
    }
  }
});
