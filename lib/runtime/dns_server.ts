/**
 * The sockets of the DNS proxy: UDP and TCP listeners on loopback (RFC 7766 §5), and one socket
 * with a random port of its own for every upstream query (RFC 5452 §9). What is said on them is
 * `lib/dns/proxy.ts`'s business.
 */

import dgram from "node:dgram";
import net from "node:net";

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Instant } from "../base/time.ts";
import type { DnsClient } from "../dns/client_query.ts";
import type { DnsProxy, ResolvedName } from "../dns/proxy.ts";
import type { UpstreamRequest, UpstreamServer } from "../dns/upstream.ts";
import { CLASS_IN, FLAG, TYPE } from "../wire/dns/code_points.ts";
import { emitQuestion, MessageBuilder } from "../wire/dns/message_builder.ts";
import { parseName } from "../wire/dns/name.ts";
import { isHit } from "../identity/hit.ts";
import { isLoopback, parseIpAddress } from "../wire/ip_address.ts";
import { readIfThere } from "./atomic_file.ts";
import { ownerOf } from "./socket_owners.ts";

/** Tried in turn; of each group the first address is needed and the others are a bonus. */
export const DEFAULT_LISTEN: readonly (readonly string[])[] = [
  ["127.0.0.1", "::1"],
  ["127.0.0.139"],
];

/** Bounds on client connections. */
export interface ConnectionLimits {
  /** At a time; the one idle for longest makes room. */
  readonly total: number;
  /** The same for those of one user of this host. */
  readonly perOwner: number;
  /** Milliseconds without a whole query after which one is closed. */
  readonly idleMs: number;
}

const CONNECTION_LIMITS: ConnectionLimits = { total: 128, perOwner: 16, idleMs: 10_000 };

/** Octets of answers that a client may leave unread. */
const MAX_UNREAD = 2 ** 20;

/** Milliseconds that a self-test waits for its answer. */
const SELF_TEST_TIMEOUT = 1000;

export interface DnsServerOptions {
  readonly proxy: DnsProxy;
  /** The clock of the loop. */
  readonly now: () => Instant;
  readonly logger: Logger;
  /** See `DEFAULT_LISTEN`. Loopback addresses only. */
  readonly listen?: readonly (readonly string[])[];
  readonly port?: number;
  readonly limits?: ConnectionLimits;
}

type ClientId =
  | { readonly kind: "udp"; readonly socket: dgram.Socket; readonly peer: dgram.RemoteInfo }
  | { readonly kind: "tcp"; readonly connection: Connection };

interface Connection {
  readonly socket: net.Socket;
  /** Address and port of the client. */
  readonly source: string;
  /** The user at the other end; found out when there are many connections. */
  owner: string | undefined;
  buffer: Uint8Array;
  lastUse: Instant;
  idleTimer: ReturnType<typeof setTimeout> | undefined;
}

interface Listener {
  readonly udp: dgram.Socket;
  readonly tcp: net.Server;
}

interface OpenRequest {
  close(): void;
}

