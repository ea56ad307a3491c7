/**
 * NOTIFICATION (RFC 7401 §5.2.19).
 *
 * ```text
 * |             Type              |             Length            |
 * |          Reserved             |      Notify Message Type      |
 * |                       Notification Data                       /
 * ```
 */

import type { ParameterCodec } from "../parameter.ts";
import { PARAMETER } from "../code_points.ts";

export interface Notification {
  /** Errors up to 16383, status from 16384 on. */
  readonly messageType: number;
  readonly data: Uint8Array;
}

export const NOTIFICATION: ParameterCodec<Notification> = {
  type: PARAMETER.NOTIFICATION,
  name: "NOTIFICATION",
  length: (notification) => 4 + notification.data.length,
  parse(reader) {
    reader.uint16(); // Reserved: not inspected.
    return { messageType: reader.uint16(), data: reader.rest() };
  },
  emit(writer, notification) {
    writer.uint16(0);
    writer.uint16(notification.messageType);
    writer.bytes(notification.data);
  },
};
