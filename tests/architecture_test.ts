/**
 * The house rules (CONTRIBUTING.md, "The house") hold for all sources; and the check that says so
 * fails when a rule is broken.
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  checkArchitecture,
  findImports,
  formatViolation,
  maskText,
  readSources,
} from "./support/architecture.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

function problems(sources: Record<string, string>): string[] {
  return checkArchitecture(new Map(Object.entries(sources))).map(formatViolation);
}

/** A small house in order, with one file replaced or added. */
function houseWith(path: string, text: string): string[] {
  return problems({
    "main.ts": `import { run } from "./lib/cli/run.ts";\nimport { tun } from "./ffi/tun.ts";\n` +
      `new URL("./job_worker.ts", import.meta.url);\n`,
    "job_worker.ts": `import { tun } from "./ffi/tun.ts";\n`,
    "lib/cli/run.ts": `import { loop } from "../runtime/loop.ts";\nDeno.exit(0);\n`,
    "lib/runtime/loop.ts": `import type { E } from "../engine/engine.ts";\nDate.now();\n`,
    "lib/runtime/ports.ts": `export interface Tun { read(): void }\n`,
    "lib/engine/engine.ts": `import { A } from "../hip/association.ts";\n`,
    "lib/hip/association.ts": `import { Sa } from "../esp/sa.ts";\n`,
    "lib/esp/sa.ts": `import { bytes } from "../base/bytes.ts";\n`,
    "lib/base/bytes.ts": `export const bytes = 1; // Date.now() and Deno stay out\n`,
    "ffi/tun.ts": `import type { Tun } from "../lib/runtime/ports.ts";\nDeno.dlopen("x", {});\n`,
    [path]: text,
  });
}

Deno.test("the sources keep to the house rules", async () => {
  const sources = await readSources(ROOT);
  assert.ok(sources.has("main.ts") && sources.has("tests/architecture_test.ts"));
  assert.deepEqual(checkArchitecture(sources).map(formatViolation), []);
});

Deno.test("a house in order has no violation", () => {
  assert.deepEqual(houseWith("lib/wire/reader.ts", "export class Reader {}\n"), []);
});

const FORBIDDEN: readonly [path: string, text: string, problem: string][] = [
  [
    "lib/esp/x.ts",
    `\n\nimport { y } from "../hip/y.ts";\n`,
    "lib/esp/x.ts:3 imports lib/hip/y.ts: esp may not import hip",
  ],
  [
    "lib/dns/x.ts",
    `import type { y } from "../esp/y.ts";`,
    "lib/dns/x.ts:1 imports lib/esp/y.ts: dns may not import esp",
  ],
  [
    "lib/host/x.ts",
    `import { y } from "../hip/y.ts";`,
    "lib/host/x.ts:1 imports lib/hip/y.ts: host may not import hip",
  ],
  [
    "lib/wire/x.ts",
    `import {\n  a,\n  b,\n} from "../crypto/y.ts";`,
    "lib/wire/x.ts:4 imports lib/crypto/y.ts: wire may not import crypto",
  ],
  [
    "lib/base/x.ts",
    `export { y } from "../wire/y.ts";\nexport const z = 1;`,
    "lib/base/x.ts:1 imports lib/wire/y.ts: base may not import wire",
  ],
  [
    "lib/engine/x.ts",
    `const y = await import("../runtime/y.ts");`,
    "lib/engine/x.ts:1 imports lib/runtime/y.ts: engine may not import runtime",
  ],
  [
    "lib/runtime/x.ts",
    `import "../cli/y.ts";`,
    "lib/runtime/x.ts:1 imports lib/cli/y.ts: runtime may not import cli",
  ],
  [
    "lib/hip/x.ts",
    `new Worker(new URL("../runtime/y.ts", import.meta.url));`,
    "lib/hip/x.ts:1 imports lib/runtime/y.ts: hip may not import runtime",
  ],
  [
    "lib/runtime/x.ts",
    `import { y } from "../../ffi/y.ts";`,
    "lib/runtime/x.ts:1 imports ffi/y.ts: only main.ts and the modules of workers may import ffi/",
  ],
  [
    "lib/runtime/x.ts",
    `new Worker(new URL("../../job_worker.ts", import.meta.url));`,
    "lib/runtime/x.ts:1 imports job_worker.ts: only main.ts names it",
  ],
  [
    "ffi/x.ts",
    `import { y } from "../lib/engine/y.ts";`,
    "ffi/x.ts:1 imports lib/engine/y.ts: ffi may import only lib/runtime/ports.ts, " +
    "lib/crypto/, lib/wire/, lib/base/",
  ],
  [
    "lib/cli/x.ts",
    `import { y } from "../../tests/support/y.ts";`,
    "lib/cli/x.ts:1 imports tests/support/y.ts: the program may import only lib/ and ffi/",
  ],
  [
    "lib/other/x.ts",
    `import { y } from "../base/y.ts";`,
    "lib/other/x.ts:1 imports lib/base/y.ts: lib/other is no layer of this house",
  ],
  [
    "lib/dns/x.ts",
    `import { decode } from "dns-packet";`,
    "lib/dns/x.ts:1 imports dns-packet: dns-packet is for tests only",
  ],
  [
    "lib/dns/x.ts",
    `import dgram from "node:dgram";`,
    "lib/dns/x.ts:1 imports node:dgram: only lib/runtime, lib/lab and lib/cli may use the system's modules",
  ],
  [
    "lib/hip/x.ts",
    `import { createHmac } from "node:crypto";`,
    "lib/hip/x.ts:1 imports node:crypto: node:crypto belongs to lib/crypto",
  ],
];

