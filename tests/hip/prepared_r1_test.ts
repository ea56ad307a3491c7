/** The quick way to fill in an R1 against the plain one. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { buildR1, fillR1 } from "../../lib/hip/responder.ts";
import { PreparedR1 } from "../../lib/hip/prepared_r1.ts";
import { setChecksum } from "../../lib/wire/hip/packet.ts";
import { PARAMETER } from "../../lib/wire/hip/code_points.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { udpPayload } from "../../lib/wire/udp_encapsulation.ts";
import type { IdentityKind } from "../../lib/identity/host_identity.ts";
import { POLICY } from "../support/engine_pair.ts";
import { testIdentity } from "../support/identities.ts";

function templateOf(kind: IdentityKind): Uint8Array {
  return buildR1({
    kind: "build-r1",
    seed: new Uint8Array(32).fill(1),
    identity: testIdentity(kind, "bob"),
    dhGroup: 7,
    policy: POLICY,
    difficultyK: 3,
    puzzleLifetime: 38,
    r1Generation: 7n,
    isAnonymous: false,
  }).template;
}

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** IPv6, or IPv4 in its mapped form, whose pseudo-header is another. */
const address = fc.oneof(
  octets(16),
  octets(4).map((last) => Uint8Array.of(...new Uint8Array(10), 0xff, 0xff, ...last)),
);

Deno.test("a prepared R1 is octet for octet what filling in and summing up plainly gives, and in UDP what lies behind its marker", () => {
  for (const kind of ["rsa", "ecdsa-p256", "ed25519", "ecdsa-low"] as const) {
    const template = templateOf(kind);
    const prepared = new PreparedR1(template);
    const width = parseHipPacket(template).raw(PARAMETER.PUZZLE)!.contents.length - 4;
    const property = fc.property(
      fc.record({ local: address, peer: address }),
      octets(16),
      fc.nat(0xffff),
      octets(width),
      (addresses, receiverHit, opaque, randomI) => {
        const plain = fillR1(
          template,
          receiverHit,
          Uint8Array.of(opaque >> 8, opaque & 0xff),
          randomI,
        );
        const inUdp = { ...addresses, peerPort: 1 + opaque };
        assert.deepEqual(prepared.fill(inUdp, receiverHit, opaque, randomI), udpPayload(plain));
        setChecksum(plain, addresses.local, addresses.peer);
        assert.deepEqual(prepared.fill(addresses, receiverHit, opaque, randomI), plain);
      },
    );
    fc.assert(property);
  }
});

Deno.test("a prepared R1 does not change its template, and refuses an #I of another width", () => {
  const template = templateOf("ecdsa-p256");
  const before = template.slice();
  const prepared = new PreparedR1(template);
  const addresses = { local: new Uint8Array(16).fill(1), peer: new Uint8Array(16).fill(2) };
  prepared.fill(addresses, new Uint8Array(16).fill(3), 0x1234, new Uint8Array(48).fill(4));
  assert.deepEqual(template, before);
  assert.throws(() => prepared.fill(addresses, new Uint8Array(16), 0, new Uint8Array(32)));
});
