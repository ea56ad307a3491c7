/** Which machine the numbers are of. */

import { readIfThere } from "../runtime/atomic_file.ts";
import { VERSION } from "../runtime/version.ts";

/** What a reader needs to judge a measurement. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly kernel: string;
  /** "hip 0.1.0, Deno 2.5.7". */
  readonly program: string;
  /** Who computed ESP: "libcrypto", "portable"; empty when no agent ran. */
  readonly espProvider: string;
  /** Who computed signatures and Diffie-Hellman; as above. */
  readonly publicKeyProvider: string;
}

export function describeMachine(
  { espProvider, publicKeyProvider }: Pick<Machine, "espProvider" | "publicKeyProvider">,
): Machine {
  return {
    processor: processorModel(readIfThere("/proc/cpuinfo") ?? ""),
    cores: navigator.hardwareConcurrency,
    kernel: `Linux ${Deno.osRelease()}`,
    program: `hip ${VERSION}, Deno ${Deno.version.deno}`,
    espProvider,
    publicKeyProvider,
  };
}

/** The name in /proc/cpuinfo: "model name" on x86, "Model" or the bare architecture elsewhere. */
export function processorModel(cpuinfo: string): string {
  const named = /^(?:model name|Model|cpu model)\s*:\s*(.+)$/m.exec(cpuinfo)?.[1];
  return named?.replace(/\s+/g, " ").trim() ?? `unnamed ${Deno.build.arch} processor`;
}
