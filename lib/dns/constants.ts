/** Numbers of the DNS proxy. Those without an RFC are our choices and say what they trade off. */

import { milliseconds, seconds } from "../base/time.ts";

/**
 * UDP payload size that we advertise upstream and in our own answers: fits every path of 1280
 * octets without fragments.
 */
export const EDNS_UDP_SIZE = 1232;

/** UDP answer limit for a client without OPT (RFC 1035 §4.2.1). */
export const PLAIN_UDP_SIZE = 512;

/** Most that an advertised UDP size may ask of us. */
export const MAX_UDP_SIZE = 4096;

/** One attempt at one server. */
export const ATTEMPT_TIMEOUT = milliseconds(1500);

/** Everything done for one client query: below the 5 s after which stub resolvers give up. */
export const QUERY_BUDGET = milliseconds(3800);

/** One lookup with all its attempts; ends before the query that needs it does. */
export const LOOKUP_BUDGET = milliseconds(3700);

/**
 * How long native addresses wait for the HIP answer and for locators. Longer favours HIP on slow
 * links, shorter favours quick answers where servers drop type 55.
 */
export const HIP_HOLD = milliseconds(800);

/** No TTL above this is believed. */
export const MAX_TTL_SECONDS = 3600;

/** TTL of static names, of reverse answers and of other answers made here. */
export const LOCAL_TTL_SECONDS = 60;

/**
 * A mapping is usable at least this long, so that an application that got a HIT with TTL 0 can
 * still connect: the connection is the transaction in progress of RFC 1035 §3.2.1.
 */
export const MINIMUM_MAPPING_LIFE = seconds(10);

/** How long a HIT that could not be reached is left out of answers. */
export const UNREACHABLE_MEMORY = seconds(30);

/** Client queries in progress, of all and of one client socket; more are answered SERVFAIL. */
export const MAX_QUERIES = 4096;
export const MAX_QUERIES_PER_CLIENT = 256;

/** Upstream questions in progress, and upstream sockets open at a time, of all and of one client. */
export const MAX_LOOKUPS = 16_384;
export const MAX_OPEN_REQUESTS = 512;
export const MAX_OPEN_REQUESTS_PER_CLIENT = 96;

/** Bounds of the cache: room for 10,000 names with HIP records, three answers each. */
export const MAX_CACHED_ANSWERS = 40_000;
export const CACHE_OCTETS = 32 * 2 ** 20;

/** Negative answers are kept no longer (RFC 2308 §5), those without an SOA hardly at all. */
export const MAX_NEGATIVE_TTL_SECONDS = 300;
export const BARE_NEGATIVE_TTL_SECONDS = 5;

/** SERVFAIL is repeated for so long without asking again; RFC 2308 §7.1 allows five minutes. */
export const FAILURE_TTL_SECONDS = 2;

/** How long an answer waits until the engine has taken its HITs. */
export const ACKNOWLEDGEMENT_WAIT = milliseconds(100);

/** Two questions for one name this close together come from a program that knows IPv6. */
export const TWIN_QUERY_SPAN = milliseconds(20);

/** HIP RRs used of one answer, rendezvous names of one RR, locators of one HIT. */
export const MAX_HIP_RECORDS = 8;
export const MAX_RENDEZVOUS_NAMES = 4;
export const MAX_LOCATORS_PER_HIT = 16;

/** Keys whose HITs are remembered, so that a cached answer needs no computation. */
export const MAX_KNOWN_KEYS = 10_000;

/** Longest query whose reply is kept whole: header, question and an OPT record. */
export const MAX_REPEATED_OCTETS = 300;

/** Whole replies that can be repeated, and what they may take. */
export const MAX_READY_REPLIES = 10_000;
export const READY_OCTETS = 8 * 2 ** 20;

/** HITs whose names are remembered for reverse lookups, and names of one HIT. */
export const MAX_REVERSE_HITS = 10_000;
export const MAX_REVERSE_NAMES = 8;

/** Targets of HTTPS and SVCB records whose HIP records are asked for, of one answer. */
export const MAX_HINT_TARGETS = 8;

/** Longest chain of CNAME records that is followed. */
export const MAX_CHAIN = 16;

/** A server that refuses is asked last for this long. */
export const LAME_MEMORY = seconds(60);

/** A server that does not understand EDNS is asked without for this long (RFC 6891 §6.2.2). */
export const NO_EDNS_MEMORY = seconds(600);

/** A server that drops HIP queries is not asked for them for this long. */
export const HIP_BLIND_MEMORY = seconds(300);

/** So many HIP queries in a row must vanish first: a lost packet alone must not blind us. */
export const HIP_BLIND_AFTER = 3;

/** At most one warning per name about a wrong HIT in a record. */
export const WARNING_INTERVAL = seconds(3600);

/** Entries of tables that only spare repetition (warnings, unreachable HITs). */
export const MAX_REMEMBERED = 1024;

/** HIT suites from most to least liked, for the order of several HITs of one name: ECDSA, EdDSA, RSA. */
export const SUITE_PREFERENCE: readonly number[] = [2, 5, 1, 3];
