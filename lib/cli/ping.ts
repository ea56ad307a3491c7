/** `hip ping`: builds the association if needed and measures round trips through it. */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import { ApiClient } from "../runtime/api_client.ts";
import type { AssociationReport } from "../runtime/api_protocol.ts";
import { type CliContext, example, pathsOf } from "./context.ts";
import { formatSpan } from "./format.ts";
import { printJson } from "./output.ts";

/** Between two requests, in milliseconds. */
const INTERVAL_MS = 500;

/** How long one reply may take, in milliseconds. */
const REPLY_MS = 2000;

interface PingOptions {
  readonly count: string;
  readonly anonymous?: true;
  readonly json?: true;
}

type Connected = AssociationReport & { readonly waitedMs: number };

export function registerPing(program: Command, context: CliContext): void {
  program.command("ping")
    .description("measure the way to a peer, through HIP")
    .argument("<peer>", "name or HIT; an address meets whoever is there")
    .option("-c, --count <n>", "requests to send, 1 to 1000000", "3")
    .option("--anonymous", "meet the peer under an identity made for it, gone after use")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("sudo hip ping www.example.org -c 1", "sudo hip ping --anonymous www.example.org"),
    )
    .action(async (peer: string, options: PingOptions, command: Command) => {
      const requests = Number(options.count);
      if (!(Number.isInteger(requests) && requests >= 1 && requests <= 1_000_000)) {
        throw new UserError(`--count must be 1 to 1000000, not "${options.count}".`);
      }
      const client = await ApiClient.connect(pathsOf(command, context).socketFile);
      try {
        await ping(client, peer, requests, options, context);
      } finally {
        client.close();
      }
    });
}

async function ping(
  client: ApiClient,
  peer: string,
  requests: number,
  options: PingOptions,
  { output }: CliContext,
): Promise<void> {
  const [isJson, anonymous] = [options.json === true, options.anonymous === true];
  const association = await client.call<Connected>("connect", { peer, anonymous });
  if (!isJson) {
    for (const line of connectionLines(peer, association)) output.print(line);
    if (anonymous) output.print(`as ${association.localHit}, made for this peer alone`);
  }
  const times: number[] = [];
  let sent = 0;
  const interrupt = onInterrupt();
  while (sent < requests) {
    if (sent > 0) await Promise.race([interrupt.happened, pause(INTERVAL_MS)]);
    if (interrupt.hasHappened()) break;
    const sequence = ++sent;
    const answer = client.call<{ rttMs: number | null }>("ping", {
      peer: association.peerHit,
      from: association.localHit,
      sequence,
      timeoutMs: REPLY_MS,
    });
    const reply = await Promise.race([answer, interrupt.happened]);
    if (reply === undefined) break;
    const { rttMs } = reply;
    if (rttMs !== null) times.push(rttMs);
    if (!isJson) {
      const result = rttMs === null ? `none within ${formatSpan(REPLY_MS)}` : formatSpan(rttMs);
      output.print(`reply ${sequence}: ${result}`);
    }
  }
  interrupt.forget();
  if (isJson) {
    printJson(output, { association, sent, received: times.length, rttMs: times });
  } else {
    output.print(summary(sent, times));
  }
  if (times.length === 0 && !interrupt.hasHappened()) {
    throw new UserError(
      `${peer} has an association but does not answer echo requests. ` +
        "Look for a packet filter on the peer.",
    );
  }
}

/** Ctrl-C: from now on it ends the requests, and the sum is printed all the same. */
function onInterrupt() {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  let isOver = false;
  const listener = () => {
    isOver = true;
    resolve(undefined);
  };
  Deno.addSignalListener("SIGINT", listener);
  return {
    happened: promise,
    hasHappened: () => isOver,
    forget: () => Deno.removeSignalListener("SIGINT", listener),
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The lines before the first reply. */
export function connectionLines(peer: string, association: Connected): string[] {
  const lines = peer === association.peerHit ? [] : [`${peer} is ${association.peerHit}`];
  if (association.isOpportunistic) {
    lines.push("met by its address alone: nobody else vouches for this identity");
  }
  const { baseExchangeMs, puzzleMs, localAddress, peerAddress, establishedForMs } = association;
  if (baseExchangeMs !== null) {
    const puzzle = puzzleMs === null ? "" : `, of which puzzle ${formatSpan(puzzleMs)}`;
    const age = establishedForMs !== null && establishedForMs > association.waitedMs
      ? `, ${formatSpan(establishedForMs)} ago`
      : "";
    lines.push(`base exchange: ${formatSpan(baseExchangeMs)}${puzzle}${age}`);
  }
  const details = [association.transport, association.espSuite].filter((text) => text !== null);
  const path = [`${localAddress ?? "?"} -> ${peerAddress ?? "?"}`, ...details].join(", ");
  lines.push(`path: direct, ${path}`);
  return lines;
}

/** "3 sent, 3 received; least 0.6 ms, mean 0.7 ms, most 0.8 ms". */
export function summary(sent: number, times: readonly number[]): string {
  const head = `${sent} sent, ${times.length} received`;
  if (times.length === 0) return head;
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  return `${head}; least ${formatSpan(Math.min(...times))}, mean ${formatSpan(mean)}, ` +
    `most ${formatSpan(Math.max(...times))}`;
}
