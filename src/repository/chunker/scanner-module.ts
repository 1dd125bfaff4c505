/**
 * The inner loop of the chunker as a WebAssembly module, assembled here because 64-bit integers in JavaScript are
 * ten times slower. The fingerprint at a place depends on the 64 bytes before it only, so `scanBlock` follows four
 * places at once: each step of one lane waits for the step before, and four lanes fill that wait.
 *
 * Memory: out table at 0, mod table at 2048, data from 4096.
 */

/** Bytes that one lane of `scanBlock` covers. */
export const laneBytes = 16 * 1024;
export const laneCount = 4;
export const dataStart = 4096;

export interface ScannerExports {
  /** The first place in [at, at + 4 lanes) where the fingerprint has `mask` clear, or -1. 64 bytes before `at` must be data. */
  scanBlock(at: number, mask: bigint): number;
  /** The same for [at, end), one lane. */
  scanTail(at: number, end: number, mask: bigint): number;
}

export function assembleScanner(): Uint8Array<ArrayBuffer> {
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector([functionType([i32, i64], [i32]), functionType([i32, i32, i64], [i32])])),
    ...section(2, vector([[...name('env'), ...name('memory'), 0x02, 0x00, 0x01]])),
    ...section(3, vector([[0], [1]])),
    ...section(
      7,
      vector([
        [...name('scanBlock'), 0x00, 0],
        [...name('scanTail'), 0x00, 1],
      ]),
    ),
    ...section(10, vector([body(scanBlock()), body(scanTail())])),
  ]);
}

const i32 = 0x7f;
const i64 = 0x7e;
const voidBlock = 0x40;

const op = {
  block: [0x02, voidBlock],
  loop: [0x03, voidBlock],
  if: [0x04, voidBlock],
  end: [0x0b],
  return: [0x0f],
  i32Eqz: [0x45],
  i32LtS: [0x48],
  i32LtU: [0x49],
  i32GeU: [0x4f],
  i64Eqz: [0x50],
  i32Add: [0x6a],
  i32Sub: [0x6b],
  i32Shl: [0x74],
  i64And: [0x83],
  i64Or: [0x84],
  i64Xor: [0x85],
  i64Shl: [0x86],
  i64ShrU: [0x88],
  i32WrapI64: [0xa7],
} as const;

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const tee = (local: number): number[] => [0x22, local];
const branchIf = (depth: number): number[] => [0x0d, depth];
const constant32 = (value: number): number[] => [0x41, ...signed(value)];
const constant64 = (value: number): number[] => [0x42, ...signed(value)];
const load8 = (offset: number): number[] => [0x2d, 0, ...unsigned(offset)];
const load8As64 = (offset: number): number[] => [0x31, 0, ...unsigned(offset)];
const load64 = (offset: number): number[] => [0x29, 3, ...unsigned(offset)];

const outTable = 0;
const modTable = 2048;

/** digest = (digest << 8 | byte) ^ mod[digest >> 45], where `pushByte` leaves the byte on the stack as i64. */
function append(digest: number, pushByte: number[]): number[] {
  return [
    ...get(digest),
    ...constant64(8),
    ...op.i64Shl,
    ...pushByte,
    ...op.i64Or,
    ...get(digest),
    ...constant64(45),
    ...op.i64ShrU,
    ...op.i32WrapI64,
    ...constant32(3),
    ...op.i32Shl,
    ...load64(modTable),
    ...op.i64Xor,
    ...set(digest),
  ];
}

/** One place further: drops the byte at `tail + offset`, takes the one 64 bytes later. `tail` is a local. */
function slide(digest: number, tail: number, offset: number): number[] {
  return [
    ...get(digest),
    ...get(tail),
    ...load8(offset),
    ...constant32(3),
    ...op.i32Shl,
    ...load64(outTable),
    ...op.i64Xor,
    ...set(digest),
    ...append(digest, [...get(tail), ...load8As64(offset + 64)]),
  ];
}

/** Fills `digests` from the 64 bytes at `tail + lane offset`, and leaves `cursor` at `tail + 64`. */
function warmUp(digests: readonly number[], tail: number, cursor: number): number[] {
  return [
    ...get(tail),
    ...set(cursor),
    ...op.loop,
    ...digests.flatMap((digest, lane) => append(digest, [...get(cursor), ...load8As64(lane * laneBytes)])),
    ...get(cursor),
    ...constant32(1),
    ...op.i32Add,
    ...tee(cursor),
    ...get(tail),
    ...constant32(64),
    ...op.i32Add,
    ...op.i32LtU,
    ...branchIf(0),
    ...op.end,
  ];
}

