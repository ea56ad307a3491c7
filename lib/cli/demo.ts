/**
 * `hip demo`: two hosts and a router on this machine, a page fetched by name over HIP, and every
 * step of it told as it happens. Whatever way it ends, nothing of it is left.
 */

import { type Command, Option } from "commander";
import { bytesEqual } from "../base/bytes.ts";
import { UserError } from "../base/errors.ts";
import { describeAlgorithm, IDENTITY_KINDS, type IdentityKind } from "../identity/host_identity.ts";
import { formatHit } from "../identity/hit.ts";
import { dhGroupName } from "../engine/describe.ts";
import {
  type LabAgent,
  prepareIdentity,
  SERVER_NAME,
  startLabAgent,
  startLabDns,
} from "../lab/agents.ts";
import {
  CLIENT_ADDRESSES,
  Lab,
  type LabFamilies,
  requireLab,
  SERVER_ADDRESSES,
} from "../lab/lab.ts";
import { readRouterCounters, startRouterCounters } from "../lab/router_counters.ts";
import { startWeb } from "../lab/services.ts";
import { ApiClient } from "../runtime/api_client.ts";
import type { AssociationReport, EventReport, StatusReport } from "../runtime/api_protocol.ts";
import { ownCommand } from "../runtime/daemon.ts";
import { parseIpAddress } from "../wire/ip_address.ts";
import { type CliContext, example } from "./context.ts";
import { Ladder, ladderHead, ladderLines, type LadderStep } from "./demo_ladder.ts";
import {
  type DemoResult,
  drawing,
  introduction,
  nextSteps,
  resultTable,
  reuseLines,
  routerLines,
} from "./demo_text.ts";
import { formatSpan } from "./format.ts";
import { type Output, printJson } from "./output.ts";

/** #K of the server's puzzles: about a thousand hashes, enough to be seen. */
const PUZZLE_DIFFICULTY = 10;

/** How long the ladder may lag behind curl, in milliseconds. */
const LADDER_LAG_MS = 1000;

/** Kinds of key that a HIP record can carry (RFC 8005 §5). */
const KINDS = IDENTITY_KINDS.filter((kind) => kind !== "ecdsa-low");

const URL_OF_PAGE = `http://${SERVER_NAME}/`;

const PAGE = `Hello from ${SERVER_NAME}!
You asked for a name, reached a public key, and need not care where it is.
`;

interface DemoOptions {
  readonly ipv4?: true;
  readonly identity: IdentityKind;
  readonly json?: true;
}

export function registerDemo(program: Command, context: CliContext): void {
  program.command("demo")
    .description("show HIP at work between two hosts made on this machine")
    .option("--ipv4", "let the hosts have IPv4 addresses only")
    .addOption(
      new Option("--identity <kind>", "what keys the hosts have")
        .choices(KINDS)
        .default("ecdsa-p256"),
    )
    .option("--json", "print only the result, as JSON")
    .addHelpText("after", example("sudo hip demo", "sudo hip demo --ipv4 --identity rsa"))
    .action(async (options: DemoOptions) => {
      await untilInterrupted(async (signal) => {
        await requireLab("curl");
        await demonstrate(options, context, signal);
      });
    });
}

/** Runs `task`; a signal aborts it, and the program ends when it has cleaned up. */
async function untilInterrupted(task: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const interrupt = () =>
    controller.abort(new UserError("interrupted; everything it made is removed.", 130));
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, interrupt);
  try {
    await task(controller.signal);
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
  }
}

