import assert from "node:assert/strict";
import type { ResolverMode } from "../../lib/runtime/config.ts";
import type { ResolvedState } from "../../lib/runtime/resolved_link.ts";
import { ResolverKeeper } from "../../lib/runtime/resolver_keeper.ts";
import { makeResolverBench, type ResolverBench } from "../support/resolver_bench.ts";

const PROXY = "127.0.0.1";
const ORIGINAL = "nameserver 192.0.2.1\nsearch example.org\n";

/** A systemd-resolved that remembers what it was told. */
class FakeResolved {
  state: ResolvedState | undefined;
  readonly calls: string[] = [];
  readonly look = () => Promise.resolve(this.state);
  readonly isInForce = (state: ResolvedState, address: string) =>
    state.servers.some((server) => server.interfaceIndex === 7 && server.address === address);
  readonly upstreams = (state: ResolvedState) =>
    state.servers.filter(({ interfaceIndex }) => interfaceIndex !== 7)
      .map(({ address }) => address);
  readonly takeOver = (address: string) => {
    this.calls.push(`take over ${address}`);
    const servers = [...this.state!.servers, { interfaceIndex: 7, address }];
    this.state = { ...this.state!, servers };
    return Promise.resolve();
  };
  readonly restore = () => {
    this.calls.push("restore");
    return Promise.resolve();
  };
}

interface Scene extends ResolverBench {
  readonly keeper: ResolverKeeper;
  readonly resolved: FakeResolved;
  /** What the proxy was told to ask. */
  readonly asked: string[];
  readonly answers: { isThere: boolean; questions: number };
  readonly until: (what: string, holds: () => boolean) => Promise<void>;
}

interface SceneOptions {
  readonly mode?: ResolverMode;
  readonly configured?: readonly string[];
  readonly isSilent?: boolean;
  readonly prepare?: (bench: ResolverBench, resolved: FakeResolved) => void;
}

async function withKeeper(
  { mode = "auto", configured = [], isSilent = false, prepare }: SceneOptions,
  test: (scene: Scene) => Promise<void> | void,
): Promise<void> {
  const bench = makeResolverBench(ORIGINAL);
  const resolved = new FakeResolved();
  const asked: string[] = [];
  const answers = { isThere: !isSilent, questions: 0 };
  prepare?.(bench, resolved);
  const keeper = new ResolverKeeper({
    mode,
    configured,
    listening: [PROXY, "::1"],
    paths: bench.paths,
    files: bench.make(),
    link: resolved,
    setUpstreams: (addresses) => asked.push(addresses.join()),
    hasAnswer: () => {
      answers.questions++;
      return Promise.resolve(answers.isThere);
    },
    now: () => performance.now(),
    logger: { log: (_level, line) => bench.log.push(line) },
  });
  const until = async (what: string, holds: () => boolean) => {
    const deadline = performance.now() + 2000;
    while (!holds()) {
      if (performance.now() > deadline) assert.fail(`${what}: not within 2 s`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  try {
    await keeper.reconsider();
    await test({ ...bench, keeper, resolved, asked, answers, until });
  } finally {
    await keeper.close();
    Deno.removeSync(bench.folder, { recursive: true });
  }
}

const pointsHere = (path: string) => /^nameserver 127\.0\.0\.1$/m.test(Deno.readTextFileSync(path));

Deno.test("a plain file is taken over at once and given back at the end", async () => {
  let path = "";
  await withKeeper({}, async ({ paths, keeper, asked }) => {
    path = paths.resolvConf;
    assert.deepEqual(keeper.takeOver, { file: true, link: false });
    assert.ok(pointsHere(path));
    assert.deepEqual(asked, ["192.0.2.1"]);
    assert.deepEqual(keeper.warnings, []);
    await keeper.close();
    assert.equal(Deno.readTextFileSync(path), ORIGINAL);
  });
});

Deno.test("DNS-195 nothing is touched until a server has answered", async () => {
  await withKeeper({ isSilent: true }, async ({ paths, keeper, answers, until }) => {
    assert.equal(keeper.takeOver, undefined);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), ORIGINAL);
    assert.match(keeper.warnings.join(), /^No DNS server answers \(192\.0\.2\.1\); the resolver/);
    answers.isThere = true;
    await until("the take-over", () => keeper.takeOver !== undefined);
    assert.equal(answers.questions, 2, "asked again after a second");
    assert.ok(pointsHere(paths.resolvConf));
    assert.deepEqual(keeper.warnings, []);
  });
});

Deno.test("a host without any server is taken over: there is nothing to lose", async () => {
  const prepare = ({ paths }: ResolverBench) => Deno.writeTextFileSync(paths.resolvConf, "");
  await withKeeper({ prepare, isSilent: true }, ({ keeper, answers }) => {
    assert.ok(keeper.takeOver?.file);
    assert.equal(answers.questions, 0);
    assert.match(keeper.warnings.join(), /only static names will resolve/);
  });
});

Deno.test("DNS-205 with resolver = none nothing is touched and the line to write is said", async () => {
  await withKeeper({ mode: "none" }, ({ paths, keeper, asked }) => {
    assert.equal(keeper.takeOver, undefined);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), ORIGINAL);
    assert.match(keeper.warnings.join(), /put "nameserver 127\.0\.0\.1" into \/etc\/resolv\.conf/);
    assert.deepEqual(asked, ["192.0.2.1"]);
  });
});

