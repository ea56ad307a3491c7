/**
 * The configuration: one complete, documented type, its defaults, and the names that settings have
 * in the file. `config_file.ts` reads it, once, before anything starts.
 */

import { type Duration, milliseconds } from "../base/time.ts";
import type { LogLevel } from "../base/logger.ts";
import { AUDIT_EVENTS, type AuditEvent } from "../esp/audit_event.ts";
import type { EsnMode } from "../esp/security_association.ts";
import { DEFAULT_CONTROL_SETTINGS, ICMP_KINDS, type IcmpKind } from "../hip/constants.ts";
import { IDENTITY_KINDS, type IdentityKind } from "../identity/host_identity.ts";
import type { AccessRule } from "../hip/access_list.ts";
import { type Transport, TRANSPORTS } from "../hip/transport.ts";
import { HIP_UDP_PORT } from "../wire/udp_encapsulation.ts";
import { DEFAULT_LSI_POOL, type LsiPool } from "../identity/lsi.ts";
import type { NameModeRule } from "../dns/name_modes.ts";
import { domainNames, lsiPool, nameModes } from "./config_names.ts";
import { peerRule } from "./config_peers.ts";
import { dhGroups, espSuites, hipCiphers, hitSuites } from "./config_suites.ts";
import {
  address,
  dataThreads,
  identityName,
  integer,
  interfaceName,
  list,
  loopbackAddress,
  octets,
  oneOf,
  span,
  words,
  yesOrNo,
} from "./config_values.ts";

/** What is done to the system's resolver. */
export type ResolverMode = "auto" | "none" | "required";

