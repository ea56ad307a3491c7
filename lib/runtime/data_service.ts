/**
 * A data thread: moves packets between the TUN device and the sockets while the engine does
 * everything else elsewhere. Read `OutboundThread` and `InboundThread` as the story of a packet;
 * what becomes of it is in `lib/esp/outbound_lane.ts` and `inbound_lane.ts`.
 *
 * A thread blocks in the system until something comes, so it never returns to the runtime's event
 * loop: commands come through memory and a bell.
 */

import { DropCounters } from "../base/drop_reason.ts";
import type { PacketBuffer } from "../base/packet_buffer.ts";
import { RingReader, RingWriter } from "../base/shared_ring.ts";
import type { EspProvider } from "../crypto/esp_suite.ts";
import { PORTABLE_PROVIDER } from "../crypto/portable_suites.ts";
import { InboundLane } from "../esp/inbound_lane.ts";
import type { LaneParts } from "../esp/lane.ts";
import { OutboundLane } from "../esp/outbound_lane.ts";
import { type DataThreadMessage, type DataThreadSetup, SWITCH } from "./data_protocol.ts";
import {
  BATCH_SIZE,
  type Bell,
  type BlockingWait,
  type DataPlatform,
  type IpSocket,
  type TunDevice,
} from "./ports.ts";
import { makeSlabs } from "./slabs.ts";
import { SocketTable } from "./socket_table.ts";
import { SYSTEM_CLOCK } from "./system_clock.ts";
import { SYSTEM_RANDOM } from "./system_random.ts";
import { TunReader } from "./tun_reader.ts";
import { TunWriter } from "./tun_writer.ts";

/** The part of a worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<DataThreadSetup>) => void) | null;
  postMessage(message: DataThreadMessage): void;
  close(): void;
}

/**
 * A packet waits for us as it would for the kernel, which lets nobody go first. What has come in
 * comes before what goes out: programs wait for room to send, what has come waits in a queue.
 */
const NICE = { outbound: -5, inbound: -10 } as const;

/** The whole of a data thread's module: waits for its setup, works until it is told to end. */
export function serveData(platform: DataPlatform): void {
  const scope = globalThis as unknown as WorkerScope;
  scope.onmessage = ({ data: setup }) => {
    const surroundings = new Surroundings(platform, setup);
    const thread = setup.direction === "outbound"
      ? new OutboundThread(surroundings)
      : new InboundThread(surroundings);
    platform.setPriority(NICE[setup.direction]);
    scope.postMessage("ready");
    run(surroundings, thread);
    scope.postMessage("ended");
    scope.close();
  };
}

/** What differs between the two threads. */
interface DataThread {
  /** Does what the engine's thread has said, a batch at most. @returns Whether there may be more. */
  obey(): boolean;
  /** Moves what the last wait has found, a batch at most. @returns Whether there may be more. */
  move(): boolean;
  readonly lane: OutboundLane | InboundLane;
}

/** Works until the engine's thread wants the end. */
function run({ bell, engineBell, wait, isStopped }: Surroundings, thread: DataThread): void {
  while (!isStopped()) {
    const hasMoreOrders = thread.obey();
    const hasMorePackets = thread.move();
    if (thread.lane.takeHasReported()) engineBell.ring();
    // One call in any case: it says what there is to read.
    if (hasMoreOrders || hasMorePackets) wait.look();
    else wait.block();
    if (wait.isReady(bell)) bell.silence();
  }
  thread.lane.close();
}

/** What a thread has to work with. */
class Surroundings {
  readonly drops: DropCounters;
  readonly tun: TunDevice;
  readonly sockets: readonly IpSocket[];
  /** One batch. */
  readonly slabs: readonly PacketBuffer[];
  /** Two that are not in a batch. */
  readonly ordered: PacketBuffer;
  readonly source: PacketBuffer;
  readonly bell: Bell;
  readonly engineBell: Bell;
  readonly wait: BlockingWait;
  readonly lane: LaneParts & { readonly knownSpis: SharedArrayBuffer };
  readonly #switches: Int32Array<SharedArrayBuffer>;

  constructor(platform: DataPlatform, setup: DataThreadSetup) {
    const { direction, tun, sockets, memory, knownSpis } = setup;
    // In one piece of memory: what is copied between slabs makes no object then.
    const slabs = makeSlabs(2 + BATCH_SIZE * (1 + sockets.length));
    this.ordered = slabs.shift()!;
    this.source = slabs.shift()!;
    this.slabs = slabs.splice(0, BATCH_SIZE);
    this.drops = new DropCounters(memory.drops);
    this.tun = platform.attachTun(tun.descriptor, tun.name, tun.offload);
    this.sockets = sockets.map(({ descriptor, protocol, family }) =>
      platform.attachSocket(descriptor, protocol, family, slabs.splice(0, BATCH_SIZE))
    );
    this.bell = platform.attachBell(setup.bell);
    this.engineBell = platform.attachBell(setup.engineBell);
    const sources = direction === "outbound" ? [this.tun] : this.sockets;
    this.wait = platform.makeWait([...sources, this.bell]);
    this.lane = {
      saMemory: memory.saBlocks,
      commands: new RingReader(memory.commands),
      reports: new RingWriter(memory.reports),
      drops: this.drops,
      espProvider: providerOf(platform, setup),
      knownSpis,
    };
    this.#switches = setup.switches;
  }

