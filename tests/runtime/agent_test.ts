import assert from "node:assert/strict";
import { SILENT } from "../../lib/base/logger.ts";
import type { HostsEntry } from "../../lib/dns/hosts_file.ts";
import { HostsWatcher, isTrusted } from "../../lib/runtime/hosts_watcher.ts";
import { formatLogLine } from "../../lib/runtime/log_output.ts";
import { missingCapabilities } from "../../lib/runtime/privilege.ts";
import { UndoStack } from "../../lib/runtime/undo_stack.ts";

Deno.test("UndoStack takes steps back in reverse order, once, whatever fails", async () => {
  const done: string[] = [];
  const logged: string[] = [];
  const undo = new UndoStack({
    log: (level, message) => level === "error" && logged.push(message),
  });
  undo.push("Closing one", () => void done.push("one"));
  undo.push("Closing two", () => {
    throw new Error("No");
  });
  undo.push("Closing three", async () => {
    await Promise.resolve();
    done.push("three");
  });
  await undo.unwind();
  await undo.unwind();
  assert.deepEqual(done, ["three", "one"]);
  assert.deepEqual(logged, ["Closing two failed: No"]);
});

Deno.test("missingCapabilities() reads the effective set", () => {
  const text = (mask: string) => `Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t${mask}\n`;
  assert.deepEqual(missingCapabilities(text("000001ffffffffff")), []);
  assert.deepEqual(missingCapabilities(text("0000000000003000")), []);
  assert.deepEqual(missingCapabilities(text("0000000000001000")), ["CAP_NET_RAW"]);
  assert.deepEqual(missingCapabilities(text("0000000000000000")), ["CAP_NET_ADMIN", "CAP_NET_RAW"]);
  assert.equal(missingCapabilities("Name: x\n"), undefined);
});

Deno.test("A log line is one line, whatever is quoted in it", () => {
  const line = formatLogLine(new Date(0), "info", "name a\nb\x1b[31m");
  assert.equal(line, "1970-01-01T00:00:00.000Z info name a\\x0ab\\x1b[31m\n");
});

Deno.test("isTrusted() wants a file of root or our own that nobody else may write", () => {
  assert.equal(isTrusted(0, 0o100644, 1000), true);
  assert.equal(isTrusted(1000, 0o100600, 1000), true);
  assert.equal(isTrusted(1001, 0o100600, 1000), false);
  assert.equal(isTrusted(0, 0o100664, 0), false);
  assert.equal(isTrusted(0, 0o100646, 0), false);
});

Deno.test("HostsWatcher reads a changed file at once, also one in a folder that is new", async () => {
  const parent = await Deno.makeTempDir();
  const path = `${parent}/etc/hosts`;
  const seen: number[] = [];
  let wake = () => {};
  const watcher = new HostsWatcher(path, SILENT, (entries: readonly HostsEntry[]) => {
    seen.push(entries.length);
    wake();
  });
  const until = async (count: number) => {
    const deadline = performance.now() + 2000;
    while (seen.at(-1) !== count && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 50);
      });
    }
    assert.equal(seen.at(-1), count);
  };
  try {
    assert.equal(watcher.load(), 0);
    await Deno.mkdir(`${parent}/etc`);
    await Deno.writeTextFile(path, "2001:22:1:2:3:4:5:6 a.test\n");
    await until(1);
    await Deno.writeTextFile(`${path}.new`, "2001:22:1:2:3:4:5:6 a.test\n192.0.2.1 a.test\n");
    await Deno.rename(`${path}.new`, path);
    await until(2);
    await Deno.remove(path);
    await until(0);
  } finally {
    watcher.close();
    await Deno.remove(parent, { recursive: true });
    // Timers of `until` end by themselves.
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
});
