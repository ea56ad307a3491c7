/** The static names in use: what the engine and the LSIs hear of them when the file changes. */

import assert from "node:assert/strict";
import type { LogLevel } from "../../lib/base/logger.ts";
import { instant } from "../../lib/base/time.ts";
import { parseHostsFile } from "../../lib/dns/hosts_file.ts";
import { lsiNumber, LsiTable } from "../../lib/identity/lsi.ts";
import { PeerDirectory } from "../../lib/identity/peer_directory.ts";
import { DEFAULT_CONFIG } from "../../lib/runtime/config.ts";
import { namesOfSystemHosts } from "../../lib/runtime/hosts_watcher.ts";
import { NameService } from "../../lib/runtime/name_service.ts";
import { statePaths } from "../../lib/runtime/state_paths.ts";
import { UndoStack } from "../../lib/runtime/undo_stack.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";

const [ONE, TWO, OTHER] = ["2001:22::1", "2001:22::2", "2001:22::3"].map(parseIpAddress) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

interface Running {
  readonly peers: PeerDirectory;
  readonly table: LsiTable;
  readonly log: string[];
  write(text: string, mode?: number): void;
}

/** The service with a hosts file of its own; whether it gets a port does not matter here. */
async function running(text: string, test: (running: Running) => void | Promise<void>) {
  const folder = await Deno.makeTempDir();
  const paths = statePaths(folder);
  const log: string[] = [];
  const logger = { log: (level: LogLevel, message: string) => log.push(`${level}: ${message}`) };
  const peers = new PeerDirectory();
  const table = new LsiTable();
  table.isForbidden = (lsi) => lsi === 0xc6120701;
  table.assign(OTHER);
  table.fix(0xc6120705, parseIpAddress("2001:22::99"), instant(0));
  const write = (content: string, mode = 0o644) => {
    Deno.writeTextFileSync(`${paths.hostsFile}.new`, content);
    Deno.chmodSync(`${paths.hostsFile}.new`, mode);
    Deno.renameSync(`${paths.hostsFile}.new`, paths.hostsFile);
  };
  write(text);
  const undo = new UndoStack(logger);
  try {
    await NameService.start({
      config: { ...DEFAULT_CONFIG, resolver: "none" },
      paths,
      interfaceIndex: 0,
      engine: {
        accepts: () => true,
        association: () => undefined,
        learnPeer: (now, mapping) => {
          peers.learn(now, mapping);
          return true;
        },
        peers,
      },
      lsis: {
        mode: "v4only",
        formerNames: [],
        ofHit: () => undefined,
        lookup: () => undefined,
        hitOf: () => undefined,
        isInPool: () => false,
        setResolvers: () => {},
        fix: (lsi, hit) => table.fix(lsiNumber(lsi), hit, instant(0)) !== undefined,
      },
      ownHits: [],
      now: () => instant(performance.now()),
      logger,
    }, undo);
    await test({ peers, table, log, write });
  } finally {
    await undo.unwind();
    await Deno.remove(folder, { recursive: true });
  }
}

async function within(milliseconds: number, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!holds() && performance.now() < deadline) await new Promise((r) => setTimeout(r, 20));
  assert.ok(holds());
}

Deno.test("DNS-183 a changed file counts within 2 s and as a whole: what it does not name any more is withdrawn", async () => {
  await running("2001:22::1 locator=192.0.2.1 one\n", async ({ peers, write }) => {
    const knows = (hit: Uint8Array) => peers.lookup(instant(performance.now()), hit) !== undefined;
    assert.deepEqual([knows(ONE), knows(TWO)], [true, false]);
    write("2001:22::2 locator=192.0.2.2 two\n");
    await within(2000, () => knows(TWO));
    assert.equal(knows(ONE), false);
  });
});

Deno.test("DNS-186 a file that others may write is not used, and that is said", async () => {
  await running("", async ({ peers, log, write }) => {
    write("2001:22::1 locator=192.0.2.1 one\n", 0o666);
    await within(2000, () => log.some((line) => /hosts is not used: it must belong to/.test(line)));
    assert.equal(peers.size, 0);
    write("2001:22::1 locator=192.0.2.1 one\n", 0o644);
    await within(2000, () => peers.size === 1);
  });
});

Deno.test("DNS-184 an LSI that is another peer's, or another's address, is refused with its line", async () => {
  const text = [
    "2001:22::1 one",
    "198.18.7.9 one",
    "2001:22::2 two",
    "198.18.7.1 two",
    "198.18.7.5 two",
    "198.18.7.0 two",
  ];
  await running(text.join("\n"), ({ table, log }) => {
    assert.equal(formatIpAddress(table.ofHit(ONE)!.address), "198.18.7.9");
    assert.equal(table.ofHit(TWO), undefined);
    const lines = log.flatMap((line) => /hosts, line (\d+) is passed over: (\S+)/.exec(line) ?? []);
    assert.deepEqual(lines.filter((_, i) => i % 3 > 0), [
      "4",
      "198.18.7.1",
      "5",
      "198.18.7.5",
      "6",
      "198.18.7.0",
    ]);
  });
});

Deno.test("DNS-185 a name with a HIT that the system's hosts file has as well is warned of", async () => {
  const system = Deno.readTextFileSync("/etc/hosts");
  const name = system.split("\n").map((line) => line.replace(/#.*/, "").trim().split(/\s+/))
    .find((words) => words.length > 1)?.[1];
  assert.deepEqual(namesOfSystemHosts("127.0.0.1 localhost Web1. # db\n::1 x\n", ["web1", "db"]), [
    "web1",
  ]);
  if (name === undefined) return;
  await running(`2001:22::1 ${name}\n2001:22::2 nobody.example\n`, ({ log }) => {
    const [warning, ...others] = log.filter((line) => line.startsWith("warning: /etc/hosts has"));
    assert.ok(warning!.includes(` ${name} too`) && !warning!.includes("nobody.example"));
    assert.deepEqual(others, []);
  });
});

Deno.test("entries know their lines", () => {
  const { entries } = parseHostsFile("# a\n\n2001:22::1 one\n192.0.2.1 one\n");
  assert.deepEqual(entries.map(({ line }) => line), [3, 4]);
});
