/**
 * The ladder of `hip demo`: the client's events as lines, an arrow for each packet and a plain
 * sentence beside it. Times count from the first I1, so lines wait until that is known. Pure.
 *
 * ```
 *      time  client            server
 *    0.0 ms  | ------ I1 --------> |  "May we talk?" ...
 * ```
 */

import type { EventReport } from "../runtime/api_protocol.ts";
import { abbreviateHit, count, wrap } from "./format.ts";

import { COLUMNS, type Output } from "./output.ts";

/** Columns: of a time, between the two hosts, and of what stands left of the sentences. */
const TIME = 9;
const BETWEEN = 22;
const LEFT = TIME + 2 + 1 + BETWEEN + 1 + 2;
const RIGHT = COLUMNS - LEFT;

/** One step: what happened between the hosts, and what it means. */
export interface LadderStep {
  /** Milliseconds since the first I1. */
  readonly atMs: number;
  /** `BETWEEN` columns at most. */
  readonly picture: string;
  readonly meaning: string;
}

/** The lines above the first step. */
export function ladderHead(paint: Output["paint"]): string[] {
  const names = "client".padEnd(BETWEEN + 2 - "server".length) + "server";
  return [
    paint("dim", "What the client does, as it happens; times count from the first HIP packet, I1."),
    "",
    paint("bold", `${"time".padStart(TIME)}  ${names}  what happens`),
  ];
}

/** One step as lines of the ladder. */
export function ladderLines(step: LadderStep, paint: Output["paint"]): string[] {
  const time = `${step.atMs.toFixed(1)} ms`.padStart(TIME);
  return wrap(step.meaning, RIGHT).map((line, number) => {
    const isFirst = number === 0;
    const left = isFirst ? paint("dim", time) : " ".repeat(TIME);
    const picture = (isFirst ? step.picture : "").slice(0, BETWEEN).padEnd(BETWEEN);
    return `${left}  |${isFirst ? paint("green", picture) : picture}|  ${line}`.trimEnd();
  });
}

/** An arrow with a label, from the client to the server when `isRight`. */
function arrow(label: string, isRight: boolean, shaft = "-"): string {
  const length = BETWEEN - 4 - label.length - 2;
  const before = Math.floor(length / 2);
  const body = `${shaft.repeat(before)} ${label} ${shaft.repeat(length - before)}`;
  return isRight ? ` ${body}-> `.replace("-> ", `${shaft}> `) : ` <${shaft}${body} `;
}

/** Turns events into steps, in order; keeps them back until the first I1 gives the zero. */
export class Ladder {
  readonly #seen = new Set<string>();
  #held: EventReport[] = [];
  #zero: number | undefined;
  #exchanges = 0;

  /** Base exchanges begun so far: I1 packets. */
  get exchanges(): number {
    return this.#exchanges;
  }

  /** Whether data can pass. */
  get isEstablished(): boolean {
    return this.#seen.has("established");
  }

  /** The steps that `event` completes; none for what a newcomer need not see. */
  add(event: EventReport): LadderStep[] {
    if (event.kind === "packet" && event["packet"] === "I1") this.#exchanges++;
    if (this.#zero === undefined) {
      this.#held.push(event);
      if (!(event.kind === "packet" && event["packet"] === "I1")) return [];
      this.#zero = wallMs(event);
      return this.#held.splice(0).flatMap((held) => this.#steps(held));
    }
    return this.#steps(event);
  }

  /** The step in which curl has the page; `wallMs` as of events. */
  page(octets: number, wallMs: number): LadderStep {
    return {
      atMs: wallMs - (this.#zero ?? wallMs),
      picture: ` page: ${count(octets, "octet")}`,
      meaning:
        "curl has the page. It spoke plain TCP and HTTP to the HIT; all of it travelled in " +
        "ESP.",
    };
  }

  #steps(event: EventReport): LadderStep[] {
    const shown = this.#show(event);
    if (shown === undefined) return [];
    const [picture, meaning] = shown;
    return [{ atMs: wallMs(event) - this.#zero!, picture, meaning }];
  }

  #isFirst(what: string): boolean {
    if (this.#seen.has(what)) return false;
    this.#seen.add(what);
    return true;
  }

  #show(event: EventReport): [picture: string, meaning: string] | undefined {
    switch (event.kind) {
      case "learned":
        if (!this.#isFirst("learned")) return undefined;
        return [
          " DNS: name -> HIT",
          `DNS has a HIP record for the name: curl is given the HIT ${hitOf(event)}.`,
        ];
      case "staged":
        if (!this.#isFirst("staged")) return undefined;
        return [
          " first packet waits",
          "curl connects to the HIT. There are no keys for it yet, so its first packet is kept.",
        ];
      case "packet":
        return this.#showPacket(event);
      case "puzzle-solved":
        return [
          " puzzle solved",
          `The client pays with work: ${
            count(Number(event["tries"]), "hash")
              .replace(/hashs$/, "hashes")
          }. The server checks the answer with one.`,
        ];
      case "state":
        if (event["to"] !== "ESTABLISHED" || !this.#isFirst("established")) return undefined;
        return [
          arrow("ESP", true, "="),
          "Each knows the other and both have the keys. The packet that waited leaves, encrypted.",
        ];
      default:
        return undefined;
    }
  }

  #showPacket(event: EventReport): [picture: string, meaning: string] {
    const name = String(event["packet"]);
    const isOut = event["direction"] === "out";
    const picture = arrow(name, isOut);
    if (!this.#isFirst(name)) return [picture, `${name} once more.`];
    return [picture, `${MEANINGS[name] ?? name} (${event["lengthOctets"]} octets)`];
  }
}

/** What each packet says, in everyday words (RFC 7401 §4.1). */
const MEANINGS: Readonly<Record<string, string>> = {
  I1: '"May we talk?" Only the two HITs and the key exchange methods on offer.',
  R1:
    "The server's public key, half of a key exchange, and a puzzle, signed. The server need not " +
    "remember anything yet, so a flood of I1 costs it little.",
  I2: "The solution, the client's half of the key exchange and its public key, signed.",
  R2: "The server has checked all that. It confirms, signed.",
};

function hitOf(event: EventReport): string {
  return abbreviateHit(String(event["peerHit"]));
}

function wallMs(event: EventReport): number {
  return Number(event["wallMs"]);
}
