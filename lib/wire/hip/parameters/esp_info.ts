/**
 * ESP_INFO (RFC 7402 §5.1.1).
 *
 * ```text
 * |             Type              |             Length            |
 * |           Reserved            |         KEYMAT Index          |
 * |                            OLD SPI                            |
 * |                            NEW SPI                            |
 * ```
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface EspInfo {
  /** Octet of KEYMAT at which the ESP keys begin, 0 to 65535. */
  readonly keymatIndex: number;
  /** 0 in a base exchange. */
  readonly oldSpi: number;
  /** The SPI on which the sender will receive; 0 when an SA goes without successor. */
  readonly newSpi: number;
}

export const ESP_INFO: ParameterCodec<EspInfo> = {
  type: PARAMETER.ESP_INFO,
  name: "ESP_INFO",
  length: () => 12,
  parse(reader) {
    reader.uint16(); // Reserved: not inspected.
    return { keymatIndex: reader.uint16(), oldSpi: reader.uint32(), newSpi: reader.uint32() };
  },
  emit(writer, info) {
    writer.uint16(0);
    writer.uint16(info.keymatIndex);
    writer.uint32(info.oldSpi);
    writer.uint32(info.newSpi);
  },
};
