/**
 * What the control socket can be asked: one function per method, from an agent and parameters to a
 * result. No sockets here; the tests call them with an agent made of a few functions.
 */

import type { AnonymousPeer } from "../engine/anonymous_identities.ts";
import type { AssociationStatus, EngineEvent } from "../engine/effects.ts";
import { formatHit, isHit } from "../identity/hit.ts";
import { parseIpAddress } from "../wire/ip_address.ts";
import {
  ApiRefusal,
  type ApiRequest,
  type ApiResponse,
  type AssociationReport,
  associationReport,
  type LookupReport,
  type StatusReport,
} from "./api_protocol.ts";

/** How long `connect` waits for an exchange, in milliseconds; the engine gives up at 4.5 s. */
const CONNECT_TIMEOUT_MS = 5000;

/** How long `rekey` waits for the peer, and between two looks, in milliseconds. */
const REKEY_TIMEOUT_MS = 15_000;
const REKEY_POLL_MS = 10;

/** How long `ping` waits for one reply, in milliseconds. */
const PING_TIMEOUT_MS = 2000;

/** What the handlers need of an agent. */
export interface ApiAgent {
  /** The engine's time, in milliseconds. */
  now(): number;
  status(): StatusReport;
  /** Resolves once HITs can be bound and the proxy answers. */
  readonly ready: Promise<void>;
  /** Starts an exchange where there is none; false when no address of the peer is known. */
  connect(peerHit: Uint8Array): boolean;
  association(peerHit: Uint8Array): AssociationStatus | undefined;
  /** Whether an address of a peer is known. */
  isReachable(peerHit: Uint8Array): boolean;
  /** Starts an exchange with whoever answers at an address (RFC 7401 §4.1.8). */
  connectOpportunistic(address: Uint8Array): void;
  /** The association that carries data to an address, or the opportunistic one made for it. */
  associationAt(address: Uint8Array): AssociationStatus | undefined;
  /** The association that has an anonymous identity of its own, with a HIT or at an address. */
  anonymousAssociation(peer: AnonymousPeer): AssociationStatus | undefined;
  /** Meets a peer under an identity made for it; false when there are too many. */
  connectAnonymously(peer: AnonymousPeer): boolean;
  /** Begins to replace the keys; false when a rekey is under way already. */
  rekey(peerHit: Uint8Array, withDh: boolean): boolean;
  /** Closes the association; false when there is none. */
  close(peerHit: Uint8Array): boolean;
  /** Sends an ICMPv6 echo request through HIP; its time in ms, or undefined without a reply. */
  echo(
    pair: { readonly peerHit: Uint8Array; readonly localHit: Uint8Array | undefined },
    sequence: number,
    timeoutMs: number,
  ): Promise<number | undefined>;
  lookup(name: string): Promise<LookupReport>;
  /** Reads the hosts file anew; the number of names in it. */
  reloadHosts(): number;
  /** Forgets what DNS servers have said. */
  flushNames(): void;
  /** Ends the agent in good order, after the answer was sent. */
  shutdown(): void;
  /** Calls `listener` for every event until the function returned is called. */
  onEvent(listener: (event: EngineEvent) => void): () => void;
}

/** Carries out one request. Never rejects: what fails becomes an answer. */
export async function handleRequest(agent: ApiAgent, request: ApiRequest): Promise<ApiResponse> {
  try {
    const handler = Object.hasOwn(HANDLERS, request.method) ? HANDLERS[request.method] : undefined;
    if (handler === undefined) {
      throw new ApiRefusal("unknown-method", `There is no method "${request.method}"`);
    }
    return { id: request.id, ok: true, result: await handler(agent, request.params) ?? {} };
  } catch (error) {
    const refusal = error instanceof ApiRefusal
      ? error
      : new ApiRefusal("internal", error instanceof Error ? error.message : String(error));
    const { code, message } = refusal;
    return { id: request.id, ok: false, error: { code, message } };
  }
}

type Parameters = ApiRequest["params"];
type Handler = (agent: ApiAgent, params: Parameters) => unknown;

