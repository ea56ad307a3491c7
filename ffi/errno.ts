/** What went wrong in a system call: errno, its names, and the error that carries it. */

import { libc } from "./libc.ts";

/** Numbers of errno that somebody asks for (asm-generic/errno-base.h, errno.h). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  ENOTTY: 25,
  EBADFD: 77,
  EMSGSIZE: 90,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  EHOSTUNREACH: 113,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ERRNO).map(([name, number]) => [number, name]),
);

/** The name of an errno: "EACCES", or "errno 7" for one that has none here. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** A system call that failed. */
export class SyscallError extends Error {
  override readonly name = "SyscallError";

  /**
   * @param call The function and what it was for: "socket".
   * @param errno Its errno.
   */
  constructor(readonly call: string, readonly errno: number) {
    super(`Cannot ${call}: ${errnoName(errno)}`);
  }
}

// A thread's errno never moves, and a module instance stays on its thread.
const place = new Deno.UnsafePointerView(libc.__errno_location()!);

/** errno of this thread: valid only right after the call that failed. */
export function lastErrno(): number {
  return place.getInt32();
}

/**
 * The result of a call, which is negative when it failed.
 *
 * @throws {SyscallError} When it failed.
 */
export function checked(call: string, result: number): number {
  if (result < 0) throw new SyscallError(call, lastErrno());
  return result;
}
