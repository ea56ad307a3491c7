/**
 * TRANSPORT_FORMAT_LIST: parameter types of transport formats, two octets each, most preferred
 * first (RFC 7401 §5.2.11). ESP is 4095, the type of ESP_TRANSFORM.
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface TransportFormatList {
  readonly formats: readonly number[];
}

export const TRANSPORT_FORMAT_LIST: ParameterCodec<TransportFormatList> = {
  type: PARAMETER.TRANSPORT_FORMAT_LIST,
  name: "TRANSPORT_FORMAT_LIST",
  length: (list) => 2 * list.formats.length,
  parse(reader) {
    if (reader.remaining === 0) reader.fail("no transport format");
    const formats: number[] = [];
    while (reader.remaining > 0) formats.push(reader.uint16());
    return { formats };
  },
  emit(writer, list) {
    for (const format of list.formats) writer.uint16(format);
  },
};
