/**
 * Parameter type to codec. Whatever is listed here is "recognised" in the sense of RFC 7401 §5.2.1
 * and is put through the codec laws by the tests.
 */

import type { ParameterCodec } from "./parameter.ts";
import { ACK } from "./parameters/ack.ts";
import { CERT } from "./parameters/cert.ts";
import { DH_GROUP_LIST } from "./parameters/dh_group_list.ts";
import { DIFFIE_HELLMAN } from "./parameters/diffie_hellman.ts";
import {
  ECHO_REQUEST_SIGNED,
  ECHO_REQUEST_UNSIGNED,
  ECHO_RESPONSE_SIGNED,
  ECHO_RESPONSE_UNSIGNED,
} from "./parameters/echo.ts";
import { ENCRYPTED } from "./parameters/encrypted.ts";
import { ESP_INFO } from "./parameters/esp_info.ts";
import { ESP_TRANSFORM } from "./parameters/esp_transform.ts";
import { HIP_CIPHER } from "./parameters/hip_cipher.ts";
import { HIP_MAC, HIP_MAC_2 } from "./parameters/hip_mac.ts";
import { HIP_SIGNATURE, HIP_SIGNATURE_2 } from "./parameters/hip_signature.ts";
import { HIT_SUITE_LIST } from "./parameters/hit_suite_list.ts";
import { HOST_ID } from "./parameters/host_id.ts";
import { NOTIFICATION } from "./parameters/notification.ts";
import { PUZZLE } from "./parameters/puzzle.ts";
import { R1_COUNTER } from "./parameters/r1_counter.ts";
import { SEQ } from "./parameters/seq.ts";
import { SOLUTION } from "./parameters/solution.ts";
import { TRANSPORT_FORMAT_LIST } from "./parameters/transport_format_list.ts";

/** A codec whose value type is not known where it is used. */
// deno-lint-ignore no-explicit-any -- the value comes from the same codec's parse
export type AnyParameterCodec = ParameterCodec<any>;

/** In numeric order. */
const CODECS: readonly AnyParameterCodec[] = [
  ESP_INFO,
  R1_COUNTER,
  PUZZLE,
  SOLUTION,
  SEQ,
  ACK,
  DH_GROUP_LIST,
  DIFFIE_HELLMAN,
  HIP_CIPHER,
  ENCRYPTED,
  HOST_ID,
  HIT_SUITE_LIST,
  CERT,
  NOTIFICATION,
  ECHO_REQUEST_SIGNED,
  ECHO_RESPONSE_SIGNED,
  TRANSPORT_FORMAT_LIST,
  ESP_TRANSFORM,
  HIP_MAC,
  HIP_MAC_2,
  HIP_SIGNATURE_2,
  HIP_SIGNATURE,
  ECHO_RESPONSE_UNSIGNED,
  ECHO_REQUEST_UNSIGNED,
];

/** Every codec by its parameter type. */
export const PARAMETER_CODECS: ReadonlyMap<number, AnyParameterCodec> = new Map(
  CODECS.map((codec) => [codec.type, codec]),
);

/** Whether there is a codec for the type. */
export function isKnownParameter(type: number): boolean {
  return PARAMETER_CODECS.has(type);
}
