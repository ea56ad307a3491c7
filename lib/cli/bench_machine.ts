/** Which machine the numbers are of. */

import { readIfThere } from "../runtime/atomic_file.ts";
import { VERSION } from "../runtime/version.ts";

/** What a reader needs to judge a measurement. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  /** "Linux 6.1.0, TCP cubic": with the usual congestion control. */
  readonly kernel: string;
  /** "hip 0.1.0, Deno 2.5.7". */
  readonly program: string;
  /** Who computed ESP: "libcrypto", "portable". */
  readonly espProvider: string;
  /** Who computed signatures and Diffie-Hellman; as above. */
  readonly publicKeyProvider: string;
  /** Other programs that were measured: "wireguard-go 0.0.20220316-1+b4". */
  readonly peers: readonly string[];
}

export function describeMachine(
  espProvider: string,
  publicKeyProvider: string,
  peers: readonly string[],
): Machine {
  const congestionControl = readIfThere("/proc/sys/net/ipv4/tcp_congestion_control")?.trim() ?? "?";
  return {
    processor: processorModel(readIfThere("/proc/cpuinfo") ?? ""),
    cores: navigator.hardwareConcurrency,
    kernel: `Linux ${Deno.osRelease()}, TCP ${congestionControl}`,
    program: `hip ${VERSION}, Deno ${Deno.version.deno}`,
    espProvider,
    publicKeyProvider,
    peers,
  };
}

/** The name in /proc/cpuinfo: "model name" on x86, "Model" or the bare architecture elsewhere. */
export function processorModel(cpuinfo: string): string {
  const named = /^(?:model name|Model|cpu model)\s*:\s*(.+)$/m.exec(cpuinfo)?.[1];
  return named?.replace(/\s+/g, " ").trim() ?? `unnamed ${Deno.build.arch} processor`;
}
