/**
 * ESP_TRANSFORM: Reserved, then suite IDs of two octets each, most preferred first
 * (RFC 7402 §5.1.2).
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

/** A sender lists no more; a receiver must not stumble over more. */
export const ESP_TRANSFORM_MAXIMUM = 6;

export interface EspTransform {
  /** All that were sent; see `usableEspSuiteIds`. */
  readonly suiteIds: readonly number[];
}

export const ESP_TRANSFORM: ParameterCodec<EspTransform> = {
  type: PARAMETER.ESP_TRANSFORM,
  name: "ESP_TRANSFORM",
  length: (transform) => 2 + 2 * transform.suiteIds.length,
  parse(reader) {
    reader.uint16(); // Reserved: not inspected.
    if (reader.remaining === 0) reader.fail("no suite ID");
    const suiteIds: number[] = [];
    while (reader.remaining > 0) suiteIds.push(reader.uint16());
    return { suiteIds };
  },
  emit(writer, transform) {
    writer.uint16(0);
    for (const suiteId of transform.suiteIds) writer.uint16(suiteId);
  },
};

/** The first six: what a receiver considers. */
export function usableEspSuiteIds(transform: EspTransform): readonly number[] {
  return transform.suiteIds.slice(0, ESP_TRANSFORM_MAXIMUM);
}
