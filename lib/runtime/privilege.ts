/** Whether this process may make a TUN device and raw sockets (capabilities(7)). */

import { UserError } from "../base/errors.ts";

const CAP_NET_ADMIN = 12;
const CAP_NET_RAW = 13;

/**
 * @param status Contents of /proc/self/status.
 * @returns The capabilities that are missing; undefined when the text does not say.
 */
export function missingCapabilities(status: string): string[] | undefined {
  const effective = /^CapEff:\s*([0-9a-fA-F]+)$/m.exec(status)?.[1];
  if (effective === undefined) return undefined;
  const bits = BigInt(`0x${effective}`);
  return ([["CAP_NET_ADMIN", CAP_NET_ADMIN], ["CAP_NET_RAW", CAP_NET_RAW]] as const)
    .filter(([, bit]) => (bits >> BigInt(bit) & 1n) === 0n)
    .map(([name]) => name);
}

/**
 * Ends the attempt to start before anything is touched.
 *
 * @param effectiveUserId 0 is root; asked where the system does not tell capabilities.
 * @throws {UserError} Without the rights.
 */
export function requirePrivilege(effectiveUserId: number): void {
  let missing: string[] | undefined;
  try {
    missing = missingCapabilities(Deno.readTextFileSync("/proc/self/status"));
  } catch {
    missing = undefined;
  }
  missing ??= effectiveUserId === 0 ? [] : ["CAP_NET_ADMIN", "CAP_NET_RAW"];
  if (missing.length === 0) return;
  throw new UserError(
    `not allowed to make network devices and raw sockets (${missing.join(" and ")} missing). ` +
      "Run it as root, or give it CAP_NET_ADMIN and CAP_NET_RAW.",
  );
}
