/**
 * The only dlopen of libc: one table of the functions we call, each with its C declaration.
 *
 * `ssize_t` results are declared "i32": no call here moves 2^31 octets, the low half of the result
 * register holds the value, and a 64-bit result would make a `bigint` per call. Sizes and addresses
 * of packets travel inside `iovec` and `msghdr`, made once, so that a packet costs no conversion.
 * Functions with variable arguments are called with integers only, which are passed alike.
 */

const SYMBOLS = {
  // int *__errno_location(void);
  __errno_location: { parameters: [], result: "pointer" },
  // uid_t geteuid(void);
  geteuid: { parameters: [], result: "u32" },
  // int setpriority(int which, id_t who, int priority);
  setpriority: { parameters: ["i32", "u32", "i32"], result: "i32" },
  // int open(const char *path, int flags, ...);
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // int ioctl(int fd, unsigned long request, ...);
  ioctl: { parameters: ["i32", "usize", "buffer"], result: "i32" },
  // The same for requests whose argument is a number.
  ioctlNumber: { name: "ioctl", parameters: ["i32", "usize", "usize"], result: "i32" },
  // unsigned int if_nametoindex(const char *name);
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  // ssize_t readv(int fd, const struct iovec *iov, int count);
  readv: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // ssize_t writev(int fd, const struct iovec *iov, int count);
  writev: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int fd, const struct sockaddr *address, socklen_t length);
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int setsockopt(int fd, int level, int name, const void *value, socklen_t length);
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // ssize_t recvmsg(int fd, struct msghdr *message, int flags);
  recvmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // ssize_t sendmsg(int fd, const struct msghdr *message, int flags);
  sendmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  // int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags,
  //              struct timespec *timeout);
  recvmmsg: { parameters: ["i32", "pointer", "u32", "i32", "pointer"], result: "i32" },
  // int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
  sendmmsg: { parameters: ["i32", "pointer", "u32", "i32"], result: "i32" },
  // ssize_t recv(int fd, void *buffer, size_t length, int flags);
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  // ssize_t send(int fd, const void *buffer, size_t length, int flags);
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  // int eventfd(unsigned int value, int flags);
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // int eventfd_read(int fd, eventfd_t *value);
  eventfd_read: { parameters: ["i32", "buffer"], result: "i32" },
  // int eventfd_write(int fd, eventfd_t value);
  eventfd_write: { parameters: ["i32", "u64"], result: "i32" },
  // int poll(struct pollfd *fds, nfds_t count, int timeout);
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
  // The same on a thread of its own, so that it may block.
  pollBlocking: {
    name: "poll",
    parameters: ["buffer", "usize", "i32"],
    result: "i32",
    nonblocking: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of the C library. */
export const libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] =
  Deno.dlopen("libc.so.6", SYMBOLS).symbols;

/** `text` as a C string. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
