/**
 * Writes inner packets to the TUN device in the order in which they came, consecutive packets of one
 * TCP or UDP flow with one system call where the device takes them so.
 */

import type { DropCounters } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import type { PacketRun } from "../wire/packet_run.ts";
import { TcpRun } from "../wire/tcp_run.ts";
import { UdpRun } from "../wire/udp_run.ts";
import { BATCH_SIZE, type TunDevice } from "./ports.ts";

export class TunWriter {
  readonly #tun: TunDevice;
  readonly #drops: DropCounters;
  readonly #tcpRun = new TcpRun(BATCH_SIZE);
  readonly #udpRun = new UdpRun(BATCH_SIZE);
  /** The one under way. */
  #run: PacketRun = this.#tcpRun;

  /** @param drops Counts what the device refuses. */
  constructor(tun: TunDevice, drops: DropCounters) {
    this.#tun = tun;
    this.#drops = drops;
  }

  /** Writes a packet at once or with the next ones; until `flush` it stays as it is. */
  add(packet: PacketBuffer): void {
    if (this.#run.append(packet)) return;
    this.flush();
    if (this.#begins(packet)) return;
    if (!this.#tun.write(packet)) this.#drops.count("send-failed");
  }

  /** Whether others may follow `packet`, which then waits for them. */
  #begins(packet: PacketBuffer): boolean {
    const { hasHeader, datagrams } = this.#tun.offload;
    this.#run = this.#tcpRun;
    if (hasHeader && this.#tcpRun.begin(packet)) return true;
    this.#run = this.#udpRun;
    return datagrams && this.#udpRun.begin(packet);
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
