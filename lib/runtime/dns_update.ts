/**
 * Sends a signed update to the primary server of a zone (RFC 2136 §4, RFC 8945 §5.1) and checks its
 * answer. Over TCP: a lost answer would leave open whether the zone has changed.
 */

import { MalformedPacketError, UserError } from "../base/errors.ts";
import { randomUint32 } from "../base/random.ts";
import { answerProblem, signRequest, type TsigKey } from "../dns/tsig.ts";
import { buildRrsetUpdate, type UpdateRecord } from "../dns/update.ts";
import { FLAG, OPCODE_UPDATE, RCODE, rcodeName, TYPE } from "../wire/dns/code_points.ts";
import {
  answersOfType,
  type DnsMessage,
  HEADER_OCTETS,
  messageFlags,
  messageId,
  rdataOf,
} from "../wire/dns/message.ts";
import { formatHostName, isUnder, readName } from "../wire/dns/name.ts";
import { formatIpAddress } from "../wire/ip_address.ts";
import { type DnsServerAddress, exchangeTcp, queryDns } from "./dns_client.ts";
import { SYSTEM_RANDOM } from "./system_random.ts";

const TIMEOUT_MS = 5000;

/** Where an update goes. */
export interface UpdateTarget {
  /** Apex, uncompressed. */
  readonly zone: Uint8Array;
  readonly server: DnsServerAddress;
}

/** What the user said of it. */
export interface TargetWish {
  /** Undefined for the primary server that the zone's SOA record names. */
  readonly server: { readonly address: string; readonly port: number } | undefined;
  readonly zone: Uint8Array | undefined;
  /** Servers of the system, which know the way. */
  readonly resolvers: readonly string[];
}

/** Finds zone and primary server of a name. @throws {UserError} When they cannot be found. */
export async function findTarget(name: Uint8Array, wish: TargetWish): Promise<UpdateTarget> {
  const { server, zone, resolvers } = wish;
  const given = server === undefined ? undefined : { ...server, timeoutMs: TIMEOUT_MS };
  if (given !== undefined && zone !== undefined) return { zone, server: given };
  const askable = given === undefined
    ? resolvers.map((address) => ({ address, port: 53, timeoutMs: TIMEOUT_MS }))
    : [given];
  const authority = await findAuthority(name, askable);
  if (authority === undefined) {
    throw new UserError(
      `no DNS server tells the zone of ${formatHostName(name)}. Give --server and --zone.`,
    );
  }
  const target = given ?? await addressOf(authority.primary, askable);
  if (target === undefined) {
    throw new UserError(
      `the primary server ${formatHostName(authority.primary)} has no address. Give --server.`,
    );
  }
  return { zone: zone ?? authority.zone, server: target };
}

/** The SOA record above a name: in the answer, or in the authority section (RFC 2308 §3). */
async function findAuthority(
  name: Uint8Array,
  servers: readonly DnsServerAddress[],
): Promise<{ zone: Uint8Array; primary: Uint8Array } | undefined> {
  for (const server of servers) {
    const answer = await queryDns(server, name, TYPE.SOA);
    const soa = answer?.records.find((record) =>
      record.type === TYPE.SOA && record.section !== "additional" && isUnder(name, record.name)
    );
    if (answer === undefined || soa === undefined) continue;
    return { zone: soa.name, primary: readName(answer.bytes, soa.rdataStart).name };
  }
  return undefined;
}

async function addressOf(
  name: Uint8Array,
  servers: readonly DnsServerAddress[],
): Promise<DnsServerAddress | undefined> {
  for (const server of servers) {
    for (const type of [TYPE.AAAA, TYPE.A]) {
      const address = firstAddress(await queryDns(server, name, type), type);
      if (address !== undefined) return { address, port: 53, timeoutMs: TIMEOUT_MS };
    }
  }
  return undefined;
}

function firstAddress(answer: DnsMessage | undefined, type: number): string | undefined {
  const record = answer === undefined ? undefined : answersOfType(answer, type)[0];
  if (record === undefined) return undefined;
  const octets = rdataOf(answer!, record);
  if (type === TYPE.A) return octets.length === 4 ? octets.join(".") : undefined;
  return octets.length === 16 ? formatIpAddress(octets) : undefined;
}

/**
 * Replaces the records of one name and type.
 *
 * @throws {UserError} When the server refuses, does not answer, or answers unsigned.
 */
export async function sendUpdate(
  { zone, server }: UpdateTarget,
  name: Uint8Array,
  type: number,
  records: readonly UpdateRecord[],
  key: TsigKey,
): Promise<void> {
  const id = randomUint32(SYSTEM_RANDOM) & 0xffff;
  const request = buildRrsetUpdate({ id, zone, name, type, records });
  const now = () => Math.floor(Date.now() / 1000);
  const signed = signRequest(key, request, now());
  const bytes = await exchangeTcp(server, signed.bytes);
  const where = server.port === 53 ? server.address : `${server.address} port ${server.port}`;
  if (bytes === undefined) {
    throw new UserError(`${where} does not answer over TCP. Look whether it is the DNS server.`);
  }
  const isAnswer = bytes.length >= HEADER_OCTETS && messageId(bytes) === id &&
    (messageFlags(bytes) & (FLAG.QR | FLAG.OPCODE_MASK)) === (FLAG.QR | OPCODE_UPDATE);
  if (!isAnswer) throw new UserError(`what ${where} sent is no answer to an update.`);
  const rcode = messageFlags(bytes) & FLAG.RCODE_MASK;
  const problem = problemOf(key, bytes, signed.mac, now());
  if (rcode !== RCODE.NOERROR) {
    const because = problem === undefined || problem === UNSIGNED ? HINTS[rcode] : problem;
    throw new UserError(
      `${where} refuses the update with ${rcodeName(rcode)}${
        because === undefined ? "" : `: ${because}`
      }.`,
    );
  }
  if (problem !== undefined) {
    throw new UserError(`${where} answered, but ${problem}; the zone may not have changed.`);
  }
}

const UNSIGNED = "it is not signed";

/** What usually lies behind an RCODE (RFC 2136 §3). */
const HINTS: Readonly<Record<number, string>> = {
  [RCODE.REFUSED]: "allow updates with this key in the zone's configuration",
  [RCODE.NOTAUTH]: "it is not the primary server of this zone, or does not know the key",
  [RCODE.NOTZONE]: "the name is not in that zone; give another with --zone",
  [RCODE.NOTIMP]: "it knows no dynamic updates",
};

function problemOf(
  key: TsigKey,
  bytes: Uint8Array,
  requestMac: Uint8Array,
  nowSeconds: number,
): string | undefined {
  try {
    return answerProblem(key, bytes, requestMac, nowSeconds);
  } catch (error) {
    if (error instanceof MalformedPacketError) return "its answer cannot be read";
    throw error;
  }
}
