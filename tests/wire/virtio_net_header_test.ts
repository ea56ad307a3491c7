import assert from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { GSO, NEEDS_CHECKSUM, VirtioNetHeader } from "../../lib/wire/virtio_net_header.ts";

/**
 * `struct virtio_net_hdr { __u8 flags, gso_type; __virtio16 hdr_len, gso_size, csum_start,
 * csum_offset; }` of linux/virtio_net.h, with the numbers of a super-segment over IPv6.
 */
const OCTETS = "01 04 4800 7805 2800 1000".replaceAll(" ", "");

Deno.test("a virtio_net_hdr is read as linux/virtio_net.h lays it out, and written alike", () => {
  const header = new VirtioNetHeader();
  const bytes = fromHex(`ff${OCTETS}ff`);
  header.read(new DataView(bytes.buffer), 1);
  assert.equal(header.flags, NEEDS_CHECKSUM);
  assert.equal(header.gsoType, GSO.tcp6);
  assert.equal(header.headerLength, 72);
  assert.equal(header.gsoSize, 1400);
  assert.equal(header.checksumStart, 40);
  assert.equal(header.checksumOffset, 16);
  const written = new Uint8Array(12).fill(0xff);
  header.write(new DataView(written.buffer), 1);
  assert.equal(toHex(written), `ff${OCTETS}ff`);
  header.clear();
  header.write(new DataView(written.buffer), 1);
  assert.equal(toHex(written), `ff${"00".repeat(10)}ff`);
});
