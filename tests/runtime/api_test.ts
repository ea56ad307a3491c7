import assert from "node:assert/strict";
import { EventLog } from "../../lib/engine/event_log.ts";
import { formatHit } from "../../lib/identity/hit.ts";
import { parseHipPacket } from "../../lib/wire/hip/packet.ts";
import { CAPTURES, readCapture } from "../support/captures.ts";
import fc from "fast-check";
import { UserError } from "../../lib/base/errors.ts";
import { SILENT } from "../../lib/base/logger.ts";
import { instant, milliseconds } from "../../lib/base/time.ts";
import type { AssociationStatus, EngineEvent } from "../../lib/engine/effects.ts";
import { ApiClient, ApiClientError, NotUpError } from "../../lib/runtime/api_client.ts";
import { type ApiAgent, handleRequest } from "../../lib/runtime/api_handlers.ts";
import {
  ApiRefusal,
  type ApiResponse,
  type AssociationReport,
  associationReport,
  eventReport,
  LineSplitter,
  type LookupReport,
  MAX_LINE,
  parseRequest,
  type StatusReport,
} from "../../lib/runtime/api_protocol.ts";
import { ApiServer } from "../../lib/runtime/api_server.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/wire/ip_address.ts";

const LOCAL = "2001:22:1::1";
const PEER = "2001:22:2::2";

const ESTABLISHED: AssociationStatus = {
  localHit: parseIpAddress(LOCAL),
  peerHit: parseIpAddress(PEER),
  name: "www.hip.test",
  isPeerAnonymous: false,
  state: "ESTABLISHED",
  role: "initiator",
  localAddress: parseIpAddress("192.0.2.1"),
  peerAddress: parseIpAddress("192.0.2.2"),
  peerPort: 10500,
  inboundSpi: 0x1a2b3c,
  outboundSpi: 0xffffffff,
  espSuite: "AES-GCM",
  sequenceNumbers: "64-bit",
  opportunisticAddress: undefined,
  dhGroup: 7,
  hipCipher: 2,
  peerAlgorithm: 7,
  packetsIn: 1,
  packetsOut: 2,
  octetsIn: 3,
  octetsOut: 4,
  baseExchangeTime: milliseconds(4.1),
  puzzleTime: milliseconds(1.2),
  establishedAt: instant(1000),
  failure: undefined,
};

const LOOKUP: LookupReport = {
  name: "www.hip.test",
  identities: [{ hit: PEER, kind: "ECDSA P-256", rendezvous: [], source: "dns", isAccepted: true }],
  records: [],
  mappings: [],
  locators: ["192.0.2.2"],
  answer: [PEER, "192.0.2.2"],
  responseCode: "NOERROR",
};

/** An agent of plain functions; `changes` replaces some of them. */
function fakeAgent(changes: Partial<ApiAgent> = {}): ApiAgent {
  return {
    now: () => 5000,
    status: () => ({ version: "1" }) as StatusReport,
    ready: Promise.resolve(),
    connect: () => true,
    association: () => ESTABLISHED,
    connectOpportunistic: () => {},
    associationAt: () => undefined,
    isReachable: () => true,
    anonymousAssociation: () => undefined,
    connectAnonymously: () => true,
    rekey: () => true,
    close: () => true,
    echo: () => Promise.resolve(0.7),
    lookup: () => Promise.resolve(LOOKUP),
    reloadHosts: () => 3,
    flushNames: () => {},
    shutdown: () => {},
    onEvent: () => () => {},
    ...changes,
  };
}

function ask(
  agent: ApiAgent,
  method: string,
  params: Record<string, unknown> = {},
): Promise<ApiResponse> {
  return handleRequest(agent, { id: 7, method, params });
}

/** Lets everything run that can. */
function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

async function refused(agent: ApiAgent, method: string, params: Record<string, unknown> = {}) {
  const response = await ask(agent, method, params);
  assert.ok(!response.ok);
  return response.error;
}

Deno.test("parseRequest() takes requests and refuses everything else", () => {
  assert.deepEqual(parseRequest('{"id":1,"method":"status"}'), {
    id: 1,
    method: "status",
    params: {},
  });
  const bad = ["", "x", "[]", "null", "1", '{"id":"1","method":"status"}', '{"id":1}'];
  for (const line of [...bad, '{"id":1,"method":"x","params":[]}']) {
    assert.throws(() => parseRequest(line), ApiRefusal, line);
  }
});

