/** Words for short stories of two engines: who is who, what was sent, what an enemy changes. */

import { compareBytes } from "../../lib/base/bytes.ts";
import { PACKET, PARAMETER } from "../../lib/wire/hip/code_points.ts";
import {
  emitHipPacket,
  HIP_FIELD,
  HIP_PROTOCOL,
  parseHipPacket,
  setChecksum,
} from "../../lib/wire/hip/packet.ts";
import type { Job } from "../../lib/hip/jobs.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { hipOctets, isEsp } from "./datagrams.ts";
import { End, EnginePair } from "./engine_pair.ts";
import { testIdentity } from "./identities.ts";

export const ESP = 50;

/** Alice and Bob; Alice knows where Bob is. */
export function makePair(options: ConstructorParameters<typeof End>[3] = {}): EnginePair {
  const a = new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 1, options);
  const b = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 2, options);
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  return pair;
}

/** Type of a HIP packet, -1 for anything else. */
export function typeOf(packet: OutgoingPacket): number {
  const octets = hipOctets(packet);
  return octets === undefined ? -1 : octets[HIP_FIELD.packetType]! & 0x7f;
}

/** Whether it is neither NOTIFY nor ICMP. */
export function isNoReport(packet: OutgoingPacket): boolean {
  return isEsp(packet) || ![-1, PACKET.NOTIFY].includes(typeOf(packet));
}

/** What was on the wire, in order. */
export function wireTypes(pair: EnginePair): (number | "ESP")[] {
  return pair.wire.map((packet) => isEsp(packet) ? "ESP" : typeOf(packet));
}

/** The states of Alice towards Bob and of Bob towards Alice. */
export function states(pair: EnginePair): (string | undefined)[] {
  const { a, b } = pair;
  return [a.engine.association(b.hit)?.state, b.engine.association(a.hit)?.state];
}

/** A copy with some octets changed and the checksum made right again. */
export function altered(
  packet: OutgoingPacket,
  change: (bytes: Uint8Array) => void,
): OutgoingPacket {
  const bytes = packet.bytes.slice();
  change(bytes);
  setChecksum(bytes, packet.source, packet.destination);
  return { ...packet, bytes };
}

/** A copy with the last octet of a parameter's contents changed. */
export function spoilt(packet: OutgoingPacket, parameter: keyof typeof PARAMETER): OutgoingPacket {
  const raw = parseHipPacket(packet.bytes).raw(PARAMETER[parameter])!;
  return altered(packet, (bytes) => bytes[raw.offset + 4 + raw.contents.length - 1]! ^= 1);
}

/** A packet that one end never sent, though it could have come from there. */
export function forged(
  from: End,
  to: End,
  packetType: number,
  parameters: Uint8Array[] = [],
): OutgoingPacket {
  const header = { packetType, senderHit: from.hit, receiverHit: to.hit };
  const bytes = emitHipPacket(header, parameters);
  setChecksum(bytes, from.address, to.address);
  const path = { source: from.address, destination: to.address };
  return { protocol: HIP_PROTOCOL, ...path, bytes, trafficClass: 0, hopLimit: 64 };
}

/** Runs something while the wire swallows one type of packet; gives what was swallowed. */
export function swallowing(pair: EnginePair, type: number, action: () => void): OutgoingPacket[] {
  const swallowed: OutgoingPacket[] = [];
  const { passes } = pair;
  pair.passes = (packet) => {
    if (typeOf(packet) !== type) return true;
    swallowed.push(packet);
    return false;
  };
  action();
  pair.settle();
  pair.passes = passes;
  return swallowed;
}

/** The first packet of a type that an exchange begun by Alice brings; nothing comes of it. */
export function connecting(pair: EnginePair, type: number): OutgoingPacket {
  return swallowing(pair, type, () => pair.a.engine.connect(pair.now, pair.b.hit))[0]!;
}

export const STATES = [
  "UNASSOCIATED",
  "I1-SENT",
  "I2-SENT",
  "R2-SENT",
  "ESTABLISHED",
  "CLOSING",
  "CLOSED",
] as const;

/** A host in some state towards a peer. Its HIT is the greater one, so that no crossing counts. */
export interface Scene {
  readonly pair: EnginePair;
  readonly host: End;
  readonly peer: End;
  state(): string;
  /**
   * Gives a packet to the host. @returns What it sends in return, and the jobs this costs; reports
   * of errors, of which `notify_test.ts` and `icmp_test.ts` tell, are left out.
   */
  meet(packet: OutgoingPacket): { sent: OutgoingPacket[]; jobs: string[] };
}

/** Brings a host into a state. */
export function sceneIn(
  state: (typeof STATES)[number],
  options: ConstructorParameters<typeof End>[3] = {},
): Scene {
  const pair = makePair(options);
  const isAliceHost = compareBytes(pair.a.hit, pair.b.hit) > 0;
  const [host, peer] = isAliceHost ? [pair.a, pair.b] : [pair.b, pair.a];
  pair.introduce(host, peer);
  pair.introduce(peer, host);
  const connect = (from: End, to: End) => from.engine.connect(pair.now, to.hit);
  switch (state) {
    case "UNASSOCIATED":
      break;
    case "I1-SENT":
      swallowing(pair, PACKET.I1, () => connect(host, peer));
      break;
    case "I2-SENT":
      swallowing(pair, PACKET.R2, () => connect(host, peer));
      break;
    case "R2-SENT":
      connect(peer, host);
      break;
    case "ESTABLISHED":
      pair.ping(host, peer);
      break;
    case "CLOSING":
      pair.ping(host, peer);
      swallowing(pair, PACKET.CLOSE, () => host.engine.close(pair.now, peer.hit));
      break;
    case "CLOSED":
      pair.ping(host, peer);
      peer.engine.close(pair.now, host.hit);
  }
  pair.settle();
  return {
    pair,
    host,
    peer,
    state: () => host.engine.association(peer.hit)?.state ?? "UNASSOCIATED",
    meet(packet) {
      const jobs = host.jobs.length;
      host.sent.length = 0;
      pair.inject(host, packet);
      const isReport = (job: Job) => job.kind === "sign-packet" && job.packetType === PACKET.NOTIFY;
      return {
        sent: host.sent.splice(0).filter(isNoReport),
        jobs: host.jobs.slice(jobs).filter((job) => !isReport(job)).map(({ kind }) => kind),
      };
    },
  };
}
