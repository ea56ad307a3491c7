import assert from "node:assert/strict";
import { PARAMETER, parameterTypeName } from "../../../lib/wire/hip/code_points.ts";
import { isKnownParameter, PARAMETER_CODECS } from "../../../lib/wire/hip/registry.ts";
import { assertCodecLaws } from "../../support/codec_laws.ts";
import { PARAMETER_ARBITRARIES } from "./parameter_arbitraries.ts";

for (const [type, codec] of PARAMETER_CODECS) {
  Deno.test(`${codec.name} obeys the laws of codecs`, () => {
    const made = PARAMETER_ARBITRARIES.get(type);
    assert.ok(made, `no arbitrary for ${codec.name}`);
    assertCodecLaws(
      codec,
      made.arbitrary,
      made.acceptsLength === undefined ? {} : { acceptsLength: made.acceptsLength },
    );
  });
}

Deno.test("every codec stands under its own type and name", () => {
  for (const [type, codec] of PARAMETER_CODECS) {
    assert.equal(codec.type, type);
    assert.equal(codec.name, parameterTypeName(type));
  }
});

Deno.test("every parameter of RFC 7401 and RFC 7402 has a codec, others are unknown", () => {
  assert.equal(PARAMETER_CODECS.size, 24);
  assert.ok(isKnownParameter(PARAMETER.ESP_INFO));
  assert.ok(!isKnownParameter(PARAMETER.HIP_TRANSFORM));
});
