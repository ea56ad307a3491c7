/** From KEYMAT to a pair of ESP security associations (RFC 7402 §3.3.1, §6.4, §6.5, §7). */

import { wipe } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import { type EspProvider, espSuite } from "../crypto/esp_suite.ts";
import { drawEspKeys, type EspKeys } from "../crypto/keymat.ts";
import { type EsnMode, InboundSa, OutboundSa } from "../esp/security_association.ts";
import type { SaDatabase } from "../esp/sa_database.ts";
import type { AddressPair } from "./association_context.ts";
import type { ControlKeys, Security } from "./association_state.ts";

/** Where SAs come from and go to. */
export interface SecurityContext {
  readonly random: Random;
  readonly espProvider: EspProvider;
  readonly saDatabase: SaDatabase;
  readonly settings: { readonly esn: EsnMode };
}

/** Makes and installs the inbound SA, not yet active (RFC 7402 §6.4, §6.5). */
export function makeInboundSa(
  context: SecurityContext,
  localHit: Uint8Array,
  peerHit: Uint8Array,
  spi: number,
  keys: ControlKeys,
): InboundSa {
  const drawn = drawKeys(keys, localHit, peerHit);
  const inbound = new InboundSa({
    spi,
    suiteId: keys.espSuite,
    localHit,
    peerHit,
    opener: context.espProvider.opener(keys.espSuite, drawn.inbound),
    esn: context.settings.esn,
  });
  wipeKeys(drawn.inbound, drawn.outbound);
  context.saDatabase.installInbound(inbound);
  return inbound;
}

/**
 * Makes and installs the outbound SA beside an inbound one. It stays inactive until the state
 * machine lets data through (RFC 7402 §6.6).
 */
export function installSecurity(
  context: SecurityContext,
  hits: { readonly localHit: Uint8Array; readonly peerHit: Uint8Array },
  keys: ControlKeys,
  inbound: InboundSa,
  outboundSpi: number,
  addresses: AddressPair,
): Security {
  const { localHit, peerHit } = hits;
  const drawn = drawKeys(keys, localHit, peerHit);
  const outbound = new OutboundSa({
    spi: outboundSpi,
    suiteId: keys.espSuite,
    localHit,
    peerHit,
    sealer: context.espProvider.sealer(keys.espSuite, drawn.outbound, context.random),
    localAddress: addresses.local,
    peerAddress: addresses.peer,
  });
  wipeKeys(drawn.inbound, drawn.outbound);
  inbound.pairWith(outbound);
  context.saDatabase.installOutbound(outbound);
  return { keys, inbound, outbound };
}

function drawKeys(
  keys: ControlKeys,
  localHit: Uint8Array,
  peerHit: Uint8Array,
): { outbound: EspKeys; inbound: EspKeys } {
  const suite = espSuite(keys.espSuite);
  return drawEspKeys(
    keys.keymat,
    keys.keymatIndex,
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
