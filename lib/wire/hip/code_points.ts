/**
 * The IANA registries "Host Identity Protocol (HIP) Parameters": one table per registry, in numeric
 * order, each line with name, number and source. Where the program needs constants or names
 * for logs, they are derived from the tables; a test compares them with a copy of the registry.
 */

/** Name, number, RFC and section. Names of equal meaning in RFC and registry are the RFC's. */
export type CodePoint = readonly [name: string, value: number, source: string];

type Constants<T extends readonly CodePoint[]> = {
  readonly [E in T[number] as E[0]]: E[1];
};

/** The table as an object, so that `PACKET.I1` is 1. */
function constants<const T extends readonly CodePoint[]>(table: T): Constants<T> {
  return Object.fromEntries(table.map(([name, value]) => [name, value])) as Constants<T>;
}

/** From number to name. */
function nameIndex(table: readonly CodePoint[]): ReadonlyMap<number, string> {
  return new Map(table.map(([name, value]) => [value, name]));
}

/** Packet types, 7 bits. */
export const PACKET_TYPES = [
  ["RESERVED", 0, "7401 §5.3"],
  ["I1", 1, "7401 §5.3.1"],
  ["R1", 2, "7401 §5.3.2"],
  ["I2", 3, "7401 §5.3.3"],
  ["R2", 4, "7401 §5.3.4"],
  ["UPDATE", 16, "7401 §5.3.5"],
  ["NOTIFY", 17, "7401 §5.3.6"],
  ["CLOSE", 18, "7401 §5.3.7"],
  ["CLOSE_ACK", 19, "7401 §5.3.8"],
  ["HDRR", 20, "6537"],
  ["HIP_DATA", 32, "6078"],
] as const;
export const PACKET = constants(PACKET_TYPES);

/** Parameter types, 16 bits; odd ones are critical (RFC 7401 §5.2.1). */
export const PARAMETER_TYPES = [
  ["ESP_INFO", 65, "7402 §5.1.1"],
  ["R1_COUNTER_V1", 128, "5201"],
  ["R1_COUNTER", 129, "7401 §5.2.3"],
  ["LOCATOR_SET", 193, "8046"],
  ["PUZZLE", 257, "7401 §5.2.4"],
  ["SOLUTION", 321, "7401 §5.2.5"],
  ["SEQ", 385, "7401 §5.2.16"],
  ["ACK", 449, "7401 §5.2.17"],
  ["DH_GROUP_LIST", 511, "7401 §5.2.6"],
  ["DIFFIE_HELLMAN", 513, "7401 §5.2.7"],
  ["HIP_TRANSFORM", 577, "5201"],
  ["HIP_CIPHER", 579, "7401 §5.2.8"],
  ["NAT_TRAVERSAL_MODE", 608, "9028"],
  ["TRANSACTION_PACING", 610, "9028"],
  ["ENCRYPTED", 641, "7401 §5.2.18"],
  ["HOST_ID", 705, "7401 §5.2.9"],
  ["HIT_SUITE_LIST", 715, "7401 §5.2.10"],
  ["CERT", 768, "8002 §2"],
  ["NOTIFICATION", 832, "7401 §5.2.19"],
  ["ECHO_REQUEST_SIGNED", 897, "7401 §5.2.20"],
  ["REG_INFO", 930, "8003 §4.2"],
  ["REG_REQUEST", 932, "8003 §4.3"],
  ["REG_RESPONSE", 934, "8003 §4.4"],
  ["REG_FAILED", 936, "8003 §4.5"],
  ["REG_FROM", 950, "9028"],
  ["ECHO_RESPONSE_SIGNED", 961, "7401 §5.2.22"],
  ["TRANSPORT_FORMAT_LIST", 2049, "7401 §5.2.11"],
  ["ESP_TRANSFORM", 4095, "7402 §5.1.2"],
  ["SEQ_DATA", 4481, "6078"],
  ["ACK_DATA", 4545, "6078"],
  ["PAYLOAD_MIC", 4577, "6078"],
  ["TRANSACTION_ID", 4580, "6078"],
  ["OVERLAY_ID", 4592, "6079"],
  ["ROUTE_DST", 4601, "6028"],
  ["RELAYED_ADDRESS", 4650, "9028"],
  ["MAPPED_ADDRESS", 4660, "9028"],
  ["PEER_PERMISSION", 4680, "9028"],
  ["CANDIDATE_PRIORITY", 4700, "9028"],
  ["NOMINATE", 4710, "9028"],
  ["HIP_TRANSPORT_MODE", 7680, "6261"],
  // Private use: our choice for the 2011 draft on verifying hierarchical HITs, not in the registry.
  ["ENC_HHIT_TIMESTAMP", 34023, "private use, 7401 §5.2"],
  ["HIP_MAC", 61505, "7401 §5.2.12"],
  ["HIP_MAC_2", 61569, "7401 §5.2.13"],
  ["HIP_SIGNATURE_2", 61633, "7401 §5.2.15"],
  ["HIP_SIGNATURE", 61697, "7401 §5.2.14"],
  ["ECHO_RESPONSE_UNSIGNED", 63425, "7401 §5.2.23"],
  ["ECHO_REQUEST_UNSIGNED", 63661, "7401 §5.2.21"],
  ["RELAY_FROM", 63998, "9028"],
  ["RELAY_TO", 64002, "9028"],
  ["OVERLAY_TTL", 64011, "6079"],
  ["ROUTE_VIA", 64017, "6028"],
  ["FROM", 65498, "8004"],
  ["RVS_HMAC", 65500, "8004"],
  ["VIA_RVS", 65502, "8004"],
  ["RELAY_HMAC", 65520, "9028"],
] as const;
export const PARAMETER = constants(PARAMETER_TYPES);

