/** When there are data threads, how many, and what they work on. */

import type { DropReason } from "../base/drop_reason.ts";
import type { Logger } from "../base/logger.ts";
import { NEXT_HEADER } from "../wire/ipv6.ts";
import type { Config } from "./config.ts";
import { DataThreads, type PairSources } from "./data_threads.ts";
import { isMovedByThreads } from "./loop.ts";
import type { Bell, IpSocket, Platform, TunDevice } from "./ports.ts";
import { openUdpPort } from "./udp_port.ts";

/** How long after the first data packet threads are started, in milliseconds. */
const THREADS_AFTER_MS = 300;

/** Processors for each pair, and pairs at most, where the configuration leaves it to us. */
const PROCESSORS_PER_PAIR = 4;
const MOST_PAIRS = 4;

/** Pairs of data threads that are wanted; 0: none. */
export function pairsOf({ dataThreads }: Pick<Config, "dataThreads">): number {
  if (dataThreads !== "auto") return dataThreads;
  const fitting = Math.floor(navigator.hardwareConcurrency / PROCESSORS_PER_PAIR);
  return Math.max(1, Math.min(MOST_PAIRS, fitting));
}

export interface ThreadStarterOptions {
  readonly config: Config;
  readonly platform: Platform;
  readonly device: TunDevice;
  /** All sockets of the loop. */
  readonly sockets: readonly IpSocket[];
  readonly bell: Bell;
  readonly usesLibcrypto: boolean;
  readonly knownSpis: SharedArrayBuffer;
  readonly logger: Logger;
}

/**
 * Data threads soon after the first data packet: an agent without associations has none. Loading
 * them takes a processor for a moment, which the first answer shall not have to wait for.
 */
export class ThreadStarter {
  /** Called when the threads have begun to work, and when they work no more. */
  onChange: (threads: DataThreads | undefined) => void = () => {};
  readonly #options: ThreadStarterOptions;
  #threads: DataThreads | undefined;
  #starting: Promise<void> | undefined;
  #timer: number | undefined;
  #isStopped = false;
  #formerDrops: readonly Partial<Record<DropReason, number>>[] = [];
  /** Queues and sockets of all pairs but the first. */
  #opened: { close(): void }[] = [];

  constructor(options: ThreadStarterOptions) {
    this.#options = options;
  }

  /** Threads that move packets. */
  get count(): number {
    return this.#threads?.count ?? 0;
  }

  /** What was dropped by threads, also by those there were. */
  get drops(): readonly Partial<Record<DropReason, number>>[] {
    return this.#threads?.drops ?? this.#formerDrops;
  }

  setReplyAwaited(isAwaited: boolean): void {
    this.#threads?.setReplyAwaited(isAwaited);
  }

  /** Has them started; harmless when that has happened. */
  start(): void {
    if (pairsOf(this.#options.config) === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#starting = this.#start(), THREADS_AFTER_MS);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#starting;
    await this.#end();
  }

  async #start(): Promise<void> {
    const { platform, bell, usesLibcrypto, knownSpis, logger } = this.#options;
    try {
      const threads = await DataThreads.start({
        platform,
        pairs: this.#openPairs(),
        engineBell: bell,
        usesLibcrypto,
        knownSpis,
        onFailure: (why) => void this.#fail(why),
      });
      this.#threads = threads;
      if (this.#isStopped) return;
      this.onChange(threads);
      logger.log("debug", `${threads.count} threads move packets`);
    } catch (error) {
      this.#close();
      logger.log("warning", `${String(error)}; packets are moved without data threads`);
    }
  }

  /** The first pair works on what the loop has; the others get a queue and UDP sockets each. */
  #openPairs(): PairSources[] {
    const { config, platform, device, sockets } = this.#options;
    const moved = sockets.filter(({ protocol }) => isMovedByThreads(protocol));
    const raw = moved.filter(({ protocol }) => protocol !== NEXT_HEADER.udp);
    const pairs: PairSources[] = [{ tun: device, receiving: moved, sending: moved }];
    while (pairs.length < pairsOf(config)) {
      const tun = platform.openTun(device.name, true);
      this.#opened.push(tun);
      const udp = openUdpPort(config, platform, true).sockets;
      this.#opened.push(...udp);
      pairs.push({ tun, receiving: udp, sending: [...udp, ...raw] });
    }
    return pairs;
  }

  /** A thread died: the loop does the work of all, as before there were any. */
  async #fail(why: string): Promise<void> {
    this.#options.logger.log("error", `${why}; packets are moved without data threads`);
    await this.#end();
  }

  async #end(): Promise<void> {
    const threads = this.#threads;
    if (threads === undefined) return;
    this.#threads = undefined;
    // First of all nothing more is lent.
    this.onChange(undefined);
    await threads.stop();
    this.#formerDrops = threads.drops;
    this.#close();
  }

  #close(): void {
    for (const one of this.#opened.splice(0)) one.close();
  }
}
