/** What the engine's thread does when data threads do not do what they should. */

import assert from "node:assert/strict";
import { EspCipherPool } from "../../lib/crypto/esp_cipher_pool.ts";
import { PORTABLE_PROVIDER } from "../../lib/crypto/portable_suites.ts";
import { encapsulate } from "../../lib/esp/encapsulate.ts";
import { SPI_FILTER_SIZE } from "../../lib/esp/spi_filter.ts";
import { dataThreads } from "../../lib/runtime/config_values.ts";
import { DataThreads } from "../../lib/runtime/data_threads.ts";
import { pairsOf } from "../../lib/runtime/thread_starter.ts";
import { bufferOf, innerPacket, saPair } from "../support/sa_pair.ts";

const NO_OFFLOAD = { hasHeader: false, checksums: false, segments: false, datagrams: false };

function start(name: string, pairs = 1) {
  const failures: string[] = [];
  let tell = () => {};
  const failed = new Promise<void>((resolve) => tell = resolve);
  const bell = { descriptor: 0, ring: () => {}, silence: () => {}, close: () => {} };
  const threads = DataThreads.start({
    platform: {
      makeBell: () => bell,
      dataWorkerUrl: new URL("fixtures/odd_data_worker.ts", import.meta.url),
    },
    pairs: Array.from({ length: pairs }, () => ({
      tun: { descriptor: 0, name, offload: NO_OFFLOAD },
      receiving: [],
      sending: [],
    })),
    engineBell: bell,
    usesLibcrypto: false,
    knownSpis: new SharedArrayBuffer(SPI_FILTER_SIZE),
    onFailure: (why) => {
      failures.push(why);
      tell();
    },
  });
  return { threads, failures, failed };
}

function lend(threads: DataThreads) {
  const { outbound } = saPair(13, { provider: new EspCipherPool(PORTABLE_PROVIDER) });
  assert.equal(threads.takeOutbound(outbound), true);
  return outbound;
}

Deno.test("A thread that cannot start keeps none running", async () => {
  const { threads } = start("fails");
  await assert.rejects(threads, /Cannot start the inbound data thread: .*no such device/);
});

Deno.test("A thread that is gone before all others are ready keeps none running", async () => {
  await assert.rejects(start("leaves").threads, /A data thread has died/);
});

Deno.test("A thread that dies is told of, and its SAs go on where they were", async () => {
  const { threads, failures, failed } = start("dies");
  const running = await threads;
  const outbound = lend(running);
  running.setReplyAwaited(true);
  await failed;
  assert.match(failures.join(), /^The outbound data thread died \(.*out of luck.*\)$/);
  await running.stop();
  assert.equal(outbound.isOffloaded, false);
  assert.equal(encapsulate(outbound, bufferOf(innerPacket(new Uint8Array(8)))), undefined);
});

Deno.test("A thread that does not end takes its SAs with it: nobody else seals on them", async () => {
  const { threads } = start("hangs");
  const running = await threads;
  const outbound = lend(running);
  await running.stop();
  assert.equal(outbound.isWiped, true);
});

Deno.test("Threads that end in good order give back what they were lent", async () => {
  const { threads, failures } = start("ends");
  const running = await threads;
  const outbound = lend(running);
  await running.stop();
  assert.deepEqual([outbound.isOffloaded, outbound.isWiped, failures], [false, false, []]);
});

Deno.test("data_threads: as many pairs as are wanted, none with no, one at least by itself", () => {
  const wanted = (text: string) => pairsOf({ dataThreads: dataThreads(text) });
  assert.deepEqual(["no", "1", "8"].map(wanted), [0, 1, 8]);
  assert.ok(wanted("auto") >= 1 && wanted("auto") <= 4);
  for (const text of ["9", "0", "yes", ""]) assert.throws(() => dataThreads(text), SyntaxError);
});

Deno.test("An SA is lent to the pair whose packet it is, or that has the other direction", async () => {
  const { threads } = start("ends", 2);
  const running = await threads;
  const [first, second] = [lend(running), lend(running)];
  assert.equal(running.count, 4);
  const { inbound } = saPair(13, { provider: new EspCipherPool(PORTABLE_PROVIDER) });
  assert.equal(running.takeInbound(inbound, second), true);
  assert.deepEqual([first, second, inbound].map(({ isOffloaded }) => isOffloaded), [
    true,
    true,
    true,
  ]);
  await running.stop();
  assert.deepEqual([first, second, inbound].map(({ isOffloaded }) => isOffloaded), [
    false,
    false,
    false,
  ]);
});
