/**
 * What a user sees when something is missing: one sentence that says what to do, an exit code that
 * is not zero where the command stops, and a host that is as it was. Never a stack trace.
 *
 * ```
 *   client                           router                server
 *   hip up, with something missing   DNS for hip.test      (idle)
 * ```
 */

import assert from "node:assert/strict";
import { CLIENT_ADDRESSES, type CommandResult, type LabHost } from "../../lib/lab/lab.ts";
import { startDns } from "../../lib/lab/services.ts";
import { CANNOT_RUN, hipAt, SELF, startFixture, withLab } from "../support/system.ts";
import { assertAsBefore, shell, snapshot } from "../support/system_host.ts";

/** Runs a test on a host where nothing is wrong yet. */
function withHost(test: (host: LabHost, stateFolder: string) => Promise<void>): Promise<void> {
  return withLab("both", async (lab) => {
    const addresses = [CLIENT_ADDRESSES.gatewayIpv6, CLIENT_ADDRESSES.gatewayIpv4];
    await startDns(lab.router, `${lab.folder}/dns`, addresses, [], SELF);
    await test(lab.client, `${lab.folder}/state`);
  });
}

/** One line on standard error, which begins with the command and matches. */
function assertOneSentence(result: CommandResult, expected: RegExp, command = "hip up"): void {
  const lines = result.stderr.trimEnd().split("\n");
  assert.equal(lines.length, 1, result.stderr);
  assert.ok(lines[0]!.startsWith(`${command}: `), result.stderr);
  assert.match(lines[0]!, expected);
  assert.match(lines[0]!, /[.:] ?[A-Z][^:]*|: \S/, "it says what to do");
  assert.doesNotMatch(result.stderr + result.stdout, /^\s+at |Error:|\.ts:\d/m);
}

/** The command fails with one sentence, and the host is as it was before. */
async function assertRefused(
  host: LabHost,
  run: () => Promise<CommandResult>,
  expected: RegExp,
): Promise<void> {
  const before = await snapshot(host);
  const result = await run();
  assert.notEqual(result.code, 0);
  assert.notEqual(result.code, 124, "it did not end");
  assert.equal(result.stdout, "");
  assertOneSentence(result, expected);
  await assertAsBefore(host, before);
}

/** Runs `hip up` with changes to the file system that only it sees. */
function upBehind(host: LabHost, stateFolder: string, prepare: string): Promise<CommandResult> {
  const up = [...SELF, "--state", stateFolder, "up"].map((word) => `'${word}'`).join(" ");
  return host.run(["unshare", "--mount", "sh", "-c", `set -e; ${prepare}; exec ${up}`]);
}

Deno.test({
  name: "Without a TUN device hip up says so and changes nothing",
  ignore: CANNOT_RUN,
  fn: () =>
    withHost(async (host, stateFolder) => {
      const hidden = "mount -t tmpfs none /dev/net";
      await assertRefused(host, () => upBehind(host, stateFolder, hidden), /\/dev\/net\/tun/);
      const dead = "mount --bind /dev/null /dev/net/tun";
      await assertRefused(host, () => upBehind(host, stateFolder, dead), /\/dev\/net\/tun|TUN/);
    }),
});

Deno.test({
  name: "Without the privilege hip says which is missing and changes nothing",
  ignore: CANNOT_RUN,
  fn: () =>
    withHost(async (host, stateFolder) => {
      // A place that everybody can reach: the program's own may be closed to others.
      const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "hip-open-" });
      try {
        await shell(host, `chmod 755 ${folder} && cp ${SELF[0]} ${folder}/hip`);
        const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        const as = (who: readonly string[], ...args: string[]) => () =>
          host.run([...who, `${folder}/hip`, ...args], { timeoutMs: 30_000 });
        const missing = /CAP_NET_ADMIN and CAP_NET_RAW missing\)\. Run it as root/;
        await assertRefused(host, as(nobody, "up"), missing);
        await assertRefused(host, as(nobody, "--state", stateFolder, "up"), /as root/);
        const dropped = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
        await assertRefused(
          host,
          as(dropped, "--state", stateFolder, "up"),
          /CAP_NET_ADMIN missing/,
        );

        // Somebody who may make devices but not read the keys.
        await shell(host, `chmod 755 ${stateFolder.replace(/\/state$/, "")}`);
        await hipAt(host, stateFolder, "identity", "new", "work");
        const able = [
          ...nobody,
          "--inh-caps=+net_admin,+net_raw,+net_bind_service",
          "--ambient-caps=+net_admin,+net_raw,+net_bind_service",
        ];
        await assertRefused(host, as(able, "--state", stateFolder, "up"), /ermission denied/);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }),
});

