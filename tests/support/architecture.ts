/**
 * Checks the rules on the house: who may import whom, what may not be mentioned where, no import
 * cycles, no barrel files, no file over 600 lines. Works on a map of path to text, so that its own
 * test can feed it sources with a violation in them.
 *
 * It reads TypeScript with a scanner that blanks comments and the contents of strings; it is not a
 * parser, and knows only as much of the language as these rules need.
 */

import { dirname, join } from "node:path/posix";

/** Repository path ("lib/esp/x.ts") to text. */
export type Sources = ReadonlyMap<string, string>;

export interface Violation {
  readonly path: string;
  /** First line is 1. */
  readonly line: number;
  readonly problem: string;
}

export const MAX_LINES = 600;

const LIB_ORDER = ["identity", "crypto", "wire", "base"];

/** Folder of lib/ to the folders of lib/ that it may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  cli: ["lab", "runtime", "engine", "esp", "hip", "dns", "host", ...LIB_ORDER],
  lab: ["runtime", "engine", "esp", "hip", "dns", "host", ...LIB_ORDER],
  runtime: ["engine", "esp", "hip", "dns", "host", ...LIB_ORDER],
  engine: ["esp", "hip", "dns", "host", ...LIB_ORDER],
  hip: ["esp", ...LIB_ORDER],
  esp: LIB_ORDER,
  dns: LIB_ORDER,
  host: LIB_ORDER,
  identity: LIB_ORDER.slice(1),
  crypto: LIB_ORDER.slice(2),
  wire: LIB_ORDER.slice(3),
  base: [],
};

/** What ffi/ may import: single files end in ".ts", folders in "/". */
const FFI_MAY_IMPORT = [
  "ffi/",
  "lib/runtime/ports.ts",
  "lib/crypto/",
  "lib/wire/",
  "lib/base/",
];

/** The modules of threads that use the system's libraries or its calls. */
const WORKER_ENTRIES = ["job_worker.ts", "data_worker.ts"];

/** What runs by itself: nothing in `lib/` or `ffi/` may import it. */
const ENTRIES = ["main.ts", ...WORKER_ENTRIES];

/** Layers that do input and output and may ask the system for time and randomness. */
const WITH_IO = ["lib/runtime/", "lib/lab/", "lib/cli/"];

const TEST_ONLY_PACKAGES = ["dns-packet", "fast-check"];

const IO_IDENTIFIERS =
  /(?<![\w$.])(?:Deno|Date|performance|setTimeout|setInterval|globalThis)(?![\w$])|(?<![\w$])(?:Math\.random|getRandomValues|randomUUID)(?![\w$])/g;
