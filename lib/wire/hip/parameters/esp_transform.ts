/**
 * ESP_TRANSFORM: Reserved, then suite IDs of two octets each, most preferred first
 * (RFC 7402 §5.1.2).
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface EspTransform {
  /** All that were sent; a sender should list six at most, a receiver takes more too. */
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
