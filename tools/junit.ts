/**
 * Reads the JUnit reports that `deno test --junit-path` writes. Only what those hold is understood;
 * it is no general XML reader.
 */

export type Outcome = "passed" | "failed" | "skipped";

/** One test or test step. */
export interface TestResult {
  /** Path of the test file as Deno prints it. */
  readonly file: string;
  /** Title of the test; for a step, titles from the test down to it joined by `" > "`. */
  readonly name: string;
  /** The test's or step's own title. */
  readonly title: string;
  readonly isStep: boolean;
  /** A step counts as failed when a test or step around it failed. */
  readonly outcome: Outcome;
  readonly seconds: number;
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

function unescapeXml(text: string): string {
  return text.replace(/&(#x[0-9a-fA-F]+|#[0-9]+|[a-z]+);/g, (whole, name: string) => {
    if (name.startsWith("#x")) return String.fromCodePoint(parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(parseInt(name.slice(1), 10));
    return ENTITIES[name] ?? whole;
  });
}

function attribute(tag: string, name: string): string {
  const match = new RegExp(`\\s${name}="([^"]*)"`).exec(tag);
  return match === null ? "" : unescapeXml(match[1]!);
}

/** All tests and steps of a report, in its order. */
export function parseJunit(xml: string): TestResult[] {
  const cases: { file: string; name: string; outcome: Outcome; seconds: number }[] = [];
  for (const match of xml.matchAll(/<testcase\b([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const tag = match[1]!;
    const contents = match[3] ?? "";
    const outcome = /<(failure|error)\b/.test(contents)
      ? "failed"
      : /<skipped\b/.test(contents)
      ? "skipped"
      : "passed";
    cases.push({
      file: attribute(tag, "classname"),
      name: attribute(tag, "name"),
      outcome,
      seconds: Number(attribute(tag, "time")) || 0,
    });
  }
  const byName = new Map(cases.map((one) => [`${one.file}\n${one.name}`, one]));
  return cases.map((one) => {
    // A title may hold " > " itself, so a prefix is a parent only when such a test exists.
    let title = one.name;
    let isStep = false;
    let outcome = one.outcome;
    for (let at = one.name.indexOf(" > "); at >= 0; at = one.name.indexOf(" > ", at + 1)) {
      const parent = byName.get(`${one.file}\n${one.name.slice(0, at)}`);
      if (parent === undefined) continue;
      isStep = true;
      title = one.name.slice(at + 3);
      if (parent.outcome === "failed") outcome = "failed";
    }
    return { ...one, title, isStep, outcome };
  });
}
