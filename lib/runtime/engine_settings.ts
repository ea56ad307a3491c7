/** What of the configuration concerns the engine, in the engine's terms. Pure. */

import { milliseconds, seconds } from "../base/time.ts";
import type { ControlSettings } from "../hip/constants.ts";
import { DEFAULT_CONTROL_SETTINGS } from "../hip/constants.ts";
import type { ExchangePolicy } from "../hip/jobs.ts";
import type { Config } from "./config.ts";

/** What is offered and accepted. */
export function exchangePolicy(
  { dhGroups, hipCiphers, espSuites, hitSuites }: Config,
): ExchangePolicy {
  return { dhGroups, hipCiphers, espSuites, hitSuites };
}

/** Times and limits that differ from the defaults of the engine, or may. */
export function controlSettings(config: Config): Partial<ControlSettings> {
  const { i1TimeoutMax, i2TimeoutMax } = DEFAULT_CONTROL_SETTINGS;
  return {
    transport: config.transport,
    puzzleDifficultyK: config.puzzleDifficulty,
    puzzleDifficultyKMax: Math.max(config.puzzleDifficulty, config.puzzleDifficultyMax),
    encryptHostId: config.encryptHostId,
    answersOpportunistic: config.opportunistic,
    esn: config.esn,
    rekeyAge: config.rekeyAfter,
    rekeyOctets: config.rekeyOctets,
    rekeyWithDh: config.rekeyDh,
    unusedAssociationLifetime: seconds(config.idleTimeoutSeconds),
    i1Timeout: config.i1Timeout,
    // A longer first wait still doubles at least once.
    i1TimeoutMax: milliseconds(Math.max(i1TimeoutMax, 2 * config.i1Timeout)),
    i1RetriesMax: config.i1Retries,
    i2Timeout: config.i2Timeout,
    i2TimeoutMax: milliseconds(Math.max(i2TimeoutMax, 2 * config.i2Timeout)),
    i2RetriesMax: config.i2Retries,
    maxAssociations: config.maxAssociations,
    icmpToStrangers: config.icmpToStrangers,
    pathMtuLifetime: seconds(config.pathMtuLifetimeSeconds),
    acceptedIcmp: config.acceptIcmp,
    audit: config.audit,
  };
}
