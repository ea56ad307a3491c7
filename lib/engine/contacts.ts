/**
 * Where peers were when exchanges with them were completed. The host keeps this while its agent
 * restarts: connections of its applications go on living, but the agent that comes up has no state,
 * and neither it nor a peer that only listens could find the other again.
 *
 * A peer of the agent before this one may not know that its association is gone. When it sends data
 * or an UPDATE this host starts an exchange by itself (RFC 7401 §4.3): once for each such peer, only
 * to the address it was met at, and only for a while. So a forged packet has one I1 sent, to a host
 * that knows us, and no more.
 */

import { bytesEqual } from "../base/bytes.ts";
import { after, type Duration, type Instant, seconds } from "../base/time.ts";
import type { Association } from "../hip/association.ts";
import type { HitPair, StateName } from "../hip/association_context.ts";
import { type AssociationTable, pairKey } from "../hip/association_table.ts";
import type { PeerDirectory } from "../identity/peer_directory.ts";
import { addressKey } from "../wire/ip_address.ts";

/** Most contacts kept; the oldest goes first. */
export const MAX_CONTACTS = 1024;

/** How long a peer is looked for where it was met last: as long as connections may lie idle. */
const CONTACT_LIFETIME: Duration = seconds(24 * 3600);

/** How long a peer of the agent before may be met again: its own unused associations end by then. */
const REUNION_TIME: Duration = seconds(15 * 60);

/** A peer and where it was. */
export interface Contact {
  readonly localHit: Uint8Array;
  readonly peerHit: Uint8Array;
  /** 16 octets. */
  readonly address: Uint8Array;
  /** Its UDP port; 0 without UDP. */
  readonly peerPort: number;
}

/** What it needs of the engine. */
export interface ContactsOwner {
  isLocal(hit: Uint8Array): boolean;
  isAnonymous(localHit: Uint8Array): boolean;
  /** Makes it when there is none; undefined at the limit. */
  ensure(localHit: Uint8Array, peerHit: Uint8Array): Association | undefined;
}

export class Contacts {
  readonly #peers: PeerDirectory;
  readonly #associations: AssociationTable;
  readonly #owner: ContactsOwner;
  /** Exchanges that a former peer is to learn of though there may be no data for it. */
  readonly #reunions = new Set<Association>();
  /** By pair of HITs, oldest first. */
  readonly #known = new Map<string, Contact>();
  /** Those of the agent before, by address: what they send may need an exchange. */
  readonly #former = new Map<string, Contact[]>();
  #formerUntil: Instant | undefined;

  /** @param peers Learns where peers were met. */
  constructor(peers: PeerDirectory, associations: AssociationTable, owner: ContactsOwner) {
    this.#peers = peers;
    this.#associations = associations;
    this.#owner = owner;
  }

  /** All of them, oldest first; another list whenever an association becomes ESTABLISHED. */
  list(): Contact[] {
    return [...this.#known.values()];
  }

  /** The port under which a peer was met at an address, 0 without UDP; undefined: it was not. */
  portOf({ localHit, peerHit }: HitPair, address: Uint8Array): number | undefined {
    const contact = this.#known.get(pairKey(localHit, peerHit));
    return contact && bytesEqual(contact.address, address) ? contact.peerPort : undefined;
  }

  /** An association has another state. */
  noteState(at: Instant, localHit: Uint8Array, peerHit: Uint8Array, state: StateName): void {
    const association = this.#associations.find(localHit, peerHit);
    if (association === undefined) return;
    if (state === "UNASSOCIATED" || state === "E-FAILED") this.#reunions.delete(association);
    if (state !== "ESTABLISHED") return;
    // The peer may be in R2-SENT with data, and waits for a sign that its R2 has come.
    if (this.#reunions.delete(association)) association.rekeying?.ask(at);
    // RFC 7401 §5.1.2: anonymous identities are not stored.
    if (association.record.isPeerAnonymous || this.#owner.isAnonymous(localHit)) return;
    const { peerAddress, peerPort } = association.security!.outbound;
    this.#note(at, {
      localHit: localHit.slice(),
      peerHit: peerHit.slice(),
      address: peerAddress.slice(),
      peerPort,
    });
  }

  #note(now: Instant, contact: Contact): void {
    const { localHit, peerHit, address } = contact;
    const key = pairKey(localHit, peerHit);
    this.#known.delete(key);
    this.#known.set(key, contact);
    this.#peers.learn(now, {
      hit: peerHit,
      identity: undefined,
      locators: [address],
      rendezvous: [],
      name: "",
      source: "met",
      expires: after(now, CONTACT_LIFETIME),
    });
    if (this.#known.size > MAX_CONTACTS) this.#known.delete(this.#known.keys().next().value!);
  }

  /** Takes in what `list` of the agent before this one has said; sends nothing. */
  restore(now: Instant, contacts: readonly Contact[]): void {
    for (const contact of contacts.slice(-MAX_CONTACTS)) {
      if (!this.#owner.isLocal(contact.localHit)) continue;
      this.#note(now, contact);
      const key = addressKey(contact.address);
      this.#former.set(key, [...this.#former.get(key) ?? [], contact]);
    }
    this.#formerUntil = after(now, REUNION_TIME);
  }

  /**
   * A packet from `address` belongs to no association: who has lost its state may start an exchange
   * with a peer that has not (RFC 7401 §4.3).
   *
   * @param port The UDP port that it came from, 0 without UDP: a NAT may have given another one since.
   * @param peerHit Who it says it is from; undefined for data, which does not say.
   */
  meetAgain(now: Instant, address: Uint8Array, port: number, peerHit?: Uint8Array): void {
    const former = this.#takeFormer(now, address, peerHit);
    if (former === undefined) return;
    const association = this.#owner.ensure(former.localHit, former.peerHit);
    if (association === undefined) return;
    this.#note(now, { ...former, peerPort: port });
    this.#reunions.add(association);
    association.initiate(now, { why: "the peer uses an association of an earlier run" });
  }

  /**
   * The peer of the agent before that an unusable packet from an address may come from.
   *
   * @returns One that was not returned before; undefined for everybody else.
   */
  #takeFormer(now: Instant, address: Uint8Array, peerHit?: Uint8Array): Contact | undefined {
    if (this.#formerUntil === undefined) return undefined;
    if (this.#formerUntil <= now || this.#former.size === 0) {
      this.#former.clear();
      this.#formerUntil = undefined;
      return undefined;
    }
    const key = addressKey(address);
    const here = this.#former.get(key);
    const index =
      here?.findIndex((contact) => peerHit === undefined || bytesEqual(contact.peerHit, peerHit)) ??
        -1;
    if (index < 0) return undefined;
    const [found] = here!.splice(index, 1);
    if (here!.length === 0) this.#former.delete(key);
    return found;
  }
}
