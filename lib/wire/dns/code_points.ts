/** Numbers of the DNS that the proxy uses, with their sources. */

/** RR types (RFC 1035 §3.2.2 unless noted). */
export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  /** RFC 3596 §2.1. */
  AAAA: 28,
  /** RFC 6672. */
  DNAME: 39,
  /** RFC 6891 §6.1.1. */
  OPT: 41,
  /** RFC 4034 §3. */
  RRSIG: 46,
  /** RFC 8005 §9. */
  HIP: 55,
  /** RFC 9460 §14.1. */
  SVCB: 64,
  HTTPS: 65,
  /** RFC 8945 §4.1. */
  TSIG: 250,
} as const;

/** OPCODE of a dynamic update, in the place of the second header word (RFC 2136 §2.2). */
export const OPCODE_UPDATE = 5 << 11;

/** Class IN (RFC 1035 §3.2.4). */
export const CLASS_IN = 1;

/** Response codes (RFC 1035 §4.1.1; BADVERS RFC 6891 §9, its lower four bits are zero). */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  /** RFC 2136 §2.2; also for a TSIG that is refused (RFC 8945 §5.2). */
  NOTAUTH: 9,
  NOTZONE: 10,
  BADVERS: 16,
} as const;

/** Bits of the second 16-bit word of the header (RFC 1035 §4.1.1, RFC 4035 §3). */
export const FLAG = {
  QR: 0x8000,
  OPCODE_MASK: 0x7800,
  AA: 0x0400,
  TC: 0x0200,
  RD: 0x0100,
  RA: 0x0080,
  AD: 0x0020,
  CD: 0x0010,
  RCODE_MASK: 0x000f,
} as const;

/** Names of RCODEs for log lines. */
export function rcodeName(rcode: number): string {
  for (const [name, value] of Object.entries(RCODE)) {
    if (value === rcode) return name;
  }
  return `RCODE ${rcode}`;
}
