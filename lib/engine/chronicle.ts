/** What the log tells of associations, in lines that name the peer. */

import type { Logger } from "../base/logger.ts";
import { shortHit } from "../identity/hit.ts";
import type { PeerDirectory } from "../identity/peer_directory.ts";
import { isNotifyError, notifyTypeName } from "../wire/hip/code_points.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { NOTIFICATION } from "../wire/hip/parameters/notification.ts";

export class Chronicle {
  readonly #logger: Logger;
  readonly #peers: PeerDirectory;

  constructor(logger: Logger, peers: PeerDirectory) {
    this.#logger = logger;
    this.#peers = peers;
  }

  stateChanged(peerHit: Uint8Array, from: string, to: string, why: string): void {
    this.#note(peerHit, `${from} -> ${to} (${why})`);
  }

  rekeyed(peerHit: Uint8Array, isNewKeymat: boolean): void {
    const from = isNewKeymat ? "a new Diffie-Hellman key" : "the same KEYMAT";
    this.#note(peerHit, `new ESP keys from ${from}`);
  }

  /** What the peer told in a NOTIFY (RFC 7401 §5.2.19). */
  notified(peerHit: Uint8Array, packet: HipPacket): void {
    for (const { messageType } of packet.all(NOTIFICATION)) {
      const kind = isNotifyError(messageType) ? "error" : "status";
      const what = `${kind} ${notifyTypeName(messageType)}`;
      this.#logger.log("info", `${shortHit(peerHit)} sent NOTIFY: ${what}`);
    }
  }

  #note(peerHit: Uint8Array, what: string): void {
    const who = this.#peers.nameOf(peerHit) || shortHit(peerHit);
    this.#logger.log("info", `${who}: ${what}`);
  }
}
