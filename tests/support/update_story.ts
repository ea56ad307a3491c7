/** Two engines that are ESTABLISHED, and UPDATEs as one of them would make them. */

import { instant } from "../../lib/base/time.ts";
import { PACKET } from "../../lib/wire/hip/code_points.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { HIP_PROTOCOL, parseHipPacket, setChecksum } from "../../lib/wire/hip/packet.ts";
import { encodeParameter } from "../../lib/wire/hip/parameter.ts";
import { ACK } from "../../lib/wire/hip/parameters/ack.ts";
import {
  DIFFIE_HELLMAN,
  type DiffieHellman,
} from "../../lib/wire/hip/parameters/diffie_hellman.ts";
import { ESP_INFO, type EspInfo } from "../../lib/wire/hip/parameters/esp_info.ts";
import { NOTIFICATION, type Notification } from "../../lib/wire/hip/parameters/notification.ts";
import { SEQ } from "../../lib/wire/hip/parameters/seq.ts";
import { End, EnginePair } from "./engine_pair.ts";
import { testIdentity } from "./identities.ts";

/** What a test puts into an UPDATE. */
export interface UpdateParts {
  readonly seq?: number;
  readonly ack?: readonly number[];
  readonly espInfo?: EspInfo;
  readonly dh?: DiffieHellman;
  /** Where it does not belong. */
  readonly notification?: Notification;
  readonly signatureFlaw?: boolean;
  readonly macFlaw?: boolean;
}

export class UpdateStory {
  readonly pair: EnginePair;

  /** @param options Of both ends. */
  constructor(options: ConstructorParameters<typeof End>[3] = {}) {
    const a = new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 1, options);
    const b = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 2, options);
    this.pair = new EnginePair(a, b);
    this.pair.introduce(a, b);
    this.pair.ping(a, b);
    this.pair.ping(b, a);
  }

  get a(): End {
    return this.pair.a;
  }

  get b(): End {
    return this.pair.b;
  }

  /** Rekeys from one end and lets it come to its end. */
  rekey(from: End, withDh = false): boolean {
    const to = from === this.a ? this.b : this.a;
    const isBegun = from.engine.rekey(this.pair.now, to.hit, { withDh });
    this.pair.settle();
    return isBegun;
  }

  /** An UPDATE of `a`, right in everything that `parts` does not spoil. Needs an earlier rekey. */
  forge(parts: UpdateParts): OutgoingPacket {
    const model = this.a.jobs.find((job) => job.kind === "sign-packet");
    if (model?.kind !== "sign-packet") throw new Error("Nothing was signed yet");
    const parameters = [
      ...(parts.espInfo === undefined ? [] : [encodeParameter(ESP_INFO, parts.espInfo)]),
      ...(parts.seq === undefined ? [] : [encodeParameter(SEQ, { updateId: parts.seq })]),
      ...(parts.ack === undefined ? [] : [encodeParameter(ACK, { updateIds: parts.ack })]),
      ...(parts.dh === undefined ? [] : [encodeParameter(DIFFIE_HELLMAN, parts.dh)]),
      ...(parts.notification === undefined
        ? []
        : [encodeParameter(NOTIFICATION, parts.notification)]),
    ];
    const mac = parts.macFlaw ? { ...model.mac!, key: new Uint8Array(32) } : model.mac;
    const result = runJob({ ...model, packetType: PACKET.UPDATE, parameters, mac });
    if (result.kind !== "sign-packet") throw new Error(result.kind);
    const bytes = result.packet;
    if (parts.signatureFlaw) {
      // The last octets of the signature, before its padding.
      const signature = parseHipPacket(bytes).parameters.at(-1)!;
      bytes[signature.offset + 4 + signature.contents.length - 1]! ^= 1;
    }
    const [source, destination] = [this.a.address, this.b.address];
    setChecksum(bytes, source, destination);
    const protocol = HIP_PROTOCOL;
    return { protocol, source, destination, bytes, trafficClass: 0, hopLimit: 64 };
  }

  /** Puts a packet before `b`. @returns The UPDATEs with which it answers at once. */
  give(packet: OutgoingPacket): OutgoingPacket[] {
    this.b.sent.length = 0;
    this.pair.inject(this.b, packet);
    const isUpdate = ({ protocol, bytes }: OutgoingPacket) =>
      protocol === HIP_PROTOCOL && (bytes[2]! & 0x7f) === PACKET.UPDATE;
    const updates = this.b.sent.filter(isUpdate);
    this.b.sent.length = 0;
    return updates;
  }

  /** Lets time pass without anything happening. */
  wait(ms: number): void {
    this.pair.now = instant(this.pair.now + ms);
  }

  /** The UPDATEs that went over the wire, in order. */
  updates(): UpdateSummary[] {
    return this.pair.wire
      .filter(({ protocol, bytes }) => protocol === HIP_PROTOCOL && bytes[2] === PACKET.UPDATE)
      .map((packet) => summaryOf(packet));
  }
}

export interface UpdateSummary {
  readonly seq: number | undefined;
  readonly ack: readonly number[] | undefined;
  readonly espInfo: EspInfo | undefined;
  readonly dh: DiffieHellman | undefined;
}

export function summaryOf(packet: OutgoingPacket): UpdateSummary {
  const update = parseHipPacket(packet.bytes);
  return {
    seq: update.first(SEQ)?.updateId,
    ack: update.first(ACK)?.updateIds,
    espInfo: update.first(ESP_INFO),
    dh: update.first(DIFFIE_HELLMAN),
  };
}
