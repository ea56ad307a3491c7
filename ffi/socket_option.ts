/** setsockopt(2) for options whose value is an int. */

import { lastErrno, SyscallError } from "./errno.ts";
import { LITTLE } from "./layouts.ts";
import { libc } from "./libc.ts";
import { Struct } from "./memory.ts";

/** @returns False when the system does not have the option or refuses the value. */
export function trySocketOption(
  descriptor: number,
  level: number,
  option: number,
  value: number,
): boolean {
  const box = new Struct(4);
  box.view.setInt32(0, value, LITTLE);
  return libc.setsockopt(descriptor, level, option, box.bytes, 4) === 0;
}

/** @throws {SyscallError} The system does not have the option or refuses the value. */
export function setSocketOption(
  descriptor: number,
  level: number,
  option: number,
  value: number,
): void {
  if (!trySocketOption(descriptor, level, option, value)) {
    throw new SyscallError(`set socket option ${level}/${option}`, lastErrno());
  }
}
