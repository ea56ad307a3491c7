/**
 * A small traffic meter for machines without iperf3 and ping: a TCP server that swallows or echoes
 * octets, and its client. The first octet of a connection says which.
 */

/** What a connection is for, as its first octet. */
const SWALLOW = 0;
const ECHO = 1;

const CHUNK_OCTETS = 128 * 1024;

/** Octets of an echo request: those of ping(8) with its ICMP header. */
const ECHO_OCTETS = 64;

/** Serves until the listener is closed, and then rejects. */
export async function serveMeter(listener: Deno.TcpListener): Promise<never> {
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
  if (chunk[0] === SWALLOW) {
    let octets = 0;
    for (let n = await connection.read(chunk); n !== null; n = await connection.read(chunk)) {
      octets += n;
    }
    await connection.write(new TextEncoder().encode(String(octets)));
    return;
  }
  for (let n = await connection.read(chunk); n !== null; n = await connection.read(chunk)) {
    await writeAll(connection, chunk.subarray(0, n));
  }
}

/** What a flow moved, as its receiver saw it. */
export interface FlowReading {
  readonly octets: number;
  readonly bitsPerSecond: number;
}

/** Moves octets to the meter as fast as they go, over several connections at once. */
export async function measureFlows(
  address: string,
  port: number,
  flows: number,
  seconds: number,
): Promise<FlowReading> {
  const startedAt = performance.now();
  const each = await Promise.all(
    Array.from({ length: flows }, () => pour(address, port, startedAt + seconds * 1000)),
  );
  const octets = each.reduce((sum, count) => sum + count, 0);
  return { octets, bitsPerSecond: octets * 8 / ((performance.now() - startedAt) / 1000) };
}

/** @returns Octets that arrived. */
async function pour(address: string, port: number, until: number): Promise<number> {
  const connection = await Deno.connect({ hostname: address, port });
  const chunk = new Uint8Array(CHUNK_OCTETS);
  await connection.write(Uint8Array.of(SWALLOW));
  while (performance.now() < until) await connection.write(chunk);
  await connection.closeWrite();
  let report = "";
  for (let n = await connection.read(chunk); n !== null; n = await connection.read(chunk)) {
    report += new TextDecoder().decode(chunk.subarray(0, n));
  }
  tryClose(connection);
  return Number(report);
}

/** @returns Round trips of `count` echoes over one connection, in milliseconds. */
export async function measureEchoes(
  address: string,
  port: number,
  count: number,
): Promise<number[]> {
  const connection = await Deno.connect({ hostname: address, port });
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
