/**
 * Tells the service manager how far the agent is (sd_notify(3)): `READY=1` once HITs can be bound
 * and the resolver answers.
 *
 * The protocol wants a datagram on a Unix socket, for which the runtime has no stable interface;
 * `systemd-notify`, which is there wherever systemd is, sends it in the name of its parent.
 */

import type { Logger } from "../base/logger.ts";

/**
 * Sends one state line such as "READY=1".
 *
 * @param socket The value of NOTIFY_SOCKET; nothing happens when it is undefined or empty.
 */
export async function notifyServiceManager(
  socket: string | undefined,
  state: string,
  logger: Logger,
): Promise<void> {
  if (socket === undefined || socket === "") return;
  try {
    const { success } = await new Deno.Command("systemd-notify", {
      args: [state],
      env: { NOTIFY_SOCKET: socket },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    if (!success) logger.log("warning", `systemd-notify ${state} failed`);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    logger.log("warning", `Cannot tell the service manager ${state}: ${problem}`);
  }
}