Deno.test({
  name: "An identity that cannot be used stops hip up before anything is changed",
  ignore: CANNOT_RUN,
  fn: () =>
    withHost(async (host, stateFolder) => {
      const up = () => hipAt(host, stateFolder, "up");
      await hipAt(host, stateFolder, "identity", "new", "work");
      const key = `${stateFolder}/identities/work.pem`;
      const whole = await Deno.readTextFile(key);
      await Deno.writeTextFile(key, whole.slice(0, whole.length / 2));
      await assertRefused(host, up, /work\.pem/);
      await Deno.writeTextFile(
        key,
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
      );
      await assertRefused(host, up, /work\.pem/);
      await Deno.writeTextFile(key, "");
      await assertRefused(host, up, /work\.pem/);
      await Deno.writeTextFile(key, whole, { mode: 0o600 });
      await Deno.chmod(key, 0o600);
      assert.equal((await up()).code, 0, "the whole key is good again");
      assert.equal((await hipAt(host, stateFolder, "down")).code, 0);
    }),
});

Deno.test({
  name: "A setting that is not understood stops hip up, with its line and what it could be",
  ignore: CANNOT_RUN,
  fn: () =>
    withHost(async (host, stateFolder) => {
      const up = (...args: string[]) => () => hipAt(host, stateFolder, "up", ...args);
      await Deno.mkdir(stateFolder);
      const file = `${stateFolder}/hip.conf`;
      await Deno.writeTextFile(file, "mtu = 1400\npuzle_difficulty = 3\n");
      await assertRefused(host, up(), /hip\.conf, line 2: unknown key .*puzzle_difficulty/);
      await Deno.writeTextFile(file, "mtu = 99\n");
      await assertRefused(host, up(), /hip\.conf, line 1: mtu cannot be "99"\. Use a whole/);
      await Deno.remove(file);
      await assertRefused(
        host,
        up("--option", "colour=blue"),
        /unknown key "colour"\. All keys: hip up --help/,
      );
      await hipAt(host, stateFolder, "identity", "new", "work");
      await assertRefused(host, up("--option", "identity=nobody"), /"nobody"\. There are: work/);
      await Deno.writeTextFile(`${stateFolder}/file`, "");
      const inFile = () => hipAt(host, `${stateFolder}/file/state`, "up");
      await assertRefused(host, inFile, /Not a directory.*--state/);
    }),
});

Deno.test({
  name: "DNS-206 A resolv.conf that cannot be replaced: hip up goes on and says so, or stops " +
    "when told to",
  ignore: CANNOT_RUN,
  fn: () =>
    withHost(async (host, stateFolder) => {
      const up = (...args: string[]) => hipAt(host, stateFolder, "up", ...args);
      const lines = {
        "mount --bind /etc/resolv.conf /etc/resolv.conf": "umount /etc/resolv.conf",
        "mount -o remount,bind,ro /etc": "mount -o remount,bind,rw /etc",
      };
      for (const [close, open] of Object.entries(lines)) {
        await shell(host, close);
        await assertRefused(host, () => up("--dns", "required"), /resolv\.conf.*nameserver 127/);
        const before = await snapshot(host);
        const result = await up();
        assert.equal(result.code, 0, result.stderr);
        assertOneSentence(result, /resolv\.conf.*nameserver 127\.0\.0\.1/);
        assert.match(result.stdout, /resolver: unchanged, the proxy listens on 127\.0\.0\.1/);
        assert.equal((await hipAt(host, stateFolder, "down")).code, 0);
        await assertAsBefore(host, before);
        await shell(host, open);
      }
    }),
});

