/**
 * Several identities at once, and anonymous ones that come and go.
 *
 * ```
 *   client                        router                   server
 *   hip up, ping(8)                                        hip up, two identities, refuses
 *   one identity for the server                            whoever is not anonymous
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import { formatHit } from "../../lib/identity/hit.ts";
import { type Lab, SERVER_ADDRESSES } from "../../lib/lab/lab.ts";
import { IdentityStore } from "../../lib/runtime/identity_store.ts";
import { statePaths } from "../../lib/runtime/state_paths.ts";
import { CANNOT_RUN, hip, hitOf, statusOf, untilStatus, withScene } from "../support/system.ts";
import { shell } from "../support/system_host.ts";
import { testIdentity } from "../support/identities.ts";

const DEVICE = "ip -6 -o address show dev hip0";

Deno.test({
  name: "An anonymous HIT is on the device while its association lasts, and its peer sees no other",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async ({ client, server }) => {
      const { code, stdout, stderr } = await hip(client, "ping", "--anonymous", SERVER_NAME);
      assert.equal(code, 0, stderr);
      const [, anonymous] = /^as (2001:2\S+), made for this peer alone$/m.exec(stdout)!;
      assert.notEqual(anonymous, hitOf(client));
      assert.ok((await shell(client.host, DEVICE)).includes(`${anonymous}/128`));
      const [seen] = (await statusOf(server)).associations;
      assert.deepEqual([seen?.peerHit, seen?.isPeerAnonymous], [anonymous, true]);
      assert.equal((await hip(client, "close", SERVER_NAME)).code, 0);
      await untilStatus(client, "it is gone", ({ identities }) => identities.length === 1);
      assert.ok(!(await shell(client.host, DEVICE)).includes(anonymous!));
    }),
});

Deno.test({
  name:
    "A host with two identities serves anonymous peers under both, and refuses others as its list says",
  ignore: CANNOT_RUN,
  fn: () => {
    const second = testIdentity("ed25519", "bob");
    const settings = ["peer=* refuse", "peer=anonymous"];
    const beforeAgents = (lab: Lab) => {
      const { identityFolder } = statePaths(`${lab.folder}/server`);
      new IdentityStore(identityFolder).add("second", second, false);
      return Promise.resolve();
    };
    return withScene({ settings, beforeAgents }, async ({ client, server }) => {
      const { identities } = await statusOf(server);
      assert.deepEqual(identities.map(({ name }) => name), ["server", "second"]);
      const { code, stderr } = await hip(client, "ping", SERVER_NAME, "-c", "1");
      assert.equal(code, 1);
      assert.match(stderr, /cannot be reached over HIP/);
      assert.ok((await statusOf(server)).drops["hip-refused"]! > 0);

      const line = [formatHit(second.hit), `locator=${SERVER_ADDRESSES.ipv6}`, "second.test"];
      assert.equal((await hip(client, "host", "add", ...line)).code, 0);
      for (const name of [SERVER_NAME, "second.test"]) {
        const met = await hip(client, "ping", "--anonymous", name, "-c", "1");
        assert.equal(met.code, 0, met.stderr);
      }
      const { associations } = await statusOf(server);
      assert.deepEqual(
        associations.map(({ localHit }) => localHit).sort(),
        [hitOf(server), formatHit(second.hit)].sort(),
      );
    });
  },
});
