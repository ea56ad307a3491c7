/** The environment variables that mean something to the program; `main.ts` reads them. */
export interface Environment {
  /** Folder of keys and state, as `--state`. */
  readonly HIP_STATE?: string;
  /** Not empty: unexpected errors show their stack. */
  readonly HIP_DEBUG?: string;
  /** Not empty: no colours (no-color.org). */
  readonly NO_COLOR?: string;
  /** Where systemd wants to hear that the agent is ready. */
  readonly NOTIFY_SOCKET?: string;
}
