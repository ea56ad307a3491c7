import assert from "node:assert/strict";
import { UserError } from "../../lib/base/errors.ts";
import { addHitPrecedence } from "../../lib/runtime/gai_conf.ts";
import {
  asksResolvedDirectly,
  formatProxyResolvConf,
  managerOf,
  parseResolvConf,
  upstreamsOf,
} from "../../lib/runtime/resolv_conf.ts";
import { isMountPoint } from "../../lib/runtime/resolver_configurator.ts";
import { type ResolverBench, withResolverBench } from "../support/resolver_bench.ts";

const ORIGINAL = "# mine\nnameserver 192.0.2.1\nsearch example.org\noptions ndots:2 rotate\n";
const PROXY = "127.0.0.1";

function bench(test: (bench: ResolverBench) => void): void {
  withResolverBench(ORIGINAL, test);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("DNS-197 DNS-198 DNS-199 the replacement names the proxy alone and keeps what does no harm", () => {
  const original = parseResolvConf(
    "nameserver 192.0.2.1\nnameserver fe80::1%eth0\n;c\n  # nameserver 9.9.9.9\nsortlist 10.0.0.0\n" +
      "domain example.org\noptions ndots:2 rotate no-aaaa\noptions trust-ad edns0\nnameserver bad\n",
  );
  assert.deepEqual(original.nameservers, ["192.0.2.1", "fe80::1%eth0"]);
  const lines = formatProxyResolvConf(original, "127.0.0.139").split("\n")
    .filter((line) => !line.startsWith("#"));
  assert.deepEqual(lines, [
    "nameserver 127.0.0.139",
    "sortlist 10.0.0.0",
    "domain example.org",
    "options ndots:2 edns0",
    "",
  ]);
});

Deno.test("DNS-162 upstream servers keep their order and never include the proxy", () => {
  const file = parseResolvConf(
    "nameserver 127.0.0.1\nnameserver ::2\nnameserver 127.0.0.53\nnameserver ::2\nnameserver 10.0.0.1\n",
  );
  assert.deepEqual(upstreamsOf(file, ["127.0.0.1", "::1"]), ["::2", "10.0.0.1"]);
});

Deno.test("DNS-216 gai.conf gets the whole table, HITs above ::/0", () => {
  assert.deepEqual(addHitPrecedence("# nothing\n").split("\n").filter((l) => l && l[0] !== "#"), [
    "precedence ::1/128 50",
    "precedence 2001:20::/28 45",
    "precedence ::/0 40",
    "precedence 2002::/16 30",
    "precedence ::/96 20",
    "precedence ::ffff:1.0.0.0/104 12",
    "precedence ::ffff:198.18.0.0/111 12",
    "precedence ::ffff:0:0/96 10",
  ]);
});

Deno.test("DNS-217 a gai.conf with a table of its own is extended, once", () => {
  const own = "precedence ::/0 70\nprecedence ::ffff:0:0/96 100";
  const changed = addHitPrecedence(own);
  assert.ok(changed.startsWith(`${own}\n`));
  assert.ok(changed.endsWith("\nprecedence 2001:20::/28 105\n"));
  assert.equal(addHitPrecedence(changed), changed);
});

Deno.test("DNS-196 take-over and restore leave a plain file byte for byte, mode and all", () => {
  bench(({ paths, make }) => {
    Deno.writeTextFileSync(paths.gaiConf, "# distribution\n");
    make().takeOver(PROXY);
    const written = Deno.readTextFileSync(paths.resolvConf);
    assert.match(written, /^nameserver 127\.0\.0\.1$/m);
    assert.match(written, /^search example\.org$/m);
    assert.equal(Deno.statSync(paths.resolvConf).mode! & 0o777, 0o640);
    assert.match(Deno.readTextFileSync(paths.gaiConf), /2001:20::\/28 45/);
    assert.ok(make().isInForce());
    assert.deepEqual(make().restore(), [paths.resolvConf, paths.gaiConf]);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), ORIGINAL);
    assert.equal(Deno.statSync(paths.resolvConf).mode! & 0o777, 0o640);
    assert.equal(Deno.readTextFileSync(paths.gaiConf), "# distribution\n");
    assert.ok(!exists(paths.stateFile));
    assert.ok(!make().isInForce());
    assert.deepEqual(make().restore(), []);
  });
});

Deno.test("a gai.conf and a resolv.conf that were not there are gone again afterwards", () => {
  bench(({ paths, make }) => {
    Deno.removeSync(paths.resolvConf);
    make().takeOver(PROXY);
    assert.ok(exists(paths.gaiConf) && exists(paths.resolvConf));
    make().restore();
    assert.ok(!exists(paths.gaiConf) && !exists(paths.resolvConf));
  });
});