async function demonstrate(
  options: DemoOptions,
  { output, environment }: CliContext,
  signal: AbortSignal,
): Promise<void> {
  const families: LabFamilies = options.ipv4 ? "ipv4" : "both";
  const say = options.json ? () => {} : (...lines: string[]) => lines.forEach(output.print);
  say(
    "",
    ...drawing(CLIENT_ADDRESSES, SERVER_ADDRESSES, families),
    "",
    ...introduction(),
    "",
    "making two hosts and a router (network namespaces) ...",
  );
  const startedAt = performance.now();
  const lab = await Lab.create(families, signal);
  const steps: LadderStep[] = [];
  let result: DemoResult;
  try {
    say("starting DNS, a web server and two hip agents ...");
    const stage = await setUp(lab, families, options.identity);
    say(`ready after ${formatSpan(performance.now() - startedAt)}`, "");
    const show = (step: LadderStep) => {
      steps.push(step);
      say(...ladderLines(step, output.paint));
    };
    result = await play(stage, output, say, show);
  } catch (error) {
    // What an interruption breaks on its way is not worth telling.
    signal.throwIfAborted();
    if (environment.HIP_DEBUG) await printLogs(lab, output);
    throw error;
  } finally {
    await lab.dispose();
  }
  signal.throwIfAborted();
  if (options.json) printJson(output, { ...result, steps });
  else say("", ...nextSteps());
}

/** What the agents said, for whoever looks for a fault. */
async function printLogs(lab: Lab, output: Output): Promise<void> {
  for (const { name } of [lab.client, lab.server]) {
    const text = await Deno.readTextFile(`${lab.folder}/${name}.log`).catch(() => "");
    for (const line of text.trim().split("\n")) output.note(`${name}: ${line}`);
  }
}

interface Stage {
  readonly lab: Lab;
  readonly client: LabAgent;
  readonly server: LabAgent;
  readonly dnsServer: string;
}

async function setUp(lab: Lab, families: LabFamilies, kind: IdentityKind): Promise<Stage> {
  const own = ownCommand();
  const self = [own.program, ...own.arguments];
  const ofServer = prepareIdentity(lab, "server", kind);
  const ofClient = prepareIdentity(lab, "client", kind);
  const [dns, client, server] = await allOf([
    startLabDns(lab, self, ofServer.identity, families),
    startLabAgent(lab, lab.client, self, ofClient, []),
    startLabAgent(lab, lab.server, self, ofServer, [`puzzle_difficulty=${PUZZLE_DIFFICULTY}`]),
    startWeb(lab.server, self, PAGE),
    startRouterCounters(lab),
  ]);
  return { lab, client, server, dnsServer: dns.software };
}

/** As `Promise.all`, but nothing is still at work when it rejects. */
async function allOf<T extends readonly unknown[]>(
  promises: readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  await Promise.allSettled(promises);
  return await Promise.all(promises) as unknown as T;
}

/** Fetches the page twice and tells of it. */
async function play(
  { lab, client, server, dnsServer }: Stage,
  { paint }: Output,
  say: (...lines: string[]) => void,
  show: (step: LadderStep) => void,
): Promise<DemoResult> {
  const kind = describeAlgorithm(server.identity);
  say(
    `  client  ${formatHit(client.identity.hit)}  (${kind})`,
    `  server  ${formatHit(server.identity.hit)}  (HIP record served by ${dnsServer})`,
    "",
    paint("bold", `client$ curl ${URL_OF_PAGE}`),
    "",
    ...ladderHead(paint),
  );
  const ladder = new Ladder();
  const watch = await EventWatch.start(client.socketFile, (event) => {
    for (const step of ladder.add(event)) show(step);
  });
  try {
    const first = await fetchPage(lab);
    if (!bytesEqual(parseIpAddress(first.connectedTo), server.identity.hit)) {
      throw new UserError(
        `curl reached ${first.connectedTo} instead of the HIT. Run it again with HIP_DEBUG=1.`,
      );
    }
    const endMs = performance.timeOrigin + performance.now();
    await watch.until(() => ladder.isEstablished, LADDER_LAG_MS);
    show(ladder.page(first.octets, endMs));
    say("", ...first.page.trimEnd().split("\n").map((line) => `  > ${line}`), "");
    const before = await associationOf(client);

    const exchangesBefore = ladder.exchanges;
    const second = await fetchPage(lab);
    const after = await associationOf(client);
    const counters = await readRouterCounters(lab);
    const result: DemoResult = {
      name: SERVER_NAME,
      serverHit: formatHit(server.identity.hit),
      clientHit: formatHit(client.identity.hit),
      identityKind: kind,
      dnsServer,
      connectedTo: first.connectedTo,
      localAddress: before.localAddress ?? "?",
      peerAddress: before.peerAddress ?? "?",
      transport: before.transport ?? "?",
      inboundSpi: before.inboundSpi ?? "?",
      outboundSpi: before.outboundSpi ?? "?",
      espSuite: before.espSuite ?? "?",
      dhGroup: before.dhGroup === null ? "?" : dhGroupName(before.dhGroup),
      baseExchangeMs: before.baseExchangeMs ?? 0,
      puzzleMs: before.puzzleMs,
      pageOctets: first.octets,
      fetchMs: first.ms,
      secondFetchMs: second.ms,
      secondFetchExchanges: ladder.exchanges - exchangesBefore,
      isReused: before.inboundSpi === after.inboundSpi && before.outboundSpi === after.outboundSpi,
      routerPackets: counters ?? null,
    };
    say(paint("bold", `client$ curl ${URL_OF_PAGE}`) + "   (the same again)");
    say(...reuseLines(result), "");
    const crossed = routerLines(result);
    if (crossed.length > 0) say(...crossed, "");
    say(...resultTable(result, paint));
    return result;
  } finally {
    watch.stop();
  }
}

