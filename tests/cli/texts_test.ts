/** What the README says of settings, held against the program. */

import assert from "node:assert/strict";
import { CONFIG_KEYS, DEFAULT_CONFIG } from "../../lib/runtime/config.ts";
import { parseConfig } from "../../lib/runtime/config_file.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../../${path}`, import.meta.url));

/** Rows of the table of settings: keys and defaults, as they stand there. */
function settingsRows(): { keys: string[]; defaults: string[] }[] {
  const table = read("README.md").split("## Settings")[1]!.split("\n## ")[0]!;
  return table.split("\n").filter((line) => line.startsWith("| `")).map((line) => {
    const [, keys = "", defaults = ""] = line.split("|");
    const quoted = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
    const [first = ""] = quoted(keys);
    return { keys: quoted(keys).map((key) => key.replace("…", first)), defaults: quoted(defaults) };
  });
}

Deno.test("The README has every setting in its table, once, with its default", () => {
  const rows = settingsRows();
  assert.deepEqual(rows.flatMap(({ keys }) => keys).sort(), [...CONFIG_KEYS].sort());
  const lines = rows
    .filter(({ keys, defaults }) => keys.length === defaults.length)
    .flatMap(({ keys, defaults }) => keys.map((key, i) => `${key} = ${defaults[i]}`));
  assert.ok(lines.length > 25);
  assert.deepEqual(parseConfig(lines.join("\n"), "README.md"), DEFAULT_CONFIG);
});

Deno.test("The access list of the README can be read", () => {
  const example = read("README.md").split("```").find((block) => /^\s*peer = /.test(block))!;
  const { peers } = parseConfig(example, "README.md");
  assert.equal(peers.length, 4);
});

Deno.test("SEC-011 nothing that users read calls the encryption of HOST_ID anonymity; it is said what stays visible", () => {
  const passages = ["README.md", "lib/runtime/config.ts", "lib/hip/constants.ts"]
    .flatMap((path) => read(path).split(/\n(?:\s*\n|\s*\/\*\*|\| |- )/))
    .filter((passage) => /encrypt_host_id|HOST_ID travels/.test(passage));
  assert.ok(passages.length >= 4);
  for (const passage of passages) {
    const claims = passage.replace(/no anonymity/g, "");
    assert.doesNotMatch(claims, /anonym|privacy|private|hides? (who|us|our)|untraceable/i, passage);
  }
  const readme = passages.filter((passage) => passage.includes("`encrypt_host_id`"));
  assert.equal(readme.length, 2);
  for (const passage of readme) {
    assert.match(passage.replace(/\s+/g, " "), /HITs (are seen|stand in every)/);
  }
});