Deno.test("a symlink is restored as a symlink, and what it leads to is never written", () => {
  bench(({ paths, folder, make }) => {
    const target = `${folder}/run/stub.conf`;
    Deno.writeTextFileSync(target, "nameserver 127.0.0.53\n");
    Deno.removeSync(paths.resolvConf);
    Deno.symlinkSync("../run/stub.conf", paths.resolvConf);
    assert.equal(make().inspect([PROXY]).kind, "symlink");
    make().takeOver(PROXY);
    assert.ok(Deno.lstatSync(paths.resolvConf).isFile);
    assert.equal(Deno.readTextFileSync(target), "nameserver 127.0.0.53\n");
    make().restore();
    assert.equal(Deno.readLinkSync(paths.resolvConf), "../run/stub.conf");
  });
});

Deno.test("behind systemd-resolved's stub the real servers are asked", () => {
  bench(({ paths, make }) => {
    Deno.writeTextFileSync(paths.resolvConf, "nameserver 127.0.0.53\noptions no-aaaa\n");
    Deno.writeTextFileSync(paths.resolvedConf, "nameserver 192.0.2.53\nnameserver 127.0.0.1\n");
    const situation = make().inspect([PROXY]);
    assert.deepEqual(situation.upstreams, ["192.0.2.53"]);
    assert.match(situation.warnings.join(), /no-aaaa/);
    Deno.removeSync(paths.resolvedConf);
    assert.match(make().inspect([PROXY]).warnings.join(), /cannot be read/);
  });
});

Deno.test("DNS-203 after a crash the next take-over restores first and saves the true original", () => {
  bench(({ paths, make }) => {
    make().takeOver(PROXY);
    const saved = Deno.readTextFileSync(paths.stateFile);
    make().takeOver("127.0.0.139");
    assert.match(Deno.readTextFileSync(paths.resolvConf), /nameserver 127\.0\.0\.139/);
    assert.equal(
      JSON.parse(saved).files[0].content,
      JSON.parse(Deno.readTextFileSync(paths.stateFile)).files[0].content,
    );
    make().restore();
    assert.equal(Deno.readTextFileSync(paths.resolvConf), ORIGINAL);
  });
});

Deno.test("a crash between backup and rename is harmless", () => {
  bench(({ paths, make, log }) => {
    make().takeOver(PROXY);
    const state = Deno.readTextFileSync(paths.stateFile);
    make().restore();
    Deno.writeTextFileSync(paths.stateFile, state);
    assert.deepEqual(make().restore(), []);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), ORIGINAL);
    assert.ok(!exists(paths.stateFile));
    assert.deepEqual(log, []);
  });
});

Deno.test("what another program wrote meanwhile is not overwritten", () => {
  bench(({ paths, make, log }) => {
    make().takeOver(PROXY);
    Deno.writeTextFileSync(paths.resolvConf, "nameserver 198.51.100.1\n");
    assert.ok(!make().isInForce());
    assert.deepEqual(make().restore(), [paths.gaiConf]);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), "nameserver 198.51.100.1\n");
    assert.match(log.join(), /changed by another program/);
  });
});

Deno.test("DNS-206 a bind mount is refused with a sentence, and nothing is touched", () => {
  bench(({ paths, folder, make }) => {
    Deno.writeTextFileSync(
      paths.mountInfo,
      `30 22 0:20 /x ${paths.resolvConf} rw - ext4 /dev/sda rw\n`,
    );
    assert.equal(make().inspect([]).kind, "bind-mount");
    assert.throws(() => make().takeOver(PROXY), UserError);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), ORIGINAL);
    assert.deepEqual([...Deno.readDirSync(`${folder}/etc`)].map((e) => e.name), ["resolv.conf"]);
    assert.ok(!exists(paths.stateFile));
  });
  assert.ok(isMountPoint("1 2 0:1 / /a\\040b rw - x y z", "/a b"));
});

Deno.test("DNS-206 when a file cannot be replaced, everything is as before", () => {
  bench(({ paths, folder, make }) => {
    // A folder in the way of the second rename, as an immutable file would be.
    Deno.mkdirSync(paths.gaiConf + ".hip-new");
    Deno.writeTextFileSync(`${paths.gaiConf}.hip-new/x`, "");
    assert.throws(() => make().takeOver(PROXY), UserError);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), ORIGINAL);
    assert.ok(!exists(paths.stateFile));
    assert.ok(!exists(`${folder}/etc/resolv.conf.hip-new`));
  });
});

