/** The audit log of ESP: which events it has, what stands in a line, who switches it. */

import assert from "node:assert/strict";
import { toHex } from "../../lib/base/bytes.ts";
import { DropCounters } from "../../lib/base/drop_reason.ts";
import type { Logger } from "../../lib/base/logger.ts";
import { PacketBuffer } from "../../lib/base/packet_buffer.ts";
import { instant, seconds } from "../../lib/base/time.ts";
import { Audit } from "../../lib/engine/audit.ts";
import { DataPath } from "../../lib/engine/data_path.ts";
import { AUDIT_EVENTS, type AuditEvent } from "../../lib/esp/audit_event.ts";
import type { OutgoingPacket } from "../../lib/engine/effects.ts";
import { LsiTable } from "../../lib/identity/lsi.ts";
import { loadDatagram } from "../support/datagrams.ts";
import { End, EnginePair } from "../support/engine_pair.ts";
import { ESP } from "../support/engine_story.ts";
import { testIdentity } from "../support/identities.ts";
import { bufferOf, innerPacket, saPair } from "../support/sa_pair.ts";

class Lines implements Logger {
  readonly lines: string[] = [];

  log(_level: string, message: string): void {
    if (message.startsWith("ESP audit")) this.lines.push(message);
  }
}

/** What Bob logs of one packet of each kind that Alice, or somebody in her name, sends. */
function auditedBy(audit: readonly AuditEvent[]): { lines: string[]; esp: OutgoingPacket } {
  const logger = new Lines();
  const a = new End(testIdentity("ecdsa-p256", "alice"), "192.0.2.1", 1);
  const settings = { audit };
  const b = new End(testIdentity("ecdsa-p256", "bob"), "192.0.2.2", 2, { settings, logger });
  const pair = new EnginePair(a, b);
  pair.introduce(a, b);
  pair.ping(a, b);
  pair.wire.length = 0;
  pair.ping(a, b, 2);
  const esp = pair.wire.find(({ protocol }) => protocol === ESP)!;
  const changed = (at: number) => {
    const bytes = esp.bytes.slice();
    bytes[at]! ^= 0x80;
    return { ...esp, bytes };
  };
  pair.inject(b, esp);
  pair.inject(b, changed(0));
  pair.inject(b, changed(6));
  const buffer = new PacketBuffer(2048);
  loadDatagram(buffer, esp);
  buffer.path.isFragment = true;
  b.engine.handleDatagram(pair.now, buffer);
  return { lines: logger.lines, esp };
}

Deno.test("ESP-152 no SA, fragment, replay and a wrong ICV are logged with SPI, number and addresses", () => {
  const { lines, esp } = auditedBy(AUDIT_EVENTS);
  const spi = toHex(esp.bytes.subarray(0, 4));
  const strangeSpi = toHex(Uint8Array.of(esp.bytes[0]! ^ 0x80, ...esp.bytes.subarray(1, 4)));
  const number = new DataView(esp.bytes.buffer, esp.bytes.byteOffset).getUint32(4);
  const way = "from 192.0.2.1 to 192.0.2.2";
  assert.deepEqual(lines, [
    `ESP audit: replayed packet, SPI ${spi}, sequence number ${number}, ${way}`,
    `ESP audit: no SA, SPI ${strangeSpi}, sequence number ${number}, ${way}`,
    `ESP audit: ICV failed, SPI ${spi}, sequence number ${number ^ 0x8000}, ${way}`,
    `ESP audit: fragment offered to ESP, SPI ${spi}, sequence number ${number}, ${way}`,
  ]);
});

Deno.test("ESP-152 each event is logged only where the administrator wants it", () => {
  const words = { "replay": /replayed/, "no-sa": /no SA/, "icv-failed": /ICV/, "fragment": /frag/ };
  for (const [event, word] of Object.entries(words)) {
    const { lines } = auditedBy([event as AuditEvent]);
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, word);
  }
  assert.deepEqual(auditedBy([]).lines, []);
});

Deno.test("ESP-152 a counter that would overflow is logged by the sender", () => {
  const logger = new Lines();
  const spent: unknown[] = [];
  const never = () => assert.fail("not asked for");
  const dataPath = new DataPath(
    {
      localHitFor: () => undefined,
      isLocal: never,
      associationFor: never,
      securityOf: never,
      unwatched: () => {},
      rekeyDue: () => {},
      spent: (_now, sa) => spent.push(sa),
      staged: never,
      transmit: never,
      deliver: never,
      unknownSpi: never,
    },
    {
      drops: new DropCounters(),
      audit: new Audit(logger, AUDIT_EVENTS),
      lsis: new LsiTable(),
      limits: { stagedLifetime: seconds(1), maxAssociations: 16, maxPendingI2: 1 },
    },
  );
  const { outbound } = saPair(13);
  dataPath.saDatabase.installOutbound(outbound);
  outbound.words.fill(0xffffffff, 2, 4);
  const buffer = bufferOf(innerPacket(new Uint8Array(8)));
  assert.equal(dataPath.handleTunPacket(instant(0), buffer), "consumed");
  assert.deepEqual(logger.lines, [
    "ESP audit: sequence number would overflow, SPI c0ffee01, sequence number 4294967295, " +
    "from 2001:db8::1 to 192.0.2.1",
  ]);
  assert.deepEqual(spent, [outbound]);
});

Deno.test("Ten lines are logged a second; the next one says how many were left out", () => {
  const logger = new Lines();
  const audit = new Audit(logger, AUDIT_EVENTS);
  const path = { localAddress: new Uint8Array(16), peerAddress: new Uint8Array(16) };
  for (let i = 0; i < 1000; i++) audit.noteReceived(instant(0), "no-sa", 256, i, path);
  assert.equal(logger.lines.length, 10);
  audit.noteReceived(instant(seconds(1)), "no-sa", 256, 1000, path);
  assert.equal(logger.lines[10], "ESP audit: 990 events were left out");
  assert.match(logger.lines[11]!, /sequence number 1000/);
});