const HANDLERS: { readonly [method: string]: Handler } = {
  status: (agent) => agent.status(),
  wait: async (agent, params) => {
    const timeoutMs = numberOf(params, "timeoutMs", 600_000);
    if (!await within(timeoutMs, agent.ready)) {
      throw new ApiRefusal("not-ready", "hip is not ready yet");
    }
  },
  connect: async (agent, params) => {
    const startedAt = agent.now();
    const association = await connected(agent, await targetOf(agent, params));
    return { ...association, waitedMs: agent.now() - startedAt };
  },
  ping: async (agent, params) => {
    const { hit } = await resolvePeer(agent, params);
    const sequence = numberOf(params, "sequence", 1) & 0xffff;
    const timeoutMs = numberOf(params, "timeoutMs", PING_TIMEOUT_MS);
    const localHit = params["from"] === undefined ? undefined : parseHit(textOf(params, "from"));
    return { rttMs: await agent.echo({ peerHit: hit, localHit }, sequence, timeoutMs) ?? null };
  },
  resolve: async (agent, params) => ({ hit: formatHit((await resolvePeer(agent, params)).hit) }),
  rekey: async (agent, params) => {
    const peer = await resolvePeer(agent, params);
    return await rekeyed(agent, peer, params["withDh"] === true);
  },
  close: async (agent, params) => {
    const { hit, text } = await resolvePeer(agent, params);
    if (!agent.close(hit)) {
      throw new ApiRefusal("not-found", `There is no association with ${text}`);
    }
  },
  lookup: (agent, params) => agent.lookup(textOf(params, "name")),
  reload: (agent) => ({ names: agent.reloadHosts() }),
  flush: (agent) => {
    agent.flushNames();
    return {};
  },
  events: () => ({}),
  down: (agent) => agent.shutdown(),
};

interface Peer {
  readonly hit: Uint8Array;
  /** As the user wrote it. */
  readonly text: string;
}

/** The peer named by "peer": a HIT, a peer with an association, or a name to look up. */
async function resolvePeer(agent: ApiAgent, params: Parameters): Promise<Peer> {
  const text = textOf(params, "peer");
  const hit = parseHit(text);
  if (hit !== undefined) return { hit, text };
  const report = await agent.lookup(text);
  // RFC 7401 §6.6 step 1: of several HITs one that we can verify.
  const first = report.identities.find(({ isAccepted }) => isAccepted);
  if (first === undefined) {
    const reason = report.identities.length > 0
      ? "its HIT is of a suite that is not among hit_suites"
      : report.answer.length > 0
      ? "it has addresses but no Host Identity"
      : `neither DNS nor the hosts file knows it (${report.responseCode})`;
    throw new ApiRefusal("not-found", `${text} cannot be reached over HIP: ${reason}`);
  }
  return { hit: parseIpAddress(first.hit), text };
}

function parseHit(text: string): Uint8Array | undefined {
  const address = parseAddress(text);
  if (address !== undefined && !isHit(address)) {
    throw new ApiRefusal("bad-request", `${text} is an address, but not a HIT`);
  }
  return address;
}

function parseAddress(text: string): Uint8Array | undefined {
  try {
    return parseIpAddress(text);
  } catch {
    return undefined;
  }
}

/** What `connect` is to reach, and how. */
interface Target {
  /** As the user wrote it. */
  readonly text: string;
  /** Whether the association comes some time after `start`: its identity is made first. */
  readonly isDelayed?: boolean;
  find(): AssociationStatus | undefined;
  /** @throws {ApiRefusal} When it cannot be started. */
  start(): void;
}

/** A plain address means opportunistic mode; everything else is a peer with a HIT. */
async function targetOf(agent: ApiAgent, params: Parameters): Promise<Target> {
  const text = textOf(params, "peer");
  const isAnonymous = params["anonymous"] === true;
  const address = parseAddress(text);
  if (address !== undefined && !isHit(address)) {
    if (isAnonymous) return anonymousTarget(agent, text, { address });
    return {
      text,
      find: () => agent.associationAt(address),
      start: () => {
        agent.connectOpportunistic(address);
        // Whoever has no HIT yet is met one at a time.
        if (agent.associationAt(address) !== undefined) return;
        throw new ApiRefusal(
          "not-ready",
          "Another host is being met by its address alone. Try again in some seconds",
        );
      },
    };
  }
  const { hit } = await resolvePeer(agent, params);
  if (isAnonymous) return anonymousTarget(agent, text, { hit });
  return {
    text,
    find: () => agent.association(hit),
    start: () => {
      if (!agent.connect(hit)) throw noAddress(text);
    },
  };
}