Deno.test("LineSplitter gives the same lines however the text is cut", () => {
  const lines = fc.array(fc.string({ minLength: 1 }).map((text) => `x${text.replace(/\n/g, "")}`));
  fc.assert(fc.property(lines, fc.array(fc.nat({ max: 50 })), (wanted, cuts) => {
    const text = wanted.map((line) => `${line}\n`).join("");
    const splitter = new LineSplitter();
    const got: string[] = [];
    let at = 0;
    for (const cut of cuts) {
      got.push(...splitter.push(text.slice(at, at + cut)));
      at += cut;
    }
    got.push(...splitter.push(text.slice(at)));
    assert.deepEqual(got, wanted);
  }));
  assert.throws(() => new LineSplitter().push("x".repeat(MAX_LINE + 1)), RangeError);
});

Deno.test("associationReport() writes addresses and SPIs as text and absent values as null", () => {
  const report = associationReport(ESTABLISHED, 5000);
  assert.equal(report.peerHit, PEER);
  assert.equal(report.localAddress, "192.0.2.1");
  assert.equal(report.transport, "UDP 10500");
  assert.equal(associationReport({ ...ESTABLISHED, peerPort: 0 }, 1).transport, "ESP");
  assert.equal(associationReport({ ...ESTABLISHED, peerPort: undefined }, 1).transport, null);
  assert.equal(report.inboundSpi, "0x001a2b3c");
  assert.equal(report.outboundSpi, "0xffffffff");
  assert.equal(report.establishedForMs, 4000);
  assert.equal(report.failure, null);
  assert.equal(
    associationReport({ ...ESTABLISHED, establishedAt: undefined }, 1).establishedForMs,
    null,
  );
});

Deno.test("eventReport() turns octets into text and keeps the rest", () => {
  const event: EngineEvent = {
    kind: "packet",
    at: instant(12.5),
    direction: "out",
    packet: "I1",
    localHit: parseIpAddress(LOCAL),
    peerHit: parseIpAddress(PEER),
    source: parseIpAddress("192.0.2.1"),
    destination: parseIpAddress("2001:db8::2"),
    peerPort: 10500,
    parameters: ["DH_GROUP_LIST"],
    lengthOctets: 48,
    detail: "",
  };
  assert.deepEqual(eventReport(event, 1000), {
    ...event,
    wallMs: 1012.5,
    localHit: LOCAL,
    peerHit: PEER,
    source: "192.0.2.1",
    destination: "2001:db8::2",
  });
});

Deno.test("eventReport() tells everything of a packet that the engine saw", () => {
  const { hip } = readCapture(CAPTURES[0]);
  const [, r1] = hip.map(({ bytes }) => bytes);
  const local = parseIpAddress("2001:db8::1");
  const peer = parseIpAddress("2001:db8::2");
  const log = new EventLog();
  log.addPacket(instant(1), "in", r1!, { local, peer });
  const packet = parseHipPacket(r1!);
  const report = eventReport(log.take()!, 0);
  assert.deepEqual(Object.keys(report).toSorted(), [
    "at",
    "destination",
    "detail",
    "direction",
    "kind",
    "lengthOctets",
    "localHit",
    "packet",
    "parameters",
    "peerHit",
    "peerPort",
    "source",
    "wallMs",
  ]);
  assert.equal(report["packet"], "R1");
  assert.equal(report["direction"], "in");
  assert.equal(report["peerHit"], formatHit(packet.senderHit));
  assert.equal(report["source"], "2001:db8::2");
  assert.equal(report["lengthOctets"], r1!.length);
  assert.ok((report["parameters"] as string[]).includes("PUZZLE"));
});

Deno.test("eventReport() turns a list of addresses into text", () => {
  const event: EngineEvent = {
    kind: "learned",
    at: instant(0),
    name: "www.example.org",
    peerHit: parseIpAddress(PEER),
    locators: [parseIpAddress("2001:db8::2"), parseIpAddress("192.0.2.1")],
  };
  const report = eventReport(event, 0);
  assert.deepEqual(report["locators"], ["2001:db8::2", "192.0.2.1"]);
  assert.equal(report["name"], "www.example.org");
});

