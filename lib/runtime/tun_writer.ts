/**
 * Writes inner packets to the TUN device in the order in which they came, consecutive TCP segments
 * of one flow with one system call where the device takes them so.
 */

import type { DropCounters } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { TcpRun } from "../wire/tcp_run.ts";
import { BATCH_SIZE, type TunDevice } from "./ports.ts";

export class TunWriter {
  readonly #tun: TunDevice;
  readonly #drops: DropCounters;
  readonly #run = new TcpRun(BATCH_SIZE);

  /** @param drops Counts what the device refuses. */
  constructor(tun: TunDevice, drops: DropCounters) {
    this.#tun = tun;
    this.#drops = drops;
  }

  /** Writes a packet at once or with the next ones; until `flush` it stays as it is. */
  add(packet: PacketBuffer): void {
    const run = this.#run;
    if (run.append(packet)) return;
    this.flush();
    if (this.#tun.offload.hasHeader && run.begin(packet)) return;
    if (!this.#tun.write(packet)) this.#drops.count("send-failed");
  }

  /** Writes what is held back. */
  flush(): void {
    const run = this.#run;
    const { count } = run;
    if (count === 0) return;
    const isWritten = count === 1 ? this.#tun.write(run.packet(0)) : this.#tun.writeRun(run);
    for (let i = 0; i < count && !isWritten; i++) this.#drops.count("send-failed");
    run.clear();
  }
}
