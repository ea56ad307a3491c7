/**
 * The control socket: a Unix socket of mode 0600 that speaks the lines of `api_protocol.ts`.
 *
 * A socket file left by a crash is replaced; one behind which an agent answers is not.
 */

import { UserError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { type ApiAgent, handleRequest } from "./api_handlers.ts";
import {
  ApiRefusal,
  type ApiResponse,
  eventReport,
  LineSplitter,
  parseRequest,
} from "./api_protocol.ts";
import { removeIfThere, systemProblem } from "./atomic_file.ts";

/** Clients served at the same time. */
const MAX_CLIENTS = 64;

/** Events kept for a client that does not read; the rest is lost to it. */
const MAX_QUEUED_EVENTS = 10_000;

/** Serves one socket until closed. */
export class ApiServer {
  readonly #listener: Deno.UnixListener;
  readonly #path: string;
  readonly #clients = new Set<Deno.UnixConn>();
  readonly #logger: Logger;

  private constructor(listener: Deno.UnixListener, path: string, logger: Logger) {
    this.#listener = listener;
    this.#path = path;
    this.#logger = logger;
  }

  /**
   * Makes the socket; nobody is served before `serve`.
   *
   * @throws {UserError} When another agent serves it, or the folder refuses.
   */
  static async listen(path: string, logger: Logger): Promise<ApiServer> {
    if (await answers(path)) throw new UserError("hip is already up.");
    // The mode must be right from birth: a chmod would leave a moment in which others can connect.
    const umask = Deno.umask(0o177);
    try {
      removeIfThere(path);
      return new ApiServer(Deno.listen({ transport: "unix", path }), path, logger);
    } catch (error) {
      throw new UserError(
        `cannot make the control socket ${path} (${systemProblem(error)}). ` +
          "Run it as root, or choose another folder with --state.",
      );
    } finally {
      Deno.umask(umask);
    }
  }

  /** Takes clients until `close`. */
  async serve(agent: ApiAgent): Promise<void> {
    for await (const connection of this.#listener) {
      if (this.#clients.size >= MAX_CLIENTS) {
        connection.close();
        continue;
      }
      this.#clients.add(connection);
      this.#serveClient(agent, connection)
        .catch((error) => this.#logger.log("debug", `Control client: ${systemProblem(error)}`))
        .finally(() => {
          this.#clients.delete(connection);
          closeQuietly(connection);
        });
    }
  }

  /** Stops listening, hangs up and removes the socket file. */
  close(): void {
    closeQuietly(this.#listener);
    for (const connection of this.#clients) closeQuietly(connection);
    removeIfThere(this.#path);
  }

  async #serveClient(agent: ApiAgent, connection: Deno.UnixConn): Promise<void> {
    const output = new OrderedOutput(connection);
    const splitter = new LineSplitter();
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(16_384);
    let stopEvents = () => {};
    try {
      for (;;) {
        const length = await connection.read(chunk);
        if (length === null) return;
        const text = decoder.decode(chunk.subarray(0, length), { stream: true });
        for (const line of splitter.push(text)) {
          let response: ApiResponse;
          try {
            const request = parseRequest(line);
            response = await handleRequest(agent, request);
            if (request.method === "events" && response.ok) {
              stopEvents();
              stopEvents = agent.onEvent((event) =>
                output.offer({ event: eventReport(event, performance.timeOrigin) })
              );
            }
          } catch (error) {
            if (!(error instanceof ApiRefusal)) throw error;
            const { code, message } = error;
            response = { id: 0, ok: false, error: { code, message } };
          }
          await output.write(response);
        }
      }
    } finally {
      stopEvents();
    }
  }
}

/** Writes lines one after another; offered ones are dropped when too many wait. */
class OrderedOutput {
  readonly #connection: Deno.UnixConn;
  readonly #encoder = new TextEncoder();
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
  }

  write(value: unknown): Promise<void> {
    const line = this.#encoder.encode(JSON.stringify(value) + "\n");
    this.#waiting++;
    this.#last = this.#last
      .then(async () => {
        for (let sent = 0; sent < line.length;) {
          sent += await this.#connection.write(line.subarray(sent));
        }
      })
      .finally(() => this.#waiting--);
    return this.#last;
  }

  offer(value: unknown): void {
    if (this.#waiting < MAX_QUEUED_EVENTS) this.write(value).catch(() => {});
  }
}

/** Whether somebody accepts connections at `path`. */
async function answers(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch {
    return false;
  }
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed already.
  }
}
