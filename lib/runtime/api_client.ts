/** The other end of the control socket: asks a running agent. */

import { UserError } from "../base/errors.ts";
import { type ApiErrorCode, type EventReport, LineSplitter } from "./api_protocol.ts";
import { systemProblem } from "./atomic_file.ts";

/** Nobody serves the socket. */
export class NotUpError extends UserError {
  override readonly name = "NotUpError";

  constructor() {
    super("hip is not up. Start it with: sudo hip up");
  }
}

/** The agent refused; the message is its sentence. */
export class ApiClientError extends UserError {
  override readonly name = "ApiClientError";

  constructor(readonly code: ApiErrorCode, message: string) {
    super(message.endsWith(".") ? message : `${message}.`);
  }
}

/** Longer than an agent takes for any answer, in milliseconds. */
const ANSWER_MS = 30_000;

interface Line {
  readonly id?: number;
  readonly ok?: boolean;
  readonly result?: unknown;
  readonly error?: { readonly code: ApiErrorCode; readonly message: string };
  readonly event?: EventReport;
}

/** One connection to an agent; one request at a time. */
export class ApiClient {
  readonly #connection: Deno.UnixConn;
  readonly #lines: AsyncGenerator<Line>;
  #lastId = 0;

  private constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
    this.#lines = readLines(connection);
  }

  /**
   * Reaches the agent behind the socket `path`.
   *
   * @throws {NotUpError} When there is none. @throws {UserError} When it is not ours to use.
   */
  static async connect(path: string): Promise<ApiClient> {
    try {
      return new ApiClient(await Deno.connect({ transport: "unix", path }));
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied) {
        throw new UserError(`the control socket ${path} belongs to root. Run it with sudo.`);
      }
      throw new NotUpError();
    }
  }

  /**
   * Connects, asks once and hangs up.
   *
   * @param params `timeoutMs` among them is how long the agent itself may wait.
   * @param patienceMs How much longer its answer may take.
   * @throws {UserError} Also when the agent is stuck.
   */
  static async ask<T>(
    path: string,
    method: string,
    params: Record<string, unknown> = {},
    patienceMs = ANSWER_MS,
  ): Promise<T> {
    const client = await ApiClient.connect(path);
    try {
      const allowed = typeof params["timeoutMs"] === "number" ? params["timeoutMs"] : 0;
      return await answered(client.call<T>(method, params), allowed + patienceMs);
    } finally {
      client.close();
    }
  }

  /**
   * Sends a request and waits for its answer.
   *
   * @throws {ApiClientError} When the agent refuses. @throws {UserError} When it hangs up.
   */
  async call<T>(method: string, params: Record<string, unknown> = {}): Promise<T> {
    const id = ++this.#lastId;
    await this.#send(JSON.stringify({ id, method, params }) + "\n");
    for (;;) {
      const line = await this.#next();
      if (line.id !== id) continue;
      if (line.ok) return line.result as T;
      const { code, message } = line.error ?? { code: "internal" as const, message: "No reason" };
      throw new ApiClientError(code, message);
    }
  }

  /** The agent's events from now on, until it ends or the client is closed. */
  async *events(): AsyncGenerator<EventReport> {
    await this.call("events");
    for await (const line of this.#lines) {
      if (line.event !== undefined) yield line.event;
    }
  }

  /** Resolves when the agent has hung up. */
  async closed(): Promise<void> {
    try {
      while (!(await this.#lines.next()).done);
    } catch {
      // A broken connection is a closed one.
    }
  }

  close(): void {
    try {
      this.#connection.close();
    } catch {
      // Closed already.
    }
  }

  async #send(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    try {
      for (let sent = 0; sent < bytes.length;) {
        sent += await this.#connection.write(bytes.subarray(sent));
      }
    } catch (error) {
      throw new UserError(`hip went away while it was asked (${systemProblem(error)}).`);
    }
  }

  async #next(): Promise<Line> {
    try {
      const { value, done } = await this.#lines.next();
      if (!done) return value;
    } catch (error) {
      throw new UserError(`hip went away while it was asked (${systemProblem(error)}).`);
    }
    throw new UserError("hip went away while it was asked.");
  }
}

/** @throws {UserError} When `answer` does not come in time. */
async function answered<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: number | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new UserError("hip is up but does not answer. Stop it with: sudo hip down")),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function* readLines(connection: Deno.UnixConn): AsyncGenerator<Line> {
  const splitter = new LineSplitter();
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(16_384);
  for (;;) {
    let length: number | null;
    try {
      length = await connection.read(chunk);
    } catch (error) {
      // Closed by ourselves while reading.
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) {
        return;
      }
      throw error;
    }
    if (length === null) return;
    const text = decoder.decode(chunk.subarray(0, length), { stream: true });
    for (const line of splitter.push(text)) yield JSON.parse(line) as Line;
  }
}
