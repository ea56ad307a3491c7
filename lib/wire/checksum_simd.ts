/**
 * The sum of the Internet checksum sixteen octets at a time (RFC 1071 §2), for memory of a
 * `WebAssembly.Memory`: the only way to the processor's wide registers that the runtime has. What
 * follows is this function, which `checksum_lanes.ts` has once more in plain words:
 *
 * ```wat
 * (module
 *   (import "m" "m" (memory 1))
 *   (func (export "sum") (param $at i32) (param $end i32) (result i32)
 *     (local $sums v128)
 *     (loop
 *       (local.set $sums (i32x4.add (local.get $sums)
 *         (i32x4.extadd_pairwise_i16x8_u (v128.load align=1 (local.get $at)))))
 *       (br_if 0 (i32.lt_u
 *         (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
 *     (i32.add (i32.add (i32.add
 *       (i32x4.extract_lane 0 (local.get $sums)) (i32x4.extract_lane 1 (local.get $sums)))
 *       (i32x4.extract_lane 2 (local.get $sums))) (i32x4.extract_lane 3 (local.get $sums)))))
 * ```
 */

// deno-fmt-ignore
const MODULE = Uint8Array.of(
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
  // type: (i32, i32) -> i32
  0x01, 0x07, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f,
  // import: memory "m" "m"
  0x02, 0x08, 0x01, 0x01, 0x6d, 0x01, 0x6d, 0x02, 0x00, 0x01,
  // function, export "sum"
  0x03, 0x02, 0x01, 0x00,
  0x07, 0x07, 0x01, 0x03, 0x73, 0x75, 0x6d, 0x00, 0x00,
  // code: one body with one local
  0x0a, 0x3b, 0x01, 0x39, 0x01, 0x01, 0x7b,
  // loop
  0x03, 0x40,
  0x20, 0x02, 0x20, 0x00, 0xfd, 0x00, 0x00, 0x00, 0xfd, 0x7f, 0xfd, 0xae, 0x01, 0x21, 0x02,
  0x20, 0x00, 0x41, 0x10, 0x6a, 0x22, 0x00, 0x20, 0x01, 0x49, 0x0d, 0x00,
  0x0b,
  // the four sums
  0x20, 0x02, 0xfd, 0x1b, 0x00,
  0x20, 0x02, 0xfd, 0x1b, 0x01, 0x6a,
  0x20, 0x02, 0xfd, 0x1b, 0x02, 0x6a,
  0x20, 0x02, 0xfd, 0x1b, 0x03, 0x6a,
  0x0b,
);

/** Octets of a page of such memory. */
const PAGE = 65_536;

/**
 * The sum of the 16-bit words, low octet first, from `at` to `end`, which are offsets in the memory:
 * a multiple of 16 octets, more than none, at most 2^20. As a signed integer of 32 bits.
 */
export type WideSum = (at: number, end: number) => number;

const sums = new WeakMap<ArrayBufferLike, WideSum>();
let compiled: WebAssembly.Module | undefined;

/** Memory of at least `size` octets for which there is a `WideSum`. It never grows. */
export function wideMemory(size: number): Uint8Array<ArrayBuffer> {
  const pages = Math.ceil(size / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  compiled ??= new WebAssembly.Module(MODULE);
  const { sum } = new WebAssembly.Instance(compiled, { m: { m: memory } }).exports;
  sums.set(memory.buffer, sum as WideSum);
  return new Uint8Array(memory.buffer as ArrayBuffer);
}

/** The function for memory of `wideMemory`; undefined for any other. */
export function wideSumOf(buffer: ArrayBufferLike): WideSum | undefined {
  return sums.get(buffer);
}
