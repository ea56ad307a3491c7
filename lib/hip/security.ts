/** From KEYMAT to a pair of ESP security associations (RFC 7402 §3.3.1, §6.4, §6.5, §7). */

import { wipe } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import { type EspProvider, espSuite } from "../crypto/esp_suite.ts";
import { drawEspKeys, type EspKeys } from "../crypto/keymat.ts";
import { type EsnMode, InboundSa, OutboundSa } from "../esp/security_association.ts";
import type { SaDatabase } from "../esp/sa_database.ts";
import type { AddressPair, HitPair } from "./association_context.ts";
import type { ControlKeys, Security } from "./control_keys.ts";

/** Where SAs come from and go to. */
export interface SecurityContext {
  readonly random: Random;
  readonly espProvider: EspProvider;
  readonly saDatabase: SaDatabase;
  readonly settings: { readonly esn: EsnMode; readonly hardOctets: number };
}

/** Keys of both directions. */
interface DrawnKeys {
  readonly outbound: EspKeys;
  readonly inbound: EspKeys;
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
  const inbound = installInbound(context, { localHit, peerHit }, spi, source, drawn, esn);
  wipeKeys(drawn.inbound, drawn.outbound);
  return inbound;
}

/**
 * Makes and installs the outbound SA, in place of any other between these HITs, which is wiped. It
 * stays inactive until the state machine lets data through (RFC 7402 §6.6).
 */
export function makeOutboundSa(
  context: SecurityContext,
  hits: HitPair,
  spi: number,
  source: EspKeySource,
  addresses: AddressPair,
): OutboundSa {
  const drawn = drawKeys(source, hits.localHit, hits.peerHit);
  const outbound = installOutbound(context, hits, spi, source, drawn, addresses);
  wipeKeys(drawn.inbound, drawn.outbound);
  return outbound;
}

/** Both SAs at once, as a Responder installs them (RFC 7402 §6.4, §6.6); keys are drawn once. */
export function makeSecurity(
  context: SecurityContext,
  hits: HitPair,
  keys: ControlKeys,
  spis: { readonly inbound: number; readonly outbound: number },
  addresses: AddressPair,
): Security {
  const drawn = drawKeys(keys, hits.localHit, hits.peerHit);
  const { esn } = context.settings;
  const inbound = installInbound(context, hits, spis.inbound, keys, drawn, esn);
  const outbound = installOutbound(context, hits, spis.outbound, keys, drawn, addresses);
  wipeKeys(drawn.inbound, drawn.outbound);
  inbound.pairWith(outbound);
  return { keys, inbound, outbound };
}

/** Puts the outbound SA beside an inbound one: the end of a base exchange. */
export function installSecurity(
  context: SecurityContext,
  hits: HitPair,
  keys: ControlKeys,
  inbound: InboundSa,
  outboundSpi: number,
  addresses: AddressPair,
): Security {
  const outbound = makeOutboundSa(context, hits, outboundSpi, keys, addresses);
  inbound.pairWith(outbound);
  return { keys, inbound, outbound };
}

function installInbound(
  context: SecurityContext,
  { localHit, peerHit }: HitPair,
  spi: number,
  { espSuite: suiteId }: EspKeySource,
  drawn: DrawnKeys,
  esn: EsnMode,
): InboundSa {
  const inbound = new InboundSa({
    spi,
    suiteId,
    localHit,
    peerHit,
    opener: context.espProvider.opener(suiteId, drawn.inbound),
    esn,
    hardOctets: context.settings.hardOctets,
  });
  context.saDatabase.installInbound(inbound);
  return inbound;
}

function installOutbound(
  context: SecurityContext,
  { localHit, peerHit }: HitPair,
  spi: number,
  { espSuite: suiteId }: EspKeySource,
  drawn: DrawnKeys,
  addresses: AddressPair,
): OutboundSa {
  const outbound = new OutboundSa({
    spi,
    suiteId,
    localHit,
    peerHit,
    sealer: context.espProvider.sealer(suiteId, drawn.outbound, context.random),
    localAddress: addresses.local,
    peerAddress: addresses.peer,
    peerPort: addresses.peerPort ?? 0,
    hardOctets: context.settings.hardOctets,
  });
  context.saDatabase.installOutbound(outbound);
  return outbound;
}

function drawKeys(
  source: EspKeySource,
  localHit: Uint8Array,
  peerHit: Uint8Array,
): DrawnKeys {
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
