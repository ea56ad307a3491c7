/**
 * Packets of the captures, altered at random: parsers take them or say that they are malformed, and
 * do nothing else.
 */

import { MalformedPacketError } from "../../lib/base/errors.ts";
import { toHex } from "../../lib/base/bytes.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { decodeParameter, parseParameters } from "../../lib/wire/hip/parameter.ts";
import { PARAMETER_CODECS } from "../../lib/wire/hip/registry.ts";
import { CAPTURES, readCapture } from "./captures.ts";
import type { Chance } from "./chance.ts";

/** Packets from other implementations. */
export function capturedPackets(): Uint8Array[] {
  return CAPTURES.flatMap((name) => readCapture(name).hip.map(({ bytes }) => bytes));
}

/**
 * Alters one packet and has it parsed, header, parameters and contents.
 *
 * @throws {Error} With the octets, when a parser threw anything but MalformedPacketError.
 */
export function parseAltered(packet: Uint8Array, chance: Chance): void {
  const bytes = packet.slice(0, chance.below(4) === 0 ? chance.below(packet.length) : undefined);
  const changes = chance.below(8);
  for (let i = 0; i < changes && bytes.length > 0; i++) {
    bytes[chance.below(bytes.length)] = chance.pick([0, 1, 0x7f, 0x80, 0xff, chance.below(256)]);
  }
  try {
    const length = Math.min(bytes.length, ((bytes[1] ?? 0) + 1) * 8);
    const parsed = attempt(() => parseHipPacket(bytes.subarray(0, length)));
    for (const { type, contents } of parsed?.parameters ?? []) {
      const codec = PARAMETER_CODECS.get(type);
      if (codec !== undefined) attempt(() => decodeParameter(codec, contents));
      attempt(() => parseParameters(contents, 0, contents.length, { allowFiller: true }));
    }
  } catch (cause) {
    throw new Error(`A parser threw over ${toHex(bytes)}`, { cause });
  }
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof MalformedPacketError) return undefined;
    throw error;
  }
}
