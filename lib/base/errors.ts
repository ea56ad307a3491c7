/** The errors that somebody catches. Everything else thrown is a mistake of ours. */

/**
 * A packet, parameter or record that does not have the form its specification demands. Thrown by
 * parsers, caught in the one place that counts it.
 */
export class MalformedPacketError extends Error {
  override readonly name = "MalformedPacketError";

  /**
   * @param what What was being parsed, by its RFC name ("PUZZLE", "HIP header").
   * @param problem What was wrong, with the values ("need 12 octets, have 3").
   */
  constructor(readonly what: string, readonly problem: string) {
    super(`Cannot parse ${what}: ${problem}`);
  }
}

/**
 * Something that the user can mend: one sentence that says what was wrong, with the value, and
 * what to do. The command line prints it without a stack trace and exits with `exitCode`.
 */
export class UserError extends Error {
  override readonly name: string = "UserError";

  constructor(message: string, readonly exitCode: number = 1) {
    super(message);
  }
}

/** A configuration that cannot be used; names the file and the line where there is one. */
export class ConfigError extends UserError {
  override readonly name = "ConfigError";
}