function anonymousTarget(agent: ApiAgent, text: string, peer: AnonymousPeer): Target {
  return {
    text,
    isDelayed: true,
    find: () => agent.anonymousAssociation(peer),
    start: () => {
      if ("hit" in peer && !agent.isReachable(peer.hit)) throw noAddress(text);
      if (agent.connectAnonymously(peer)) return;
      throw new ApiRefusal("not-ready", "There are too many anonymous identities already");
    },
  };
}

function noAddress(peer: string): ApiRefusal {
  return new ApiRefusal(
    "unreachable",
    `No address is known for ${peer}. Give one with: hip host add HIT locator=ADDRESS NAME`,
  );
}

/** Waits until the association carries data; refuses with the reason when it does not. */
async function connected(agent: ApiAgent, peer: Target): Promise<AssociationReport> {
  const current = () => {
    const status = peer.find();
    return status === undefined ? undefined : associationReport(status, agent.now());
  };
  const isUp = (state: string | undefined) => state === "ESTABLISHED" || state === "R2-SENT";
  const before = current();
  if (before !== undefined && isUp(before.state)) return before;

  let wake = () => {};
  const changed = () => new Promise<void>((resolve) => wake = resolve);
  const stop = agent.onEvent((event) => {
    if (event.kind === "state") wake();
  });
  try {
    let change = changed();
    peer.start();
    const deadline = agent.now() + CONNECT_TIMEOUT_MS;
    let isThere = peer.isDelayed !== true;
    for (;;) {
      const association = current();
      if (association !== undefined && isUp(association.state)) return association;
      const isOver = association === undefined
        ? isThere
        : ["E-FAILED", "UNASSOCIATED"].includes(association.state);
      isThere ||= association !== undefined;
      const left = deadline - agent.now();
      if (isOver || left <= 0) {
        const why = association?.failure ?? "no answer";
        // Between two attempts nothing is sent: what is known is that of the last one.
        const when = before?.state === "E-FAILED"
          ? ". That was the last attempt; try again later"
          : "";
        throw new ApiRefusal(
          "unreachable",
          `${peer.text} cannot be reached over HIP: ${why}${when}`,
        );
      }
      await within(left, change);
      change = changed();
    }
  } finally {
    stop();
  }
}

/** Replaces the keys and waits until the new ones are in use; refuses when that does not happen. */
async function rekeyed(agent: ApiAgent, peer: Peer, withDh: boolean): Promise<AssociationReport> {
  const { hit, text } = peer;
  const before = agent.association(hit);
  if (before?.state !== "ESTABLISHED") {
    throw new ApiRefusal("not-found", `There is no established association with ${text}`);
  }
  if (!agent.rekey(hit, withDh)) {
    throw new ApiRefusal("not-ready", `The association with ${text} is being rekeyed already`);
  }
  const deadline = agent.now() + REKEY_TIMEOUT_MS;
  for (;;) {
    const current = agent.association(hit);
    if (current?.state !== "ESTABLISHED") {
      throw new ApiRefusal("unreachable", `The association with ${text} has ended`);
    }
    const isNew = current.inboundSpi !== before.inboundSpi &&
      current.outboundSpi !== before.outboundSpi;
    if (isNew) return associationReport(current, agent.now());
    if (agent.now() >= deadline) {
      throw new ApiRefusal("unreachable", `${text} has not answered; the old keys stay in use`);
    }
    await new Promise((resolve) => setTimeout(resolve, REKEY_POLL_MS));
  }
}

/** Whether `promise` settled within `timeoutMs` milliseconds. */
async function within(timeoutMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: number | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([promise.then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function textOf(params: Parameters, key: string): string {
  const value = params[key];
  if (typeof value !== "string" || value === "" || value.length > 255) {
    throw new ApiRefusal("bad-request", `"${key}" must be a text of 1 to 255 characters`);
  }
  return value;
}

function numberOf(params: Parameters, key: string, fallback: number): number {
  const value = params[key] ?? fallback;
  if (typeof value !== "number" || !(value >= 0 && value <= 86_400_000)) {
    throw new ApiRefusal("bad-request", `"${key}" must be a number from 0 to 86400000`);
  }
  return value;
}
