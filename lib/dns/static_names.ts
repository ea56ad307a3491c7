/**
 * The static names in the form in which the proxy asks for them: all lines of one name together
 * (RFC 5338 §3.1, manual configuration).
 */

import { toHex } from "../base/bytes.ts";
import type { PublicHostIdentity } from "../crypto/host_key.ts";
import type { PeerMapping } from "../identity/peer_directory.ts";
import { formatHostName, nameKey } from "../wire/dns/name.ts";
import { addressKey } from "../wire/ip_address.ts";
import { entryIdentity, type HostsEntry } from "./hosts_file.ts";

/** One HIT of a static name. */
export interface StaticPeer {
  readonly hit: Uint8Array;
  readonly identity: PublicHostIdentity | undefined;
  /** Of its own line and of the locator lines of the name, in the order of the file. */
  readonly locators: readonly Uint8Array[];
  readonly rendezvousNames: readonly Uint8Array[];
}

/** An LSI that the hosts file fixes. */
export interface StaticLsi {
  /** IPv4-mapped, 16 octets. */
  readonly lsi: Uint8Array;
  readonly hit: Uint8Array;
  /** Of the file, counted from 1; 0 when there is none. */
  readonly line: number;
}

/** Finds what the hosts file says. Immutable: a changed file makes a new one. */
export class StaticNames {
  /** No static names at all. */
  static readonly NONE = new StaticNames([]);

  readonly #peersByName = new Map<string, StaticPeer[]>();
  readonly #namesByHit = new Map<string, Uint8Array[]>();

  readonly #lsiEntries: readonly (HostsEntry & { readonly line?: number })[];

  constructor(entries: readonly (HostsEntry & { readonly line?: number })[]) {
    this.#lsiEntries = entries.filter(({ kind }) => kind === "lsi");
    const locatorsByName = new Map<string, Uint8Array[]>();
    for (const entry of entries) {
      if (entry.kind !== "locator") continue;
      for (const name of entry.names) append(locatorsByName, nameKey(name), entry.address);
    }
    for (const entry of entries) {
      if (entry.kind !== "hit") continue;
      for (const name of entry.names) {
        const key = nameKey(name);
        const peers = this.#peersByName.get(key) ?? [];
        this.#peersByName.set(key, mergePeer(peers, entry, locatorsByName.get(key) ?? []));
        append(this.#namesByHit, toHex(entry.address), name);
      }
    }
  }

  /** The HITs of a name; empty when the file has none. */
  peersOf(name: Uint8Array): readonly StaticPeer[] {
    return this.#peersByName.get(nameKey(name)) ?? [];
  }

  /** The names of a HIT, in the order of the file. */
  namesOf(hit: Uint8Array): readonly Uint8Array[] {
    return this.#namesByHit.get(toHex(hit)) ?? [];
  }

  /** The LSIs that lines with one give to the HITs of their names, each to the first. */
  lsis(): StaticLsi[] {
    return this.#lsiEntries.flatMap(({ address, names, line }) => {
      const hit = names.flatMap((name) => this.peersOf(name))[0]?.hit;
      return hit === undefined ? [] : [{ lsi: address, hit, line: line ?? 0 }];
    });
  }

  /** Every name that has a HIT, as people write it. */
  get hostNames(): string[] {
    return [...this.#namesByHit.values()].flat().map(formatHostName);
  }

  /** What the engine can be told before anybody asks: every HIT with its locators, if any. */
  mappings(): PeerMapping[] {
    const byHit = new Map<string, StaticPeer>();
    for (const peers of this.#peersByName.values()) {
      for (const peer of peers) {
        const key = toHex(peer.hit);
        const known = byHit.get(key);
        byHit.set(key, {
          hit: peer.hit,
          identity: peer.identity ?? known?.identity,
          locators: withoutRepetition([...(known?.locators ?? []), ...peer.locators]),
          rendezvousNames: peer.rendezvousNames,
        });
      }
    }
    return [...byHit.values()].map((peer) => ({
      hit: peer.hit,
      identity: peer.identity,
      locators: peer.locators,
      rendezvous: [],
      name: formatHostName(this.namesOf(peer.hit)[0]!),
      source: "static",
      expires: undefined,
    }));
  }
}

function mergePeer(
  peers: readonly StaticPeer[],
  entry: HostsEntry,
  nameLocators: readonly Uint8Array[],
): StaticPeer[] {
  const wanted = toHex(entry.address);
  const known = peers.find((peer) => toHex(peer.hit) === wanted);
  const merged: StaticPeer = {
    hit: entry.address,
    identity: known?.identity ?? entryIdentity(entry),
    locators: withoutRepetition([...(known?.locators ?? []), ...entry.locators, ...nameLocators]),
    rendezvousNames: [...(known?.rendezvousNames ?? []), ...entry.rendezvousNames],
  };
  return known === undefined
    ? [...peers, merged]
    : peers.map((peer) => peer === known ? merged : peer);
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

/** Each address once, where it came first. */
export function withoutRepetition(addresses: readonly Uint8Array[]): Uint8Array[] {
  const seen = new Set<string>();
  return addresses.filter((address) => {
    const key = addressKey(address);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
