import assert from "node:assert/strict";
import type { Command } from "commander";
import { makeProgram, runCli } from "../../lib/cli/run.ts";
import type { Output } from "../../lib/cli/output.ts";
import type { Platform } from "../../lib/runtime/ports.ts";

/** Nothing here may touch the system: every call is a failure. */
const PLATFORM: Platform = {
  euid: () => 1000,
  openTun: () => assert.fail("openTun"),
  openIpSocket: () => assert.fail("openIpSocket"),
  openUdpSocket: () => assert.fail("openUdpSocket"),
  openNetlink: () => assert.fail("openNetlink"),
  makeReadiness: () => assert.fail("makeReadiness"),
  openEspProvider: () => assert.fail("openEspProvider"),
  openPublicKeyProvider: () => assert.fail("openPublicKeyProvider"),
  openDigest: () => assert.fail("openDigest"),
  makeBell: () => assert.fail("makeBell"),
  jobWorkerUrl: new URL("no:worker"),
  dataWorkerUrl: new URL("no:worker"),
};

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(state: string, ...args: string[]): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const output: Output = {
    isTerminal: false,
    print: (text) => out.push(text),
    note: (text) => err.push(text),
    paint: (_style, text) => text,
  };
  const code = await runCli(args, PLATFORM, { HIP_STATE: state }, output);
  return { code, out: out.join("\n"), err: err.join("\n") };
}

async function inState(test: (state: string) => Promise<void>): Promise<void> {
  const state = await Deno.makeTempDir();
  try {
    await test(state);
  } finally {
    await Deno.remove(state, { recursive: true });
  }
}

Deno.test("Every command has help with an example, in 80 columns", async () => {
  const program = makeProgram(
    { platform: PLATFORM, environment: {}, output: {} as Output },
    () => {},
  );
  const visible = (command: Command) =>
    command.createHelp().visibleCommands(command).filter((sub) => sub.name() !== "help");
  const names = visible(program).flatMap((command) => [
    [command.name()],
    ...visible(command).map((sub) => [command.name(), sub.name()]),
  ]);
  assert.ok(names.length >= 17);
  for (const path of names) {
    const { code, out } = await run("/nonexistent", ...path, "--help");
    assert.equal(code, 0, path.join(" "));
    assert.match(out, new RegExp(`Example:\\n  .*hip ${path[0]}`), path.join(" "));
    for (const line of out.split("\n")) assert.ok(line.length <= 80, line);
  }
});

Deno.test("Mistakes on the command line end with one sentence and exit code 2", async () => {
  for (const args of [["nope"], ["up", "--dsn"], ["ping"], ["identity", "new", "--kind", "x"]]) {
    const { code, out, err } = await run("/nonexistent", ...args);
    assert.equal(code, 2, args.join(" "));
    assert.equal(out, "");
    assert.match(err, /^hip[ a-z]*: .* See: hip[ a-z]* --help$/);
  }
});

Deno.test("Commands for a running agent say that hip is not up", async () => {
  await inState(async (state) => {
    for (
      const args of [["status"], ["ping", "a.test"], ["lookup", "a.test"], ["close", "a.test"], [
        "rekey",
        "a.test",
      ]]
    ) {
      const { code, err } = await run(state, ...args);
      assert.equal(code, 1);
      assert.equal(err, `hip ${args[0]}: hip is not up. Start it with: sudo hip up`);
    }
    assert.equal((await run(state, "wait", "--timeout", "0")).code, 1);
  });
});

Deno.test("hip up checks the configuration before anything else", async () => {
  await inState(async (state) => {
    await Deno.writeTextFile(`${state}/hip.conf`, "mtu = 1400\ncolour = blue\n");
    const { code, err } = await run(state, "up");
    assert.equal(code, 1);
    assert.match(err, new RegExp(`^hip up: ${state}/hip.conf, line 2: unknown key "colour"`));
    assert.equal((await run(state, "up", "-o", "mtu=1")).code, 1);
    assert.deepEqual([...Deno.readDirSync(state)].map((entry) => entry.name), ["hip.conf"]);
  });
});

