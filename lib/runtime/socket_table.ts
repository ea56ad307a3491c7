/** The socket for a packet, by protocol and family. */

import { isIpv4 } from "../wire/ip_address.ts";
import type { IpSocket } from "./ports.ts";

export class SocketTable {
  readonly #sockets: readonly IpSocket[];

  /** @param sockets At most one for each protocol and family. */
  constructor(sockets: readonly IpSocket[]) {
    this.#sockets = sockets;
  }

  /** The one for packets of `protocol` to `destination`, 16 octets; there may be none. */
  find(protocol: number, destination: Uint8Array): IpSocket | undefined {
    const family = isIpv4(destination) ? 4 : 6;
    for (let i = 0; i < this.#sockets.length; i++) {
      const socket = this.#sockets[i]!;
      if (socket.protocol === protocol && socket.family === family) return socket;
    }
    return undefined;
  }
}
