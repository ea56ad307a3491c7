import assert from "node:assert/strict";
import { fromHex, toHex } from "../../lib/base/bytes.ts";
import { answerProblem, signRequest, type TsigKey } from "../../lib/dns/tsig.ts";
import { parseTsigKey } from "../../lib/dns/tsig_key_file.ts";
import { buildRrsetUpdate } from "../../lib/dns/update.ts";
import { parseName } from "../../lib/wire/dns/name.ts";

/** What knsupdate, kdig and knotd of Knot DNS 3.2.6 said to each other over TCP, without the length. */
const SECRET = new TextEncoder().encode("secret-for-tests-only-nothing-else");
const UPDATE_KEY: TsigKey = {
  name: parseName("update.example."),
  algorithm: "hmac-sha256",
  secret: SECRET,
};
const QUERY_KEY: TsigKey = {
  name: parseName("Other.Example."),
  algorithm: "hmac-sha512",
  secret: SECRET,
};
const UPDATE = {
  request:
    "e20928000001000000020001076578616d706c65000006000103777777c00c001000ff000000000000c019" +
    "0010000100000e100002017806757064617465076578616d706c650000fa00ff00000000003d0b686d61632d7368" +
    "613235360000006b0de5cb012c0020fc2d42608eef94194cf95f8c4e39cf1cdb60fa9e55af183de62b7869d27a8b" +
    "94e20900000000",
  answer:
    "e209a8000001000000000001076578616d706c65000006000106757064617465076578616d706c650000fa00" +
    "ff00000000003d0b686d61632d7368613235360000006b0de5cb012c0020a76cfedaa4d1f90fa998a01b9896f5df" +
    "6eb70a4b70011b40f6b76f0fd84e0a00e20900000000",
  seconds: 0x6b0de5cb,
};
const QUERY = {
  request:
    "fe3501200001000000000001026e73076578616d706c650000010001056f74686572076578616d706c6500" +
    "00fa00ff00000000005d0b686d61632d7368613531320000006b0de36a012c00404f75425a9e288611f8dcead439" +
    "e56f1c5e8f26584a1b7ff62f4cae5499596e4514516169e9a6dc36a0d8ae4b883a03eaf1fe8d7936d9ed8951b98e" +
    "27d42446fffe3500000000",
  answer:
    "fe3585000001000100000001026e73076578616d706c650000010001c00c000100010000003c00047f000001" +
    "056f74686572076578616d706c650000fa00ff00000000005d0b686d61632d7368613531320000006b0de36a012c" +
    "004050d04ec4b4ffe38269ba3a5112b913e0a518f0458acfdf0b44a8f1b1e316490cf11347c52b1db3ce19614fb7" +
    "cc0154d2aeb3adb28adc4d96036436ffb777d6fafe3500000000",
  seconds: 0x6b0de36a,
};
/** The answer to a request with another secret. */
const BADSIG = {
  request:
    "295001200001000000000001026e73076578616d706c65000001000106757064617465076578616d706c65" +
    "0000fa00ff00000000003d0b686d61632d7368613235360000006b0de36a012c0020d9916013b92edc82f0b8c979" +
    "83506eaa17087ecf73272b1d5bfeafa100778d5f295000000000",
  answer:
    "295081090001000000000001026e73076578616d706c65000001000106757064617465076578616d706c6500" +
    "00fa00ff00000000001d0b686d61632d7368613235360000006b0de36a012c0000295000100000",
};

Deno.test("RFC 2136 an update that replaces an RRset is the one that knsupdate sends", () => {
  const built = buildRrsetUpdate({
    id: 0xe209,
    zone: parseName("example."),
    name: parseName("www.example."),
    type: 16,
    records: [{ ttlSeconds: 3600, rdata: Uint8Array.of(1, 0x78) }],
  });
  const signed = signRequest(UPDATE_KEY, built, UPDATE.seconds);
  assert.equal(toHex(signed.bytes), UPDATE.request);
  assert.equal(
    answerProblem(UPDATE_KEY, fromHex(UPDATE.answer), signed.mac, UPDATE.seconds),
    undefined,
  );
});

