/** The DNS proxy between a client of the test and a zone of the test, with a clock. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import dnsPacket from "dns-packet";
import type { LogLevel } from "../../lib/base/logger.ts";
import type { Random } from "../../lib/base/random.ts";
import { instant } from "../../lib/base/time.ts";
import type { DnsClient } from "../../lib/dns/client_query.ts";
import { DnsProxy, type DnsProxyOptions } from "../../lib/dns/proxy.ts";
import type { UpstreamRequest } from "../../lib/dns/upstream.ts";
import { dnsKeyToHostIdentity, formatHit, hitOf } from "../../lib/identity/hit.ts";
import type { PeerMapping } from "../../lib/identity/peer_directory.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";
import { answerQuery, hipRdata, udpLimit, type Zone } from "./dns_server.ts";

// deno-lint-ignore no-explicit-any
export type Packet = any;

export function seedOf(name: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(name).digest());
}

export const ECDSA_KEY = p256.getPublicKey(seedOf("ecdsa"), false).subarray(1);
export const ECDSA_HIT = hitOf(dnsKeyToHostIdentity(3, ECDSA_KEY)!);
export const EDDSA_KEY = ed25519.getPublicKey(seedOf("eddsa"));
export const EDDSA_HIT = hitOf(dnsKeyToHostIdentity(4, EDDSA_KEY)!);

/** Deterministic; never used for anything but identifiers. */
class TestRandom implements Random {
  #state = 1;
  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      this.#state = (this.#state * 1103515245 + 12345) >>> 0;
      bytes[i] = this.#state >>> 16;
    }
  }
}

/** A proxy, a zone behind it, and a clock. */
export class ProxyBench {
  now = 1000;
  readonly learned: PeerMapping[] = [];
  readonly log: string[] = [];
  readonly asked: { request: UpstreamRequest; question: Packet }[] = [];
  readonly answers: { client: DnsClient; bytes: Uint8Array }[] = [];
  /** Clients whose connection is to be closed. */
  readonly closed: DnsClient[] = [];
  readonly finished: number[] = [];
  /** Order of what happened, for the rule that the mapping comes first. */
  readonly events: string[] = [];
  takes: boolean | Error | "later" = true;
  /** Answers for the engine, where `takes` is "later". */
  acknowledge: (isTaken: boolean) => void = () => {};
  readonly confirmed: { name: string; hits: readonly Uint8Array[] }[] = [];
  /** Changes what upstream says; undefined drops it. */
  upstream = (request: UpstreamRequest): Uint8Array | undefined =>
    answerQuery(
      this.zone,
      request.bytes,
      request.transport === "tcp" ? 65535 : udpLimit(request.bytes),
    );
  readonly proxy: DnsProxy;

  constructor(readonly zone: Zone, servers = 1, options: Partial<DnsProxyOptions> = {}) {
    this.proxy = new DnsProxy({
      learn: (now, mapping, done) => {
        if (this.takes instanceof Error) throw this.takes;
        this.learned.push(mapping);
        this.events.push("learn");
        if (this.takes === "later") {
          this.acknowledge = (isTaken) => done(instant(this.now), isTaken);
        } else done(now, this.takes);
      },
      confirm: (name, hits) => this.confirmed.push({ name, hits }),
      ...options,
      ownHits: [{ hit: EDDSA_HIT, name: "me.example" }],
      random: new TestRandom(),
      logger: { log: (level: LogLevel, message) => this.log.push(`${level}: ${message}`) },
    });
    this.proxy.setUpstreams(
      Array.from({ length: servers }, (_, i) => ({ address: `192.0.2.${i + 1}`, port: 53 })),
    );
  }

  /** Lets everything happen that can happen at this instant. */
  settle(): void {
    for (;;) {
      const request = this.proxy.pollRequest();
      if (request === undefined) break;
      const question: Packet = dnsPacket.decode(Buffer.from(request.bytes));
      this.asked.push({ request, question });
      const answer = this.upstream(request);
      if (answer !== undefined) {
        this.proxy.handleUpstream(instant(this.now), request.requestId, answer);
      }
    }
    for (let a = this.proxy.pollAnswer(); a; a = this.proxy.pollAnswer()) {
      if (a.bytes === undefined) {
        this.closed.push(a.client);
        continue;
      }
      this.events.push("answer");
      this.answers.push({ client: a.client, bytes: a.bytes });
    }
    for (let id = this.proxy.pollFinished(); id; id = this.proxy.pollFinished()) {
      this.finished.push(id);
    }
  }

  /** Moves the clock from timer to timer. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const next = this.proxy.nextTimeout();
      if (next === undefined || next > end) break;
      this.now = Math.max(this.now, next);
      this.proxy.handleTimeout(instant(this.now));
      this.settle();
    }
    this.now = end;
  }

  send(bytes: Uint8Array, transport: "udp" | "tcp" = "udp", source = "127.0.0.1:4000"): void {
    const client = { id: "client", transport, source, isLoopback: true };
    this.proxy.handleQuery(instant(this.now), client, bytes);
    this.settle();
  }

  /** Asks and gives the reply as dns-packet reads it. */
  ask(name: string, type: string, options: QueryOptions = {}): Packet {
    this.send(query(name, type, options), options.transport);
    const answer = this.answers.pop();
    return answer === undefined ? undefined : dnsPacket.decode(Buffer.from(answer.bytes));
  }
}

export interface QueryOptions {
  edns?: number;
  dnssecOk?: boolean;
  /** With a cookie in OPT (RFC 7873). */
  cookie?: boolean;
  flags?: number;
  id?: number;
  transport?: "udp" | "tcp";
}

export function query(name: string, type: string, options: QueryOptions = {}): Uint8Array {
  return new Uint8Array(dnsPacket.encode({
    type: "query",
    id: options.id ?? 0x4242,
    flags: options.flags ?? dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type, class: "IN" }],
    additionals: options.edns === undefined ? [] : [{
      type: "OPT",
      name: ".",
      udpPayloadSize: options.edns,
      flags: options.dnssecOk === true ? 0x8000 : 0,
      options: options.cookie === true ? [{ code: 10, data: Buffer.from("12345678") }] : [],
    }],
  } as Packet));
}

/** Addresses of an answer in order. */
export function addresses(packet: Packet): string[] {
  return packet.answers.filter((r: Packet) => r.type === "AAAA" || r.type === "A")
    .map((r: Packet) => formatIpAddress(parseIpAddress(r.data)));
}

export const HIT = formatHit(ECDSA_HIT);

export function zone(...more: Zone["records"]): Zone {
  return {
    records: [
      { name: "www.example", type: "HIP", data: hipRdata(3, ECDSA_HIT, ECDSA_KEY) },
      { name: "www.example", type: "AAAA", data: "2001:db8::9" },
      { name: "www.example", type: "AAAA", data: "2001:db8::1" },
      { name: "www.example", type: "A", data: "192.0.2.80", ttl: 100 },
      { name: "plain.example", type: "AAAA", data: "2001:db8::2" },
      { name: "plain.example", type: "A", data: "192.0.2.2" },
      ...more,
    ],
  };
}
