/**
 * A small DNS server for tests: answers from a table of records made with dns-packet, so that what
 * the proxy is tested against was not written by us. `answerQuery` alone serves the sans-IO tests,
 * `TestDnsServer` real sockets.
 */

import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import net from "node:net";
import dnsPacket from "dns-packet";

/** One record as dns-packet writes it; for HIP, `data` is the RDATA. */
// deno-lint-ignore no-explicit-any
export type ZoneRecord = { name: string; type: string; ttl?: number; data: any };

/** What the server knows, and how it misbehaves. */
export interface Zone {
  records: ZoneRecord[];
  /** Types that get no answer at all. */
  silent?: Set<string>;
  /** RCODE per type, in place of an answer. */
  rcodes?: Map<string, string>;
}

/** RDATA for a HIP record, assembled by hand. */
export function hipRdata(algorithm: number, hit: Uint8Array, key: Uint8Array, rvs: string[] = []) {
  const names = rvs.map((name) => dnsPacket.name.encode(name));
  return Buffer.concat([
    Buffer.from([hit.length, algorithm, key.length >> 8, key.length & 0xff]),
    hit,
    key,
    ...names,
  ]);
}

/** The answer to a query, or undefined when the server keeps silent. */
export function answerQuery(
  zone: Zone,
  bytes: Uint8Array,
  limit: number,
): Uint8Array | undefined {
  // deno-lint-ignore no-explicit-any
  const query: any = dnsPacket.decode(Buffer.from(bytes));
  const question = query.questions[0];
  const type: string = question.type;
  if (zone.silent?.has(type)) return undefined;
  const rcode = zone.rcodes?.get(type);
  const edns = query.additionals.find((record: { type: string }) => record.type === "OPT");
  const additionals = edns === undefined
    ? []
    : [{ type: "OPT", name: ".", udpPayloadSize: 1232, flags: 0, ednsVersion: 0, options: [] }];
  const answers: ZoneRecord[] = [];
  let name = question.name.toLowerCase();
  for (let i = 0; i < 20; i++) {
    const link = zone.records.find((record) =>
      record.name === name && record.type === "CNAME" && type !== "CNAME"
    );
    if (link === undefined) break;
    answers.push(link);
    name = link.data;
  }
  answers.push(...zone.records.filter((record) => record.name === name && record.type === type));
  const isKnown = answers.length > 0 || zone.records.some((record) => record.name === name);
  const encode = (truncated: boolean) => {
    const flags = dnsPacket.RECURSION_AVAILABLE | (query.flags & dnsPacket.RECURSION_DESIRED) |
      (truncated ? dnsPacket.TRUNCATED_RESPONSE : 0);
    const packet = Buffer.from(dnsPacket.encode({
      type: "response",
      id: query.id,
      flags,
      questions: [question],
      answers: truncated || rcode !== undefined ? [] : answers.map((a) => ({ ttl: 300, ...a })),
      additionals,
      // deno-lint-ignore no-explicit-any
    } as any));
    const code = { NXDOMAIN: 3, SERVFAIL: 2, FORMERR: 1, NOTIMP: 4, REFUSED: 5 }[
      rcode ?? (isKnown ? "" : "NXDOMAIN")
    ] ?? 0;
    packet[3] = (packet[3]! & 0xf0) | code;
    return new Uint8Array(packet);
  };
  const whole = encode(false);
  return whole.length > limit ? encode(true) : whole;
}

/** The UDP answer limit of a query. */
export function udpLimit(bytes: Uint8Array): number {
  // deno-lint-ignore no-explicit-any
  const query: any = dnsPacket.decode(Buffer.from(bytes));
  const edns = query.additionals.find((record: { type: string }) => record.type === "OPT");
  return edns?.udpPayloadSize ?? 512;
}

/** Serves a zone over UDP and TCP on loopback. */
export class TestDnsServer {
  readonly queries: { transport: "udp" | "tcp"; bytes: Uint8Array }[] = [];
  readonly #udp = dgram.createSocket("udp4");
  readonly #tcp: net.Server;
  readonly #connections = new Set<net.Socket>();

  private constructor(readonly zone: Zone, readonly port: number, readonly address: string) {
    this.#udp.on("message", (bytes: Uint8Array, peer: dgram.RemoteInfo) => {
      this.queries.push({ transport: "udp", bytes: Uint8Array.from(bytes) });
      const answer = answerQuery(zone, bytes, udpLimit(bytes));
      if (answer !== undefined) this.#udp.send(answer, peer.port, peer.address);
    });
    this.#tcp = net.createServer((socket) => {
      let buffer = Buffer.alloc(0);
      this.#connections.add(socket);
      socket.on("close", () => this.#connections.delete(socket));
      socket.on("error", () => {});
      socket.on("data", (piece: Uint8Array) => {
        buffer = Buffer.concat([buffer, piece]);
        while (buffer.length >= 2 && buffer.length >= 2 + buffer.readUInt16BE(0)) {
          const end = 2 + buffer.readUInt16BE(0);
          const bytes = Uint8Array.from(buffer.subarray(2, end));
          buffer = buffer.subarray(end);
          this.queries.push({ transport: "tcp", bytes });
          const answer = answerQuery(zone, bytes, 65535);
          if (answer === undefined) continue;
          socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length]), answer]));
        }
      });
    });
  }

  /** Starts on a given port. */
  static async start(zone: Zone, port: number, address = "127.0.0.1"): Promise<TestDnsServer> {
    const server = new TestDnsServer(zone, port, address);
    await new Promise<void>((done) => server.#udp.bind(port, address, () => done()));
    await new Promise<void>((done) => server.#tcp.listen(port, address, () => done()));
    return server;
  }

  async close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    await new Promise<void>((done) => this.#udp.close(() => done()));
    // Its callback waits for connections that the runtime does not always count down.
    this.#tcp.close();
  }
}
