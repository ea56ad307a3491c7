/** From KEYMAT to a pair of ESP security associations (RFC 7402 §3.3.1, §6.4, §6.5, §7). */

import { wipe } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import { type EspProvider, espSuite } from "../crypto/esp_suite.ts";
import { drawEspKeys, type EspKeys } from "../crypto/keymat.ts";
import { type EsnMode, InboundSa, OutboundSa } from "../esp/security_association.ts";
import type { SaDatabase } from "../esp/sa_database.ts";
import type { AddressPair } from "./association_context.ts";
import type { ControlKeys, Security } from "./control_keys.ts";

/** Where SAs come from and go to. */
export interface SecurityContext {
  readonly random: Random;
  readonly espProvider: EspProvider;
  readonly saDatabase: SaDatabase;
  readonly settings: { readonly esn: EsnMode; readonly hardOctets: number };
}

/** Where in which KEYMAT the keys of a pair of SAs begin. */
export type EspKeySource = Pick<ControlKeys, "keymat" | "keymatIndex" | "espSuite">;

/** Octets of KEYMAT that one pair of SAs takes (RFC 7402 §7). */
export function espKeymatLength(suiteId: number): number {
  const { encryptionKeyLength, saltLength, authenticationKeyLength } = espSuite(suiteId);
  return 2 * (encryptionKeyLength + saltLength + authenticationKeyLength);
}

/**
 * Makes and installs the inbound SA, not yet active (RFC 7402 §6.4, §6.5).
 *
 * @param esn What is known of the peer's ICV; what is configured when absent.
 */
export function makeInboundSa(
  context: SecurityContext,
  localHit: Uint8Array,
  peerHit: Uint8Array,
  spi: number,
  source: EspKeySource,
  esn: EsnMode = context.settings.esn,
): InboundSa {
  const drawn = drawKeys(source, localHit, peerHit);
  const inbound = new InboundSa({
    spi,
    suiteId: source.espSuite,
    localHit,
    peerHit,
    opener: context.espProvider.opener(source.espSuite, drawn.inbound),
    esn,
    hardOctets: context.settings.hardOctets,
  });
  wipeKeys(drawn.inbound, drawn.outbound);
  context.saDatabase.installInbound(inbound);
  return inbound;
}

/**
 * Makes and installs the outbound SA, in place of any other between these HITs, which is wiped. It
 * stays inactive until the state machine lets data through (RFC 7402 §6.6).
 */
export function makeOutboundSa(
  context: SecurityContext,
  { localHit, peerHit }: { readonly localHit: Uint8Array; readonly peerHit: Uint8Array },
  spi: number,
  source: EspKeySource,
  addresses: AddressPair,
): OutboundSa {
  const drawn = drawKeys(source, localHit, peerHit);
  const outbound = new OutboundSa({
    spi,
    suiteId: source.espSuite,
    localHit,
    peerHit,
    sealer: context.espProvider.sealer(source.espSuite, drawn.outbound, context.random),
    localAddress: addresses.local,
    peerAddress: addresses.peer,
    hardOctets: context.settings.hardOctets,
  });
  wipeKeys(drawn.inbound, drawn.outbound);
  context.saDatabase.installOutbound(outbound);
  return outbound;
}

/** Puts the outbound SA beside an inbound one: the end of a base exchange. */
export function installSecurity(
  context: SecurityContext,
  hits: { readonly localHit: Uint8Array; readonly peerHit: Uint8Array },
  keys: ControlKeys,
  inbound: InboundSa,
  outboundSpi: number,
  addresses: AddressPair,
): Security {
  const outbound = makeOutboundSa(context, hits, outboundSpi, keys, addresses);
  inbound.pairWith(outbound);
  return { keys, inbound, outbound };
}

function drawKeys(
  source: EspKeySource,
  localHit: Uint8Array,
  peerHit: Uint8Array,
): { outbound: EspKeys; inbound: EspKeys } {
  const suite = espSuite(source.espSuite);
  return drawEspKeys(
    source.keymat,
    source.keymatIndex,
    {
      encryptionLength: suite.encryptionKeyLength + suite.saltLength,
      authenticationLength: suite.authenticationKeyLength,
    },
    localHit,
    peerHit,
  );
}

function wipeKeys(...keys: EspKeys[]): void {
  for (const { encryption, authentication } of keys) wipe(encryption, authentication);
}
