/** What is known of a rekey under way (RFC 7402 §6.8 to §6.10). */

import type { Instant } from "../base/time.ts";
import type { DhKeyPair } from "../crypto/dh_group.ts";
import type { Keymat } from "../crypto/keymat.ts";
import type { InboundSa } from "../esp/security_association.ts";
import type { EspInfo } from "../wire/hip/parameters/esp_info.ts";
import type { Material } from "./rekey_material.ts";

/** What the peer has asked for or answered. */
export interface PeerOffer {
  readonly updateId: number;
  readonly espInfo: EspInfo;
  readonly publicValue: Uint8Array | undefined;
  /** Update IDs to acknowledge once our inbound SA stands. */
  toAcknowledge: number[];
}

/** A rekey under way. */
export interface PendingRekey {
  /** Whether we asked; the peer may have asked too. */
  readonly isStarter: boolean;
  /** Whether we send a new Diffie-Hellman key. */
  readonly withDh: boolean;
  readonly newSpi: number;
  readonly until: Instant;
  keyPair: DhKeyPair | undefined;
  /** The Diffie-Hellman job awaited. */
  job: number | undefined;
  /** Our ESP_INFO, once sent. */
  sent: { readonly updateId: number; readonly keymatIndex: number } | undefined;
  isAcknowledged: boolean;
  peer: PeerOffer | undefined;
  /** The new KEYMAT, if there is to be one. */
  keymat: Keymat | undefined;
  /** The inbound SA, standing, and what it was drawn from. */
  ready: Ready | undefined;
}

export interface Ready {
  readonly inbound: InboundSa;
  readonly material: Material;
  readonly keymatIndex: number;
}
