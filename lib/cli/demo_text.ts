/** What `hip demo` says around its ladder. Pure. */

import type { LabAddresses, LabFamilies } from "../lab/lab.ts";
import type { RouterCounters } from "../lab/router_counters.ts";
import { count, formatSpan, wrap } from "./format.ts";
import { COLUMNS, type Output } from "./output.ts";

type Paint = Output["paint"];

/** One host of the drawing: what stands in its box, and its addresses. */
interface Box {
  readonly inside: readonly [name: string, first: string, second: string];
  readonly below: readonly string[];
}

/** Columns of a box with its walls, and between two boxes. */
const BOX = 20;
const GAP = 8;

/** The network, drawn. */
export function drawing(
  client: LabAddresses,
  server: LabAddresses,
  families: LabFamilies,
): string[] {
  const addressesOf = ({ ipv4, ipv6 }: LabAddresses) => [
    ...(families === "ipv4" ? [] : [ipv6]),
    ...(families === "ipv6" ? [] : [ipv4]),
  ];
  const boxes: Box[] = [
    { inside: ["client", "curl", "hip"], below: addressesOf(client) },
    { inside: ["router", "DNS for hip.test", "(no HIP in it)"], below: [] },
    { inside: ["server", "web server", "hip"], below: addressesOf(server) },
  ];
  const row = (cells: readonly string[], between = " ") =>
    `  ${cells.join(between.repeat(GAP))}`.trimEnd();
  const wall = row(boxes.map(() => `+${"-".repeat(BOX - 2)}+`));
  const height = Math.max(...boxes.map(({ below }) => below.length));
  return [
    wall,
    ...([0, 1, 2] as const).map((line) =>
      row(
        boxes.map(({ inside }) => `| ${inside[line].padEnd(BOX - 4)} |`),
        line === 1 ? "-" : " ",
      )
    ),
    wall,
    ...Array.from(
      { length: height },
      (_, line) => row(boxes.map(({ below }) => `  ${below[line] ?? ""}`.padEnd(BOX))),
    ),
  ];
}

const INTRODUCTION =
  "Usually a host is known by its address, which tells where it is, not who it " +
  "is. With the Host Identity Protocol (HIP) a host is known by its public key. The Host Identity " +
  "Tag (HIT) is a hash of that key, written like an IPv6 address so that every program can use it.";

const OUTLOOK =
  "Now curl, which knows nothing of HIP, fetches a page from the server by name. In " +
  "four packets (I1, R1, I2, R2) the two hosts prove who they are and agree on keys; then the page " +
  "travels encrypted.";

/** The sentences under the drawing. */
export function introduction(): string[] {
  return [...wrap(INTRODUCTION, COLUMNS), "", ...wrap(OUTLOOK, COLUMNS)];
}

/** What came of it all. */
export interface DemoResult {
  readonly name: string;
  readonly serverHit: string;
  readonly clientHit: string;
  /** "ECDSA P-256". */
  readonly identityKind: string;
  readonly dnsServer: string;
  /** Where curl connected to. */
  readonly connectedTo: string;
  /** Outer addresses. */
  readonly localAddress: string;
  readonly peerAddress: string;
  /** "UDP 10500" or "ESP". */
  readonly transport: string;
  readonly inboundSpi: string;
  readonly outboundSpi: string;
  readonly espSuite: string;
  readonly dhGroup: string;
  /** First I1 to R2, with the puzzle. */
  readonly baseExchangeMs: number;
  readonly puzzleMs: number | null;
  readonly pageOctets: number;
  /** As curl measures it. */
  readonly fetchMs: number;
  readonly secondFetchMs: number;
  /** Base exchanges that the second fetch began. */
  readonly secondFetchExchanges: number;
  /** Whether the second fetch went through the same pair of security associations. */
  readonly isReused: boolean;
  readonly routerPackets: RouterCounters | null;
}

/** What the second fetch showed. */
export function reuseLines(result: DemoResult): string[] {
  const { secondFetchMs, secondFetchExchanges, fetchMs, isReused } = result;
  const text = isReused && secondFetchExchanges === 0
    ? `Fetched in ${formatSpan(secondFetchMs)} instead of ${formatSpan(fetchMs)}: the hosts know ` +
      "each other now. No new exchange was needed, the same keys and SPIs are in use (an SPI " +
      "is the number that tells which keys open a packet)."
    : `Fetched in ${formatSpan(secondFetchMs)}, with ` +
      `${count(secondFetchExchanges, "new base exchange")}.`;
  return wrap(text, COLUMNS);
}

/** What the router saw; nothing where it could not count. */
export function routerLines({ routerPackets }: DemoResult): string[] {
  if (routerPackets === null) return [];
  const { hip, esp, inUdp, other } = routerPackets;
  const carrier = inUdp === hip + esp ? " (all in UDP)" : "";
  const verdict = other === 0
    ? "No TCP, no HTTP, no name of a page: only HIP and ESP crossed the router."
    : "The others are neither HIP nor ESP.";
  return wrap(
    `The router carried ${count(hip, "HIP packet")}, ${count(esp, "ESP packet")}${carrier} and ` +
      `${count(other, "other")} between the two hosts. ${verdict}`,
    COLUMNS,
  );
}

/** The table at the end. */
export function resultTable(result: DemoResult, paint: Paint): string[] {
  const { puzzleMs, secondFetchMs } = result;
  const puzzle = puzzleMs === null ? "" : `, of which puzzle ${formatSpan(puzzleMs)}`;
  const rows = [
    ["name", result.name],
    ["HIT", `${result.serverHit} (${result.identityKind})`],
    ["SPIs", `in ${result.inboundSpi}, out ${result.outboundSpi}`],
    ["suite", `${result.espSuite}, key exchange ${result.dhGroup}`],
    ["path", `${result.localAddress} -> ${result.peerAddress}, ${result.transport}`],
    ["base exchange", `${formatSpan(result.baseExchangeMs)}${puzzle}`],
    [
      "page fetched",
      `${count(result.pageOctets, "octet")} in ${formatSpan(result.fetchMs)}, ` +
      `the second time in ${formatSpan(secondFetchMs)}`,
    ],
  ];
  return rows.map(([head, text]) => `  ${paint("bold", head!.padEnd(15))}${text}`);
}

/** Where to go from here. */
export function nextSteps(): string[] {
  return [
    "Everything the demo made is removed again. Try next:",
    "  sudo hip demo --ipv4                  the same over IPv4",
    "  sudo hip demo --identity ed25519      the same with another kind of key",
    "  sudo hip up                           HIP on this machine, for real",
    "  sudo hip identity show --hosts        the line that another host needs of you",
  ];
}
