/**
 * `gai.conf(5)` as text: the precedence table by which glibc sorts addresses after the answer
 * (RFC 6724 §2.1). Without a line for HITs, rule 9 puts a native address of the same site before
 * the HIT. Pure.
 */

/** RFC 6724's table as glibc has it, with HITs between loopback and everything else, and LSIs. */
const TABLE = [
  "precedence ::1/128 50",
  "precedence 2001:20::/28 45",
  "precedence ::/0 40",
  "precedence 2002::/16 30",
  "precedence ::/96 20",
  // LSIs, of the historical range and of ours, stand before other IPv4 addresses.
  "precedence ::ffff:1.0.0.0/104 12",
  "precedence ::ffff:198.18.0.0/111 12",
  "precedence ::ffff:0:0/96 10",
];

/** That of ::/0, where the file does not say (RFC 6724 §2.1). */
const DEFAULT_PRECEDENCE = 40;

const BEGIN = "# Added by hip: HITs before other addresses. `hip down` removes this part.";

/**
 * The file with HITs above native addresses.
 *
 * One precedence line replaces glibc's whole table, so a file without any gets all of it. A file
 * with lines of its own gets one more, above all others but loopback's: where IPv4 stands before
 * IPv6, HITs stand before both.
 */
export function addHitPrecedence(original: string): string {
  const own = original.split("\n").map((line) =>
    /^\s*precedence\s+(\S+)\s+(\d+)/.exec(line.replace(/#.*/, ""))
  ).filter((match) => match !== null);
  if (own.some((match) => match[1] === "2001:20::/28")) return original;
  const separator = original === "" || original.endsWith("\n") ? "" : "\n";
  let lines = TABLE;
  if (own.length > 0) {
    const values = own.filter((match) => match[1] !== "::1/128").map((match) => Number(match[2]));
    const highest = Math.max(DEFAULT_PRECEDENCE, ...values);
    lines = [`precedence 2001:20::/28 ${highest + 5}`];
  }
  return `${original}${separator}${[BEGIN, ...lines].join("\n")}\n`;
}
