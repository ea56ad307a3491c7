/** What the ESP keys of a rekey are drawn from (RFC 7402 §6.8, §6.10, §7). */

import type { DhKeyPair } from "../crypto/dh_group.ts";
import type { Keymat } from "../crypto/keymat.ts";
import type { ControlKeys } from "./control_keys.ts";
import { espKeymatLength } from "./security.ts";

/** What ESP keys are drawn from. */
export interface Material {
  readonly keymat: Keymat;
  /** First octet not drawn. */
  nextIndex: number;
  /** Ours, and the peer's public value, that `keymat` came from. */
  readonly keyPair: DhKeyPair;
  readonly peerPublicValue: Uint8Array;
}

/** What the base exchange has left, taken out of its place when a rekey asks for it. */
export class FirstMaterial implements Material {
  nextIndex: number;
  readonly #keys: ControlKeys;
  #keyPair: DhKeyPair | undefined;

  constructor(keys: ControlKeys) {
    this.#keys = keys;
    this.nextIndex = keys.keymatIndex + espKeymatLength(keys.espSuite);
  }

  get keymat(): Keymat {
    return this.#keys.keymat;
  }

  /** The same object every time: later material may go on with it. */
  get keyPair(): DhKeyPair {
    return this.#keyPair ??= this.#keys.dhKeyPair;
  }

  get peerPublicValue(): Uint8Array {
    return this.#keys.peerPublicValue;
  }
}
