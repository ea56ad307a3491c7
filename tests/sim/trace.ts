/**
 * What happened in a run, as text: virtual time, who, what. Two runs from one seed give the same
 * lines, so a test may compare them whole.
 */

import type { EngineEvent } from "../../lib/engine/effects.ts";
import { formatHit } from "../../lib/identity/hit.ts";
import { toHex } from "../../lib/base/bytes.ts";
import type { Instant } from "../../lib/base/time.ts";

interface Entry {
  readonly at: Instant;
  readonly who: string;
  readonly what: string | EngineEvent;
}

export class Trace {
  /** Put into words only when somebody reads them. */
  readonly #entries: Entry[] = [];
  readonly #names = new Map<string, string>();

  /** From now on this HIT is written as `name`. */
  nameHit(hit: Uint8Array, name: string): void {
    this.#names.set(toHex(hit), name);
  }

  /** One line; `text` says what happened. */
  add(at: Instant, who: string, text: string): void {
    this.#entries.push({ at, who, what: text });
  }

  addEvent(who: string, event: EngineEvent): void {
    this.#entries.push({ at: event.at, who, what: event });
  }

  get lines(): string[] {
    return this.#entries.map(({ at, who, what }) => {
      const text = typeof what === "string" ? what : this.#describe(what);
      return `${at.toFixed(3).padStart(12)} ms  ${who.padEnd(8)} ${text}`;
    });
  }

  /** The events of one kind at one host, in order. */
  events<Kind extends EngineEvent["kind"]>(
    who: string,
    kind: Kind,
  ): Extract<EngineEvent, { kind: Kind }>[] {
    return this.#entries.flatMap(({ who: host, what }) =>
      host === who && typeof what !== "string" && what.kind === kind
        ? [what as Extract<EngineEvent, { kind: Kind }>]
        : []
    );
  }

  /** Lines that contain `text`. */
  count(text: string): number {
    return this.lines.filter((line) => line.includes(text)).length;
  }

  /** Forgets all lines, and with them what events refer to. */
  clear(): void {
    this.#entries.length = 0;
  }

  toString(): string {
    return this.lines.join("\n");
  }

  #describe(event: EngineEvent): string {
    switch (event.kind) {
      case "packet": {
        const arrow = event.direction === "out" ? "->" : "<-";
        const peer = this.#name(event.peerHit);
        const parameters = event.parameters.join(" ");
        const size = `${event.lengthOctets} octets`;
        const udp = event.peerPort === 0 ? "" : ` UDP ${event.peerPort}`;
        return `${arrow} ${peer}${udp} ${event.packet} [${parameters}] ${size} ${event.detail}`
          .trimEnd();
      }
      case "state":
        return `${this.#name(event.peerHit)} ${event.from} => ${event.to} (${event.why})`;
      case "puzzle-solved":
        return `solved the puzzle of ${this.#name(event.peerHit)}, #K ${event.difficultyK}, ` +
          `${event.tries} tries`;
      case "staged":
        return `staged for ${this.#name(event.peerHit)}: ${event.packets}`;
      case "learned":
        return `learned ${event.name} as ${this.#name(event.peerHit)}`;
      case "identity":
        return `anonymous identity ${this.#name(event.localHit)} ${event.isGone ? "gone" : "made"}`;
      case "drop":
        return `drop ${event.reason} ${event.detail}`.trimEnd();
    }
  }

  #name(hit: Uint8Array): string {
    return this.#names.get(toHex(hit)) ?? formatHit(hit);
  }
}
