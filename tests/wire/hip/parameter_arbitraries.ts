/** Random values for every parameter codec, and the lengths at which their contents may end. */

import fc from "fast-check";
import { PARAMETER } from "../../../lib/wire/hip/code_points.ts";
import type { HostId } from "../../../lib/wire/hip/parameters/host_id.ts";

export interface ParameterArbitrary {
  // deno-lint-ignore no-explicit-any -- one table for values of all types
  readonly arbitrary: fc.Arbitrary<any>;
  // deno-lint-ignore no-explicit-any -- as above
  readonly acceptsLength?: (length: number, value: any) => boolean;
}

/** Plain objects, as codecs return: assert.deepEqual tells them from objects without prototype. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { noNullPrototype: true });
const uint8 = fc.integer({ min: 0, max: 0xff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const octets = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const list = (element: fc.Arbitrary<number>, maxLength = 9) =>
  fc.array(element, { minLength: 1, maxLength });
/** Output lengths of RHASH: SHA-1, SHA-256, SHA-384. */
const rhashLength = fc.constantFrom(20, 32, 48);

const echo: ParameterArbitrary = {
  arbitrary: record({ opaque: octets(0, 40) }),
  acceptsLength: () => true,
};
const mac: ParameterArbitrary = {
  arbitrary: record({ mac: rhashLength.chain((n) => octets(n, n)) }),
  acceptsLength: (length) => length > 0,
};
const signature: ParameterArbitrary = {
  arbitrary: record({ algorithm: uint16, signature: octets(0, 96) }),
  acceptsLength: (length) => length >= 2,
};

export const PARAMETER_ARBITRARIES: ReadonlyMap<number, ParameterArbitrary> = new Map([
  [PARAMETER.ESP_INFO, {
    arbitrary: record({ keymatIndex: uint16, oldSpi: uint32, newSpi: uint32 }),
  }],
  [PARAMETER.R1_COUNTER, {
    arbitrary: record({
      reserved: uint32,
      generation: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    }),
  }],
  [PARAMETER.PUZZLE, {
    arbitrary: rhashLength.chain((n) =>
      record({
        difficultyK: uint8,
        lifetime: uint8,
        opaque: octets(2, 2),
        randomI: octets(n, n),
      })
    ),
    acceptsLength: (length) => length >= 5,
  }],
  [PARAMETER.SOLUTION, {
    arbitrary: rhashLength.chain((n) =>
      record({
        difficultyK: uint8,
        reserved: uint8,
        opaque: octets(2, 2),
        randomI: octets(n, n),
        solutionJ: octets(n, n),
      })
    ),
    acceptsLength: (length) => length >= 6 && length % 2 === 0,
  }],
  [PARAMETER.SEQ, { arbitrary: record({ updateId: uint32 }) }],
  [PARAMETER.ACK, {
    arbitrary: record({ updateIds: list(uint32) }),
    acceptsLength: (length) => length > 0 && length % 4 === 0,
  }],
  [PARAMETER.DH_GROUP_LIST, {
    arbitrary: record({ groupIds: list(uint8) }),
    acceptsLength: (length) => length > 0,
  }],
  [PARAMETER.DIFFIE_HELLMAN, {
    arbitrary: record({ groupId: uint8, publicValue: octets(0, 400) }),
  }],
  [PARAMETER.HIP_CIPHER, {
    arbitrary: record({ cipherIds: list(uint16) }),
    acceptsLength: (length) => length > 0 && length % 2 === 0,
  }],
  [PARAMETER.ENCRYPTED, {
    arbitrary: record({ data: octets(0, 100) }),
    acceptsLength: (length) => length >= 4,
  }],
  [PARAMETER.HOST_ID, {
    arbitrary: record({
      algorithm: uint16,
      hostIdentity: octets(2, 300),
      domainIdType: fc.integer({ min: 0, max: 15 }),
      domainId: octets(0, 80),
    }),
    // Two octets short is what peers send that count Algorithm in HI Length.
    acceptsLength: (length, value: HostId) =>
      length === 4 + value.hostIdentity.length + value.domainId.length,
  }],
  [PARAMETER.HIT_SUITE_LIST, {
    arbitrary: record({ suiteIds: list(fc.integer({ min: 0, max: 15 })) }),
    acceptsLength: (length) => length > 0,
  }],
  [PARAMETER.CERT, {
    arbitrary: record({
      group: uint8,
      count: uint8,
      id: uint8,
      certType: uint8,
      certificate: octets(0, 100),
    }),
    acceptsLength: (length) => length >= 4,
  }],
  [PARAMETER.NOTIFICATION, {
    arbitrary: record({ messageType: uint16, data: octets(0, 40) }),
    acceptsLength: (length) => length >= 4,
  }],
  [PARAMETER.ECHO_REQUEST_SIGNED, echo],
  [PARAMETER.ECHO_RESPONSE_SIGNED, echo],
  [PARAMETER.ECHO_REQUEST_UNSIGNED, echo],
  [PARAMETER.ECHO_RESPONSE_UNSIGNED, echo],
  [PARAMETER.TRANSPORT_FORMAT_LIST, {
    arbitrary: record({ formats: list(uint16) }),
    acceptsLength: (length) => length > 0 && length % 2 === 0,
  }],
  [PARAMETER.ESP_TRANSFORM, {
    arbitrary: record({ suiteIds: list(uint16) }),
    acceptsLength: (length) => length >= 4 && length % 2 === 0,
  }],
  [PARAMETER.HIP_MAC, mac],
  [PARAMETER.HIP_MAC_2, mac],
  [PARAMETER.HIP_SIGNATURE, signature],
  [PARAMETER.HIP_SIGNATURE_2, signature],
] as [number, ParameterArbitrary][]);