  readonly isStopped = (): boolean => Atomics.load(this.#switches, SWITCH.stop) !== 0;

  readonly isReplyAwaited = (): boolean => Atomics.load(this.#switches, SWITCH.replyAwaited) !== 0;
}

/** From applications to peers. */
class OutboundThread implements DataThread {
  readonly lane: OutboundLane;
  readonly #drops: DropCounters;
  readonly #sockets: readonly IpSocket[];
  readonly #table: SocketTable;
  readonly #reader: TunReader;
  readonly #slabs: readonly PacketBuffer[];
  readonly #ordered: PacketBuffer;
  readonly #onFailure = () => this.#drops.count("send-failed");

  constructor({ lane, drops, sockets, tun, slabs, ordered, source }: Surroundings) {
    this.lane = new OutboundLane({ ...lane, random: SYSTEM_RANDOM });
    this.#drops = drops;
    this.#sockets = sockets;
    this.#table = new SocketTable(sockets);
    this.#reader = new TunReader(tun, source, drops);
    this.#slabs = slabs;
    this.#ordered = ordered;
  }

  obey(): boolean {
    let count = 0;
    for (; count < BATCH_SIZE && this.lane.takeCommands(this.#ordered); count++) {
      this.#send(this.#ordered, true);
      // There is one slab for such packets, and what a socket has queued stays where it is.
      this.#flush();
    }
    return count === BATCH_SIZE;
  }

  move(): boolean {
    const count = this.#reader.fill(this.#slabs);
    for (let i = 0; i < count; i++) this.#send(this.#slabs[i]!, false);
    if (count > 0) this.#flush();
    return count === this.#slabs.length;
  }

  #send(buffer: PacketBuffer, isJudged: boolean): void {
    if (this.lane.handleTunPacket(buffer, isJudged) === "consumed") return;
    const socket = this.#table.find(buffer.path.protocol, buffer.path.peerAddress);
    if (socket === undefined) this.#drops.count("send-failed");
    else socket.queue(buffer);
  }

  #flush(): void {
    for (let i = 0; i < this.#sockets.length; i++) this.#sockets[i]!.flush(this.#onFailure);
  }
}

/** From peers to applications. */
class InboundThread implements DataThread {
  readonly lane: InboundLane;
  readonly #drops: DropCounters;
  readonly #sockets: readonly IpSocket[];
  /** Sockets whose last batch was full: they may have more that the system does not know of. */
  readonly #isUnfinished: boolean[];
  readonly #wait: BlockingWait;
  readonly #writer: TunWriter;
  readonly #slabs: readonly PacketBuffer[];
  readonly #ordered: PacketBuffer;
  #now = SYSTEM_CLOCK.now();

  constructor({ lane, drops, sockets, tun, slabs, ordered, wait, isReplyAwaited }: Surroundings) {
    this.lane = new InboundLane({ ...lane, isReplyAwaited });
    this.#drops = drops;
    this.#sockets = sockets;
    this.#isUnfinished = sockets.map(() => false);
    this.#wait = wait;
    this.#writer = new TunWriter(tun, drops);
    this.#slabs = slabs;
    this.#ordered = ordered;
  }

  obey(): boolean {
    let count = 0;
    for (; count < BATCH_SIZE && this.lane.takeCommands(this.#ordered); count++) {
      this.#receive(this.#ordered);
      this.#writer.flush();
    }
    return count === BATCH_SIZE;
  }

  move(): boolean {
    this.#now = SYSTEM_CLOCK.now();
    let hasMore = false;
    for (let i = 0; i < this.#sockets.length; i++) {
      const socket = this.#sockets[i]!;
      if (!this.#isUnfinished[i] && !this.#wait.isReady(socket)) continue;
      const count = socket.receive(this.#slabs);
      for (let j = 0; j < count; j++) this.#receive(this.#slabs[j]!);
      this.#writer.flush();
      this.#isUnfinished[i] = count === this.#slabs.length;
      if (this.#isUnfinished[i]) hasMore = true;
    }
    return hasMore;
  }

  #receive(buffer: PacketBuffer): void {
    if (buffer.length === 0) this.#drops.count("datagram-malformed");
    else if (this.lane.handleDatagram(this.#now, buffer) === "deliver") this.#writer.add(buffer);
  }
}

function providerOf(platform: DataPlatform, { usesLibcrypto }: DataThreadSetup): EspProvider {
  const provider = usesLibcrypto ? platform.openEspProvider() : PORTABLE_PROVIDER;
  if (provider === undefined) throw new Error("libcrypto is gone");
  return provider;
}
