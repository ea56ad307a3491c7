/**
 * The control socket's language: one JSON object per line. Requests are
 * `{"id": 1, "method": "status", "params": {}}`; answers are `{"id": 1, "ok": true, "result": ...}`
 * or `{"id": 1, "ok": false, "error": {"code": "not-found", "message": "..."}}`. After an answer to
 * `events` come lines `{"event": {...}}` until the client hangs up.
 *
 * HITs and addresses travel as text, times as milliseconds, 64-bit numbers not at all. Nothing
 * here has a place for a key.
 */

import type { DnsCounter } from "../dns/counters.ts";
import type { DropReason } from "../base/drop_reason.ts";
import type { AssociationStatus, EngineEvent, TableSizes } from "../engine/effects.ts";
import { formatHit } from "../identity/hit.ts";
import { formatIpAddress } from "../wire/ip_address.ts";

/** Longest line that either side takes, in characters. */
export const MAX_LINE = 1024 * 1024;

export interface ApiRequest {
  readonly id: number;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export type ApiErrorCode =
  | "bad-request"
  | "unknown-method"
  | "not-found"
  | "unreachable"
  | "not-ready"
  | "internal";

export type ApiResponse =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | {
    readonly id: number;
    readonly ok: false;
    readonly error: { readonly code: ApiErrorCode; readonly message: string };
  };

/** A refusal that travels to the client; the message is a sentence. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";

  constructor(readonly code: ApiErrorCode, message: string) {
    super(message);
  }
}

/** One of our identities. */
export interface IdentityReport {
  readonly name: string;
  readonly hit: string;
  /** "ECDSA P-256". */
  readonly kind: string;
  /** Published nowhere; one that was made for a single peer has the name "anonymous". */
  readonly isAnonymous: boolean;
  readonly isDefault: boolean;
}

/** One association; octets and packets are of inner packets. */
export interface AssociationReport {
  readonly name: string;
  readonly localHit: string;
  readonly peerHit: string;
  /** RFC 7401 §4.4. */
  readonly state: string;
  readonly role: "initiator" | "responder";
  /** Whether only its address vouched for the peer: its identity is not known from elsewhere. */
  readonly isOpportunistic: boolean;
  /** Whether the peer said that its identity is anonymous. */
  readonly isPeerAnonymous: boolean;
  readonly localAddress: string | null;
  readonly peerAddress: string | null;
  /** What carries its packets: "UDP 10500" with the peer's port, or "ESP"; null: nothing does. */
  readonly transport: string | null;
  /** "0x1a2b3c4d". */
  readonly inboundSpi: string | null;
  readonly outboundSpi: string | null;
  readonly espSuite: string | null;
  /** "64-bit", or "32-bit in ICV" for a peer that leaves the high half out; null: not known yet. */
  readonly sequenceNumbers: "64-bit" | "32-bit in ICV" | null;
  readonly dhGroup: number | null;
  readonly hipCipher: number | null;
  /** HI algorithm number of the peer's key. */
  readonly peerAlgorithm: number | null;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly octetsIn: number;
  readonly octetsOut: number;
  readonly baseExchangeMs: number | null;
  readonly puzzleMs: number | null;
  readonly establishedForMs: number | null;
  /** Why it failed last. */
  readonly failure: string | null;
}

/** The DNS proxy and what it did to the system. */
export interface DnsReport {
  /** Whether the proxy answers. */
  readonly isServing: boolean;
  /** "127.0.0.1"; null when it does not serve. */
  readonly listen: string | null;
  readonly upstream: readonly string[];
  /** Whether the system's resolver points at the proxy. */
  readonly isResolver: boolean;
  /** How programs come to it: by resolv.conf, by systemd-resolved's settings, by both. */
  readonly takeOver: readonly ("file" | "systemd-resolved")[];
  /** What the proxy has counted; those that are 0 are left out. */
  readonly counters: Readonly<Partial<Record<DnsCounter, number>>>;
}

/** How packets are moved; each false where the kernel refuses it. */
export interface DataPathReport {
  /** Threads that move packets beside the engine's; 0 before there is data. */
  readonly threads: number;
  /** The kernel leaves checksums of inner packets to us. */
  readonly tunChecksums: boolean;
  /** The kernel hands over TCP super-segments. */
  readonly tunSegments: boolean;
  /** The same of UDP, in both directions. */
  readonly tunDatagrams: boolean;
  /** The kernel takes consecutive TCP segments together. */
  readonly tunJoins: boolean;
  /** One system call moves many packets of ESP. */
  readonly socketBatches: boolean;
  /** The kernel cuts up what leaves in UDP. */
  readonly udpSegments: boolean;
  /** The kernel joins what comes in UDP. */
  readonly udpJoins: boolean;
}

/** Everything that `hip status` shows. */
export interface StatusReport {
  readonly version: string;
  readonly processId: number;
  readonly isReady: boolean;
  readonly upForMs: number;
  readonly interface: string;
  /** What HIP and ESP pass over: "auto, UDP port 10500". */
  readonly transport: string;
  /** Who computes ESP: "libcrypto", "portable". */
  readonly espProvider: string;
  /** Who computes signatures and Diffie-Hellman: "libcrypto", "portable". */
  readonly publicKeyProvider: string;
  readonly dataPath: DataPathReport;
  readonly identities: readonly IdentityReport[];
  readonly locators: readonly string[];
  readonly dns: DnsReport;
  readonly associations: readonly AssociationReport[];
  readonly knownPeers: number;
  readonly tables: TableSizes;
  readonly drops: Readonly<Partial<Record<DropReason, number>>>;
  readonly warnings: readonly string[];
}

/** What DNS, the hosts file and the engine know of a name. */
export interface LookupReport {
  readonly name: string;
  readonly identities: readonly {
    readonly hit: string;
    /** "ECDSA P-256"; null where only the HIT is known. */
    readonly kind: string | null;
    readonly rendezvous: readonly string[];
    /** "dns" or "static". */
    readonly source: string;
    /** Whether the suite of its HIT is one of `hit_suites`. */
    readonly isAccepted: boolean;
  }[];
  /** HIP records as DNS gives them, in the form of a zone file: "( 3 2001... AwEA... )". */
  readonly records: readonly string[];
  /** What the engine knows of its HITs. */
  readonly mappings: readonly {
    readonly hit: string;
    /** The IPv4 address that stands for it on this host; null where none does. */
    readonly lsi: string | null;
    /** "static", "dns-secure" (validated by a trusted server), "dns" or "met". */
    readonly source: string;
    readonly locators: readonly string[];
    /** Addresses of its rendezvous servers. */
    readonly rendezvous: readonly string[];
    /** For so long it serves for new exchanges; null: for good. */
    readonly secondsLeft: number | null;
  }[];
  /** Addresses at which its HITs would be contacted. */
  readonly locators: readonly string[];
  /** The addresses an application gets, in order: AAAA, then A. */
  readonly answer: readonly string[];
  /** DNS response code of the AAAA query: "NOERROR". */
  readonly responseCode: string;
}

/** An engine event with its octet strings as text. */
export type EventReport = Readonly<Record<string, unknown>> & { readonly kind: string };

/** @throws {ApiRefusal} When the line is not a request. */
export function parseRequest(line: string): ApiRequest {
  const value = parseObject(line);
  const { id, method, params = {} } = value;
  if (typeof id !== "number" || !Number.isSafeInteger(id)) {
    throw new ApiRefusal("bad-request", "A request needs a number as id");
  }
  if (typeof method !== "string") {
    throw new ApiRefusal("bad-request", "A request needs a method");
  }
  if (!isObject(params)) throw new ApiRefusal("bad-request", "params must be an object");
  return { id, method, params };
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ApiRefusal("bad-request", "A request is one line of JSON");
  }
  if (!isObject(value)) throw new ApiRefusal("bad-request", "A request is a JSON object");
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One association for the wire. `now` is the engine's time, in milliseconds. */
export function associationReport(status: AssociationStatus, now: number): AssociationReport {
  const address = (bytes: Uint8Array | undefined) =>
    bytes === undefined ? null : formatIpAddress(bytes);
  const spi = (value: number | undefined) =>
    value === undefined ? null : `0x${value.toString(16).padStart(8, "0")}`;
  return {
    name: status.name,
    localHit: formatHit(status.localHit),
    peerHit: formatHit(status.peerHit),
    state: status.state,
    role: status.role,
    isPeerAnonymous: status.isPeerAnonymous,
    isOpportunistic: status.opportunisticAddress !== undefined,
    localAddress: address(status.localAddress),
    peerAddress: address(status.peerAddress ?? status.opportunisticAddress),
    transport: transportText(status.peerPort),
    inboundSpi: spi(status.inboundSpi),
    outboundSpi: spi(status.outboundSpi),
    espSuite: status.espSuite ?? null,
    sequenceNumbers: status.sequenceNumbers ?? null,
    dhGroup: status.dhGroup ?? null,
    hipCipher: status.hipCipher ?? null,
    peerAlgorithm: status.peerAlgorithm ?? null,
    packetsIn: status.packetsIn,
    packetsOut: status.packetsOut,
    octetsIn: status.octetsIn,
    octetsOut: status.octetsOut,
    baseExchangeMs: status.baseExchangeTime ?? null,
    puzzleMs: status.puzzleTime ?? null,
    establishedForMs: status.establishedAt === undefined ? null : now - status.establishedAt,
    failure: status.failure ?? null,
  };
}

function transportText(peerPort: number | undefined): string | null {
  if (peerPort === undefined) return null;
  return peerPort === 0 ? "ESP" : `UDP ${peerPort}`;
}

const PACKET_FIELDS = [
  "kind",
  "at",
  "direction",
  "packet",
  "localHit",
  "peerHit",
  "source",
  "destination",
  "peerPort",
  "parameters",
  "lengthOctets",
  "detail",
] as const;
const HIT_FIELDS = ["localHit", "peerHit"];
const ADDRESS_FIELDS = ["source", "destination", "locators"];

/**
 * One event for the wire: octets become text, everything else stays as it is.
 *
 * @param timeOrigin Calendar time of the clock's zero, in milliseconds since 1970: `wallMs` then
 * lets the events of several agents on one host be put in order.
 */
export function eventReport(event: EngineEvent, timeOrigin: number): EventReport {
  const report: Record<string, unknown> & { kind: string } = {
    kind: event.kind,
    wallMs: timeOrigin + event.at,
  };
  for (const [key, value] of fieldsOf(event)) {
    const format = HIT_FIELDS.includes(key)
      ? formatHit
      : ADDRESS_FIELDS.includes(key)
      ? formatIpAddress
      : undefined;
    if (value instanceof Uint8Array) {
      if (format !== undefined) report[key] = format(value);
    } else if (format !== undefined && Array.isArray(value)) {
      report[key] = value.map((octets: Uint8Array) => format(octets));
    } else {
      report[key] = value;
    }
  }
  return report;
}

/** The fields of an event; those of a packet are computed when they are asked for. */
function fieldsOf(event: EngineEvent): [string, unknown][] {
  return event.kind === "packet"
    ? PACKET_FIELDS.map((key) => [key, event[key]])
    : Object.entries(event);
}

/** Cuts a stream of text into lines; throws `RangeError` on one longer than `MAX_LINE`. */
export class LineSplitter {
  #rest = "";

  /** The whole lines that `text` completes, without their ends and without empty ones. */
  push(text: string): string[] {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    if (this.#rest.length > MAX_LINE || parts.some((part) => part.length > MAX_LINE)) {
      throw new RangeError(`Line is longer than ${MAX_LINE} characters`);
    }
    return parts.filter((part) => part.trim() !== "");
  }
}
