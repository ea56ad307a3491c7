/** Which of our HITs a peer is to meet (RFC 7401 §6.1 step 2), and which it is not to meet. */

import { bytesEqual } from "../base/bytes.ts";
import type { DropReason } from "../base/drop_reason.ts";
import type { AccessList } from "../hip/access_list.ts";
import type { AssociationTable } from "../hip/association_table.ts";
import type { AnonymousIdentities } from "./anonymous_identities.ts";
import type { IdentityTable } from "./identity_table.ts";

export class LocalPolicy {
  readonly #access: AccessList;
  readonly #identities: IdentityTable;
  readonly #anonymous: AnonymousIdentities;
  readonly #associations: AssociationTable;

  constructor(
    access: AccessList,
    identities: IdentityTable,
    anonymous: AnonymousIdentities,
    associations: AssociationTable,
  ) {
    this.#access = access;
    this.#identities = identities;
    this.#anonymous = anonymous;
    this.#associations = associations;
  }

  /**
   * The anonymous HIT that the peer is to meet, or undefined while it is being made; the one it
   * knows already; the default one.
   */
  localHitFor(peerHit: Uint8Array): Uint8Array | undefined {
    if (this.#access.isMetAnonymously(peerHit)) return this.#anonymous.hitFor(peerHit);
    const known = this.#associations.withPeer(peerHit)
      .filter(({ localHit }) => !this.#identities.isPassing(localHit));
    const [first = undefined] = known;
    return first?.localHit ?? this.#identities.default.identity.hit;
  }

  /**
   * An anonymous identity is for its peer alone, and some peers are to meet no other.
   *
   * @returns Why a packet between two HITs makes no association, if it does not.
   */
  refuses(localHit: Uint8Array, peerHit: Uint8Array): DropReason | undefined {
    if (this.#associations.find(localHit, peerHit) !== undefined) return undefined;
    const anonymous = this.#anonymous.hitFor(peerHit);
    const isIts = anonymous !== undefined && bytesEqual(localHit, anonymous);
    if (this.#identities.isPassing(localHit) && !isIts) return "tun-source-not-local";
    if (!this.#access.isMetAnonymously(peerHit) || isIts) return undefined;
    this.#anonymous.keep(peerHit);
    return "tun-not-anonymous";
  }
}