/** Every setting; no later code asks whether one is set. */
export interface Config {
  /**
   * What HIP and ESP pass over: `udp`, `raw` (IP alone, protocols 139 and 50), or `auto`: UDP, and IP
   * alone for peers that do not answer there. Default `auto`: UDP passes NATs and most filters, and
   * is the faster one. Peers are answered over what they came by.
   */
  readonly transport: Transport;
  /**
   * The UDP port of this host, 1 to 65535. Default 10500 (RFC 9028 §8), where peers look for it: with
   * another one only this host begins exchanges over UDP.
   */
  readonly udpPort: number;
  /**
   * Name of the Host Identity to use by default; empty for the one that `hip identity use` chose.
   * Default empty: the choice then lives beside the keys.
   */
  readonly identity: string;
  /** Names of the Host Identities in use at once. Default `all` (an empty list). */
  readonly identities: readonly string[];
  /**
   * Kind of the identity that the first start makes. Default `ecdsa-p256`: every RFC 7401 host
   * must verify it, it is fast natively everywhere (0.3 ms), its signature is 64 octets, and its
   * key fits in a DNS record. Ed25519 is only in RFC 9374, which older peers do not know.
   */
  readonly identityKind: IdentityKind;
  /**
   * Diffie-Hellman Group IDs (RFC 7401 §5.2.7), most preferred first. Default 7, 8, 9, 4, 11, 3:
   * the NIST curves P-256, P-384 and P-521 first, since they are cheap and strong; the MODP
   * groups of 3072, 2048 and 1536 bits for peers without curves. 10 (SECP160R1, 80 bits) can be
   * had; 1, 2, 5 and 6 are deprecated and cannot.
   */
  readonly dhGroups: readonly number[];
  /** HIP Cipher IDs (§5.2.8), most preferred first. Default 2, 4: AES-128-CBC, AES-256-CBC; 1, no encryption, for tests. */
  readonly hipCiphers: readonly number[];
  /**
   * ESP suite IDs (RFC 7402 §5.1.2), most preferred first. Default 13, 9, 8, 12: AES-GCM is
   * fastest and has a full ICV; 9 and 8 are those that every host must have; 12 has a short ICV.
   * 7, 14 and 15 (no encryption), 10 and 11 (CCM) and 1 (SHA-1) are offered if they stand here.
   */
  readonly espSuites: readonly number[];
  /**
   * Whether ICVs cover all 64 bits of the ESP sequence number, as RFC 7402 §3.3.6 wants: `on`;
   * `off` for peers that leave the high half out; `auto` does as each peer does. Default `auto`.
   */
  readonly esn: EsnMode;
  /** HIT Suite IDs (§5.2.10) accepted of peers. Default 1, 2, 5, 3: all; SHA-1 last. */
  readonly hitSuites: readonly number[];
  /** #K of the puzzles we pose, 0 to 20. Default 0, as RFC 7401 §7 wants without load. */
  readonly puzzleDifficulty: number;
  /** #K under load, 0 to 24, at least `puzzleDifficulty`. Default 16: a third of a second. */
  readonly puzzleDifficultyMax: number;
  /**
   * Whether our HOST_ID travels encrypted in I2. Default yes: the key is kept from the path. The
   * HIT is not: whoever knows it, or sees it twice, still knows who we are (RFC 7401 §1.2).
   */
  readonly encryptHostId: boolean;
  /** The access list, one rule per `peer` line. Default none: everybody is served alike. */
  readonly peers: readonly AccessRule[];
  /** Whether peers that know only our address may start an exchange (§4.1.8). Default yes. */
  readonly opportunistic: boolean;
  /** Age at which the keys of an association are replaced. Default 1h; Infinity for never. */
  readonly rekeyAfter: Duration;
  /** Octets in one direction after which they are. Default 64G: 2^32 blocks of 16 octets. */
  readonly rekeyOctets: number;
  /** Whether such a rekey makes a new Diffie-Hellman key. Default yes: old traffic stays safe. */
  readonly rekeyDh: boolean;
  /** First wait for R1; doubles per try. Default 500ms, above any round trip on the ground. */
  readonly i1Timeout: Duration;
  /** I1 packets sent in all (I1_RETRIES_MAX), 1 to 20. Default 5: an answer within 4.5 s. */
  readonly i1Retries: number;
  /** First wait for R2; doubles per try. Default 1s: the peer checks and makes signatures. */
  readonly i2Timeout: Duration;
  /** I2 packets sent in all (I2_RETRIES_MAX), 1 to 20. Default 5. */
  readonly i2Retries: number;
  /** Associations kept at most, 1 to 200000; each takes about 4 kB. Default 4096. */
  readonly maxAssociations: number;
  /**
   * Whether ICMP tells senders that their SPI or HIT fits no association. Default no: forged
   * packets would have us send it to others (RFC 7401 §8).
   */
  readonly icmpToStrangers: boolean;
  /**
   * Loopback address of the DNS proxy, port 53. Default 127.0.0.1; 127.0.0.139 takes its place
   * when another program holds port 53 there.
   */
  readonly listen: string;
  /**
   * Addresses of the DNS servers to ask. Default `auto` (an empty list): those that the system
   * used before.
   */
  readonly upstream: readonly string[];
  /**
   * Whether nobody can interfere with what these servers say on its way, as with servers on this
   * host. Only then is it passed on, and believed, that they have validated an answer. Default no.
   */
  readonly trustUpstream: boolean;
  /**
   * `auto` points the system's resolver at the proxy and goes on with a warning where that is not
   * possible; `required` stops then; `none` touches nothing. Default `auto`.
   */
  readonly resolver: ResolverMode;
  /**
   * How names are answered, one rule per `name_mode` line: mode, then suffixes. Default none: HITs
   * before native addresses. `hit-only` answers HITs alone where there are any, which programs that
   * try several addresses at once need to be kept to HIP; `require` HITs or nothing; `off` none.
   */
  readonly nameModes: readonly NameModeRule[];
  /**
   * Names, with all below them, whose HIP records count only when a trusted server has validated
   * them. Default none.
   */
  readonly requireDnssec: readonly Uint8Array[];
  /** Whether address hints in HTTPS and SVCB answers give way to HITs. Default yes. */
  readonly removeHints: boolean;
  /**
   * Whether IPv4 addresses stand for HITs, so that programs without IPv6 use HIP: in every answer
   * for A (`on`), in those for programs that do not ask for AAAA (`v4only`), or not. Default
   * `v4only`.
   */
  readonly lsi: "on" | "v4only" | "off";
  /** Where these are taken from, 8 to 24 bits. Default 198.18.0.0/15, which nobody routes. */
  readonly lsiPool: LsiPool;
  /** Whether all of it is routed to HIP, and not each address by itself. Default no. */
  readonly lsiRoutePool: boolean;
  /** Name of the TUN device, 1 to 15 characters. Default `hip0`. */
  readonly interfaceName: string;
  /**
   * Pairs of threads that move data, from the first association on, 1 to 8; 0 (`no`) saves their
   * memory. Default `auto`: as many as the processors suggest.
   */
  readonly dataThreads: number | "auto";
  /**
   * MTU of the TUN device in octets, 1280 to 9000. Default 1400: on a path of 1,500 octets this
   * leaves room for the longest suite, UDP encapsulation included.
   */
  readonly mtu: number;
  /**
   * Whether ESP over IPv4 leaves with "don't fragment", so that routers report a smaller MTU.
   * Default yes; `no` for paths where such reports get lost: then routers cut packets up.
   */
  readonly pathMtuDiscovery: boolean;
  /** Seconds after which a path MTU that ICMP reported is forgotten, 60 to 86400. Default 600. */
  readonly pathMtuLifetimeSeconds: number;
  /**
   * Kinds of ICMP errors that are believed, since nobody vouches for them (RFC 4301 §6.1.1).
   * Default all: `too-big` is checked against what was sent, `unreachable` is a hint at most.
   */
  readonly acceptIcmp: readonly IcmpKind[];
  /** Seconds without traffic after which an association is closed, 60 to 31536000. Default 900. */
  readonly idleTimeoutSeconds: number;
  /** What happens to ESP packets that is logged, at most some lines a second. Default `none`. */
  readonly audit: readonly AuditEvent[];
  /** Least important log lines that are written. Default `info`. */
  readonly logLevel: LogLevel;
  /**
   * Who computes ESP, signatures and Diffie-Hellman. Default `auto`: the system's libcrypto when it
   * is there, else the runtime's own (`portable`). `libcrypto` stops when it is absent.
   */
  readonly crypto: "auto" | "portable" | "libcrypto";
}

