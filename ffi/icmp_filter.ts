/**
 * What the kernel lets through to an ICMP socket: errors that say "unreachable" or "too big" of a
 * packet of ESP or HIP, by itself or in UDP from our port. All other ICMP of the host, which anybody
 * can send in any number, wakes nobody up. A classic BPF program (linux/filter.h), since ICMP_FILTER
 * cannot see what is quoted.
 */

import { lastErrno, SyscallError } from "./errno.ts";
import { LITTLE, SO_ATTACH_FILTER, SOCK_FILTER, SOCK_FPROG, SOL_SOCKET } from "./layouts.ts";
import { libc } from "./libc.ts";
import { Struct } from "./memory.ts";

// linux/bpf_common.h
/** X = 4 * (octet at k & 15): the length of an IPv4 header. */
const LOAD_HEADER_LENGTH = 0xb1;
/** A = octet at k; A = the two octets at k. */
const LOAD = 0x30;
const LOAD_TWO = 0x28;
/** The same at X + k. */
const LOAD_BEHIND_HEADER = 0x50;
const LOAD_TWO_BEHIND_HEADER = 0x48;
const JUMP_IF_EQUAL = 0x15;
/** A = A & k; A = A << k; A = A + X; X = A. */
const AND = 0x54;
const SHIFT_LEFT = 0x64;
const ADD_HEADER_LENGTH = 0x0c;
const SET_HEADER_LENGTH = 0x07;
const RETURN = 0x06;

const WHOLE_PACKET = 0x40000;

/** No port is it. */
const NO_PORT = 0x10000;

/** Code, instructions to skip when true and when false, k. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number];

/** The packet begins with its IP header; the quoted one stands 8 octets behind that. */
const icmpProgram = (port: number): readonly Instruction[] => [
  [LOAD_HEADER_LENGTH, 0, 0, 0],
  [LOAD_BEHIND_HEADER, 0, 0, 0],
  // Destination Unreachable; "fragmentation needed" is one of its codes.
  [JUMP_IF_EQUAL, 0, 12, 3],
  [LOAD_BEHIND_HEADER, 0, 0, 8 + 9],
  [JUMP_IF_EQUAL, 9, 0, 50],
  [JUMP_IF_EQUAL, 8, 0, 139],
  [JUMP_IF_EQUAL, 0, 8, 17],
  // X grows by the length of the quoted header: the source port stands behind both.
  [LOAD_BEHIND_HEADER, 0, 0, 8],
  [AND, 0, 0, 15],
  [SHIFT_LEFT, 0, 0, 2],
  [ADD_HEADER_LENGTH, 0, 0, 0],
  [SET_HEADER_LENGTH, 0, 0, 0],
  [LOAD_TWO_BEHIND_HEADER, 0, 0, 8],
  [JUMP_IF_EQUAL, 0, 1, port],
  [RETURN, 0, 0, WHOLE_PACKET],
  [RETURN, 0, 0, 0],
];

/** The packet begins with the ICMPv6 header. */
const icmpv6Program = (port: number): readonly Instruction[] => [
  [LOAD, 0, 0, 0],
  // Destination Unreachable, Packet Too Big, Parameter Problem.
  [JUMP_IF_EQUAL, 2, 0, 1],
  [JUMP_IF_EQUAL, 1, 0, 2],
  [JUMP_IF_EQUAL, 0, 8, 4],
  [LOAD, 0, 0, 8 + 6],
  [JUMP_IF_EQUAL, 5, 0, 50],
  [JUMP_IF_EQUAL, 4, 0, 139],
  // A fragment: what it is a piece of stands behind.
  [JUMP_IF_EQUAL, 3, 0, 44],
  [JUMP_IF_EQUAL, 0, 3, 17],
  [LOAD_TWO, 0, 0, 8 + 40],
  [JUMP_IF_EQUAL, 0, 1, port],
  [RETURN, 0, 0, WHOLE_PACKET],
  [RETURN, 0, 0, 0],
];

/**
 * Filters what an ICMP socket receives.
 *
 * @param protocol 1 or 58.
 * @param udpPort Our port for HIP and ESP in UDP; undefined: they do not go in UDP.
 */
export function admitErrorsOnly(descriptor: number, protocol: number, udpPort = NO_PORT): void {
  const program = protocol === 1 ? icmpProgram(udpPort) : icmpv6Program(udpPort);
  const filter = new Struct(program.length * SOCK_FILTER.SIZE);
  for (const [index, [code, ifTrue, ifFalse, k]] of program.entries()) {
    const at = index * SOCK_FILTER.SIZE;
    filter.view.setUint16(at + SOCK_FILTER.code, code, LITTLE);
    filter.view.setUint8(at + SOCK_FILTER.ifTrue, ifTrue);
    filter.view.setUint8(at + SOCK_FILTER.ifFalse, ifFalse);
    filter.view.setUint32(at + SOCK_FILTER.k, k, LITTLE);
  }
  const box = new Struct(SOCK_FPROG.SIZE);
  box.view.setUint16(SOCK_FPROG.length, program.length, LITTLE);
  box.setPointer(SOCK_FPROG.filter, filter);
  const result = libc.setsockopt(
    descriptor,
    SOL_SOCKET,
    SO_ATTACH_FILTER,
    box.bytes,
    SOCK_FPROG.SIZE,
  );
  if (result !== 0) throw new SyscallError("filter what an ICMP socket receives", lastErrno());
}