Deno.test({
  name: "Port 53 taken: the proxy moves to another address; where there is none hip up says so",
  ignore: CANNOT_RUN,
  fn: () =>
    withHost(async (host, stateFolder) => {
      const up = (...args: string[]) => hipAt(host, stateFolder, "up", ...args);
      const zone = `${stateFolder}.zone`;
      await Deno.writeTextFile(zone, "$ORIGIN other.test.\n");
      const take = async (...addresses: string[]) => {
        const listen = addresses.flatMap((address) => ["--listen", address]);
        const child = host.spawn([...SELF, "lab-dns", "--zone", zone, ...listen]);
        await shell(host, "while ! grep -q ':0035 ' /proc/net/udp; do sleep 0.02; done");
        return child;
      };
      let taker = await take("127.0.0.1");
      const before = await snapshot(host);
      const moved = await up();
      assert.equal(moved.code, 0, moved.stderr);
      assertOneSentence(moved, /port 53.*127\.0\.0\.1.*127\.0\.0\.139 instead/);
      assert.match(await shell(host, "cat /etc/resolv.conf"), /^nameserver 127\.0\.0\.139$/m);
      assert.equal((await hipAt(host, stateFolder, "down")).code, 0);
      await assertAsBefore(host, before);
      taker.kill("SIGKILL");
      await taker.status;

      taker = await take("0.0.0.0");
      await assertRefused(host, () => up("--dns", "required"), /port 53/i);
      taker.kill("SIGKILL");
      await taker.status;
    }),
});

Deno.test({
  name:
    "UDP port 10500 taken: hip goes without UDP and says so, also in hip status; where nothing " +
    "but UDP is allowed it stops",
  ignore: CANNOT_RUN,
  fn: () =>
    withHost(async (host, stateFolder) => {
      const up = (...args: string[]) => hipAt(host, stateFolder, "up", ...args);
      const taker = await startFixture(host, "take_udp_port.ts", "10500");
      await assertRefused(host, () => up("-o", "transport=udp"), /UDP port 10500.*another program/);
      const without = await up();
      assert.equal(without.code, 0, without.stderr);
      assertOneSentence(without, /without UDP: .*port 10500.*another program has it.*udp_port/);
      const { stdout } = await hipAt(host, stateFolder, "status");
      assert.match(stdout, /^transport: auto, no UDP port$/m);
      assert.match(stdout.replace(/\s+/g, " "), /warning: HIP goes without UDP: /);
      assert.equal((await hipAt(host, stateFolder, "down")).code, 0);
      taker.kill("SIGKILL");
      await taker.status;
      const other = await up("-o", "udp_port=10501");
      assert.equal(other.code, 0, other.stderr);
      const after = await hipAt(host, stateFolder, "status");
      assert.match(after.stdout, /^transport: auto, UDP port 10501$/m);
      assert.equal((await hipAt(host, stateFolder, "down")).code, 0);
    }),
});

Deno.test({
  name: "Commands without an agent, and commands that make no sense, say what to do",
  ignore: CANNOT_RUN,
  fn: () =>
    withHost(async (host, stateFolder) => {
      const lone: readonly (readonly string[])[] = [
        ["status"],
        ["ping", "www.hip.test"],
        ["lookup", "www.hip.test"],
        ["close", "www.hip.test"],
      ];
      for (const args of lone) {
        const result = await hipAt(host, stateFolder, ...args);
        assert.equal(result.code, 1);
        assertOneSentence(result, /hip is not up.*hip up/, `hip ${args[0]}`);
      }
      for (const args of [["frobnicate"], ["ping"], ["up", "--no-such-thing"]]) {
        const result = await hipAt(host, stateFolder, ...args);
        assert.notEqual(result.code, 0);
        assert.match(result.stderr, /^hip[a-z ]*: .*--help\n$/);
      }
    }),
});
