/**
 * A small DNS client: asks one server one question, over UDP, and over TCP when the answer was cut
 * (RFC 1035 §4.2, RFC 7766 §5). For `hip lookup`: it speaks to the proxy as applications do.
 */

import { createSocket } from "node:dgram";
import { randomUint32 } from "../base/random.ts";
import { CLASS_IN, FLAG, TYPE } from "../wire/dns/code_points.ts";
import {
  type DnsMessage,
  HEADER_OCTETS,
  messageId,
  parseMessage,
  parseQuestion,
} from "../wire/dns/message.ts";
import { emitQuestion, MessageBuilder } from "../wire/dns/message_builder.ts";
import { sameName } from "../wire/dns/name.ts";
import { SYSTEM_RANDOM } from "./system_random.ts";

/** Payload size that our OPT record offers, in octets: fits every path. */
const UDP_PAYLOAD = 1232;

/** How long a server may take to show that it is there, in milliseconds. */
const PROBE_TIMEOUT_MS = 1500;

/** The name with no labels. */
const ROOT = Uint8Array.of(0);

/** Whom to ask and how long to wait. */
export interface DnsServerAddress {
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
}

/**
 * Asks for all records of one type.
 *
 * @param name Uncompressed name.
 * @param flags Second header word of the question.
 * @returns The server's answer; undefined when there was none in time.
 */
export async function queryDns(
  server: DnsServerAddress,
  name: Uint8Array,
  type: number,
  flags: number = FLAG.RD,
): Promise<DnsMessage | undefined> {
  const query = buildQuery(name, type, flags);
  const answer = await exchangeUdp(server, query);
  if (answer === undefined) return undefined;
  if ((answer.flags & FLAG.TC) === 0) return answer;
  const whole = await exchangeTcp(server, query);
  return (whole === undefined ? undefined : matching(query, whole)) ?? answer;
}

/** Whether one of these servers, port 53, answers anything at all, be it a refusal. */
export async function hasDnsAnswer(addresses: readonly string[]): Promise<boolean> {
  // Without recursion a server answers at once, also where it cannot reach the root; some servers
  // do not answer such questions.
  const questions = addresses.flatMap((
    address,
  ) => [{ address, flags: 0 }, { address, flags: FLAG.RD }]);
  const answers = questions.map(async ({ address, flags }) => {
    const server = { address, port: 53, timeoutMs: PROBE_TIMEOUT_MS };
    if (await queryDns(server, ROOT, TYPE.NS, flags) === undefined) throw new Error("No answer");
  });
  return await Promise.any(answers).then(() => true, () => false);
}

function buildQuery(name: Uint8Array, type: number, flags: number): Uint8Array {
  const question = emitQuestion(name, type, CLASS_IN);
  const id = randomUint32(SYSTEM_RANDOM) & 0xffff;
  const builder = new MessageBuilder({ id, flags, question });
  builder.addOpt(UDP_PAYLOAD, false);
  return builder.finish();
}

/** The message when it answers `query`, else undefined (RFC 5452 §9). */
function matching(query: Uint8Array, bytes: Uint8Array): DnsMessage | undefined {
  if (bytes.length < HEADER_OCTETS || messageId(bytes) !== messageId(query)) return undefined;
  try {
    const answer = parseMessage(bytes);
    const asked = parseQuestion(query);
    const { question } = answer;
    const isOurs = (answer.flags & FLAG.QR) !== 0 && question !== undefined &&
      question.type === asked.type && sameName(question.name, asked.name);
    return isOurs ? answer : undefined;
  } catch {
    // Malformed: as good as no answer.
    return undefined;
  }
}

function exchangeUdp(
  server: DnsServerAddress,
  query: Uint8Array,
): Promise<DnsMessage | undefined> {
  const socket = createSocket(server.address.includes(":") ? "udp6" : "udp4");
  return new Promise<DnsMessage | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(undefined), server.timeoutMs);
    socket.on("message", (bytes: Uint8Array, from: { port: number }) => {
      const answer = from.port === server.port ? matching(query, bytes) : undefined;
      if (answer === undefined) return;
      clearTimeout(timer);
      resolve(answer);
    });
    socket.on("error", () => {
      clearTimeout(timer);
      resolve(undefined);
    });
    socket.send(query, server.port, server.address);
  }).finally(() => socket.close());
}

/** Sends one message over a connection of its own; what comes back, if anything does in time. */
export async function exchangeTcp(
  server: DnsServerAddress,
  message: Uint8Array,
): Promise<Uint8Array | undefined> {
  let connection: Deno.TcpConn | undefined;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    connection?.close();
  }, server.timeoutMs);
  try {
    connection = await Deno.connect({ hostname: server.address, port: server.port });
    const framed = new Uint8Array(2 + message.length);
    new DataView(framed.buffer).setUint16(0, message.length);
    framed.set(message, 2);
    for (let sent = 0; sent < framed.length;) {
      sent += await connection.write(framed.subarray(sent));
    }
    const head = await readExactly(connection, 2);
    return await readExactly(connection, new DataView(head.buffer).getUint16(0));
  } catch {
    // Refused, cut off or too late.
    return undefined;
  } finally {
    clearTimeout(timer);
    if (!isLate) connection?.close();
  }
}

async function readExactly(connection: Deno.Conn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let have = 0; have < length;) {
    const got = await connection.read(bytes.subarray(have));
    if (got === null) throw new Deno.errors.UnexpectedEof("Connection ended inside a message");
    have += got;
  }
  return bytes;
}