Deno.test("handleRequest() answers with results and with named refusals", async () => {
  const agent = fakeAgent();
  assert.deepEqual(await ask(agent, "reload"), { id: 7, ok: true, result: { names: 3 } });
  let flushes = 0;
  const flushing = fakeAgent({ flushNames: () => flushes++ });
  assert.deepEqual(await ask(flushing, "flush"), { id: 7, ok: true, result: {} });
  assert.equal(flushes, 1);
  assert.equal((await refused(agent, "nonsense")).code, "unknown-method");
  assert.equal((await refused(agent, "toString")).code, "unknown-method");
  assert.equal((await refused(agent, "close", {})).code, "bad-request");
  assert.equal((await refused(agent, "close", { peer: "192.0.2.1" })).code, "bad-request");
  const broken = fakeAgent({
    status: () => {
      throw new Error("Broken");
    },
  });
  assert.deepEqual(await refused(broken, "status"), { code: "internal", message: "Broken" });
});

Deno.test("close takes a HIT or a name and says when there is nothing to close", async () => {
  const closed: string[] = [];
  const agent = fakeAgent({ close: (hit) => closed.push(String(hit)) === 1 });
  assert.ok((await ask(agent, "close", { peer: PEER })).ok);
  const again = await refused(agent, "close", { peer: "www.hip.test" });
  assert.deepEqual(closed, [String(parseIpAddress(PEER)), String(parseIpAddress(PEER))]);
  assert.equal(again.message, "There is no association with www.hip.test");
});

Deno.test("rekey answers when both SPIs are new, and says why not otherwise", async () => {
  let status = ESTABLISHED;
  const asked: boolean[] = [];
  const agent = fakeAgent({
    association: () => status,
    rekey: (_, withDh) => {
      asked.push(withDh);
      setTimeout(() => status = { ...status, inboundSpi: 0x999 }, 15);
      setTimeout(() => status = { ...status, outboundSpi: 0x888 }, 45);
      return true;
    },
  });
  const response = await ask(agent, "rekey", { peer: PEER, withDh: true });
  assert.ok(response.ok);
  const { inboundSpi, outboundSpi } = response.result as AssociationReport;
  assert.deepEqual([inboundSpi, outboundSpi], ["0x00000999", "0x00000888"]);
  assert.deepEqual(asked, [true]);

  const busy = fakeAgent({ rekey: () => false });
  assert.match((await refused(busy, "rekey", { peer: PEER })).message, /being rekeyed already/);
  const absent = fakeAgent({ association: () => undefined });
  assert.match((await refused(absent, "rekey", { peer: PEER })).message, /no established/);
  const ending = fakeAgent({
    association: () => status,
    rekey: () => {
      status = { ...status, state: "CLOSING" };
      return true;
    },
  });
  assert.match((await refused(ending, "rekey", { peer: PEER })).message, /has ended/);
});

Deno.test("A name without a Host Identity is refused with the reason", async () => {
  const plain = fakeAgent({ lookup: () => Promise.resolve({ ...LOOKUP, identities: [] }) });
  assert.match((await refused(plain, "connect", { peer: "a.test" })).message, /no Host Identity/);
  const empty = { ...LOOKUP, identities: [], answer: [], responseCode: "NXDOMAIN" };
  const unknown = fakeAgent({ lookup: () => Promise.resolve(empty) });
  assert.match((await refused(unknown, "connect", { peer: "a.test" })).message, /\(NXDOMAIN\)/);
});

Deno.test("connect waits for ESTABLISHED and gives the reason when it does not come", async () => {
  let state = "UNASSOCIATED";
  let failure: string | undefined = undefined;
  let listener: (event: EngineEvent) => void = () => {};
  const agent = fakeAgent({
    association: () => state === "UNASSOCIATED" ? undefined : { ...ESTABLISHED, state, failure },
    connect: () => {
      state = "I1-SENT";
      return true;
    },
    onEvent: (given) => {
      listener = given;
      return () => listener = () => {};
    },
  });
  const move = (to: string) => {
    const from = state;
    state = to;
    const { localHit, peerHit } = ESTABLISHED;
    listener({ kind: "state", at: instant(0), localHit, peerHit, from, to, why: "" });
  };
  const good = ask(agent, "connect", { peer: PEER });
  await tick();
  move("I2-SENT");
  await tick();
  move("ESTABLISHED");
  const response = await good;
  assert.ok(response.ok);
  assert.equal((response.result as { state: string }).state, "ESTABLISHED");

  state = "UNASSOCIATED";
  const bad = ask(agent, "connect", { peer: PEER });
  await tick();
  failure = "no answer to I1";
  move("E-FAILED");
  const refusal = await bad;
  assert.ok(!refusal.ok);
  assert.deepEqual(refusal.error, {
    code: "unreachable",
    message: `${PEER} cannot be reached over HIP: no answer to I1`,
  });
});