interface Code {
  /** Types of the locals after the parameters. */
  readonly locals: readonly number[];
  readonly code: readonly number[];
}

function scanBlock(): Code {
  // Parameters: at 0, mask 1. Locals: tail 2, cursor 3, stop 4, hits of lanes 1 to 3: 5 to 7, digests 8 to 11.
  const [at, mask, tail, cursor, stop] = [0, 1, 2, 3, 4];
  const hits = [5, 6, 7];
  const digests = [8, 9, 10, 11];
  const lanes = digests.flatMap((digest, lane) => [
    ...slide(digest, tail, lane * laneBytes),
    ...get(digest),
    ...get(mask),
    ...op.i64And,
    ...op.i64Eqz,
    ...op.if,
    ...(lane === 0 ? foundInFirstLane(tail) : rememberFirstHit(hits[lane - 1] ?? 0, tail, lane)),
    ...op.end,
  ]);
  return {
    locals: [i32, i32, i32, i32, i32, i32, i64, i64, i64, i64],
    code: [
      ...hits.flatMap((hit) => [...constant32(-1), ...set(hit)]),
      ...get(at),
      ...constant32(64),
      ...op.i32Sub,
      ...set(tail),
      ...warmUp(digests, tail, cursor),
      ...get(tail),
      ...constant32(laneBytes),
      ...op.i32Add,
      ...set(stop),
      ...op.loop,
      ...lanes,
      ...get(tail),
      ...constant32(1),
      ...op.i32Add,
      ...tee(tail),
      ...get(stop),
      ...op.i32LtU,
      ...branchIf(0),
      ...op.end,
      ...hits.flatMap((hit) => [
        ...get(hit),
        ...constant32(0),
        ...op.i32LtS,
        ...op.i32Eqz,
        ...op.if,
        ...get(hit),
        ...op.return,
        ...op.end,
      ]),
      ...constant32(-1),
    ],
  };
}

function foundInFirstLane(tail: number): number[] {
  return [...get(tail), ...constant32(64), ...op.i32Add, ...op.return];
}

function rememberFirstHit(hit: number, tail: number, lane: number): number[] {
  return [
    ...get(hit),
    ...constant32(0),
    ...op.i32LtS,
    ...op.if,
    ...get(tail),
    ...constant32(64 + lane * laneBytes),
    ...op.i32Add,
    ...set(hit),
    ...op.end,
  ];
}

function scanTail(): Code {
  // Parameters: at 0, end 1, mask 2. Locals: tail 3, cursor 4, digest 5.
  const [at, end, mask, tail, cursor, digest] = [0, 1, 2, 3, 4, 5];
  return {
    locals: [i32, i32, i64],
    code: [
      ...get(at),
      ...get(end),
      ...op.i32GeU,
      ...op.if,
      ...constant32(-1),
      ...op.return,
      ...op.end,
      ...get(at),
      ...constant32(64),
      ...op.i32Sub,
      ...set(tail),
      ...warmUp([digest], tail, cursor),
      ...op.loop,
      ...slide(digest, tail, 0),
      ...get(digest),
      ...get(mask),
      ...op.i64And,
      ...op.i64Eqz,
      ...op.if,
      ...get(tail),
      ...constant32(64),
      ...op.i32Add,
      ...op.return,
      ...op.end,
      ...get(tail),
      ...constant32(1),
      ...op.i32Add,
      ...tee(tail),
      ...constant32(64),
      ...op.i32Add,
      ...get(end),
      ...op.i32LtU,
      ...branchIf(0),
      ...op.end,
      ...constant32(-1),
    ],
  };
}

function body({ locals, code }: Code): number[] {
  const declared = vector(locals.map((type) => [1, type]));
  const bytes = [...declared, ...code, ...op.end];
  return [...unsigned(bytes.length), ...bytes];
}

function functionType(parameters: readonly number[], results: readonly number[]): number[] {
  return [0x60, parameters.length, ...parameters, results.length, ...results];
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): number[] {
  return [text.length, ...Buffer.from(text)];
}

/** LEB128 */
function unsigned(value: number): number[] {
  const low = value & 0x7f;
  const rest = value >>> 7;
  return rest === 0 ? [low] : [low | 0x80, ...unsigned(rest)];
}

function signed(value: number): number[] {
  const low = value & 0x7f;
  const rest = value >> 7;
  const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
  return done ? [low] : [low | 0x80, ...signed(rest)];
}