/** Notify message types: errors up to 16383, status from 16384 on. */
export const NOTIFY_TYPES = [
  ["RESERVED", 0, "7401 §5.2.19"],
  ["UNSUPPORTED_CRITICAL_PARAMETER_TYPE", 1, "7401 §5.2.19"],
  ["INVALID_SYNTAX", 7, "7401 §5.2.19"],
  ["NO_DH_PROPOSAL_CHOSEN", 14, "7401 §5.2.19"],
  ["INVALID_DH_CHOSEN", 15, "7401 §5.2.19"],
  ["NO_HIP_PROPOSAL_CHOSEN", 16, "7401 §5.2.19"],
  ["INVALID_HIP_CIPHER_CHOSEN", 17, "7401 §5.2.19"],
  ["NO_ESP_PROPOSAL_CHOSEN", 18, "7402 §5.1.3"],
  ["INVALID_ESP_TRANSFORM_CHOSEN", 19, "7402 §5.1.3"],
  ["UNSUPPORTED_HIT_SUITE", 20, "7401 §5.2.19"],
  ["AUTHENTICATION_FAILED", 24, "7401 §5.2.19"],
  ["CHECKSUM_FAILED", 26, "7401 §5.2.19"],
  ["HIP_MAC_FAILED", 28, "7401 §5.2.19"],
  ["ENCRYPTION_FAILED", 32, "7401 §5.2.19"],
  ["INVALID_HIT", 40, "7401 §5.2.19"],
  ["BLOCKED_BY_POLICY", 42, "7401 §5.2.19"],
  ["RESPONDER_BUSY_PLEASE_RETRY", 44, "7401 §5.2.19"],
  ["LOCATOR_TYPE_UNSUPPORTED", 46, "8046"],
  ["CREDENTIALS_REQUIRED", 48, "8002 §5"],
  ["INVALID_CERTIFICATE", 50, "8002 §5"],
  ["REG_REQUIRED", 51, "8003"],
  ["NO_VALID_NAT_TRAVERSAL_MODE_PARAMETER", 60, "5770"],
  ["CONNECTIVITY_CHECKS_FAILED", 61, "5770"],
  ["MESSAGE_NOT_RELAYED", 62, "5770"],
  ["SERVER_REFLEXIVE_CANDIDATE_ALLOCATION_FAILED", 63, "9028"],
  ["RVS_HMAC_PROHIBITED_WITH_RELAY", 64, "9028"],
  ["OVERLAY_TTL_EXCEEDED", 70, "6079"],
  ["UNKNOWN_NEXT_HOP", 90, "6028"],
  ["NO_VALID_HIP_TRANSPORT_MODE", 100, "6261"],
  ["I2_ACKNOWLEDGEMENT", 16384, "7401 §5.2.19"],
  ["NAT_KEEPALIVE", 16385, "9028"],
] as const;
export const NOTIFY = constants(NOTIFY_TYPES);

/** Whether a Notify message type reports an error rather than a status (RFC 7401 §5.2.19). */
export function isNotifyError(type: number): boolean {
  return type < 16384;
}

/** HIT Suite IDs = ORCHID Generation Algorithm IDs, 4 bits; not shifted. */
export const HIT_SUITES = [
  ["RESERVED", 0, "7401 §5.2.10"],
  ["RSA_DSA_SHA256", 1, "7401 §5.2.10"],
  ["ECDSA_SHA384", 2, "7401 §5.2.10"],
  ["ECDSA_LOW_SHA1", 3, "7401 §5.2.10"],
  ["EDDSA_CSHAKE128", 5, "9374 §3.4.2"],
] as const;
export const HIT_SUITE = constants(HIT_SUITES);

