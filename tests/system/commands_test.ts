/**
 * The commands that talk to a running agent.
 *
 * ```
 *   client              router                                      server
 *   hip ...             DNS: www has a HIP record, AAAA and A       hip up with several identities
 * ```
 */

import assert from "node:assert/strict";
import { SERVER_NAME } from "../../lib/lab/agents.ts";
import { SERVER_ADDRESSES } from "../../lib/lab/lab.ts";
import { generateHostIdentity } from "../../lib/identity/host_identity.ts";
import { formatHit } from "../../lib/identity/hit.ts";
import { IdentityStore } from "../../lib/runtime/identity_store.ts";
import { statePaths } from "../../lib/runtime/state_paths.ts";
import { SYSTEM_RANDOM } from "../../lib/runtime/system_random.ts";
import {
  associationWith,
  CANNOT_RUN,
  fetchPage,
  hip,
  hitOf,
  PAGE,
  statusOf,
  withScene,
} from "../support/system.ts";

Deno.test({
  name: "status, lookup, ping and close say what is so, as text and as JSON",
  ignore: CANNOT_RUN,
  fn: () =>
    withScene({}, async ({ client, server }) => {
      const hit = hitOf(server);
      const { ipv4, ipv6 } = SERVER_ADDRESSES;

      const lookup = await hip(client, "lookup", SERVER_NAME, "--json");
      const known = JSON.parse(lookup.stdout);
      assert.deepEqual(known.identities.map((one: { hit: string }) => one.hit), [hit]);
      assert.deepEqual(known.answer, [hit, ipv6, ipv4]);
      const unknown = await hip(client, "lookup", "nobody.hip.test");
      assert.equal(unknown.code, 1);
      assert.match(unknown.stderr, /^hip lookup: nothing is known of nobody\.hip\.test/);

      for (const peer of [SERVER_NAME, hit]) {
        const ping = await hip(client, "ping", peer, "-c", "2", "--json");
        assert.equal(ping.code, 0, ping.stderr);
        const { sent, received, rttMs } = JSON.parse(ping.stdout);
        assert.deepEqual([sent, received], [2, 2]);
        for (const rtt of rttMs) assert.ok(rtt > 0 && rtt < 1000, `${rtt} ms`);
      }
      assert.match(
        (await hip(client, "ping", SERVER_NAME, "-c", "1")).stdout,
        /1 sent, 1 received/,
      );

      const status = await statusOf(client);
      assert.equal(status.isReady, true);
      assert.equal(status.dns.isResolver, true);
      assert.equal(status.associations.length, 1);
      assert.match((await hip(client, "status")).stdout, /ESTABLISHED/);
      assert.doesNotMatch((await hip(client, "status", "--json")).stdout, /private|keymat/i);

      const close = await hip(client, "close", SERVER_NAME);
      assert.equal(close.code, 0, close.stderr);
      const again = await hip(client, "close", "2001:22:1:2:3:4:5:6");
      assert.equal(again.code, 1);
      assert.match(again.stderr, /^hip close: there is no association with 2001:22:/i);
      const open = (await statusOf(client)).associations
        .filter(({ state }) => state === "ESTABLISHED");
      assert.deepEqual(open, []);
      const fetched = await fetchPage(client.host, `http://${SERVER_NAME}/`);
      assert.equal(fetched.remote, hit, "the next packet makes a new association");
      assert.equal((await associationWith(client, server)).state, "ESTABLISHED");
    }),
});

Deno.test({
  name: "HLP-017 HLP-021 Names of the hosts file need no DNS; one host answers on HITs of " +
    "three kinds",
  ignore: CANNOT_RUN,
  fn: async () => {
    const kinds = ["rsa", "ecdsa-p384", "ed25519"] as const;
    const extra = kinds.map((kind) => generateHostIdentity(kind, SYSTEM_RANDOM));
    await withScene({
      beforeAgents: (lab) => {
        const store = new IdentityStore(statePaths(`${lab.folder}/server`).identityFolder);
        for (const [i, identity] of extra.entries()) store.add(kinds[i]!, identity, false);
        return Promise.resolve();
      },
    }, async ({ client }) => {
      for (const [i, identity] of extra.entries()) {
        const hit = formatHit(identity.hit);
        const name = `${kinds[i]}.static`;
        const address = i % 2 === 0 ? SERVER_ADDRESSES.ipv4 : SERVER_ADDRESSES.ipv6;
        const added = await hip(client, "host", "add", hit, name, address);
        assert.equal(added.code, 0, added.stderr);
        const fetched = await fetchPage(client.host, `http://${name}/`);
        assert.equal(fetched.page, PAGE);
        assert.equal(fetched.remote, hit);
      }
      assert.match((await hip(client, "host", "list")).stdout, /ed25519\.static/);
      const { associations } = await statusOf(client);
      assert.deepEqual(
        associations.map(({ peerHit, state }) => [peerHit, state]).sort(),
        extra.map((identity) => [formatHit(identity.hit), "ESTABLISHED"]).sort(),
      );
      assert.deepEqual(
        associations.map(({ peerAlgorithm }) => peerAlgorithm).sort(),
        extra.map(({ algorithm }) => algorithm).sort(),
      );

      const removed = await hip(client, "host", "remove", "ed25519.static");
      assert.equal(removed.stdout, "Removed 1 line.\n");
      assert.notEqual((await fetchPage(client.host, "http://ed25519.static/")).code, 0);
      const twice = await hip(client, "host", "remove", "ed25519.static");
      assert.equal(twice.code, 1);
      assert.match(twice.stderr, /has no line for ed25519\.static/);
    });
  },
});
