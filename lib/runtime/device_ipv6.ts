/**
 * IPv6 on the TUN device, where the host has it switched off: HITs are IPv6 addresses to
 * applications, whatever family carries them outside. Only the device's own switch is touched, and
 * it goes with the device.
 */

import { UserError } from "../base/errors.ts";
import { systemProblem } from "./atomic_file.ts";

/** @throws {UserError} When the kernel has no IPv6 or does not let it be switched on. */
export function enableIpv6(interfaceName: string): void {
  const path = `/proc/sys/net/ipv6/conf/${interfaceName}/disable_ipv6`;
  try {
    if (Deno.readTextFileSync(path).trim() === "0") return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UserError(
      "this kernel runs without IPv6, and HITs are IPv6 addresses to programs. " +
        "Start it without ipv6.disable=1.",
    );
  }
  try {
    Deno.writeTextFileSync(path, "0");
  } catch (error) {
    throw new UserError(
      `IPv6 is switched off on ${interfaceName} and cannot be switched on ` +
        `(${systemProblem(error)}). Set net.ipv6.conf.default.disable_ipv6 to 0.`,
    );
  }
}
