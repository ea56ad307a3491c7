/** Octets that one host of a lab sends to another by curl, and what becomes of them. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type CommandResult, type Lab, type LabHost, runCommand } from "../../lib/lab/lab.ts";
import { associationWith, type Scene, statusOf } from "./system.ts";
import { isHitText, type SeenPacket } from "./system_capture.ts";

const LIMIT_SECONDS = 50;

/** A file to be sent. */
export interface Octets {
  readonly path: string;
  readonly length: number;
  /** SHA-256, hexadecimal. */
  readonly hash: string;
}

/** Makes a file of octets that have no pattern. */
export async function makeOctets(lab: Lab, length: number): Promise<Octets> {
  const octets = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(octets.subarray(at, Math.min(at + 65_536, length)));
  }
  const path = `${lab.folder}/octets`;
  await Deno.writeFile(path, octets);
  return { path, length, hash: createHash("sha256").update(octets).digest("hex") };
}

/** A transfer under way. */
export interface Transfer {
  /** Resolves when all octets have arrived as they were sent; rejects otherwise. */
  readonly isWhole: Promise<void>;
  /** Whether it still runs. */
  isRunning(): boolean;
}

/**
 * Starts to send a file to the transfer server at `to`, a name or an address in brackets.
 *
 * @param rate Octets per second, "4M".
 */
export function upload(host: LabHost, to: string, octets: Octets, rate: string): Transfer {
  const { path, hash, length } = octets;
  return follow(curl(host, rate, "-T", path, `http://${to}:8080/`), ({ stdout }) => {
    assert.equal(stdout, `${hash} ${length}`);
  });
}

/** Starts to get `length` octets from the transfer server at `to`. */
export function download(
  host: LabHost,
  to: string,
  { copy, length, hash }: { copy: string; length: number; hash: string },
  rate: string,
): Transfer {
  return follow(curl(host, rate, "-o", copy, `http://${to}:8080/${length}`), async () => {
    const { stdout } = await runCommand(["sha256sum", copy]);
    assert.equal(stdout.split(" ")[0], hash);
  });
}

function curl(host: LabHost, rate: string, ...args: string[]): Promise<CommandResult> {
  const command = ["curl", "-sSgf", "--limit-rate", rate, "--max-time", String(LIMIT_SECONDS)];
  return host.run([...command, ...args], { timeoutMs: (LIMIT_SECONDS + 5) * 1000 });
}

function follow(
  running: Promise<CommandResult>,
  check: (result: CommandResult) => void | Promise<void>,
): Transfer {
  let isOver = false;
  const isWhole = running.then(async (result) => {
    isOver = true;
    assert.equal(result.code, 0, `curl ended with ${result.code}: ${result.stderr}`);
    await check(result);
  });
  // A test that fails first takes the hosts down: that is what it reports then.
  isWhole.catch(() => {});
  return { isWhole, isRunning: () => !isOver };
}

/** Each end has one association with the other, and it is the same one. */
export async function assertJoined({ client, server }: Omit<Scene, "lab">): Promise<void> {
  const atClient = await associationWith(client, server);
  const atServer = await associationWith(server, client);
  assert.deepEqual(
    [atClient.state, atClient.inboundSpi, atClient.outboundSpi],
    ["ESTABLISHED", atServer.outboundSpi, atServer.inboundSpi],
  );
  assert.equal(atServer.state, "ESTABLISHED");
  for (const agent of [client, server]) {
    assert.equal((await statusOf(agent)).associations.length, 1);
  }
}

/** No HIT shows outside, and the HIP packets are right. */
export function assertClean(packets: readonly SeenPacket[]): void {
  for (const { source, destination, target } of packets) {
    assert.ok(!isHitText(source) && !isHitText(destination) && !isHitText(target), "a HIT outside");
  }
  const control = packets.filter(({ protocol }) => protocol === "hip");
  assert.ok(control.length > 0);
  for (const { hipType, hipChecksum } of control) {
    assert.equal(hipChecksum, "1", `checksum of packet type ${hipType}`);
  }
}

/** The longest time without ESP from one host of a capture to another, in seconds. */
export function longestGap(packets: readonly SeenPacket[]): number {
  const times = packets.filter(({ protocol }) => protocol === "esp").map(({ time }) => time);
  return Math.max(0, ...times.slice(1).map((time, i) => time - times[i]!));
}
