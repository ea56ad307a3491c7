/**
 * A small traffic meter for machines without iperf3 and ping: a TCP server that swallows, pours or
 * echoes octets, and its client. The first octet of a connection says which.
 */

/** TCP port of the meter. */
export const METER_PORT = 5300;

/** What a connection is for, as its first octet. */
const SWALLOW = 0;
const POUR = 1;
const ECHO = 2;

const CHUNK_OCTETS = 128 * 1024;

/** Octets of an echo request: those of ping(8) with its ICMP header. */
const ECHO_OCTETS = 64;

/** Which way octets flow: `upload` is away from the client. */
export type FlowDirection = "upload" | "download";

/** Serves until the process ends. */
export async function serveMeter(): Promise<never> {
  const listener = Deno.listen({ hostname: "::", port: METER_PORT });
  for (;;) {
    const connection = await listener.accept();
    // A client that leaves in the middle is no trouble of the next one.
    serveConnection(connection).catch(() => {}).finally(() => tryClose(connection));
  }
}

async function serveConnection(connection: Deno.TcpConn): Promise<void> {
  connection.setNoDelay(true);
  const chunk = new Uint8Array(CHUNK_OCTETS);
  const first = await connection.read(chunk.subarray(0, 1));
  if (first === null) return;
  switch (chunk[0]) {
    case SWALLOW: {
      let octets = 0;
      for (let n = await connection.read(chunk); n !== null; n = await connection.read(chunk)) {
        octets += n;
      }
      await connection.write(new TextEncoder().encode(String(octets)));
      return;
    }
    case POUR:
      for (;;) await connection.write(chunk);
    case ECHO:
      for (let n = await connection.read(chunk); n !== null; n = await connection.read(chunk)) {
        await writeAll(connection, chunk.subarray(0, n));
      }
  }
}

/**
 * Moves octets as fast as they go.
 *
 * @param seconds How long.
 * @returns Bits per second as the receiver saw them.
 */
export async function measureFlow(
  address: string,
  direction: FlowDirection,
  seconds: number,
): Promise<number> {
  const connection = await Deno.connect({ hostname: address, port: METER_PORT });
  const chunk = new Uint8Array(CHUNK_OCTETS);
  await connection.write(Uint8Array.of(direction === "upload" ? SWALLOW : POUR));
  const startedAt = performance.now();
  const passed = () => (performance.now() - startedAt) / 1000;
  let octets = 0;
  if (direction === "download") {
    while (passed() < seconds) octets += await connection.read(chunk) ?? 0;
    const took = passed();
    tryClose(connection);
    return octets * 8 / took;
  }
  while (passed() < seconds) await connection.write(chunk);
  await connection.closeWrite();
  let report = "";
  for (let n = await connection.read(chunk); n !== null; n = await connection.read(chunk)) {
    report += new TextDecoder().decode(chunk.subarray(0, n));
  }
  const took = passed();
  tryClose(connection);
  return Number(report) * 8 / took;
}

/** @returns Round trips of `count` echoes over one connection, in milliseconds. */
export async function measureEchoes(address: string, count: number): Promise<number[]> {
  const connection = await Deno.connect({ hostname: address, port: METER_PORT });
  connection.setNoDelay(true);
  await connection.write(Uint8Array.of(ECHO));
  const message = new Uint8Array(ECHO_OCTETS);
  const times: number[] = [];
  while (times.length < count) {
    const startedAt = performance.now();
    await writeAll(connection, message);
    for (let received = 0; received < ECHO_OCTETS;) {
      const n = await connection.read(message.subarray(received));
      if (n === null) throw new Error("The meter hung up");
      received += n;
    }
    times.push(performance.now() - startedAt);
  }
  tryClose(connection);
  return times;
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

function tryClose(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