Deno.test("RFC 8945 a signed query is that of kdig, and the answer of knotd is accepted", () => {
  const plain = fromHex(QUERY.request.slice(0, 2 * 28));
  new DataView(plain.buffer).setUint16(10, 0);
  const key = { ...QUERY_KEY, name: parseName("other.example.") };
  const { bytes, mac } = signRequest(key, plain, QUERY.seconds);
  assert.equal(toHex(bytes), QUERY.request);
  // Key names are told apart without regard to case, and enter the digest in small letters.
  const { mac: macOfOtherCase } = signRequest(QUERY_KEY, plain, QUERY.seconds);
  assert.deepEqual(macOfOtherCase, mac);
  const check = (seconds: number) => answerProblem(QUERY_KEY, fromHex(QUERY.answer), mac, seconds);
  assert.equal(check(QUERY.seconds), undefined);
  assert.equal(check(QUERY.seconds + 300), undefined);
  assert.equal(check(QUERY.seconds + 301), "it was signed at another time");
  assert.equal(check(QUERY.seconds - 301), "it was signed at another time");
});

Deno.test("an answer with any octet altered is refused", () => {
  const good = fromHex(UPDATE.answer);
  const mac = fromHex(UPDATE.request).subarray(-38, -6);
  assert.equal(answerProblem(UPDATE_KEY, good, mac, UPDATE.seconds), undefined);
  for (let i = 0; i < good.length; i++) {
    const altered = good.slice();
    altered[i]! ^= 0x01;
    let problem: string | undefined;
    try {
      problem = answerProblem(UPDATE_KEY, altered, mac, UPDATE.seconds);
    } catch {
      problem = "malformed";
    }
    // The message ID is not signed: the original one stands in the record.
    if (i >= 2) assert.notEqual(problem, undefined, `octet ${i}`);
  }
  assert.match(answerProblem(UPDATE_KEY, good, mac.slice().fill(0), UPDATE.seconds)!, /wrong/);
  for (let length = 12; length < good.length; length++) {
    assert.throws(() => answerProblem(UPDATE_KEY, good.subarray(0, length), mac, UPDATE.seconds));
  }
});

Deno.test("a refusal of the key is told in words, and an unsigned answer is none", () => {
  const mac = fromHex(BADSIG.request).subarray(-38, -6);
  assert.match(answerProblem(UPDATE_KEY, fromHex(BADSIG.answer), mac, 0x6b0de36a)!, /BADSIG/);
  const unsigned = fromHex(UPDATE.request.slice(0, 2 * 12).replace(/0001$/, "0000"));
  new DataView(unsigned.buffer).setUint16(4, 0);
  new DataView(unsigned.buffer).setUint16(8, 0);
  assert.equal(answerProblem(UPDATE_KEY, unsigned, mac, 0), "it is not signed");
});

Deno.test("keys are read as tsig-keygen, keymgr and nsupdate write them", () => {
  const secret = "aZSOR45q0OTKLxoAsdmvK1h8SpGfjWkv30u9SW/SJV8=";
  const read = (text: string) => {
    const key = parseTsigKey(text);
    return [
      new TextDecoder().decode(key.name.subarray(1, 5)),
      key.algorithm,
      toHex(key.secret.subarray(0, 2)),
    ];
  };
  assert.deepEqual(
    read(`key "host.example" {\n\talgorithm hmac-sha256;\n\tsecret "${secret}";\n};\n`),
    ["host", "hmac-sha256", "6994"],
  );
  assert.deepEqual(
    read(
      `# hmac-sha384:host.example:${secret}\nkey:\n  - id: host.example\n` +
        `    algorithm: hmac-sha384\n    secret: ${secret}\n`,
    ),
    ["host", "hmac-sha384", "6994"],
  );
  assert.deepEqual(read(`hmac-sha512:host.example:${secret}\n`), ["host", "hmac-sha512", "6994"]);
  assert.deepEqual(read(`host.example:${secret}`), ["host", "hmac-sha256", "6994"]);
  assert.throws(() => parseTsigKey(""), /holds no TSIG key/);
  assert.throws(() => parseTsigKey(`hmac-md5:host:${secret}`), /hmac-md5 cannot be used/);
  const broken = `key "k" { algorithm hmac-sha256; secret "not-base64"; };`;
  assert.throws(
    () => parseTsigKey(broken),
    (error: Error) => !error.message.includes("not-base64"),
  );
});
