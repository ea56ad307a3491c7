import assert from "node:assert/strict";
import { Ipv4Servers } from "../../lib/runtime/ipv4_servers.ts";
import { parseIpAddress } from "../../lib/wire/ip_address.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";
/** 198.18.7.9 in the order of the list. */
const LSI = "090712C6";
const ANY = "00000000";
const ANY6 = "0".repeat(32);

function list(...sockets: [local: string, remote: string, state: string][]): string {
  return [HEAD, ...sockets.map((cells, i) => `   ${i}: ${cells.join(" ")} 00000000:00000000`), ""]
    .join("\n");
}

Deno.test("ports at which IPv4 alone waits: for anybody or at our LSI, TCP that listens and UDP that is not connected", () => {
  const files: Record<string, string> = {
    "/proc/net/tcp": list(
      [`${ANY}:0016`, `${ANY}:0000`, "0A"],
      [`${ANY}:0050`, `${ANY}:0000`, "0A"],
      [`${LSI}:0051`, `${ANY}:0000`, "0A"],
      ["0100007F:0052", `${ANY}:0000`, "0A"],
      [`${ANY}:0053`, "0100007F:1234", "01"],
    ),
    "/proc/net/tcp6": list([`${ANY6}:0016`, `${ANY6}:0000`, "0A"]),
    "/proc/net/udp": list(
      [`${ANY}:0035`, `${ANY}:0000`, "07"],
      [`${ANY}:0036`, "0100007F:0035", "01"],
    ),
  };
  let reads = 0;
  let now = 0;
  const read = (path: string) => {
    reads++;
    return files[path];
  };
  const servers = new Ipv4Servers([parseIpAddress("198.18.7.9")], read, () => now);
  const ports = [0x16, 0x50, 0x51, 0x52, 0x53, 0x35, 0x36];
  const served = (protocol: number) => ports.filter((port) => servers.has(protocol, port));
  assert.deepEqual(served(6), [0x50, 0x51]);
  assert.deepEqual(served(17), [0x35]);
  // Two lists for each, read once for as long as they are fresh.
  assert.equal(reads, 4);
  files["/proc/net/tcp6"] = list([`${ANY6}:0050`, `${ANY6}:0000`, "0A"]);
  now = 499;
  assert.deepEqual(served(6), [0x50, 0x51]);
  now = 500;
  assert.deepEqual(served(6), [0x16, 0x51]);
});

Deno.test("the lists of this host are read as they are", () => {
  const listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const both = Deno.listen({ hostname: "::", port: 0 });
  try {
    const read = (path: string) => Deno.readTextFileSync(path);
    const servers = new Ipv4Servers([], read, () => 0);
    assert.equal(servers.has(6, (listener.addr as Deno.NetAddr).port), true);
    assert.equal(servers.has(6, (both.addr as Deno.NetAddr).port), false);
  } finally {
    listener.close();
    both.close();
  }
});
