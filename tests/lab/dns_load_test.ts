import assert from "node:assert/strict";
import { readDnsperf } from "../../lib/lab/dns_load.ts";

/** What dnsperf 2.10.0 of Debian 12 printed with -v, shortened. */
const TEXT = `DNS Performance Testing Tool
Version 2.10.0

[Status] Sending queries (to 127.0.0.1:5355)
[Status] Started at: Mon Nov 30 21:44:18 2026
[Status] Stopping after 4.000000 seconds or 1 run through file
> NOERROR n0.example AAAA 0.000512
> NOERROR n1.example AAAA 0.046213
> NXDOMAIN n2.example AAAA 0.001000
[Timeout] Query timed out: msg id 3
> T n3.example AAAA
[Status] Testing complete (end of file)

Statistics:

  Queries sent:         4
  Queries completed:    3 (75.00%)
  Queries lost:         1 (25.00%)

  Response codes:       NOERROR 2 (66.67%), NXDOMAIN 1 (33.33%)
  Average packet size:  request 31, response 59
  Run time (s):         0.487
  Queries per second:   2033.997826

  Average Latency (s):  0.047770 (min 0.000112, max 0.402805)
  Latency StdDev (s):   0.079084
`;

Deno.test("what dnsperf prints is read: the rate, what was lost, and how long each answer took", () => {
  const { perSecond, lost, latenciesMs } = readDnsperf(TEXT);
  assert.deepEqual([perSecond, lost], [2033.997826, 1]);
  assert.deepEqual(latenciesMs.map((ms) => ms.toFixed(3)), ["0.512", "46.213", "1.000"]);
});