Deno.test("DNS-204 DNS-176 what another program writes is adopted within 2 s and covered again", async () => {
  await withKeeper({}, async ({ paths, keeper, asked, until }) => {
    const theirs = "nameserver 198.51.100.3\n";
    Deno.writeTextFileSync(`${paths.resolvConf}.dhcp`, theirs);
    Deno.renameSync(`${paths.resolvConf}.dhcp`, paths.resolvConf);
    await until("the new servers", () => asked.at(-1) === "198.51.100.3");
    await until("the file", () => pointsHere(paths.resolvConf));
    await keeper.close();
    assert.equal(Deno.readTextFileSync(paths.resolvConf), theirs);
  });
});

Deno.test("DNS-204 a program that insists gets its way after five times in a minute", async () => {
  await withKeeper({}, async ({ paths, keeper, until }) => {
    const write = (n: number) => {
      Deno.writeTextFileSync(`${paths.resolvConf}.dhcp`, `nameserver 198.51.100.${n}\n`);
      Deno.renameSync(`${paths.resolvConf}.dhcp`, paths.resolvConf);
      return keeper.reconsider();
    };
    for (let n = 1; n <= 5; n++) {
      await write(n);
      assert.ok(pointsHere(paths.resolvConf), `after ${n} times`);
    }
    await write(6);
    assert.ok(!pointsHere(paths.resolvConf));
    await until("the word", () => /keeps writing/.test(keeper.warnings.join()));
    assert.equal(keeper.takeOver, undefined);
    assert.deepEqual(keeper.upstreams, ["198.51.100.6"], "its servers are asked all the same");
  });
});

Deno.test("DNS-208 DNS-209 where resolv.conf leads to systemd-resolved, its link settings do it", async () => {
  const stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\n";
  const prepare = ({ paths }: ResolverBench, resolved: FakeResolved) => {
    Deno.writeTextFileSync(paths.resolvConf, stub);
    Deno.writeTextFileSync(paths.resolvedConf, "nameserver 192.0.2.53\n");
    resolved.state = {
      servers: [{ interfaceIndex: 2, address: "192.0.2.53" }],
      fallback: [],
      dnssec: "no",
    };
  };
  await withKeeper({ prepare }, async ({ paths, keeper, resolved, asked, until }) => {
    assert.deepEqual(keeper.takeOver, { file: false, link: true });
    assert.deepEqual(resolved.calls, ["take over 127.0.0.1"]);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), stub);
    assert.match(Deno.readTextFileSync(paths.gaiConf), /2001:20::\/28/);
    assert.deepEqual(asked, ["192.0.2.53"]);
    // Another network: systemd-resolved writes its list anew.
    const servers = [
      { interfaceIndex: 2, address: "192.0.2.54" },
      { interfaceIndex: 7, address: PROXY },
    ];
    resolved.state = { ...resolved.state!, servers };
    Deno.writeTextFileSync(paths.resolvedConf, "nameserver 192.0.2.54\nnameserver 127.0.0.1\n");
    await until("the new server", () => asked.at(-1) === "192.0.2.54");
    assert.deepEqual(resolved.calls, ["take over 127.0.0.1"], "the settings hold");
    await keeper.close();
    assert.deepEqual(resolved.calls, ["take over 127.0.0.1", "restore"]);
  });
});