/** A running DNS server. */
export class DnsServer {
  /** Where it listens; the first is the one for resolv.conf. */
  readonly addresses: string[] = [];
  readonly port: number;
  /** What the user should know, a sentence each: which address was taken. */
  readonly warnings: string[] = [];
  readonly #proxy: DnsProxy;
  readonly #now: () => Instant;
  readonly #logger: Logger;
  readonly #listeners: Listener[] = [];
  readonly #limits: ConnectionLimits;
  readonly #connections = new Set<Connection>();
  readonly #requests = new Map<number, OpenRequest>();
  readonly #waiting = new Map<number, (name: ResolvedName) => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  private constructor(options: DnsServerOptions) {
    this.#proxy = options.proxy;
    this.#now = options.now;
    this.#logger = options.logger;
    this.port = options.port ?? 53;
    this.#limits = options.limits ?? CONNECTION_LIMITS;
  }

  /**
   * Binds and serves.
   *
   * @throws {UserError} When no address can be had.
   */
  static async start(options: DnsServerOptions): Promise<DnsServer> {
    const server = new DnsServer(options);
    for (const group of options.listen ?? DEFAULT_LISTEN) {
      const outside = group.find((address) => !isLoopback(parseIpAddress(address)));
      if (outside !== undefined) {
        throw new UserError(`Cannot listen for DNS queries on ${outside}: it is not loopback.`);
      }
      if (await server.#listenGroup(group)) return server;
    }
    throw new UserError(
      `Cannot listen for DNS queries: ${server.warnings.join(" ")} Free port ${server.port} on ` +
        "one of these addresses or switch the DNS proxy off.",
    );
  }

  /** Where queries go from now on, without those that would lead back here. */
  setUpstreams(servers: readonly UpstreamServer[]): void {
    this.#proxy.setUpstreams(servers.filter(({ address, port }) => {
      const isOwn = port === this.port && this.addresses.includes(address);
      if (isOwn) this.#logger.log("debug", `${address} is our own address; not asked.`);
      // Whoever asks for names must not wait for an exchange, which may need a name.
      const isBehindHip = isHit(parseIpAddress(address.replace(/%.*/, "")));
      if (isBehindHip) {
        this.#logger.log("warning", `The DNS server ${address} is a HIT; it is not asked.`);
      }
      return !isOwn && !isBehindHip;
    }));
  }

  /** Asks the proxy about a name, as an application's AAAA query would. */
  resolve(name: string): Promise<ResolvedName> {
    const id = this.#proxy.resolve(this.#now(), name);
    const result = new Promise<ResolvedName>((done) => this.#waiting.set(id, done));
    this.#pump();
    return result;
  }

  /**
   * Asks itself over UDP and TCP through the first address, before anything is pointed at it.
   *
   * @throws {UserError} When an answer is missing.
   */
  async selfTest(): Promise<void> {
    const address = this.addresses[0]!;
    const query = new MessageBuilder({
      id: 0x4849,
      flags: FLAG.RD,
      question: emitQuestion(parseName("localhost."), TYPE.AAAA, CLASS_IN),
    }).finish();
    for (const transport of ["udp", "tcp"] as const) {
      const isAnswered = await new Promise<boolean>((done) => {
        const request: UpstreamRequest = {
          requestId: 0,
          transport,
          server: { address, port: this.port },
          bytes: query,
        };
        const opened = openRequest(request, (bytes) => {
          done((bytes[2]! & 0x80) !== 0);
          finish();
        }, () => {
          done(false);
          finish();
        });
        const timer = setTimeout(() => {
          done(false);
          finish();
        }, SELF_TEST_TIMEOUT);
        const finish = () => {
          clearTimeout(timer);
          opened.close();
        };
      });
      if (!isAnswered) {
        throw new UserError(
          `The DNS proxy does not answer over ${transport.toUpperCase()} on ${address} port ` +
            `${this.port}; the resolver configuration stays as it is.`,
        );
      }
    }
  }

  /** Stops serving and closes every socket. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const request of this.#requests.values()) request.close();
    this.#requests.clear();
    for (const { socket, idleTimer } of this.#connections) {
      clearTimeout(idleTimer);
      socket.destroy();
    }
    this.#connections.clear();
    await Promise.all(this.#listeners.map(({ udp, tcp }) => {
      // The port is free at once; the runtime does not always report the end of a server that
      // had connections, so nothing waits for it.
      tcp.close();
      return new Promise<void>((done) => udp.close(() => done()));
    }));
  }

  async #listenGroup(group: readonly string[]): Promise<boolean> {
    for (const [place, address] of group.entries()) {
      try {
        this.#listeners.push(await this.#listen(address));
        this.addresses.push(address);
      } catch (error) {
        const code = errorCode(error);
        if (code === "EACCES" || code === "EPERM") {
          await this.close();
          throw new UserError(
            `Cannot open port ${this.port} on ${address} (permission denied). Run as root, or ` +
              "give the program CAP_NET_BIND_SERVICE.",
          );
        }
        if (place > 0) {
          this.#logger.log("debug", `No DNS listener on ${address} (${code}).`);
          continue;
        }
        const reason = code === "EADDRINUSE" ? "taken by another program" : `not usable (${code})`;
        this.warnings.push(`Port ${this.port} on ${address} is ${reason}.`);
        return false;
      }
    }
    return true;
  }

  async #listen(address: string): Promise<Listener> {
    const udp = dgram.createSocket(net.isIPv6(address) ? "udp6" : "udp4");
    await new Promise<void>((done, failed) => {
      udp.once("error", failed);
      udp.bind({ address, port: this.port, exclusive: true }, () => {
        udp.off("error", failed);
        done();
      });
    });
    const tcp = net.createServer((socket) => this.#accept(socket));
    try {
      await new Promise<void>((done, failed) => {
        tcp.once("error", failed);
        tcp.listen({ host: address, port: this.port, exclusive: true }, () => {
          tcp.off("error", failed);
          done();
        });
      });
    } catch (error) {
      udp.close();
      throw error;
    }
    const report = (error: Error) => {
      this.#logger.log("warning", `DNS listener on ${address}: ${error.message}.`);
    };
    tcp.on("error", report);
    udp.on("error", report);
    udp.on("message", (bytes: Uint8Array, peer: dgram.RemoteInfo) => {
      this.#query({ kind: "udp", socket: udp, peer }, bytes);
    });
    return { udp, tcp };
  }

  #accept(socket: net.Socket): void {
    const { remoteAddress, remotePort } = socket;
    if (!isAllowedClient(remoteAddress)) {
      this.#proxy.counters.count("queries-refused");
      socket.destroy();
      return;
    }
    const connection: Connection = {
      socket,
      source: `${remoteAddress}:${remotePort}/tcp`,
      owner: undefined,
      buffer: new Uint8Array(0),
      lastUse: this.#now(),
      idleTimer: undefined,
    };
    this.#connections.add(connection);
    const { perOwner, total } = this.#limits;
    if (this.#connections.size > Math.min(perOwner, total)) this.#makeRoom(connection);
    const close = () => {
      clearTimeout(connection.idleTimer);
      this.#connections.delete(connection);
      socket.destroy();
    };
    // Only whole queries keep it open: one octet now and then does not.
    const keepOpen = () => {
      clearTimeout(connection.idleTimer);
      connection.lastUse = this.#now();
      connection.idleTimer = setTimeout(close, this.#limits.idleMs);
    };
    keepOpen();
    socket.on("error", close);
    socket.on("close", close);
    socket.on("data", (bytes: Uint8Array) => {
      // RFC 7766 §6.2.1: several queries may come in one piece, and one in several pieces.
      const { messages, rest } = splitFrames(connection.buffer, bytes);
      connection.buffer = rest;
      if (messages.length > 0) keepOpen();
      for (const message of messages) this.#query({ kind: "tcp", connection }, message);
    });
  }

  /** Closes the connection idle for longest of whoever has too many, or of all. */
  #makeRoom(latest: Connection): void {
    for (const connection of this.#connections) {
      connection.owner ??= ownerOfConnection(connection.socket);
    }
    const ofOwner = [...this.#connections].filter(({ owner }) => owner === latest.owner);
    const crowd = ofOwner.length > this.#limits.perOwner
      ? ofOwner
      : this.#connections.size > this.#limits.total
      ? [...this.#connections]
      : [];
    const others = crowd.filter((connection) => connection !== latest);
    if (others.length === 0) return;
    const idle = others.reduce((a, b) => a.lastUse <= b.lastUse ? a : b);
    this.#connections.delete(idle);
    idle.socket.destroy();
  }

  #query(id: ClientId, bytes: Uint8Array): void {
    if (this.#isClosed) return;
    if (id.kind === "udp" && !isAllowedClient(id.peer.address)) {
      this.#proxy.counters.count("queries-refused");
      return;
    }
    const client: DnsClient = { id, transport: id.kind, source: sourceOf(id), isLoopback: true };
    this.#proxy.handleQuery(this.#now(), client, Uint8Array.from(bytes));
    this.#pump();
  }

  /** Does all that the proxy wants done, then sleeps until it wants something again. */
  #pump(): void {
    if (this.#isClosed) return;
    const proxy = this.#proxy;
    for (let answer = proxy.pollAnswer(); answer; answer = proxy.pollAnswer()) {
      reply(answer.client.id as ClientId, answer.bytes);
    }
    for (let id = proxy.pollFinished(); id !== undefined; id = proxy.pollFinished()) {
      this.#requests.get(id)?.close();
      this.#requests.delete(id);
    }
    for (let request = proxy.pollRequest(); request; request = proxy.pollRequest()) {
      this.#send(request);
    }
    for (let name = proxy.pollResolved(); name; name = proxy.pollResolved()) {
      this.#waiting.get(name.id)?.(name);
      this.#waiting.delete(name.id);
    }
    clearTimeout(this.#timer);
    const next = proxy.nextTimeout();
    if (next === undefined) return;
    this.#timer = setTimeout(() => {
      proxy.handleTimeout(this.#now());
      this.#pump();
    }, Math.max(0, Math.ceil(next - this.#now())));
  }

  #send(request: UpstreamRequest): void {
    const { requestId } = request;
    const opened = openRequest(request, (bytes) => {
      this.#proxy.handleUpstream(this.#now(), requestId, bytes);
      this.#pump();
    }, () => {
      this.#proxy.handleUpstreamFailure(this.#now(), requestId);
      this.#pump();
    });
    this.#requests.set(requestId, opened);
  }
}

/** Sends one query from a socket of its own; exactly the server's messages come back. */
function openRequest(
  request: UpstreamRequest,
  receive: (bytes: Uint8Array) => void,
  fail: () => void,
): OpenRequest {
  return request.transport === "udp"
    ? openUdpRequest(request, receive, fail)
    : openTcpRequest(request, receive, fail);
}

function openUdpRequest(
  { server, bytes }: UpstreamRequest,
  receive: (bytes: Uint8Array) => void,
  fail: () => void,
): OpenRequest {
  const socket = dgram.createSocket(net.isIPv6(server.address) ? "udp6" : "udp4");
  let isOpen = true;
  const report = () => {
    if (isOpen) fail();
  };
  socket.on("error", report);
  socket.on("message", (message: Uint8Array, peer: dgram.RemoteInfo) => {
    // RFC 5452 §9: the answer comes from where the question went.
    const address = peer.address.replace(/%.*/, "");
    if (peer.port !== server.port || address !== server.address.replace(/%.*/, "")) return;
    if (isOpen) receive(Uint8Array.from(message));
  });
  // An error is reported later, never inside this call, so that the caller knows the request.
  socket.send(bytes, server.port, server.address, (error) => {
    if (error) queueMicrotask(report);
  });
  return {
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      socket.close();
    },
  };
}

function openTcpRequest(
  { server, bytes }: UpstreamRequest,
  receive: (bytes: Uint8Array) => void,
  fail: () => void,
): OpenRequest {
  const socket = net.connect({ host: server.address, port: server.port });
  let isOpen = true;
  let buffer = new Uint8Array(0);
  const report = () => {
    if (!isOpen) return;
    isOpen = false;
    socket.destroy();
    fail();
  };
  socket.on("connect", () => socket.write(frame(bytes)));
  socket.on("error", report);
  socket.on("close", report);
  socket.on("data", (piece: Uint8Array) => {
    const { messages, rest } = splitFrames(buffer, piece);
    buffer = rest;
    for (const message of messages) if (isOpen) receive(message);
  });
  return {
    close: () => {
      isOpen = false;
      socket.destroy();
    },
  };
}

/** Whose share a client's queries use up. */
function sourceOf(id: ClientId): string {
  if (id.kind === "tcp") return id.connection.source;
  return `${id.peer.address}:${id.peer.port}`;
}

/** @param bytes Undefined: the connection is closed. */
function reply(client: ClientId, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) {
    if (client.kind === "tcp") client.connection.socket.destroy();
    return;
  }
  if (client.kind === "udp") {
    client.socket.send(bytes, client.peer.port, client.peer.address, () => {});
  } else if (!client.connection.socket.destroyed) {
    client.connection.socket.write(frame(bytes));
    // Whoever asks and does not read is not waited for.
    if (client.connection.socket.writableLength > MAX_UNREAD) client.connection.socket.destroy();
  }
}

/** Whether queries from an address are answered: this host's own programs alone are served. */
function isAllowedClient(address: string | undefined): boolean {
  return address !== undefined && isLoopback(parseIpAddress(address.replace(/%.*/, "")));
}

/** The user at the other end of a connection; "" when the kernel does not say. */
function ownerOfConnection(
  { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 }: net.Socket,
): string {
  const list = readIfThere(`/proc/net/${net.isIPv6(remoteAddress) ? "tcp6" : "tcp"}`) ?? "";
  const client = { address: remoteAddress, port: remotePort };
  return ownerOf(list, client, { address: localAddress, port: localPort }) ?? "";
}

/** Length prefix and message together, to be written at once (RFC 7766 §8). */
export function frame(bytes: Uint8Array): Uint8Array {
  const framed = new Uint8Array(2 + bytes.length);
  framed[0] = bytes.length >> 8;
  framed[1] = bytes.length & 0xff;
  framed.set(bytes, 2);
  return framed;
}

/** The whole messages in what has arrived on a connection, and the octets of the next one. */
export function splitFrames(
  before: Uint8Array,
  piece: Uint8Array,
): { messages: Uint8Array[]; rest: Uint8Array<ArrayBuffer> } {
  const all = new Uint8Array(before.length + piece.length);
  all.set(before);
  all.set(piece, before.length);
  const messages: Uint8Array[] = [];
  let start = 0;
  while (all.length - start >= 2) {
    const end = start + 2 + ((all[start]! << 8) | all[start + 1]!);
    if (end > all.length) break;
    messages.push(all.slice(start + 2, end));
    start = end;
  }
  return { messages, rest: all.slice(start) };
}

function errorCode(error: unknown): string {
  return (error as { code?: string }).code ?? String(error);
}
