import assert from "node:assert/strict";
import { UserError } from "../../lib/base/errors.ts";
import { SILENT } from "../../lib/base/logger.ts";
import { DEFAULT_CONFIG } from "../../lib/runtime/config.ts";
import { IdentityStore } from "../../lib/runtime/identity_store.ts";
import { ownIdentities } from "../../lib/runtime/own_identities.ts";
import { testIdentity } from "../support/identities.ts";

const NAMES = { work: "rsa", web: "ecdsa-p256", mail: "ed25519" } as const;

async function withStore(check: (store: IdentityStore) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    check(new IdentityStore(`${folder}/identities`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function fill(store: IdentityStore): void {
  for (const [name, kind] of Object.entries(NAMES)) {
    store.add(name, testIdentity(kind, "alice"), false);
  }
}

Deno.test("ownIdentities() takes all identities, the one that was chosen first", () =>
  withStore((store) => {
    fill(store);
    store.setDefault("web");
    const used = ownIdentities(DEFAULT_CONFIG, store, SILENT);
    assert.deepEqual(used.map(({ name }) => name), ["web", "mail", "work"]);
    assert.deepEqual(used.map(({ isDefault }) => isDefault), [true, false, false]);
  }));

Deno.test("ownIdentities() takes those that the configuration names, and its default", () =>
  withStore((store) => {
    fill(store);
    const of = (identities: string[], identity = "") =>
      ownIdentities({ ...DEFAULT_CONFIG, identity, identities }, store, SILENT)
        .map(({ name }) => name);
    assert.deepEqual(of(["mail", "work"]), ["work", "mail"]);
    assert.deepEqual(of(["mail", "web"]), ["mail", "web"]);
    assert.deepEqual(of(["mail", "web"], "web"), ["web", "mail"]);
    assert.deepEqual(of([], "mail"), ["mail", "web", "work"]);
    const problem = (identities: string[], identity?: string) => {
      try {
        of(identities, identity);
      } catch (error) {
        assert.ok(error instanceof UserError);
        return error.message;
      }
      throw new assert.AssertionError({ message: "accepted" });
    };
    assert.equal(
      problem(["mail"], "web"),
      "identity = web is not one of identities = mail. Add it there.",
    );
    assert.match(problem([], "play"), /no identity named "play"\. There are: mail, web, work/);
    assert.match(
      problem(["mail", "play"]),
      /no identity named "play"\. There are: mail, web, work/,
    );
  }));

Deno.test("The first start makes one identity, under the name that the configuration gives", () =>
  withStore((store) => {
    const [made, ...more] = ownIdentities({ ...DEFAULT_CONFIG, identity: "web" }, store, SILENT);
    assert.deepEqual([made?.name, made?.isDefault, more.length], ["web", true, 0]);
    assert.deepEqual(store.names(), ["web"]);
  }));