const UNSAFE_IDENTIFIERS = /(?<![\w$])Deno\s*\.\s*(?:dlopen|Unsafe\w*)/g;

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** Whether a slash after this text starts a regular expression and not a division. */
function startsRegExp(before: string): boolean {
  const text = before.trimEnd();
  return text === "" || /[(,=:[!&|?{};+\-*%<>~^]$/.test(text) ||
    /(?:^|[^\w$.])(?:return|typeof|case|in|of|void|throw|yield|await)$/.test(text);
}

/**
 * The text with comments and the contents of strings, templates and regular expressions replaced by
 * spaces; quotes, line breaks and the code inside `${}` stay where they were.
 */
export function maskText(text: string): string {
  const out = text.split("");
  /** Depth of braces inside each `${` that is open. */
  const templates: number[] = [];
  let at = 0;
  const blank = (end: number) => {
    for (; at < end && at < text.length; at++) if (text[at] !== "\n") out[at] = " ";
  };
  const closing = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    return match === null ? text.length : match.index + match[0].length;
  };
  /** From inside a template up to its closing backquote or the next `${`. */
  const skipTemplate = () => {
    const end = closing(/(?:\\[\s\S]|(?!`|\$\{)[\s\S])*/y);
    blank(end);
    if (text.startsWith("${", at)) {
      templates.push(0);
      at += 2;
    } else at++;
  };
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const one = text[at]!;
    if (two === "//") blank(closing(/[^\n]*/y));
    else if (two === "/*") blank(closing(/\/\*[\s\S]*?\*\//y));
    else if (one === '"' || one === "'") {
      const end = closing(one === '"' ? /"(?:\\[\s\S]|[^"\\\n])*/y : /'(?:\\[\s\S]|[^'\\\n])*/y);
      at++;
      blank(end);
      at++;
    } else if (one === "`") {
      at++;
      skipTemplate();
    } else if (one === "/" && startsRegExp(out.slice(Math.max(0, at - 40), at).join(""))) {
      blank(closing(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y));
    } else {
      const depth = templates.at(-1);
      at++;
      if (depth === undefined) continue;
      if (one === "{") templates[templates.length - 1] = depth + 1;
      else if (one === "}" && depth > 0) templates[templates.length - 1] = depth - 1;
      else if (one === "}") {
        templates.pop();
        skipTemplate();
      }
    }
  }
  return out.join("");
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i >= 0 && i < offset; i = text.indexOf("\n", i + 1)) line++;
  return line;
}

/** Everything a file imports, re-exports or names as a worker's module. */
export function findImports(text: string, masked = maskText(text)): Import[] {
  const imports: Import[] = [];
  const patterns = [
    /\b(?:import|export)\b[^;"'()=]*?\bfrom\s*["']/g,
    /\bimport\s*["']/g,
    /\bimport\s*\(\s*["']/g,
    /\bnew\s+URL\s*\(\s*["'](?=[^"']*["']\s*,\s*import\.meta\.url)/g,
  ];
  for (const pattern of patterns) {
    for (const match of masked.matchAll(pattern)) {
      const start = match.index + match[0].length;
      const end = text.indexOf(text[start - 1]!, start);
      imports.push({ specifier: text.slice(start, end), line: lineAt(text, start) });
    }
  }
  return imports.sort((a, b) => a.line - b.line);
}

/** Repository path of what is imported, or `undefined` for packages. */
function resolve(path: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? join(dirname(path), specifier) : undefined;
}

const isProgram = (path: string) =>
  ENTRIES.includes(path) || path.startsWith("lib/") || path.startsWith("ffi/");
const isPureLib = (path: string) =>
  path.startsWith("lib/") && !WITH_IO.some((folder) => path.startsWith(folder));

/** "esp" for "lib/esp/x.ts", "ffi" for "ffi/x.ts", else the file's own name. */
function layerOf(path: string): string {
  const [first, second] = path.split("/");
  return first === "lib" ? second! : first!;
}

function matchesAny(path: string, patterns: readonly string[]): boolean {
  return patterns.some((one) => one.endsWith("/") ? path.startsWith(one) : path === one);
}

/** Why a program file may not import another file of the repository; `undefined` when it may. */
function forbiddenImport(from: string, to: string): string | undefined {
  if (to === "deno.json" && WITH_IO.some((folder) => from.startsWith(folder))) return undefined;
  if (!isProgram(to)) return "the program may import only lib/ and ffi/";
  if (to === "main.ts") return "nothing imports main.ts";
  if (from === "main.ts") return undefined;
  if (WORKER_ENTRIES.includes(to)) return "only main.ts names it";
  if (WORKER_ENTRIES.includes(from)) return undefined;
  if (from.startsWith("ffi/")) {
    if (matchesAny(to, FFI_MAY_IMPORT)) return undefined;
    return `ffi may import only ${FFI_MAY_IMPORT.slice(1).join(", ")}`;
  }
  if (to.startsWith("ffi/")) return "only main.ts and the modules of workers may import ffi/";
  const layer = layerOf(from);
  const other = layerOf(to);
  const allowed = MAY_IMPORT[layer];
  if (allowed === undefined) return `lib/${layer} is no layer of this house`;
  return layer === other || allowed.includes(other)
    ? undefined
    : `${layer} may not import ${other}`;
}

/** Why a program file may not import a package; `undefined` when it may. */
function forbiddenPackage(from: string, specifier: string): string | undefined {
  if (TEST_ONLY_PACKAGES.some((name) => specifier === name || specifier.startsWith(`${name}/`))) {
    return `${specifier} is for tests only`;
  }
  if (!isPureLib(from) || !specifier.startsWith("node:")) return undefined;
  if (specifier === "node:buffer") return undefined;
  if (specifier === "node:crypto" && from.startsWith("lib/crypto/")) return undefined;
  return specifier === "node:crypto"
    ? "node:crypto belongs to lib/crypto"
    : "only lib/runtime, lib/lab and lib/cli may use the system's modules";
}

function checkImports(path: string, imports: readonly Import[]): Violation[] {
  const violations: Violation[] = [];
  for (const { specifier, line } of imports) {
    const to = resolve(path, specifier);
    const reason = to === undefined ? forbiddenPackage(path, specifier) : forbiddenImport(path, to);
    if (reason !== undefined) {
      violations.push({ path, line, problem: `imports ${to ?? specifier}: ${reason}` });
    }
  }
  return violations;
}

function checkIdentifiers(path: string, masked: string): Violation[] {
  const violations: Violation[] = [];
  const report = (pattern: RegExp, reason: string) => {
    for (const match of masked.matchAll(pattern)) {
      const line = lineAt(masked, match.index);
      violations.push({ path, line, problem: `mentions ${match[0]}: ${reason}` });
    }
  };
  if (isPureLib(path)) {
    report(IO_IDENTIFIERS, "only lib/runtime, lib/lab and lib/cli may; take it as an argument");
  }
  if (!path.startsWith("ffi/")) report(UNSAFE_IDENTIFIERS, "only ffi/ may");
  return violations;
}

function checkBarrel(path: string, masked: string): Violation[] {
  const problem = "is a barrel file: import the file that defines the thing";
  if (/(?:^|\/)(?:mod|index)\.ts$/.test(path)) return [{ path, line: 1, problem }];
  const star = /\bexport\s*\*/.exec(masked);
  if (star !== null) return [{ path, line: lineAt(masked, star.index), problem }];
  const passedOn = /\bexport\s+(?:type\s+)?\{[^}]*\}\s*from\b/.exec(masked);
  const own =
    /\bexport\s+(?:default|abstract|async|class|const|declare|enum|function|interface|let|type\s+\w|\{[^}]*\}(?!\s*from\b))/;
  return passedOn !== null && !own.test(masked)
    ? [{ path, line: lineAt(masked, passedOn.index), problem }]
    : [];
}

/** One violation per cycle, at the import that closes it. */
function checkCycles(graph: ReadonlyMap<string, readonly Import[]>): Violation[] {
  const violations: Violation[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string) => {
    trail.push(path);
    for (const { specifier, line } of graph.get(path)!) {
      const to = resolve(path, specifier);
      if (to === undefined || !graph.has(to) || done.has(to)) continue;
      const start = trail.indexOf(to);
      if (start < 0) visit(to);
      else {
        const cycle = [...trail.slice(start), to].join(" -> ");
        violations.push({ path, line, problem: `closes an import cycle: ${cycle}` });
      }
    }
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) if (!done.has(path)) visit(path);
  return violations;
}

/** Every violation in the sources; tests and tools are only held to length, barrels and cycles. */
export function checkArchitecture(sources: Sources): Violation[] {
  const violations: Violation[] = [];
  const graph = new Map<string, readonly Import[]>();
  for (const [path, text] of sources) {
    const masked = maskText(text);
    const imports = findImports(text, masked);
    graph.set(path, imports);
    const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    if (lines > MAX_LINES) {
      violations.push({
        path,
        line: lines,
        problem: `has ${lines} lines: ${MAX_LINES} are allowed`,
      });
    }
    violations.push(...checkBarrel(path, masked));
    if (isProgram(path)) {
      violations.push(...checkImports(path, imports), ...checkIdentifiers(path, masked));
    }
  }
  return [...violations, ...checkCycles(graph)];
}

/** "lib/esp/x.ts:3 imports lib/hip/y.ts: esp may not import hip" */
export function formatViolation({ path, line, problem }: Violation): string {
  return `${path}:${line} ${problem}`;
}

/** All TypeScript sources under the root, sorted by path; build results and hidden folders left out. */
export async function readSources(root: string): Promise<Sources> {
  const paths: string[] = [];
  const walk = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
      if (name.startsWith(".") || name === "dist" || name === "node_modules") continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      if (isDirectory) await walk(path);
      else if (name.endsWith(".ts")) paths.push(path);
    }
  };
  await walk("");
  const sources = new Map<string, string>();
  for (const path of paths.sort()) sources.set(path, await Deno.readTextFile(`${root}/${path}`));
  return sources;
}
