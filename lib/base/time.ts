/**
 * Points in time and spans between them, in milliseconds on a monotonic scale. There is no clock
 * here: whoever needs the time is given it.
 */

declare const INSTANT: unique symbol;
declare const DURATION: unique symbol;

/** A point on the monotonic scale of one run, in milliseconds; fractions allowed, never falling. */
export type Instant = number & { readonly [INSTANT]: true };

/** A span in milliseconds. */
export type Duration = number & { readonly [DURATION]: true };

/** The instant `ms` milliseconds after the scale's zero. */
export function instant(ms: number): Instant {
  return ms as Instant;
}

/** A span of `ms` milliseconds. */
export function milliseconds(ms: number): Duration {
  return ms as Duration;
}

/** A span of `s` seconds. */
export function seconds(s: number): Duration {
  return (s * 1000) as Duration;
}

/** The instant that lies `span` after `from`. */
export function after(from: Instant, span: Duration): Instant {
  return (from + span) as Instant;
}

/** The span from `earlier` to `later`; negative when they are the other way round. */
export function elapsed(earlier: Instant, later: Instant): Duration {
  return (later - earlier) as Duration;
}

/** The earlier of two instants, either of which may be absent. */
export function earliest(a: Instant | undefined, b: Instant | undefined): Instant | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return a < b ? a : b;
}