/** What holds when nothing is said. */
export const DEFAULT_CONFIG: Config = {
  transport: DEFAULT_CONTROL_SETTINGS.transport,
  udpPort: HIP_UDP_PORT,
  identity: "",
  identities: [],
  identityKind: "ecdsa-p256",
  dhGroups: [7, 8, 9, 4, 11, 3],
  hipCiphers: [2, 4],
  espSuites: [13, 9, 8, 12],
  esn: DEFAULT_CONTROL_SETTINGS.esn,
  hitSuites: [1, 2, 5, 3],
  puzzleDifficulty: DEFAULT_CONTROL_SETTINGS.puzzleDifficultyK,
  puzzleDifficultyMax: DEFAULT_CONTROL_SETTINGS.puzzleDifficultyKMax,
  encryptHostId: DEFAULT_CONTROL_SETTINGS.encryptHostId,
  peers: [],
  opportunistic: DEFAULT_CONTROL_SETTINGS.answersOpportunistic,
  rekeyAfter: DEFAULT_CONTROL_SETTINGS.rekeyAge,
  rekeyOctets: DEFAULT_CONTROL_SETTINGS.rekeyOctets,
  rekeyDh: DEFAULT_CONTROL_SETTINGS.rekeyWithDh,
  i1Timeout: DEFAULT_CONTROL_SETTINGS.i1Timeout,
  i1Retries: DEFAULT_CONTROL_SETTINGS.i1RetriesMax,
  i2Timeout: DEFAULT_CONTROL_SETTINGS.i2Timeout,
  i2Retries: DEFAULT_CONTROL_SETTINGS.i2RetriesMax,
  maxAssociations: DEFAULT_CONTROL_SETTINGS.maxAssociations,
  icmpToStrangers: DEFAULT_CONTROL_SETTINGS.icmpToStrangers,
  listen: "127.0.0.1",
  upstream: [],
  trustUpstream: false,
  resolver: "auto",
  nameModes: [],
  requireDnssec: [],
  removeHints: true,
  lsi: "v4only",
  lsiPool: DEFAULT_LSI_POOL,
  lsiRoutePool: false,
  interfaceName: "hip0",
  dataThreads: "auto",
  mtu: 1400,
  pathMtuDiscovery: true,
  pathMtuLifetimeSeconds: DEFAULT_CONTROL_SETTINGS.pathMtuLifetime / 1000,
  acceptIcmp: DEFAULT_CONTROL_SETTINGS.acceptedIcmp,
  idleTimeoutSeconds: DEFAULT_CONTROL_SETTINGS.unusedAssociationLifetime / 1000,
  audit: DEFAULT_CONTROL_SETTINGS.audit,
  logLevel: "info",
  crypto: "auto",
};

