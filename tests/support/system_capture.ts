/**
 * What crosses the router of a lab, caught by tcpdump and read by tshark: neither of them knows our
 * code, so that their reading of a packet is a second opinion.
 */

import { HIP_UDP_PORT } from "../../lib/wire/udp_encapsulation.ts";
import { type Lab, type LabHost, runCommand } from "../../lib/lab/lab.ts";

/** One packet as tshark reads it. */
export interface SeenPacket {
  /** 0 to this host, 1 broadcast, 2 multicast, 4 sent by this host (packet(7)). */
  readonly direction: number;
  /** Outer addresses; empty for ARP. */
  readonly source: string;
  readonly destination: string;
  /** "hip", "esp", "tcp", "udp", "icmp", "icmpv6", "arp": the first above IP, or in UDP 10500. */
  readonly protocol: string;
  /** Whether it is HIP or ESP in UDP, from and to port 10500. */
  readonly isInUdp: boolean;
  /** Type of a HIP packet. */
  readonly hipType: number | undefined;
  /** tshark's verdict: 1 is good. */
  readonly hipChecksum: string;
  readonly spi: string;
  /** Target of a neighbour solicitation or ARP request. */
  readonly target: string;
  readonly udpPort: string;
  /** The field as it stands, "0x1a2b", and tshark's verdict of it: 1 is good. */
  readonly udpChecksum: readonly [field: string, status: string];
  /** tshark's verdict of the TCP checksum, where it was asked for: 1 is good. */
  readonly tcpChecksum: string;
  /** Seconds since the start of the capture. */
  readonly time: number;
}

/** tshark reads HIP there, and takes all else for data. */
const HIP_PORT = String(HIP_UDP_PORT);

const FIELDS = [
  "sll.pkttype",
  "ip.src",
  "ip.dst",
  "ipv6.src",
  "ipv6.dst",
  "frame.protocols",
  "hip.packet_type",
  "hip.checksum.status",
  "hip.bad_checksum",
  "esp.spi",
  "icmpv6.nd.ns.target_address",
  "arp.dst.proto_ipv4",
  "udp.dstport",
  "udp.srcport",
  "udp.payload",
  "udp.checksum",
  "udp.checksum.status",
  "tcp.checksum.status",
  "frame.time_relative",
];

/** A capture that runs until it is read. */
export class Capture {
  readonly #child: Deno.ChildProcess;
  /** Where the packets are; complete once they were read. */
  readonly file: string;
  readonly #drained: Promise<void>;

  private constructor(child: Deno.ChildProcess, file: string, drained: Promise<void>) {
    this.#child = child;
    this.file = file;
    this.#drained = drained;
  }

  /** Begins to capture on all devices of the router, or on one device of another host. */
  static async start(lab: Lab, host: LabHost = lab.router, device = "any"): Promise<Capture> {
    const file = `${lab.folder}/${host.name}-${device}-${crypto.randomUUID().slice(0, 8)}.pcap`;
    const child = host.spawn(
      [
        "tcpdump",
        "--immediate-mode",
        "-i",
        device,
        "-Z",
        "root",
        "-n",
        // In immediate mode every slot of the buffer is as long as a packet may be: with whole
        // super-packets there would be room for sixty, and a burst would get lost.
        "-s",
        "2048",
        "-B",
        "32768",
        "-U",
        "-w",
        file,
      ],
      { stderr: "piped" },
    );
    const reader = child.stderr.getReader();
    let said = "";
    while (!said.includes("listening on")) {
      const { value } = await reader.read();
      if (value === undefined) throw new Error(`tcpdump ended: ${said}`);
      said += new TextDecoder().decode(value);
    }
    // It goes on talking; a closed pipe would end it.
    const drained = (async () => {
      while ((await reader.read()).value !== undefined);
    })();
    return new Capture(child, file, drained);
  }

  /** Ends the capture and reads it. */
  async packets(): Promise<SeenPacket[]> {
    // What was just sent may still be on its way through the kernel's buffer.
    await new Promise((resolve) => setTimeout(resolve, 300));
    this.#child.kill("SIGTERM");
    await this.#child.status;
    await this.#drained;
    const { code, stdout, stderr } = await runCommand([
      ...["tshark", "-n", "-r", this.file, "-o", "tcp.check_checksum:TRUE"],
      ...["-o", "udp.check_checksum:TRUE", "-T", "fields"],
      ...["-E", "occurrence=f", ...FIELDS.flatMap((field) => ["-e", field])],
    ]);
    if (code !== 0) throw new Error(`tshark: ${stderr}`);
    return stdout.split("\n").filter((line) => line !== "").map(readLine);
  }
}

/** What tshark has to object to in the HIP packets of a capture that was read; "" for nothing. */
export async function hipFlaws({ file }: Capture): Promise<string> {
  const flaw = "hip && (_ws.malformed || _ws.expert.severity >= 0x00600000)";
  const { code, stdout, stderr } = await runCommand([
    ...["tshark", "-n", "-r", file, "-Y", flaw, "-T", "fields"],
    ...["-e", "frame.number", "-e", "hip.packet_type", "-e", "_ws.expert.message"],
  ]);
  if (code !== 0) throw new Error(`tshark: ${stderr}`);
  // It reads HOST_ID as HIP version 1 had it, which knew DSA and RSA only.
  const isOfVersion1 = (line: string) => line.endsWith("\tUnknown algorithm type");
  return stdout.split("\n").filter((line) => line !== "" && !isOfVersion1(line)).join("\n");
}

function readLine(line: string): SeenPacket {
  const cells = line.split("\t");
  const cell = (field: string) => cells[FIELDS.indexOf(field)] ?? "";
  const layers = cell("frame.protocols").split(":");
  const ip = layers.findIndex((layer) => layer === "ip" || layer === "ipv6");
  const above = layers.slice(ip + 1).find((layer) => !layer.startsWith("ipv6."));
  const hipType = cell("hip.packet_type");
  const isInUdp = cell("udp.srcport") === HIP_PORT && cell("udp.dstport") === HIP_PORT;
  const spiInUdp = isInUdp && hipType === "" ? `0x${cell("udp.payload").slice(0, 8)}` : "";
  const isBad = cell("hip.bad_checksum") !== "";
  return {
    direction: Number(cell("sll.pkttype")),
    source: cell("ip.src") || cell("ipv6.src"),
    destination: cell("ip.dst") || cell("ipv6.dst"),
    protocol: isInUdp ? hipType === "" ? "esp" : "hip" : ip < 0 ? layers.at(-1) ?? "" : above ?? "",
    isInUdp,
    hipType: hipType === "" ? undefined : Number(hipType),
    hipChecksum: isBad ? "bad" : cell("hip.checksum.status"),
    spi: cell("esp.spi") || spiInUdp,
    target: cell("icmpv6.nd.ns.target_address") || cell("arp.dst.proto_ipv4"),
    udpPort: [cell("udp.srcport"), cell("udp.dstport")].join(" ").trim(),
    udpChecksum: [cell("udp.checksum"), cell("udp.checksum.status")],
    tcpChecksum: cell("tcp.checksum.status"),
    time: Number(cell("frame.time_relative")),
  };
}

/** Packets as they came to the router, each once. */
export function arrivals(packets: readonly SeenPacket[]): SeenPacket[] {
  return packets.filter(({ direction }) => direction !== 4);
}

/** Whether an address as tshark prints it lies in 2001:20::/28. */
export function isHitText(address: string): boolean {
  return /^2001:2[0-9a-f]:/.test(address);
}
