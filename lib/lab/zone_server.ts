/**
 * A small authoritative DNS server for the lab's zone, for machines that have none installed: UDP
 * and TCP, the records of one master file as `zoneFile` in `services.ts` writes it.
 */

import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { fromHex } from "../base/bytes.ts";
import { MalformedPacketError } from "../base/errors.ts";
import { CLASS_IN, FLAG, RCODE, TYPE } from "../wire/dns/code_points.ts";
import { messageFlags, messageId, parseQuestion } from "../wire/dns/message.ts";
import { emitQuestion, MessageBuilder } from "../wire/dns/message_builder.ts";
import { nameKey, parseName } from "../wire/dns/name.ts";
import { parseIpAddress } from "../wire/ip_address.ts";

const PORT = 53;
const UDP_LIMIT = 1232;
const TTL_SECONDS = 60;

interface ZoneRecord {
  readonly type: number;
  readonly rdata: Uint8Array;
}

/** The zone by name. */
export type Zone = ReadonlyMap<string, readonly ZoneRecord[]>;

/** Reads the address and TYPE55 records of a zone file; others are passed over. */
export function readZone(text: string): Zone {
  const zone = new Map<string, ZoneRecord[]>();
  const origin = parseName(/^\$ORIGIN\s+(\S+)/m.exec(text)?.[1] ?? ".");
  zone.set(nameKey(origin), []);
  for (const line of text.split("\n")) {
    const match = /^(\S+) IN (A|AAAA|TYPE55) (.+)$/.exec(line);
    if (match === null) continue;
    const [, owner, type, data] = match;
    const key = nameKey(parseName(owner!, origin));
    const records = zone.get(key) ?? [];
    records.push(readRecord(type!, data!));
    zone.set(key, records);
  }
  return zone;
}

function readRecord(type: string, data: string): ZoneRecord {
  switch (type) {
    case "A":
      return { type: TYPE.A, rdata: parseIpAddress(data).slice(12) };
    case "AAAA":
      return { type: TYPE.AAAA, rdata: parseIpAddress(data) };
    default:
      return { type: TYPE.HIP, rdata: fromHex(data.replace(/^\\# \d+ /, "")) };
  }
}

/** The answer to one query; undefined when it is not a query that can be answered. */
export function answerQuery(zone: Zone, query: Uint8Array, limit: number): Uint8Array | undefined {
  try {
    const question = parseQuestion(query);
    const records = zone.get(nameKey(question.name));
    const rcode = records === undefined ? RCODE.NXDOMAIN : RCODE.NOERROR;
    const builder = new MessageBuilder({
      id: messageId(query),
      flags: FLAG.QR | FLAG.AA | (messageFlags(query) & FLAG.RD) | rcode,
      question: emitQuestion(question.name, question.type, question.class),
    }, limit);
    for (const { type, rdata } of records ?? []) {
      if (type !== question.type) continue;
      const record = { name: question.name, type, class: CLASS_IN, ttlSeconds: TTL_SECONDS };
      builder.add("answer", record, rdata);
    }
    return builder.finish();
  } catch (error) {
    if (error instanceof MalformedPacketError) return undefined;
    throw error;
  }
}

/** Serves until the process ends. */
export function serveZone(zone: Zone, addresses: readonly string[]): Promise<never> {
  for (const address of addresses) {
    const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
    udp.on("message", (query, client) => {
      const answer = answerQuery(zone, new Uint8Array(query), UDP_LIMIT);
      if (answer !== undefined) udp.send(answer, client.port, client.address);
    });
    udp.bind(PORT, address);
    createServer((connection) => {
      let pending = new Uint8Array(0);
      connection.on("error", () => connection.destroy());
      connection.on("data", (chunk) => {
        pending = new Uint8Array([...pending, ...new Uint8Array(chunk)]);
        while (pending.length >= 2 && pending.length >= 2 + (pending[0]! << 8 | pending[1]!)) {
          const length = pending[0]! << 8 | pending[1]!;
          const answer = answerQuery(zone, pending.subarray(2, 2 + length), 65_535);
          pending = pending.slice(2 + length);
          if (answer === undefined) {
            connection.destroy();
            return;
          }
          connection.write(new Uint8Array([answer.length >> 8, answer.length & 0xff, ...answer]));
        }
      });
    }).listen(PORT, address);
  }
  return new Promise(() => {});
}