Deno.test("DNS-015 DNS-019 DNS-020 DNS-021 hip identity makes, lists, shows and chooses, and never prints a key", async () => {
  await inState(async (state) => {
    const made = await run(state, "identity", "new", "work");
    assert.equal(made.code, 0);
    const hit = /2001:22:[0-9a-f:]+/.exec(made.out)?.[0];
    assert.ok(hit !== undefined);
    assert.equal((await run(state, "identity", "new", "work")).code, 1);
    await run(state, "identity", "new", "guest", "--kind", "ed25519", "--anonymous");
    assert.match(
      (await run(state, "identity", "use", "guest")).out,
      /^guest .*default, anonymous$/,
    );

    const list = JSON.parse((await run(state, "identity", "list", "--json")).out);
    assert.deepEqual(list.map(({ name }: { name: string }) => name), ["guest", "work"]);
    const zone = await run(state, "identity", "show", "work", "--dns", "--as", "www.hip.test");
    const [comment, line] = zone.out.split("\n");
    assert.match(comment!, /^; www\.hip\.test\. IN HIP \( 3 20010022[0-9A-F]{24} \S+ \)$/);
    assert.match(line!, /^www\.hip\.test\. IN TYPE55 \\# 84 1003004020010022[0-9A-F]+$/);
    const refused = await run(state, "identity", "show", "guest", "--dns", "--as", "www.hip.test");
    assert.equal(refused.code, 1);
    assert.match(refused.err, /"guest" is anonymous and is not published/);
    const all = await run(
      ...[state, "identity", "show", "--dns", "--all", "--as", "www.hip.test"] as const,
      ...["--rvs", "rvs.hip.test", "--rvs", "rvs2.hip.test"],
    );
    assert.equal(all.out.split("\n").length, 2, "the anonymous one is left out");
    assert.match(all.out, / rvs\.hip\.test\. rvs2\.hip\.test\. \)$/m);
    const hosts = await run(
      ...[state, "identity", "show", "work", "--hosts", "--as", "www.hip.test"] as const,
      ...["--address", "192.0.2.1", "--address", "fd00::1"],
    );
    assert.equal(hosts.out, `${hit} locator=192.0.2.1,fd00::1 www.hip.test`);

    const pem = await Deno.readTextFile(`${state}/identities/work.pem`);
    const secret = pem.split("-----BEGIN PRIVATE KEY-----\n")[1]!.slice(0, 30);
    for (const { out, err } of [made, zone, hosts]) assert.ok(!`${out}${err}`.includes(secret));
  });
});

Deno.test("hip host takes the line of identity show --hosts, lists it and removes it", async () => {
  await inState(async (state) => {
    const hit = "2001:22:8f31:1:2:3:4:9a04";
    const added = await run(state, "host", "add", hit, "locator=192.0.2.9", "web1");
    assert.equal(added.out, `${hit} locator=192.0.2.9 web1`);
    await run(state, "host", "add", hit, "web2", "192.0.2.8", "fd00::8");
    const list = JSON.parse((await run(state, "host", "list", "--json")).out);
    assert.deepEqual(
      list.map(({ names, locators }: Record<string, unknown>) => [names, locators]),
      [
        [["web1"], ["192.0.2.9"]],
        [["web2"], ["192.0.2.8", "fd00::8"]],
      ],
    );
    assert.equal((await run(state, "host", "remove", "web1")).out, "Removed 1 line.");
    assert.equal((await run(state, "host", "remove", "web1")).code, 1);
    assert.equal((await run(state, "host", "add", "not-a-hit", "x")).code, 1);
    assert.doesNotMatch(await Deno.readTextFile(`${state}/hosts`), /web1/);
  });
});

Deno.test("hip down is content when nothing runs", async () => {
  await inState(async (state) => {
    const { code, out } = await run(state, "down");
    assert.deepEqual([code, out], [0, "hip is not up."]);
  });
});

Deno.test("The program itself prints errors without a stack trace", async () => {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", main, "--state", "/nonexistent", "status"],
  }).output();
  assert.equal(code, 1);
  assert.equal(
    new TextDecoder().decode(stderr),
    "hip status: hip is not up. Start it with: sudo hip up\n",
  );
});

Deno.test("A new identity and a new default are said to wait for the next hip up, if hip is up", async () => {
  await inState(async (state) => {
    assert.equal((await run(state, "identity", "new", "home")).err, "");
    using _agent = Deno.listen({ transport: "unix", path: `${state}/hip.sock` });
    for (const args of [["new", "work"], ["use", "work"]]) {
      const { code, out, err } = await run(state, "identity", ...args);
      assert.equal(code, 0);
      assert.match(out, /^work {2}2001:/);
      assert.equal(err, "hip is up: this holds after hip down and hip up.");
    }
  });
});
