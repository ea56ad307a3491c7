/** Numbers and names as people read them. Pure. */

/** A span: "0.6 ms", "12 ms", "3.2 s", "5 min", "2 h", "4 d". */
export function formatSpan(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Octets with a decimal prefix: "88 MB", "1.2 GB". */
export function formatOctets(octets: number): string {
  let value = octets;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit > 0 && value < 9.95 ? value.toFixed(1) : String(Math.round(value));
  return `${digits} ${UNITS[unit]}`;
}

/** A HIT in 22 columns or less: its head, which shows the suite, and its tail. */
export function abbreviateHit(hit: string): string {
  const groups = hit.split(":");
  if (groups.length < 6) return hit;
  return `${groups.slice(0, 3).join(":")}:...:${groups[groups.length - 1]}`;
}

/** `text` cut to `width` columns, the cut marked. */
export function truncate(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/** "1 name", "2 names". */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * A problem as it stands behind the name of a command: one line, a small letter first unless the
 * word is a name in capitals, and an end.
 */
export function sentence(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  const begun = /^[A-Z][a-z]* /.test(line) ? line[0]!.toLowerCase() + line.slice(1) : line;
  // A command or a path at the end stays as it can be copied.
  return /[.!?)"]$/.test(begun) || /(?:Run|with): \S+( \S+)*$/.test(begun) ? begun : `${begun}.`;
}

/** Breaks `text` between words into lines of at most `width` columns; later ones begin `indent`. */
export function wrap(text: string, width: number, indent = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent + word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
