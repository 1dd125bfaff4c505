/**
 * Writes a header's number as octal digits with a closing NUL, or in GNU's base 256 when it does not fit.
 * `value` is a safe integer.
 */
export function writeNumber(target: Buffer, offset: number, length: number, value: number): void {
  if (value < 0 || value >= 8 ** (length - 1)) return writeBase256(target, offset, length, value);
  let rest = value;
  target[offset + length - 1] = 0;
  for (let index = offset + length - 2; index >= offset; index--) {
    const next = Math.floor(rest / 8);
    target[index] = 48 + (rest - next * 8);
    rest = next;
  }
}

/** Reads octal digits (blanks around them allowed, none is 0) or base 256. NaN when it is neither, or no safe integer. */
export function readNumber(block: Uint8Array, offset: number, length: number): number {
  if ((block[offset] ?? 0) & 0x80) return readBase256(block, offset, length);
  const end = offset + length;
  let index = offset;
  while (index < end && (block[index] === 32 || block[index] === 0)) index++;
  let value = 0;
  for (; index < end; index++) {
    const byte = block[index] ?? 0;
    if (byte === 0 || byte === 32) break;
    if (byte < 48 || byte > 55) return Number.NaN;
    value = value * 8 + (byte - 48);
  }
  return Number.isSafeInteger(value) ? value : Number.NaN;
}

function writeBase256(target: Buffer, offset: number, length: number, value: number): void {
  let rest = BigInt(value);
  for (let index = offset + length - 1; index > offset; index--) {
    target[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  target[offset] = value < 0 ? 0xff : 0x80;
}

function readBase256(block: Uint8Array, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = BigInt(first & 0x3f) - (negative ? 64n : 0n);
  for (let index = offset + 1; index < offset + length; index++)
    value = (value << 8n) | BigInt(block[index] ?? 0);
  const result = Number(value);
  return Number.isSafeInteger(result) ? result : Number.NaN;
}