Deno.test("a backup that cannot be read stops everything with a sentence", () => {
  bench(({ paths, make }) => {
    Deno.writeTextFileSync(paths.stateFile, "{");
    assert.throws(() => make().takeOver(PROXY), UserError);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), ORIGINAL);
  });
});

Deno.test("DNS-194 who keeps resolv.conf is told by its link or its head", () => {
  assert.equal(managerOf("/run/systemd/resolve/stub-resolv.conf", ""), "systemd-resolved");
  assert.equal(managerOf("/usr/lib/systemd/resolv.conf", ""), "systemd-resolved");
  assert.equal(managerOf("/run/NetworkManager/resolv.conf", ""), "NetworkManager");
  assert.equal(managerOf("/etc/resolvconf/run/resolv.conf", ""), "resolvconf");
  assert.equal(managerOf("/run/resolvconf/resolv.conf", ""), "resolvconf");
  assert.equal(managerOf("/srv/resolv.conf", "nameserver 192.0.2.1\n"), "nobody");
  assert.equal(
    managerOf(undefined, "# Generated by NetworkManager\nnameserver 192.0.2.1\n"),
    "NetworkManager",
  );
  assert.equal(
    managerOf(undefined, "# Dynamic resolv.conf(5) file generated by resolvconf(8)\n"),
    "resolvconf",
  );
  assert.equal(managerOf(undefined, "# by hand\n"), "nobody");
});

Deno.test("nsswitch.conf tells whether programs ask systemd-resolved without resolv.conf", () => {
  assert.ok(asksResolvedDirectly("passwd: files\nhosts: files resolve [!UNAVAIL=return] dns\n"));
  assert.ok(!asksResolvedDirectly("hosts: files dns # resolve\n"));
  assert.ok(!asksResolvedDirectly(""));
});

Deno.test("DNS-176 while the take-over holds, inspection reads what it replaced", () => {
  bench(({ paths, folder, make }) => {
    const target = `${folder}/run/resolvconf/resolv.conf`;
    Deno.mkdirSync(`${folder}/run/resolvconf`);
    Deno.writeTextFileSync(target, "nameserver 192.0.2.7\n");
    Deno.removeSync(paths.resolvConf);
    Deno.symlinkSync("../run/resolvconf/resolv.conf", paths.resolvConf);
    make().takeOver(PROXY);
    Deno.writeTextFileSync(target, "nameserver 192.0.2.8\n");
    const situation = make().inspect([PROXY]);
    assert.equal(situation.kind, "symlink");
    assert.equal(situation.manager, "resolvconf");
    assert.deepEqual(situation.upstreams, ["192.0.2.8"]);
    assert.ok(situation.sources.includes(target));
  });
});

Deno.test("DNS-214 NetworkManager's own list is read, and its link survives its writing", () => {
  bench(({ paths, make }) => {
    const own = "# Generated by NetworkManager\nnameserver 192.0.2.9\n";
    Deno.writeTextFileSync(paths.networkManagerConf, own);
    Deno.removeSync(paths.resolvConf);
    Deno.symlinkSync(paths.networkManagerConf, paths.resolvConf);
    make().takeOver(PROXY);
    // It finds a plain file where its link was, and writes both.
    const newer = own.replace("192.0.2.9", "192.0.2.10");
    for (const path of [paths.networkManagerConf, paths.resolvConf]) {
      Deno.writeTextFileSync(path, newer);
    }
    assert.equal(make().inspect([PROXY]).manager, "NetworkManager");
    assert.deepEqual(make().inspect([PROXY]).upstreams, ["192.0.2.10"]);
    make().takeOver(PROXY);
    make().restore();
    assert.equal(Deno.readLinkSync(paths.resolvConf), paths.networkManagerConf);
    assert.equal(Deno.readTextFileSync(paths.networkManagerConf), newer);
  });
});

Deno.test("a take-over that leaves resolv.conf alone sets the order of addresses only", () => {
  bench(({ paths, make }) => {
    make().takeOver(PROXY, false);
    assert.equal(Deno.readTextFileSync(paths.resolvConf), ORIGINAL);
    assert.match(Deno.readTextFileSync(paths.gaiConf), /2001:20::\/28 45/);
    assert.ok(make().hasBackup());
    assert.deepEqual(make().restore(), [paths.gaiConf]);
    assert.ok(!exists(paths.gaiConf) && !make().hasBackup());
  });
});