for (const [path, text, problem] of FORBIDDEN) {
  Deno.test(`a forbidden import is found: ${problem}`, () => {
    assert.deepEqual(houseWith(path, text), [problem]);
  });
}

for (
  const mention of [
    "Deno.pid",
    "Date.now()",
    "performance.now()",
    "setTimeout(f, 1)",
    "setInterval(f, 1)",
    "Math.random()",
    "crypto.getRandomValues(b)",
    "globalThis",
  ]
) {
  Deno.test(`outside runtime, lab and cli, ${mention} is found in code and nowhere else`, () => {
    const found = houseWith("lib/hip/x.ts", `/* ${mention} */\nconst a = ${mention};\n`);
    assert.equal(found.length, 1);
    assert.match(
      found[0]!,
      /^lib\/hip\/x\.ts:2 mentions .*: only lib\/runtime, lib\/lab and lib\/cli may/,
    );
    assert.equal(houseWith("lib/hip/x.ts", `const a = \`\${${mention}}\`;\n`).length, 1);
    assert.deepEqual(houseWith("lib/hip/x.ts", `const a = "${mention}"; // ${mention}\n`), []);
    assert.deepEqual(houseWith("lib/hip/x.ts", `const a = \`it's ${mention}\`;\n`), []);
    assert.deepEqual(houseWith("lib/cli/x.ts", `const a = ${mention};\n`), []);
  });
}

Deno.test("Deno.dlopen and Deno.Unsafe… are found outside ffi/", () => {
  assert.deepEqual(houseWith("lib/runtime/x.ts", `Deno.dlopen("libc.so.6", {});\n`), [
    "lib/runtime/x.ts:1 mentions Deno.dlopen: only ffi/ may",
  ]);
  assert.deepEqual(houseWith("main.ts", `\nDeno.UnsafePointer.of(b);\n`), [
    "main.ts:2 mentions Deno.UnsafePointer: only ffi/ may",
  ]);
});

Deno.test("an import cycle is found, also through types", () => {
  const found = problems({
    "lib/hip/a.ts": `import type { b } from "./b.ts";\n`,
    "lib/hip/b.ts": `import { c } from "./c.ts";\n`,
    "lib/hip/c.ts": `import { a } from "./a.ts";\n`,
  });
  assert.deepEqual(found, [
    "lib/hip/c.ts:1 closes an import cycle: " +
    "lib/hip/a.ts -> lib/hip/b.ts -> lib/hip/c.ts -> lib/hip/a.ts",
  ]);
});

Deno.test("a barrel file is found by name and by what it does", () => {
  const problem = "is a barrel file: import the file that defines the thing";
  assert.deepEqual(houseWith("lib/wire/mod.ts", "export const a = 1;\n"), [
    `lib/wire/mod.ts:1 ${problem}`,
  ]);
  assert.deepEqual(houseWith("lib/wire/all.ts", `\nexport * from "./reader.ts";\n`), [
    `lib/wire/all.ts:2 ${problem}`,
  ]);
  assert.deepEqual(houseWith("lib/wire/all.ts", `export { Reader } from "./reader.ts";\n`), [
    `lib/wire/all.ts:1 ${problem}`,
  ]);
});

Deno.test("a file of 600 lines is allowed and one of 601 is found", () => {
  assert.deepEqual(houseWith("tests/x_test.ts", "a;\n".repeat(600)), []);
  assert.deepEqual(houseWith("tests/x_test.ts", "a;\n".repeat(601)), [
    "tests/x_test.ts:601 has 601 lines: 600 are allowed",
  ]);
});

Deno.test("the scanner tells code from comments, strings, templates and regular expressions", () => {
  const cases: readonly [text: string, masked: string][] = [
    [`a // b\nc`, `a     \nc`],
    [`a /* b\nc */ d`, `a     \n     d`],
    [`"a\\"b" + 'c' + d`, `"    " + ' ' + d`],
    ["`a${b + `c${d}e` + {f}}g` + h", "` ${b + ` ${d} ` + {f}} ` + h"],
    [`x = /["'/]/g.test(y) / 2 / z`, `x =         .test(y) / 2 / z`],
    [`"🙂" + a`, `"  " + a`],
  ];
  for (const [text, masked] of cases) assert.equal(maskText(text), masked);
  assert.deepEqual(findImports(`const s = 'import "x"'; // import "y"\nimport "z";\n`), [
    { specifier: "z", line: 2 },
  ]);
});