/** The names that settings have in the file, and how their values are read. */
export const SETTINGS: { readonly [key: string]: (text: string) => Partial<Config> } = {
  transport: (text) => ({ transport: oneOf(TRANSPORTS, text) }),
  udp_port: (text) => ({ udpPort: integer(text, 1, 0xffff) }),
  identity: (text) => ({ identity: identityName(text) }),
  identities: (text) => ({ identities: text === "all" ? [] : list(text).map(identityName) }),
  identity_kind: (text) => ({ identityKind: oneOf(IDENTITY_KINDS, text) }),
  dh_groups: (text) => ({ dhGroups: dhGroups(text) }),
  hip_ciphers: (text) => ({ hipCiphers: hipCiphers(text) }),
  esp_suites: (text) => ({ espSuites: espSuites(text) }),
  esn: (text) => ({ esn: oneOf(["auto", "on", "off"] as const, text) }),
  hit_suites: (text) => ({ hitSuites: hitSuites(text) }),
  peer: (text) => ({ peers: [peerRule(text)] }),
  opportunistic: (text) => ({ opportunistic: yesOrNo(text) }),
  encrypt_host_id: (text) => ({ encryptHostId: yesOrNo(text) }),
  puzzle_difficulty: (text) => ({ puzzleDifficulty: integer(text, 0, 20) }),
  puzzle_difficulty_max: (text) => ({ puzzleDifficultyMax: integer(text, 0, 24) }),
  rekey_after: (text) => ({
    rekeyAfter: text === "never" ? milliseconds(Infinity) : span(text, "60s", "30d"),
  }),
  rekey_octets: (text) => ({ rekeyOctets: octets(text, 2 ** 20, 2 ** 36) }),
  rekey_dh: (text) => ({ rekeyDh: yesOrNo(text) }),
  idle_timeout: (text) => ({ idleTimeoutSeconds: span(text, "60s", "365d") / 1000 }),
  i1_timeout: (text) => ({ i1Timeout: span(text, "100ms", "60s") }),
  i1_retries: (text) => ({ i1Retries: integer(text, 1, 20) }),
  i2_timeout: (text) => ({ i2Timeout: span(text, "100ms", "60s") }),
  i2_retries: (text) => ({ i2Retries: integer(text, 1, 20) }),
  max_associations: (text) => ({ maxAssociations: integer(text, 1, 200_000) }),
  listen: (text) => ({ listen: loopbackAddress(text) }),
  upstream: (text) => ({ upstream: text === "auto" ? [] : list(text).map(address) }),
  trust_upstream: (text) => ({ trustUpstream: yesOrNo(text) }),
  resolver: (text) => ({ resolver: oneOf(["auto", "none", "required"] as const, text) }),
  name_mode: (text) => ({ nameModes: nameModes(text) }),
  require_dnssec: (text) => ({ requireDnssec: text === "none" ? [] : domainNames(text) }),
  remove_hints: (text) => ({ removeHints: yesOrNo(text) }),
  lsi: (text) => ({ lsi: oneOf(["on", "v4only", "off"] as const, text) }),
  lsi_pool: (text) => ({ lsiPool: lsiPool(text) }),
  lsi_route_pool: (text) => ({ lsiRoutePool: yesOrNo(text) }),
  interface: (text) => ({ interfaceName: interfaceName(text) }),
  data_threads: (text) => ({ dataThreads: dataThreads(text) }),
  mtu: (text) => ({ mtu: integer(text, 1280, 9000) }),
  path_mtu_discovery: (text) => ({ pathMtuDiscovery: yesOrNo(text) }),
  path_mtu_lifetime: (text) => ({ pathMtuLifetimeSeconds: span(text, "60s", "1d") / 1000 }),
  accept_icmp: (text) => ({ acceptIcmp: words(ICMP_KINDS, text) }),
  icmp_to_strangers: (text) => ({ icmpToStrangers: yesOrNo(text) }),
  audit: (text) => ({ audit: words(AUDIT_EVENTS, text) }),
  log_level: (text) => ({
    logLevel: oneOf(["debug", "info", "warning", "error"] as const, text),
  }),
  crypto: (text) => ({ crypto: oneOf(["auto", "portable", "libcrypto"] as const, text) }),
};

/** The keys a configuration file may hold. */
export const CONFIG_KEYS: readonly string[] = Object.keys(SETTINGS);
