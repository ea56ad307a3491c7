/** In which order an Initiator looks at an R1, and what the tie-break spares. */

import assert from "node:assert/strict";
import { compareBytes } from "../../lib/base/bytes.ts";
import { SeededRandom } from "../../lib/crypto/seeded_random.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { withSignature2 } from "../../lib/hip/packet_builder.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import {
  emitHipPacket,
  HIP_FIELD,
  parseHipPacket,
  setChecksum,
} from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { DH_GROUP_LIST } from "../../lib/wire/hip/parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { HIP_CIPHER } from "../../lib/wire/hip/parameters/hip_cipher.ts";
import { HIT_SUITE_LIST } from "../../lib/wire/hip/parameters/hit_suite_list.ts";
import { PUZZLE } from "../../lib/wire/hip/parameters/puzzle.ts";
import { TRANSPORT_FORMAT_LIST } from "../../lib/wire/hip/parameters/transport_format_list.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { makePair, swallowing } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";

const BOB = testIdentity("ecdsa-p256", "bob");

/** Bob's R1 for Alice with flaws in it, signed anew by Bob. */
function flawed(
  pair: EnginePair,
  r1: OutgoingPacket,
  flaws: readonly Uint8Array[],
): OutgoingPacket {
  const packet = parseHipPacket(r1.bytes);
  const typeOfTlv = (tlv: Uint8Array) => (tlv[0]! << 8) | tlv[1]!;
  const tlvs = packet.parameters
    .filter(({ type }) => type < PARAMETER.HIP_SIGNATURE_2)
    .map(({ type, offset, size }) =>
      flaws.find((flaw) => typeOfTlv(flaw) === type) ?? packet.bytes.slice(offset, offset + size)
    );
  // Receiver HIT, Opaque and #I are zeros under the signature (RFC 7401 §5.2.15).
  const plain = emitHipPacket(
    { packetType: PACKET.R1, senderHit: BOB.hit, receiverHit: new Uint8Array(16) },
    tlvs,
  );
  const puzzle = parseHipPacket(plain).raw(PARAMETER.PUZZLE)!;
  const filled = plain.slice(puzzle.offset + 6, puzzle.offset + 4 + puzzle.contents.length);
  plain.fill(0, puzzle.offset + 6, puzzle.offset + 4 + puzzle.contents.length);
  const bytes = withSignature2(plain, BOB, new SeededRandom(new Uint8Array(32).fill(7)));
  bytes.set(filled, puzzle.offset + 6);
  bytes.set(pair.a.hit, HIP_FIELD.receiverHit);
  setChecksum(bytes, pair.b.address, pair.a.address);
  return { ...r1, bytes };
}

const NO_SUITE = encodeParameter(HIT_SUITE_LIST, { suiteIds: [1] });
const NO_GROUP = encodeParameter(DH_GROUP_LIST, { groupIds: [3] });
const NO_CIPHER = encodeParameter(HIP_CIPHER, { cipherIds: [1] });
const NO_FORMAT = encodeParameter(TRANSPORT_FORMAT_LIST, { formats: [2050] });
const NO_KEY = encodeParameter(DIFFIE_HELLMAN, { groupId: 7, publicValue: new Uint8Array(64) });
const NO_SOLUTION = (r1: OutgoingPacket) =>
  encodeParameter(PUZZLE, { ...parseHipPacket(r1.bytes).require(PUZZLE), difficultyK: 60 });

Deno.test("BEX-038 an R1 is looked at in order: HIT suite, group, what it offers, puzzle, key agreement; the first flaw ends it", () => {
  const outcome = (flawsOf: (r1: OutgoingPacket) => Uint8Array[]) => {
    const pair = makePair();
    const { a, b } = pair;
    const [r1] = swallowing(pair, PACKET.R1, () => a.engine.connect(pair.now, b.hit));
    pair.inject(a, flawed(pair, r1!, flawsOf(r1!)));
    const reasons = a.events.flatMap((event) => event.kind === "drop" ? [event.reason] : []);
    const isSolved = a.events.some(({ kind }) => kind === "puzzle-solved");
    const jobs = a.jobs.map(({ kind }) => kind).filter((kind) => kind !== "build-r1");
    return { reasons, isSolved, isKeyMade: jobs.includes("build-i2") };
  };
  const early = (reason: string) => ({ reasons: [reason], isSolved: false, isKeyMade: false });
  const later = [NO_CIPHER, NO_FORMAT, NO_KEY];
  assert.deepEqual(
    outcome((r1) => [NO_SUITE, NO_GROUP, NO_SOLUTION(r1), ...later]),
    early("hip-unsupported-suite"),
  );
  assert.deepEqual(
    outcome((r1) => [NO_GROUP, NO_SOLUTION(r1), ...later]),
    early("hip-no-common-group"),
  );
  // What costs nothing to look at comes before the search for a solution.
  assert.deepEqual(outcome((r1) => [NO_SOLUTION(r1), ...later]), early("hip-no-common-cipher"));
  assert.deepEqual(
    outcome((r1) => [NO_SOLUTION(r1), NO_FORMAT, NO_KEY]),
    early("hip-no-transport-format"),
  );
  assert.deepEqual(outcome((r1) => [NO_SOLUTION(r1), NO_KEY]), early("hip-puzzle-unsolvable"));
  assert.deepEqual(outcome(() => [NO_KEY]), {
    reasons: ["hip-bad-public-value"],
    isSolved: true,
    isKeyMade: true,
  });
  assert.deepEqual(outcome(() => []), { reasons: [], isSolved: true, isKeyMade: true });
});

Deno.test("BEX-052 in I2-SENT the HITs are compared before an I2 of the peer costs anything, and what was agreed stays", () => {
  for (const isGreater of [false, true]) {
    const pair = makePair();
    pair.introduce(pair.b, pair.a);
    const isAlice = compareBytes(pair.a.hit, pair.b.hit) > 0 === isGreater;
    const [host, peer] = isAlice ? [pair.a, pair.b] : [pair.b, pair.a];
    const [r2] = swallowing(pair, PACKET.R2, () => host.engine.connect(pair.now, peer.hit));
    const state = () => host.engine.association(peer.hit)?.state;
    assert.equal(state(), "I2-SENT");
    // The peer begins an exchange of its own, as if it had sent no R2.
    const identity = testIdentity("ecdsa-p256", isAlice ? "bob" : "alice");
    const other = new End(identity, isAlice ? "192.0.2.2" : "192.0.2.1", 9);
    const crossing = new EnginePair(other, host);
    crossing.now = pair.now;
    crossing.introduce(other, host);
    const connect = () => other.engine.connect(crossing.now, host.hit);
    const [i2] = swallowing(crossing, PACKET.I2, connect);
    const jobs = host.jobs.length;
    crossing.inject(host, i2!);
    const spent = host.jobs.slice(jobs).map(({ kind }) => kind);
    assert.deepEqual(spent.includes("accept-i2"), isGreater);
    assert.equal(state(), isGreater ? "R2-SENT" : "I2-SENT");
    assert.equal(host.engine.status().drops["hip-tie-break"], isGreater ? undefined : 1);
    if (isGreater) continue;
    pair.inject(host, r2!);
    assert.equal(state(), "ESTABLISHED");
  }
});
