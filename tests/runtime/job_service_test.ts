/** The worker's half of the job runner, served in this thread through stand-ins for its scope. */

import assert from "node:assert/strict";
import { isAllZero } from "../../lib/base/bytes.ts";
import { runJob } from "../../lib/hip/run_job.ts";
import { serveJobs, type WorkerMessage } from "../../lib/runtime/job_service.ts";
import { testIdentity } from "../support/identities.ts";

Deno.test("A worker keeps no octet of a job or of its result, and signs with the key again", () => {
  const scope = globalThis as unknown as {
    onmessage?: ((event: unknown) => void) | null;
    postMessage?: (message: WorkerMessage) => void;
  };
  const said: WorkerMessage[] = [];
  scope.postMessage = (message) => said.push(structuredClone(message));
  const results: object[] = [];
  try {
    serveJobs((job) => {
      const result = runJob(job);
      results.push(result);
      return result;
    }, "portable");
    for (let id = 1; id <= 2; id++) {
      for (const kind of ["ecdsa-p256", "ed25519", "rsa"] as const) {
        const job = structuredClone({
          kind: "sign-packet",
          seed: new Uint8Array(32).fill(1),
          identity: testIdentity(kind, "alice"),
          packetType: 17,
          senderHit: new Uint8Array(16).fill(2),
          receiverHit: new Uint8Array(16).fill(3),
          parameters: [new Uint8Array(8).fill(4)],
          mac: { rhash: "sha384", key: new Uint8Array(48).fill(5) },
        });
        scope.onmessage!({ data: { id, job } });
        const { seed, identity, mac } = job;
        for (const octets of [seed, identity.privateKey, mac.key]) assert.ok(isAllZero(octets));
      }
      scope.onmessage!({
        data: { id, job: { kind: "generate-dh", seed: new Uint8Array(32).fill(id), dhGroup: 7 } },
      });
    }
  } finally {
    delete scope.onmessage;
    delete scope.postMessage;
  }
  assert.deepEqual(said.shift(), { kind: "ready", publicKeys: "portable" });
  const kinds = said.map((message) => message.kind === "done" && message.done.result.kind);
  const round = ["sign-packet", "sign-packet", "sign-packet", "generate-dh"];
  assert.deepEqual(kinds, [...round, ...round]);
  // The answers themselves were sent before.
  const sentOctets = said.map((message) => octetsIn(message).some((octets) => !isAllZero(octets)));
  assert.deepEqual(sentOctets, said.map(() => true));
  for (const octets of results.flatMap(octetsIn)) assert.ok(isAllZero(octets));
});

function octetsIn(value: unknown): Uint8Array[] {
  if (value instanceof Uint8Array) return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(octetsIn) : [];
}