interface Fetched {
  readonly page: string;
  readonly octets: number;
  readonly connectedTo: string;
  /** As curl measures it. */
  readonly ms: number;
}

/**
 * Runs an unmodified curl on the client, with nothing of the user's own settings. It is told to try
 * IPv6, to which HITs belong, for five seconds before it tries IPv4 beside it: the 200 ms of its own
 * are too short for a base exchange on a slow machine.
 */
async function fetchPage(lab: Lab): Promise<Fetched> {
  const command = [
    ...["curl", "-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10"],
    ...["--happy-eyeballs-timeout-ms", "5000"],
  ];
  const wanted = "%{stderr}%{http_code} %{remote_ip} %{time_total} %{size_download}";
  const { code, stdout, stderr } = await lab.client.run(
    [...command, "--write-out", wanted, URL_OF_PAGE],
  );
  const line = stderr.trim().split("\n").pop() ?? "";
  const [status, connectedTo = "", seconds, octets] = line.split(" ");
  if (code !== 0 || status !== "200") {
    const problem = stderr.trim().split("\n")[0] ?? "";
    throw new UserError(
      `curl could not fetch ${URL_OF_PAGE} (${problem}). Run it again with HIP_DEBUG=1.`,
    );
  }
  return { page: stdout, octets: Number(octets), connectedTo, ms: Number(seconds) * 1000 };
}

async function associationOf(client: LabAgent): Promise<AssociationReport> {
  const { associations } = await ApiClient.ask<StatusReport>(client.socketFile, "status");
  const association = associations[0];
  if (association === undefined) {
    throw new UserError(
      "the page came without an association. Run it again with HIP_DEBUG=1.",
    );
  }
  return association;
}

/** Listens to an agent's events. */
class EventWatch {
  readonly #client: ApiClient;
  #wake = () => {};

  private constructor(client: ApiClient) {
    this.#client = client;
  }

  static async start(
    socketFile: string,
    onEvent: (event: EventReport) => void,
  ): Promise<EventWatch> {
    const client = await ApiClient.connect(socketFile);
    const watch = new EventWatch(client);
    watch.#listen(onEvent);
    return watch;
  }

  async #listen(onEvent: (event: EventReport) => void): Promise<void> {
    try {
      for await (const event of this.#client.events()) {
        onEvent(event);
        this.#wake();
      }
    } catch {
      // The agent went away; whoever needs it notices.
    }
  }

  /** Waits until `holds` after some event, or for `timeoutMs` milliseconds. */
  async until(holds: () => boolean, timeoutMs: number): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        if (!holds()) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  stop(): void {
    this.#client.close();
  }
}
