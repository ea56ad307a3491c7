/**
 * Random stories of two engines, random lives of two simulated hosts, and random alterations of
 * captured packets, for as long as wanted; the ordinary tests do the same for a few seconds.
 *
 *     deno task fuzz [--minutes N] [--seed N]
 *
 * Seeds count upwards from `--seed`, from another one each day when none is given. The first that
 * fails is told, with exit code 1; `HIP_SEED=N deno test -A tests/fuzz` or
 * `tests/sim/lives_test.ts` plays that one again.
 */

import { Chance } from "../tests/support/chance.ts";
import { playLife } from "../tests/sim/life.ts";
import { playSequence } from "../tests/support/engine_sequence.ts";
import { capturedPackets, parseAltered } from "../tests/support/parser_mutations.ts";

/** Alterations of each captured packet after every story. */
const ALTERATIONS = 200;

const PROGRESS_MS = 10_000;
const DAY_MS = 86_400_000;

export interface FuzzOptions {
  readonly minutes: number;
  readonly seed: number;
}

/** @throws {SyntaxError} On an unknown option or a value that is no number from 0 on. */
export function parseOptions(args: readonly string[], nowMs: number): FuzzOptions {
  const options = { minutes: 1, seed: Math.floor(nowMs / DAY_MS) * 10_000 };
  const words = args.filter((word) => word !== "--").flatMap((word) => word.split("="));
  for (let i = 0; i < words.length; i += 2) {
    const value = Number(words[i + 1] ?? NaN);
    if (words[i] === "--minutes" && value >= 0) options.minutes = value;
    else if (words[i] === "--seed" && Number.isInteger(value) && value >= 0) options.seed = value;
    else throw new SyntaxError(`Use --minutes N and --seed N, not ${words[i]}`);
  }
  return options;
}

function main(): number {
  const options = parseOptions(Deno.args, Date.now());
  const until = performance.now() + options.minutes * 60_000;
  const packets = capturedPackets();
  let stories = 0;
  let nextProgress = performance.now() + PROGRESS_MS;
  const tell = () => {
    const altered = stories * packets.length * ALTERATIONS;
    console.log(
      `${stories} stories and lives from seed ${options.seed} on, ${altered} altered packets`,
    );
  };
  for (; performance.now() < until; stories++) {
    const seed = options.seed + stories;
    try {
      playSequence(seed);
      playLife(seed);
      const chance = new Chance(seed);
      for (const packet of packets) {
        for (let i = 0; i < ALTERATIONS; i++) parseAltered(packet, chance);
      }
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
      console.error(`FAILED. Once more: deno task fuzz --seed ${seed}`);
      return 1;
    }
    if (performance.now() < nextProgress) continue;
    nextProgress += PROGRESS_MS;
    tell();
  }
  tell();
  return 0;
}

if (import.meta.main) Deno.exit(main());
