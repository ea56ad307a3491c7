/** What a program can change on a host of a lab, as text that can be compared. */

import assert from "node:assert/strict";
import { type LabHost, runCommand } from "../../lib/lab/lab.ts";

/** Addresses of the link are tried out for a second before they appear for good. */
const SETTLED = "while ip -6 address show tentative | grep -q inet6; do sleep 0.05; done";

const COMMANDS: readonly string[] = [
  "ip -o link show | sed 's/^[0-9]*: //; s/ link-netns.*//'",
  "ip -6 -o address show | sed 's/^[0-9]*: //'",
  "ip -4 -o address show | sed 's/^[0-9]*: //'",
  "ip -6 route show table all | sed 's/ expires [0-9]*sec//'",
  "ip -4 route show table all",
  "ip -6 rule show",
  "ip -4 rule show",
  "ip addrlabel list",
  "cat /proc/net/raw /proc/net/raw6 | awk '{print $2}'",
  "ls -la --time-style=+ /etc | grep -v ' \\.$'",
  "cd /etc && cat resolv.conf gai.conf hosts nsswitch.conf | sha256sum",
  "cat /proc/modules | cut -d' ' -f1 | sort",
];

/** Everything that `hip up` may change, and what it must not. */
export async function snapshot(host: LabHost): Promise<string> {
  const parts: string[] = [];
  await shell(host, SETTLED);
  for (const command of COMMANDS) {
    const { stdout } = await host.run(["sh", "-c", command]);
    parts.push(`# ${command}\n${stdout}`);
  }
  return parts.join("\n");
}

/** Shows the lines in which two snapshots differ, if any do. */
export async function assertAsBefore(host: LabHost, before: string): Promise<void> {
  const [then, now] = [before.split("\n"), (await snapshot(host)).split("\n")];
  const gone = then.filter((line) => !now.includes(line));
  const added = now.filter((line) => !then.includes(line));
  assert.deepEqual({ gone, added }, { gone: [], added: [] });
  assert.deepEqual(now, then);
}

/** Runs a line of shell in a host. @throws When it fails. */
export async function shell(host: LabHost, line: string): Promise<string> {
  const { code, stdout, stderr } = await host.run(["sh", "-c", line]);
  if (code !== 0) throw new Error(`${line}: ${stderr}`);
  return stdout;
}

/** The permissions of a path, "600". */
export async function modeOf(path: string): Promise<string> {
  return (await runCommand(["stat", "-c", "%a", path])).stdout.trim();
}