Deno.test("a host that changes over to systemd-resolved is followed, and back", async () => {
  await withKeeper({}, async ({ paths, keeper, resolved, until }) => {
    assert.deepEqual(keeper.takeOver, { file: true, link: false });
    resolved.state = {
      servers: [{ interfaceIndex: 2, address: "192.0.2.53" }],
      fallback: [],
      dnssec: "no",
    };
    Deno.writeTextFileSync(paths.resolvedConf, "nameserver 192.0.2.53\n");
    Deno.writeTextFileSync(`${paths.resolvConf}.new`, "nameserver 127.0.0.53\n");
    Deno.renameSync(`${paths.resolvConf}.new`, paths.resolvConf);
    await until("the link", () => keeper.takeOver?.link === true);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), "nameserver 127.0.0.53\n");
    resolved.state = undefined;
    Deno.writeTextFileSync(`${paths.resolvConf}.new`, ORIGINAL);
    Deno.renameSync(`${paths.resolvConf}.new`, paths.resolvConf);
    await until("the file", () => keeper.takeOver?.file === true);
    assert.ok(pointsHere(paths.resolvConf));
  });
});

Deno.test("programs that ask systemd-resolved directly are reached by both ways", async () => {
  const prepare = ({ paths }: ResolverBench, resolved: FakeResolved) => {
    Deno.writeTextFileSync(paths.nsswitchConf, "hosts: files resolve dns\n");
    Deno.writeTextFileSync(paths.resolvedConf, ORIGINAL);
    resolved.state = { servers: [], fallback: [], dnssec: "allow-downgrade" };
  };
  await withKeeper({ prepare }, ({ paths, keeper, resolved }) => {
    assert.deepEqual(keeper.takeOver, { file: true, link: true });
    assert.ok(pointsHere(paths.resolvConf));
    assert.deepEqual(resolved.calls, ["take over 127.0.0.1"]);
  });
});

Deno.test("DNS-211 systemd-resolved that insists on DNSSEC is left alone, with the reason", async () => {
  const prepare = ({ paths }: ResolverBench, resolved: FakeResolved) => {
    Deno.writeTextFileSync(paths.resolvConf, "nameserver 127.0.0.53\n");
    Deno.writeTextFileSync(paths.resolvedConf, ORIGINAL);
    resolved.state = { servers: [], fallback: [], dnssec: "yes" };
  };
  await withKeeper({ prepare }, ({ paths, keeper, resolved }) => {
    assert.equal(keeper.takeOver, undefined);
    assert.deepEqual(resolved.calls, []);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), "nameserver 127.0.0.53\n");
    assert.match(keeper.warnings.join(), /insists on DNSSEC/);
  });
});

Deno.test("DNS-162 servers from the settings are asked whatever the system's are", async () => {
  await withKeeper({ configured: ["203.0.113.1"] }, async ({ paths, keeper, asked }) => {
    assert.deepEqual(asked, ["203.0.113.1"]);
    Deno.writeTextFileSync(paths.resolvConf, "nameserver 198.51.100.3\n");
    await keeper.reconsider();
    assert.deepEqual(asked, ["203.0.113.1"]);
  });
});
