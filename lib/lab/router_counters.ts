/**
 * What the router of a lab forwards, counted by the kernel: HIP, ESP, each in UDP or without, and
 * everything else. The proof that two hosts spoke nothing but HIP. Needs nft; a lab without it does without the proof.
 */

import { HIP_UDP_PORT } from "../wire/udp_encapsulation.ts";
import { hasTool, type Lab } from "./lab.ts";

/** Packets that the router carried from one host to the other. */
export interface RouterCounters {
  readonly hip: number;
  readonly esp: number;
  /** How many of these were in UDP. */
  readonly inUdp: number;
  readonly other: number;
}

/** What HIP has in UDP where ESP has its SPI, behind the header of UDP: bits, and value. */
const MARKER = "@th,64,32 0";

/** The last rule counts what the others let pass. */
const RULES = `table inet hiplab {
  chain forward {
    type filter hook forward priority 0;
    meta l4proto 139 counter accept
    udp dport ${HIP_UDP_PORT} ${MARKER} counter accept
    meta l4proto 50 counter accept
    udp dport ${HIP_UDP_PORT} counter accept
    counter
  }
}`;

/** Begins to count. @returns Whether this machine can. */
export async function startRouterCounters(lab: Lab): Promise<boolean> {
  if (!await hasTool("nft")) return false;
  const file = `${lab.folder}/counters.nft`;
  await Deno.writeTextFile(file, RULES);
  return (await lab.router.run(["nft", "-f", file])).code === 0;
}

/** What was counted so far; undefined when nothing counts. */
export async function readRouterCounters(lab: Lab): Promise<RouterCounters | undefined> {
  const { code, stdout } = await lab.router.run([
    "nft",
    "list",
    "chain",
    "inet",
    "hiplab",
    "forward",
  ]);
  return code === 0 ? parseRouterCounters(stdout) : undefined;
}

/** Reads the counters out of what nft prints. */
export function parseRouterCounters(text: string): RouterCounters | undefined {
  const counts = [...text.matchAll(/counter packets (\d+)/g)].map((m) => Number(m[1]));
  if (counts.length !== 5) return undefined;
  const [hip, hipInUdp, esp, espInUdp, other] = counts as [number, number, number, number, number];
  return { hip: hip + hipInUdp, esp: esp + espInUdp, inUdp: hipInUdp + espInUdp, other };
}
