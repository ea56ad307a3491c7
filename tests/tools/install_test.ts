/**
 * install.sh as a stranger meets it, without network: from a release that lies in a folder, into a
 * prefix of its own. What needs the network is tried by `install.sh --test` itself.
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { isCommand } from "../support/commands.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MACHINE = Deno.build.arch;
const NAME = `hip-1.2.3-linux-${MACHINE}`;

interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

async function run(command: string, args: string[], env: Record<string, string> = {}, cwd = ROOT) {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, env, cwd }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), error: text.decode(stderr) } satisfies Run;
}

const HAS_CURL = await isCommand("curl");
const HAS_SHELLCHECK = await isCommand("shellcheck");

/** A folder with a release in it, an empty home and a prefix; removed afterwards. */
async function inWorld(body: (world: World) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "hip-install-test-" });
  try {
    const world = new World(folder);
    await world.makeRelease("exit 0");
    await body(world);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

class World {
  readonly prefix: string;
  readonly release: string;
  readonly temporary: string;

  constructor(readonly folder: string) {
    this.prefix = `${folder}/prefix`;
    this.release = `${folder}/release`;
    this.temporary = `${folder}/tmp`;
    Deno.mkdirSync(this.temporary);
  }

  /** The program of the release is a shell script with this body. */
  async makeRelease(body: string): Promise<void> {
    await Deno.mkdir(`${this.release}/${NAME}`, { recursive: true });
    const program = `${this.release}/${NAME}/hip`;
    await Deno.writeTextFile(program, `#!/bin/sh\n${body}\n`);
    await Deno.chmod(program, 0o755);
    await Deno.writeTextFile(`${this.release}/${NAME}/hip.service`, "ExecStart=@PREFIX@/bin/hip\n");
    await Deno.writeTextFile(`${this.release}/latest`, "1.2.3\n");
    const made = await run(
      "sh",
      [
        "-c",
        `tar -czf ${NAME}.tar.gz ${NAME} && sha256sum ${NAME}.tar.gz > ${NAME}.tar.gz.sha256`,
      ],
      {},
      this.release,
    );
    assert.equal(made.code, 0, made.error);
  }

  /** As `curl ... | sh -s -- ARGS` does. */
  async install(...args: string[]): Promise<Run> {
    return await run("sh", ["-c", `cat '${ROOT}/install.sh' | sh -s -- ${args.join(" ")}`], {
      HOME: `${this.folder}/home`,
      XDG_CACHE_HOME: `${this.folder}/cache`,
      TMPDIR: this.temporary,
      HIP_RELEASE_URL: `file://${this.release}`,
    }, this.folder);
  }

  leftOver(): string[] {
    const names: string[] = [];
    for (const folder of [this.temporary, `${this.prefix}/bin`]) {
      try {
        for (const entry of Deno.readDirSync(folder)) names.push(entry.name);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return names;
  }
}

/** Tests that install are left out where they could touch the units of this machine. */
const ignore = !HAS_CURL || Deno.build.os !== "linux" || await Deno.stat("/run/systemd/system")
  .then(() => true, () => false);

Deno.test({
  name: "the shell scripts are clean under shellcheck",
  ignore: !HAS_SHELLCHECK,
  async fn() {
    const files = ["install.sh", "packaging/release.sh", ".ci/run"];
    const { code, out } = await run("shellcheck", files);
    assert.equal(code, 0, out);
  },
});

Deno.test("install.sh --help prints its options", async () => {
  const { code, out } = await run("sh", ["install.sh", "--help"]);
  assert.equal(code, 0);
  for (const option of ["--demo", "--test", "--prefix", "--uninstall"]) {
    assert.ok(out.includes(option), option);
  }
});

Deno.test("install.sh refuses what it does not know with one sentence and does nothing", async () => {
  for (
    const [args, sentence] of [
      [
        ["--dmeo"],
        /^install\.sh: There is no option --dmeo: sh install\.sh --help lists them\.\n$/,
      ],
      [["--prefix"], /^install\.sh: --prefix needs a folder: .*\n$/],
      [["--demo", "--uninstall"], /^install\.sh: --demo and --uninstall exclude each other: .*\n$/],
    ] as const
  ) {
    const { code, out, error } = await run("sh", ["install.sh", ...args]);
    assert.equal(code, 1);
    assert.equal(out, "");
    assert.match(error, sentence);
  }
});

Deno.test({
  name: "install.sh from a pipe installs a release, again without harm, and uninstalls it",
  ignore,
  fn: () =>
    inWorld(async (world) => {
      for (let i = 0; i < 2; i++) {
        const { code, error } = await world.install("--prefix", world.prefix);
        assert.equal(code, 0, error);
        assert.deepEqual(world.leftOver(), ["hip"]);
      }
      assert.equal((await Deno.stat(`${world.prefix}/bin/hip`)).mode! & 0o777, 0o755);
      const removed = await world.install("--uninstall", "--prefix", world.prefix);
      assert.equal(removed.code, 0, removed.error);
      assert.deepEqual(world.leftOver(), []);
      const again = await world.install("--uninstall", "--prefix", world.prefix);
      assert.equal(again.code, 0, again.error);
      assert.match(again.out, /is not installed/);
    }),
});

Deno.test({
  name: "install.sh refuses a release whose checksum is wrong and leaves nothing",
  ignore,
  fn: () =>
    inWorld(async (world) => {
      const archive = `${world.release}/${NAME}.tar.gz`;
      const bytes = await Deno.readFile(archive);
      bytes[bytes.length - 1]! ^= 1;
      await Deno.writeFile(archive, bytes);
      const { code, error } = await world.install("--prefix", world.prefix);
      assert.equal(code, 1);
      assert.match(error, /The checksum of hip-1\.2\.3-linux-\w+\.tar\.gz is wrong/);
      assert.deepEqual(world.leftOver(), []);
    }),
});

Deno.test({
  name: "install.sh keeps the installed program when the new one does not run",
  ignore,
  fn: () =>
    inWorld(async (world) => {
      await world.install("--prefix", world.prefix);
      await world.makeRelease("exit 1");
      const { code, error } = await world.install("--prefix", world.prefix);
      assert.equal(code, 1);
      assert.match(error, /Cannot run the new hip on this machine/);
      assert.deepEqual(world.leftOver(), ["hip"]);
      assert.match(await Deno.readTextFile(`${world.prefix}/bin/hip`), /exit 0/);
    }),
});

Deno.test({
  name: "install.sh says what to do when the release is not there",
  ignore,
  fn: () =>
    inWorld(async (world) => {
      await Deno.remove(`${world.release}/latest`);
      const { code, error } = await world.install("--prefix", world.prefix);
      assert.equal(code, 1);
      assert.match(error, /Cannot read file:.*latest: check the network and HIP_RELEASE_URL\./);
      assert.deepEqual(world.leftOver(), []);
    }),
});

Deno.test("install.sh --test that cannot start ends with one failed test", async () => {
  const { code, out } = await run("sh", ["-c", "cat install.sh | sh -s -- --test"]);
  assert.equal(code, 1);
  assert.equal(out.trimEnd().split("\n").at(-1), "0 passed, 1 failed");
});
