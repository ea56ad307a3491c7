import assert from "node:assert/strict";
import * as codePoints from "../../../lib/wire/hip/code_points.ts";
import { isCritical } from "../../../lib/wire/hip/parameter.ts";
import registry from "../../vectors/iana_hip.json" with { type: "json" };

const PRIVATE_USE = [codePoints.PARAMETER.ENC_HHIT_TIMESTAMP];

const TABLES: Readonly<Record<string, readonly codePoints.CodePoint[]>> = {
  packetTypes: codePoints.PACKET_TYPES,
  parameterTypes: codePoints.PARAMETER_TYPES.filter(([, value]) =>
    !(PRIVATE_USE as number[]).includes(value)
  ),
  notifyMessageTypes: codePoints.NOTIFY_TYPES,
  dhGroups: codePoints.DH_GROUPS,
  hipCiphers: codePoints.HIP_CIPHERS,
  hiAlgorithms: codePoints.HI_ALGORITHMS,
  ecdsaCurves: codePoints.ECDSA_CURVES,
  ecdsaLowCurves: codePoints.ECDSA_LOW_CURVES,
  eddsaCurves: codePoints.EDDSA_CURVES,
  domainIdTypes: codePoints.DOMAIN_ID_TYPES,
  hitSuites: codePoints.HIT_SUITES,
  hhitSuites: codePoints.HHIT_SUITES,
  registrationTypes: codePoints.REGISTRATION_TYPES,
  registrationFailures: codePoints.REGISTRATION_FAILURES,
  natTraversalModes: codePoints.NAT_TRAVERSAL_MODES,
  locatorTrafficTypes: codePoints.LOCATOR_TRAFFIC_TYPES,
  locatorTypes: codePoints.LOCATOR_TYPES,
  candidateKinds: codePoints.CANDIDATE_KINDS,
  viaFlags: codePoints.VIA_FLAGS,
  transportModes: codePoints.TRANSPORT_MODES,
  espTransformSuites: codePoints.ESP_TRANSFORM_SUITES,
};

const NOT_TABLES = ["origin", "form", "criticalParameterTypes"];
const REGISTRY = registry as unknown as Record<string, [number, string, string?][]>;

for (const [key, table] of Object.entries(TABLES)) {
  Deno.test(`the code points "${key}" are those of the registry`, () => {
    const expected = REGISTRY[key]!.map(([value, name]) => `${value} ${name}`);
    assert.deepEqual(table.map(([name, value]) => `${value} ${name}`), expected);
  });

  Deno.test(`the code points "${key}" ascend and repeat neither name nor number`, () => {
    const values = table.map(([, value]) => value);
    assert.deepEqual(values, [...new Set(values)].sort((a, b) => a - b));
    assert.equal(new Set(table.map(([name]) => name)).size, table.length);
  });
}

Deno.test("no table of the registry's copy goes uncompared", () => {
  const tables = Object.keys(registry).filter((key) => !NOT_TABLES.includes(key));
  assert.deepEqual(tables.sort(), Object.keys(TABLES).sort());
});

Deno.test("TLV-008 the low bit of a type says whether the parameter is critical", () => {
  const critical = TABLES.parameterTypes!.map(([, value]) => value).filter(isCritical);
  assert.deepEqual(critical, registry.criticalParameterTypes);
});

Deno.test("names are those of the tables, and numbers without a name still print", () => {
  assert.equal(codePoints.packetTypeName(19), "CLOSE_ACK");
  assert.equal(codePoints.packetTypeName(77), "packet type 77");
  assert.equal(codePoints.parameterTypeName(257), "PUZZLE");
  assert.equal(codePoints.parameterTypeName(9), "parameter 9");
  assert.equal(codePoints.notifyTypeName(16384), "I2_ACKNOWLEDGEMENT");
  assert.equal(codePoints.notifyTypeName(8), "notify type 8");
});
