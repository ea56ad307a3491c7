/** What other programs and the kernel print, as captured on Debian 12, read into numbers. */

import assert from "node:assert/strict";
import { UserError } from "../../lib/base/errors.ts";
import {
  readBusySeconds,
  readIperfTcp,
  readIperfUdp,
  readPing,
  readProcessorSeconds,
  readResidentOctets,
  readSentOctets,
} from "../../lib/lab/readings.ts";

function fixture(name: string): string {
  return Deno.readTextFileSync(new URL(`./fixtures/${name}`, import.meta.url));
}

Deno.test("of TCP the receiver's octets and rate count, of all flows together", () => {
  assert.deepEqual(readIperfTcp(fixture("iperf3_tcp.json")), {
    octets: 1_309_409_280,
    bitsPerSecond: 10_439_570_907.496363,
  });
});

Deno.test("of UDP what was sent, received and lost is read apart", () => {
  // 50,000 packets of 16 octets; 39,619 came, 10,372 left gaps and 9 were still on their way.
  assert.deepEqual(readIperfUdp(fixture("iperf3_udp.json"), 16), {
    sent: 50_000,
    received: 39_619,
    lost: 10_372,
    seconds: 0.311238,
  });
});

Deno.test("a report of iperf3 without an end is told as such, with iperf3's reason", () => {
  const refused = `{
    "start": { "connected": [], "version": "iperf 3.12" },
    "intervals": [],
    "end": {},
    "error": "unable to connect to server: Connection refused"
  }`;
  assert.throws(
    () => readIperfTcp(refused),
    (error) => error instanceof UserError && /no result.*Connection refused/.test(error.message),
  );
  assert.throws(() => readIperfUdp("{}", 16), UserError);
});

Deno.test("every answer to a ping has its time, and a summary none", () => {
  const text = `PING fd00:1::2(fd00:1::2) 56 data bytes
64 bytes from fd00:1::2: icmp_seq=1 ttl=64 time=0.048 ms
64 bytes from fd00:1::2: icmp_seq=3 ttl=64 time=12 ms

--- fd00:1::2 ping statistics ---
3 packets transmitted, 2 received, 33% packet loss, time 45ms
rtt min/avg/max/mdev = 0.048/6.024/12.000/5.976 ms
`;
  assert.deepEqual(readPing(text), [0.048, 12]);
  assert.deepEqual(readPing("3 packets transmitted, 0 received, 100% packet loss\n"), []);
});

Deno.test("a process has its seconds of processor, whatever its name", () => {
  const tail = "S 5417 5414 11224 0 -1 4194560 440 0 3 0 2 77 0 0 20 0 1 0 166520 8433664 952";
  assert.equal(readProcessorSeconds(`5428 (iperf3) ${tail}`), 0.79);
  assert.equal(readProcessorSeconds(`5428 (a) b (c d) ${tail}`), 0.79);
});

Deno.test("the machine is busy but when it is idle, waits, or is not there", () => {
  const text = `cpu  139511 10 38068 151325 568 3 1221 279 0 0
cpu0 68904 0 18385 77536 82 0 485 142 0 0
`;
  assert.equal(readBusySeconds(text), (139_511 + 10 + 38_068 + 3 + 1221) / 100);
});

Deno.test("resident memory is VmRSS, and nothing of a process that has ended", () => {
  const text = `Name:\tiperf3
VmHWM:\t    4000 kB
VmRSS:\t    3808 kB
RssAnon:\t     200 kB
`;
  assert.equal(readResidentOctets(text), 3808 * 1024);
  assert.ok(Number.isNaN(readResidentOctets("Name:\tiperf3\nState:\tZ (zombie)\n")));
});

Deno.test("a device has sent what its 64-bit counter says", () => {
  assert.equal(readSentOctets(fixture("ip_link.json")), 1_336_963_395);
});
