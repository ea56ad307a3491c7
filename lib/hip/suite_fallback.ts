/**
 * Beginning again under another source HIT when the Responder's HIT suites demand it (RFC 7401
 * §4.1.6, §4.1.8, §6.8 step 6).
 *
 * In opportunistic mode the Responder may answer under a HIT whose signature we cannot check. Of
 * such an R1 only HIT_SUITE_LIST counts, as hearsay: it may choose our next source HIT, and the
 * first R1 that can be checked must then hold the same list, or the exchange begins once more by
 * what that R1 says.
 */

import { hitSuiteId } from "../identity/hit.ts";
import type { HipPacket } from "../wire/hip/packet.ts";
import { HIT_SUITE_LIST } from "../wire/hip/parameters/hit_suite_list.ts";
import { failed } from "./job_failure.ts";
import type { JobFailure } from "./jobs.ts";

export class SuiteFallback {
  /** HIT suites whose signatures we can verify. */
  readonly #ours: readonly number[];
  /** What an R1 that could not be checked has claimed. */
  #claimed: readonly number[] | undefined;
  /** The same once a new I1 was sent because of it. */
  #hearsay: readonly number[] | undefined;
  /** Suites of which one should be that of the next source HIT, most preferred first. */
  #wanted: readonly number[] | undefined;

  constructor(ours: readonly number[]) {
    this.#ours = ours;
  }

  /** Whether the signature of this R1 is beyond us. */
  isUnverifiable({ senderHit }: HipPacket): boolean {
    return !this.#ours.includes(hitSuiteId(senderHit));
  }

  /**
   * Takes note of an R1 that cannot be checked, by its HIT_SUITE_LIST alone.
   *
   * @throws {MalformedPacketError} Without that.
   */
  noteUnverifiable(r1: HipPacket, ownSuite: number): void {
    const { suiteIds } = r1.require(HIT_SUITE_LIST);
    // The Responder answers under the suite of our HIT when it can: that must be one we can check.
    const usable = suiteIds.filter((suite) => suite !== ownSuite && this.#ours.includes(suite));
    if (usable.length === 0) return;
    this.#claimed = [...suiteIds];
    this.#wanted = usable;
  }

  /**
   * What the list of an R1 with a right signature means for our source HIT.
   *
   * @returns Why the R1 cannot be used: another I1 is wanted.
   * @throws {MalformedPacketError} Without a list.
   */
  checkVerified(r1: HipPacket, ownSuite: number): JobFailure | undefined {
    const { suiteIds } = r1.require(HIT_SUITE_LIST);
    const hearsay = this.#hearsay;
    this.#hearsay = this.#claimed = this.#wanted = undefined;
    if (hearsay !== undefined && !isSameList(hearsay, suiteIds)) {
      this.#wanted = suiteIds.filter((suite) => this.#ours.includes(suite));
      return failed(
        "hip-suite-list-differs",
        `suites ${suiteIds.join(" ")} where ${hearsay.join(" ")} were claimed`,
      );
    }
    if (suiteIds.includes(ownSuite)) return undefined;
    this.#wanted = [...suiteIds];
    return failed("hip-unsupported-suite", `the Responder does not list HIT suite ${ownSuite}`);
  }

  /** Whether the next I1 should have another source HIT. */
  get isWanted(): boolean {
    return this.#wanted !== undefined;
  }

  /** An I1 goes out because of what was learned. @returns The suites to choose from. */
  take(): readonly number[] | undefined {
    const wanted = this.#wanted;
    this.#hearsay = this.#claimed;
    this.#wanted = this.#claimed = undefined;
    return wanted;
  }
}

function isSameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((suite, at) => suite === b[at]);
}