Deno.test("connect says of a peer that failed lately that nothing was tried anew", async () => {
  const lost = { ...ESTABLISHED, state: "E-FAILED" as const, failure: "no answer to I1" };
  const refusal = await refused(fakeAgent({ association: () => lost }), "connect", { peer: PEER });
  assert.match(refusal.message, /: no answer to I1\. That was the last attempt; try again later$/);
});

Deno.test("connect does not wait where no address of the peer is known", async () => {
  const agent = fakeAgent({ association: () => undefined, connect: () => false });
  const refusal = await refused(agent, "connect", { peer: PEER });
  assert.deepEqual(refusal, {
    code: "unreachable",
    message: `No address is known for ${PEER}. ` +
      "Give one with: hip host add HIT locator=ADDRESS NAME",
  });
});

async function withServer(
  agent: ApiAgent,
  test: (path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/hip.sock`;
  const server = await ApiServer.listen(path, SILENT);
  const served = server.serve(agent);
  try {
    await test(path);
  } finally {
    server.close();
    await served;
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("ApiServer makes its socket with mode 0600 and answers in order", async () => {
  await withServer(fakeAgent(), async (path) => {
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    const client = await ApiClient.connect(path);
    assert.deepEqual(await client.call("status"), { version: "1" });
    assert.deepEqual(await client.call("reload"), { names: 3 });
    await assert.rejects(client.call("nonsense"), ApiClientError);
    assert.deepEqual(await client.call("ping", { peer: PEER }), { rttMs: 0.7 });
    client.close();
  });
});

Deno.test("API-003 A stale socket is replaced, one that is served is not", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/hip.sock`;
  // A listener that ends without tidying up, as after SIGKILL.
  Deno.listen({ transport: "unix", path }).close();
  assert.ok(Deno.lstatSync(path).isSocket);
  const server = await ApiServer.listen(path, SILENT);
  const served = server.serve(fakeAgent());
  try {
    await assert.rejects(ApiServer.listen(path, SILENT), new UserError("hip is already up."));
    assert.deepEqual(await ApiClient.ask(path, "reload"), { names: 3 });
  } finally {
    server.close();
    await served;
  }
  await assert.rejects(ApiClient.connect(path), NotUpError);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("ApiServer survives lines that are no requests", async () => {
  await withServer(fakeAgent(), async (path) => {
    const connection = await Deno.connect({ transport: "unix", path });
    await connection.write(new TextEncoder().encode("nonsense\n{}\n"));
    const splitter = new LineSplitter();
    const lines: string[] = [];
    const chunk = new Uint8Array(4096);
    while (lines.length < 2) {
      const length = await connection.read(chunk);
      assert.ok(length !== null);
      lines.push(...splitter.push(new TextDecoder().decode(chunk.subarray(0, length))));
    }
    connection.close();
    for (const line of lines) assert.equal(JSON.parse(line).error.code, "bad-request");
    assert.deepEqual(await ApiClient.ask(path, "reload"), { names: 3 });
  });
});

Deno.test("events keeps sending until the client hangs up", async () => {
  let listener: ((event: EngineEvent) => void) | undefined;
  const agent = fakeAgent({
    onEvent: (given) => {
      listener = given;
      return () => listener = undefined;
    },
  });
  await withServer(agent, async (path) => {
    const client = await ApiClient.connect(path);
    const events = client.events();
    const first = events.next();
    while (listener === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    for (const detail of ["one", "two"]) {
      listener({ kind: "drop", at: instant(1), reason: "hip-malformed", detail });
    }
    assert.equal((await first).value?.["detail"], "one");
    assert.equal((await events.next()).value?.["detail"], "two");
    client.close();
    while (listener !== undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  });
});

Deno.test("NEG-023 connect to a plain address meets whoever answers there and reports the HIT", async () => {
  const asked: string[] = [];
  const agent = fakeAgent({
    connectOpportunistic: (address) => asked.push(formatIpAddress(address)),
    associationAt: () => asked.length === 0 ? undefined : ESTABLISHED,
  });
  const response = await ask(agent, "connect", { peer: "192.0.2.2" });
  assert.ok(response.ok);
  assert.deepEqual(asked, ["192.0.2.2"]);
  assert.equal((response.result as AssociationReport).peerHit, PEER);
});

Deno.test("connect to a plain address says so while another one is being met", async () => {
  const refusal = await refused(fakeAgent({ associationAt: () => undefined }), "connect", {
    peer: "192.0.2.2",
  });
  assert.equal(refusal.code, "not-ready");
  assert.match(refusal.message, /^Another host is being met by its address alone\. Try again/);
});

Deno.test("An agent that takes connections and answers nothing is given up", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/hip.sock`;
  using _listener = Deno.listen({ transport: "unix", path });
  await assert.rejects(
    ApiClient.ask(path, "status", {}, 20),
    new UserError("hip is up but does not answer. Stop it with: sudo hip down"),
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("connect with anonymous waits for the identity, then for the association under it", async () => {
  let state: AssociationStatus | undefined;
  let listener: (event: EngineEvent) => void = () => {};
  const asked: unknown[] = [];
  const change = (next: AssociationStatus | undefined) => {
    state = next;
    listener({ kind: "state" } as EngineEvent);
  };
  const agent = fakeAgent({
    association: () => undefined,
    anonymousAssociation: () => state,
    connectAnonymously: (peer) => {
      asked.push(peer);
      setTimeout(() => change({ ...ESTABLISHED, state: "I1-SENT" }), 5);
      setTimeout(() => change(ESTABLISHED), 10);
      return true;
    },
    onEvent: (heard) => {
      listener = heard;
      return () => {};
    },
  });
  const met = await ask(agent, "connect", { peer: PEER, anonymous: true });
  assert.ok(met.ok);
  assert.deepEqual(asked, [{ hit: parseIpAddress(PEER) }]);
  assert.equal((met.result as AssociationReport).localHit, LOCAL);

  const full = await ask(
    fakeAgent({ anonymousAssociation: () => undefined, connectAnonymously: () => false }),
    "connect",
    { peer: "192.0.2.2", anonymous: true },
  );
  assert.ok(!full.ok);
  assert.match(full.error.message, /too many anonymous identities/);
  const nowhere = await ask(fakeAgent({ isReachable: () => false }), "connect", {
    peer: PEER,
    anonymous: true,
  });
  assert.ok(!nowhere.ok && /No address is known/.test(nowhere.error.message));
});

Deno.test("NEG-011 of several HITs of one name a command takes the first whose suite is accepted", async () => {
  const [accepted] = LOOKUP.identities;
  const other = { ...accepted!, hit: "2001:23::3", isAccepted: false };
  const agentWith = (identities: LookupReport["identities"]) =>
    fakeAgent({ lookup: () => Promise.resolve({ ...LOOKUP, identities }) });
  const found = await ask(agentWith([other, accepted!]), "resolve", { peer: "a.test" });
  assert.deepEqual(found.ok && found.result, { hit: PEER });
  const { message } = await refused(agentWith([other]), "resolve", { peer: "a.test" });
  assert.match(message, /a suite that is not among hit_suites/);
});

Deno.test("ping sends from the HIT that the caller names, or from the one that the peer knows", async () => {
  const from: (string | undefined)[] = [];
  const agent = fakeAgent({
    echo: ({ localHit }) => {
      from.push(localHit && formatIpAddress(localHit));
      return Promise.resolve(1);
    },
  });
  await ask(agent, "ping", { peer: PEER, from: LOCAL });
  await ask(agent, "ping", { peer: PEER });
  assert.deepEqual(from, [LOCAL, undefined]);
  assert.ok(!(await ask(agent, "ping", { peer: PEER, from: "192.0.2.1" })).ok);
});