/** Suite IDs of hierarchical HITs, 8 bits. */
export const HHIT_SUITES = [
  ["RESERVED", 0, "9374 §3.4.2"],
  ["RSA_DSA_SHA256", 1, "9374 §3.4.2"],
  ["ECDSA_SHA384", 2, "9374 §3.4.2"],
  ["ECDSA_LOW_SHA1", 3, "9374 §3.4.2"],
  ["EDDSA_CSHAKE128", 5, "9374 §3.4.2"],
  ["HDA_PRIVATE_USE_1", 254, "9374 §3.4.2"],
  ["HDA_PRIVATE_USE_2", 255, "9374 §3.4.2"],
] as const;

/** Diffie-Hellman Group IDs, 8 bits. */
export const DH_GROUPS = [
  ["RESERVED", 0, "7401 §5.2.7"],
  ["MODP_384", 1, "5201, deprecated by 7401 §5.2.7"],
  ["OAKLEY_1", 2, "5201, deprecated by 7401 §5.2.7"],
  ["MODP_1536", 3, "7401 §5.2.7"],
  ["MODP_3072", 4, "7401 §5.2.7"],
  ["MODP_6144", 5, "5201, deprecated by 7401 §5.2.7"],
  ["MODP_8192", 6, "5201, deprecated by 7401 §5.2.7"],
  ["NIST_P256", 7, "7401 §5.2.7"],
  ["NIST_P384", 8, "7401 §5.2.7"],
  ["NIST_P521", 9, "7401 §5.2.7"],
  ["SECP160R1", 10, "7401 §5.2.7"],
  ["MODP_2048", 11, "7401 §5.2.7"],
] as const;

/** HIP Cipher IDs, 16 bits. */
export const HIP_CIPHERS = [
  ["RESERVED", 0, "7401 §5.2.8"],
  ["NULL_ENCRYPT", 1, "7401 §5.2.8"],
  ["AES_128_CBC", 2, "7401 §5.2.8"],
  ["RESERVED_3", 3, "7401 §5.2.8"],
  ["AES_256_CBC", 4, "7401 §5.2.8"],
] as const;
export const HIP_CIPHER_ID = constants(HIP_CIPHERS);

/** Host Identity algorithms, 16 bits. */
export const HI_ALGORITHMS = [
  ["RESERVED", 0, "7401 §5.2.9"],
  // In the registry, but no algorithm of a Host Identity.
  ["NULL_ENCRYPT", 1, "2410"],
  ["DSA", 3, "7401 §5.2.9"],
  ["RSA", 5, "7401 §5.2.9"],
  ["ECDSA", 7, "7401 §5.2.9"],
  ["ECDSA_LOW", 9, "7401 §5.2.9"],
  ["EDDSA", 13, "9374 §3.4.1"],
] as const;
export const HI_ALGORITHM = constants(HI_ALGORITHMS);

/** Curve labels of ECDSA Host Identities, 16 bits. */
export const ECDSA_CURVES = [
  ["RESERVED", 0, "7401 §5.2.9"],
  ["NIST_P256", 1, "7401 §5.2.9"],
  ["NIST_P384", 2, "7401 §5.2.9"],
] as const;

/** Curve labels of ECDSA_LOW Host Identities, 16 bits. */
export const ECDSA_LOW_CURVES = [
  ["RESERVED", 0, "7401 §5.2.9"],
  ["SECP160R1", 1, "7401 §5.2.9"],
] as const;

/** Curve labels of EdDSA Host Identities, 16 bits. */
export const EDDSA_CURVES = [
  ["RESERVED", 0, "9374 §3.4.1.1"],
  ["ED25519", 1, "9374 §3.4.1.1"],
  ["ED25519PH", 2, "9374 §3.4.1.1"],
  ["ED448", 3, "9374 §3.4.1.1"],
  ["ED448PH", 4, "9374 §3.4.1.1"],
] as const;

/** Domain Identifier types of HOST_ID, 4 bits. */
export const DOMAIN_ID_TYPES = [
  ["NONE", 0, "7401 §5.2.9"],
  ["FQDN", 1, "7401 §5.2.9"],
  ["NAI", 2, "7401 §5.2.9"],
] as const;

