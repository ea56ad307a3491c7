/** What a reader of a trace wants to know of a HIP packet beside its name. */

import { PACKET, PARAMETER, parameterTypeName } from "../wire/hip/code_points.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { DIFFIE_HELLMAN } from "../wire/hip/parameters/diffie_hellman.ts";
import { ESP_INFO } from "../wire/hip/parameters/esp_info.ts";
import { ESP_TRANSFORM } from "../wire/hip/parameters/esp_transform.ts";
import { NOTIFICATION } from "../wire/hip/parameters/notification.ts";
import { PUZZLE } from "../wire/hip/parameters/puzzle.ts";

const DH_GROUP_NAMES: Readonly<Record<number, string>> = {
  3: "MODP 1536",
  4: "MODP 3072",
  7: "P-256",
  8: "P-384",
  9: "P-521",
  10: "SECP160R1",
  11: "MODP 2048",
};

/** "P-256" for 7; the number itself when it has no name. */
export function dhGroupName(id: number): string {
  return DH_GROUP_NAMES[id] ?? `group ${id}`;
}

/** Names of the parameters in wire order. */
export function parameterNames(packet: HipPacket): string[] {
  return packet.parameters.map(({ type }) => parameterTypeName(type));
}

/** A phrase such as "puzzle 2^10, P-256"; "" when the names say it all. */
export function packetDetail(packet: HipPacket): string {
  const parts: string[] = [];
  switch (packet.packetType) {
    case PACKET.R1: {
      const puzzle = packet.first(PUZZLE);
      if (puzzle !== undefined) parts.push(`puzzle 2^${puzzle.difficultyK}`);
      break;
    }
    case PACKET.I2:
      if (packet.has(PARAMETER.SOLUTION)) parts.push("solution");
      if (packet.has(PARAMETER.ENCRYPTED)) parts.push("key encrypted");
      break;
    case PACKET.NOTIFY:
      for (const { messageType } of packet.all(NOTIFICATION)) parts.push(`type ${messageType}`);
      break;
  }
  const dh = packet.first(DIFFIE_HELLMAN);
  if (dh !== undefined) parts.push(dhGroupName(dh.groupId));
  if (packet.packetType === PACKET.I2) {
    const suites = packet.first(ESP_TRANSFORM)?.suiteIds ?? [];
    if (suites.length === 1) parts.push(`ESP suite ${suites[0]}`);
  }
  const spi = packet.first(ESP_INFO)?.newSpi;
  if (spi !== undefined) parts.push(`SPI ${formatSpi(spi)}`);
  return parts.join(", ");
}

/** "0x0000abcd", the way `ip xfrm` prints it. */
export function formatSpi(spi: number): string {
  return `0x${spi.toString(16).padStart(8, "0")}`;
}
