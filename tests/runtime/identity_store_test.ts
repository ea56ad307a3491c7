import assert from "node:assert/strict";
import { UserError } from "../../lib/base/errors.ts";
import { generateHostIdentity } from "../../lib/identity/host_identity.ts";
import { IdentityStore } from "../../lib/runtime/identity_store.ts";
import { SYSTEM_RANDOM } from "../../lib/runtime/system_random.ts";

const IDENTITY = generateHostIdentity("ecdsa-p256", SYSTEM_RANDOM);
const OTHER = generateHostIdentity("ed25519", SYSTEM_RANDOM);

function inFolder(test: (folder: string, store: IdentityStore) => void): void {
  const parent = Deno.makeTempDirSync();
  try {
    const folder = `${parent}/identities`;
    test(folder, new IdentityStore(folder));
  } finally {
    Deno.removeSync(parent, { recursive: true });
  }
}

function mode(path: string): string {
  return ((Deno.statSync(path).mode ?? 0) & 0o777).toString(8);
}

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    return error.message;
  }
  throw new assert.AssertionError({ message: "Nothing was refused" });
}

Deno.test("IdentityStore is empty where nothing was ever written", () => {
  inFolder((_, store) => {
    assert.deepEqual(store.list(), []);
    assert.equal(store.defaultName(), undefined);
  });
});

Deno.test("IdentityStore gives back what was added, the default one first", () => {
  inFolder((_, store) => {
    store.add("work", IDENTITY, false);
    store.add("a-guest", OTHER, true);
    const [first, second] = store.list();
    assert.deepEqual(first, {
      name: "work",
      identity: IDENTITY,
      isAnonymous: false,
      isDefault: true,
    });
    assert.deepEqual(second, {
      name: "a-guest",
      identity: OTHER,
      isAnonymous: true,
      isDefault: false,
    });
    store.setDefault("a-guest");
    assert.deepEqual(store.list().map(({ name, isDefault }) => [name, isDefault]), [
      ["a-guest", true],
      ["work", false],
    ]);
  });
});

Deno.test("IdentityStore writes keys with mode 0600 in a folder of mode 0700, and no leftovers", () => {
  inFolder((folder, store) => {
    const before = Deno.umask(0);
    try {
      store.add("work", IDENTITY, false);
    } finally {
      Deno.umask(before);
    }
    assert.equal(mode(folder), "700");
    assert.equal(mode(`${folder}/work.pem`), "600");
    const names = [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
    assert.deepEqual(names, ["default", "work.pem"]);
  });
});

Deno.test("IdentityStore refuses a key file that others may read, and says how to mend it", () => {
  inFolder((folder, store) => {
    store.add("work", IDENTITY, false);
    const path = `${folder}/work.pem`;
    for (const open of [0o640, 0o604, 0o620, 0o602, 0o644]) {
      Deno.chmodSync(path, open);
      const octal = open.toString(8).padStart(4, "0");
      assert.equal(
        refusal(() => store.list()),
        `the key file ${path} is open to other users (mode ${octal}). Run: chmod 600 ${path}`,
      );
    }
    Deno.chmodSync(path, 0o400);
    assert.equal(store.list().length, 1);
  });
});

Deno.test("IdentityStore refuses a damaged key file without repeating what is in it", () => {
  inFolder((folder, store) => {
    store.add("work", IDENTITY, false);
    const path = `${folder}/work.pem`;
    const text = Deno.readTextFileSync(path);
    const secret = /-----\n([^-]{20})/.exec(text)![1]!;
    Deno.writeTextFileSync(path, text.replace("-----END", "-----AND"));
    const message = refusal(() => store.read("work"));
    assert.ok(message.startsWith(`${path}: `));
    assert.ok(!message.includes(secret));
  });
});

Deno.test("IdentityStore never replaces a key and takes no names that leave its folder", () => {
  inFolder((_, store) => {
    store.add("work", IDENTITY, false);
    assert.match(refusal(() => store.add("work", OTHER, false)), /"work" already/);
    assert.deepEqual(store.read("work").identity.hit, IDENTITY.hit);
    for (const name of ["", "..", "../x", "a/b", "-x", ".hidden", "x".repeat(64)]) {
      assert.match(refusal(() => store.add(name, OTHER, false)), /cannot name an identity/);
    }
    assert.equal(
      refusal(() => store.read("home")),
      'there is no identity named "home". There are: work.',
    );
    assert.match(refusal(() => store.setDefault("home")), /no identity named "home"/);
  });
});

Deno.test("IdentityStore falls back to the first name when the default one is gone", () => {
  inFolder((folder, store) => {
    store.add("work", IDENTITY, false);
    store.add("home", OTHER, false);
    Deno.removeSync(`${folder}/work.pem`);
    assert.equal(store.defaultName(), "home");
  });
});