/** ESP transform suite IDs, 16 bits. */
export const ESP_TRANSFORM_SUITES = [
  ["RESERVED", 0, "7402 §5.1.2"],
  ["AES_128_CBC_HMAC_SHA1", 1, "7402 §5.1.2"],
  ["DEPRECATED_2", 2, "7402 §5.1.2"],
  ["DEPRECATED_3", 3, "7402 §5.1.2"],
  ["DEPRECATED_4", 4, "7402 §5.1.2"],
  ["DEPRECATED_5", 5, "7402 §5.1.2"],
  ["DEPRECATED_6", 6, "7402 §5.1.2"],
  ["NULL_HMAC_SHA256", 7, "7402 §5.1.2"],
  ["AES_128_CBC_HMAC_SHA256", 8, "7402 §5.1.2"],
  ["AES_256_CBC_HMAC_SHA256", 9, "7402 §5.1.2"],
  ["AES_CCM_8", 10, "7402 §5.1.2"],
  ["AES_CCM_16", 11, "7402 §5.1.2"],
  ["AES_GCM_8", 12, "7402 §5.1.2"],
  ["AES_GCM_16", 13, "7402 §5.1.2"],
  ["AES_CMAC_96", 14, "7402 §5.1.2"],
  ["AES_GMAC", 15, "7402 §5.1.2"],
] as const;

/** Registration types, 8 bits. */
export const REGISTRATION_TYPES = [
  ["RENDEZVOUS", 1, "8004"],
  ["RELAY_UDP_HIP", 2, "9028"],
  ["RELAY_UDP_ESP", 3, "9028"],
  ["CANDIDATE_DISCOVERY", 4, "9028"],
] as const;

/** Registration failure types, 8 bits. */
export const REGISTRATION_FAILURES = [
  ["ADDITIONAL_CREDENTIALS_REQUIRED", 0, "8003"],
  ["REGISTRATION_TYPE_UNAVAILABLE", 1, "8003"],
  ["INSUFFICIENT_RESOURCES", 2, "8003"],
  ["INVALID_CERTIFICATE", 3, "8003"],
  ["BAD_CERTIFICATE", 4, "8003"],
  ["UNSUPPORTED_CERTIFICATE", 5, "8003"],
  ["CERTIFICATE_EXPIRED", 6, "8003"],
  ["CERTIFICATE_OTHER", 7, "8003"],
  ["UNKNOWN_CA", 8, "8003"],
  ["SIMULTANEOUS_RENDEZVOUS_AND_CONTROL_RELAY_PROHIBITED", 9, "9028"],
] as const;

/** NAT traversal modes, 16 bits. */
export const NAT_TRAVERSAL_MODES = [
  ["RESERVED", 0, "5770"],
  ["UDP_ENCAPSULATION", 1, "5770"],
  ["ICE_STUN_UDP", 2, "5770"],
  ["ICE_HIP_UDP", 3, "9028"],
] as const;

/** Traffic types of a locator, 8 bits. */
export const LOCATOR_TRAFFIC_TYPES = [
  ["SIGNALLING_AND_DATA", 0, "8046"],
  ["SIGNALLING", 1, "8046"],
  ["DATA", 2, "8046"],
] as const;

/** Types of a locator, 8 bits. */
export const LOCATOR_TYPES = [
  ["ADDRESS", 0, "8046"],
  ["ESP_SPI_AND_ADDRESS", 1, "8046"],
  ["TRANSPORT_ADDRESS", 2, "9028"],
] as const;

/** Candidate kinds in locators of type 2, 8 bits. */
export const CANDIDATE_KINDS = [
  ["HOST", 0, "9028"],
  ["SERVER_REFLEXIVE", 1, "9028"],
  ["PEER_REFLEXIVE", 2, "9028"],
  ["RELAYED", 3, "9028"],
] as const;

/** HIP transport modes, 16 bits. */
export const TRANSPORT_MODES = [
  ["RESERVED", 0, "6261"],
  ["DEFAULT", 1, "6261"],
  ["ESP", 2, "6261"],
  ["ESP_TCP", 3, "6261"],
] as const;

/** HIP Via flags, by bit position. */
export const VIA_FLAGS = [
  ["SYMMETRIC", 0, "6028"],
  ["MUST_FOLLOW", 1, "6028"],
] as const;

const PACKET_NAMES = nameIndex(PACKET_TYPES);
const PARAMETER_NAMES = nameIndex(PARAMETER_TYPES);
const NOTIFY_NAMES = nameIndex(NOTIFY_TYPES);

/** "I1", or "packet type 77" for a number that has no name. */
export function packetTypeName(type: number): string {
  return PACKET_NAMES.get(type) ?? `packet type ${type}`;
}

/** "PUZZLE", or "parameter 1234" for a number that has no name. */
export function parameterTypeName(type: number): string {
  return PARAMETER_NAMES.get(type) ?? `parameter ${type}`;
}

/** "INVALID_SYNTAX", or "notify type 99" for a number that has no name. */
export function notifyTypeName(type: number): string {
  return NOTIFY_NAMES.get(type) ?? `notify type ${type}`;
}
