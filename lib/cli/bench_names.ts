/** The subjects that `hip bench` sets side by side, by name. Pure. */

import { RAW } from "./bench_figures.ts";

/** What a subject is called in figures, and in headings of one or two lines. */
export interface SubjectName {
  readonly name: string;
  readonly heading: readonly [string, string];
}

/** All that there are, in the order of tables. */
export const SUBJECTS: readonly SubjectName[] = [
  { name: RAW, heading: ["raw", "veth"] },
  { name: "hip-udp", heading: ["hip", "UDP"] },
  { name: "hip-esp", heading: ["hip", "ESP"] },
  { name: "wireguard-go", heading: ["wire-", "guard-go"] },
  { name: "strongswan", heading: ["strong-", "Swan"] },
  { name: "yggdrasil", heading: ["ygg-", "drasil"] },
];

/** "raw veth", "hip UDP", "wireguard-go". */
export function subjectTitle(name: string): string {
  const [first = name, second = ""] = SUBJECTS.find((known) => known.name === name)?.heading ?? [];
  return first.endsWith("-") ? first.slice(0, -1) + second : `${first} ${second}`.trim();
}
