import { readHeaderBlock, isZeroBlock } from '../../lib/tar/header-block.ts';
import { parsePaxNumber, parsePaxRecords, type PaxRecords } from '../../lib/tar/pax-records.ts';
import { blockSize, damaged, maxMetadataBytes, paddingOf } from '../../lib/tar/tar-member.ts';

/**
 * Follows a tar stream from header to header, without changing or buffering it, so that a truncated archive
 * is noticed, whatever the connection says. Knows the formats that an engine writes: ustar, PAX and GNU's
 * long names.
 */
export class TarScan {
  #gathered: Buffer[] = [];
  #missing = blockSize;
  #skip = 0;
  #state: 'header' | 'records' | 'end' = 'header';
  #zeroBlocks = 0;
  #records: PaxRecords = new Map();
  #recordsType = '';

  /** Takes the next chunk. Throws `integrity` for anything but tar. */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length && this.#state !== 'end') {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      const piece = bytes.subarray(at, at + this.#missing);
      at += piece.length;
      this.#missing -= piece.length;
      if (this.#missing === 0 && this.#gathered.length === 0) this.#take(piece);
      // The chunk is not ours to keep, so an incomplete header is copied.
      else this.#gathered.push(Buffer.from(piece));
      if (this.#missing === 0 && this.#gathered.length > 0)
        this.#take(Buffer.concat(this.#gathered.splice(0)));
    }
  }

  /** True when the archive's end has passed. */
  get isWhole(): boolean {
    return this.#state === 'end';
  }

  #take(block: Buffer): void {
    if (this.#state === 'records') this.#takeRecords(block);
    else this.#takeHeader(block);
  }

  #takeHeader(block: Buffer): void {
    this.#missing = blockSize;
    if (block[0] === 0 && isZeroBlock(block)) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks === 2) this.#state = 'end';
      return;
    }
    if (this.#zeroBlocks > 0) throw damaged('There is something after its end.');
    const header = readHeaderBlock(block);
    if ('xXgLK'.includes(header.type)) {
      if (header.size < 0 || header.size > maxMetadataBytes)
        throw damaged('An extended header is too large.');
      this.#recordsType = header.type;
      this.#missing = header.size + paddingOf(header.size);
      if (this.#missing === 0) this.#missing = blockSize;
      else this.#state = 'records';
      return;
    }
    const size = this.#storedSize(header);
    this.#records = new Map();
    this.#skip = size + paddingOf(size);
  }

  #takeRecords(block: Buffer): void {
    this.#state = 'header';
    this.#missing = blockSize;
    if (this.#recordsType !== 'x' && this.#recordsType !== 'X') return;
    parsePaxRecords(trimPadding(block), this.#records);
  }

  /** Links, devices, directories and fifos have no data, whatever their size field says. */
  #storedSize(header: { readonly type: string; readonly size: number }): number {
    if (header.type >= '1' && header.type <= '6') return 0;
    const text = this.#records.get('size');
    const size = text === undefined || text === '' ? header.size : parsePaxNumber(text, 'size');
    if (size < 0) throw damaged('A member has a size below 0.');
    return size;
  }
}

/** Passes an archive through, and throws the error of `notWhole` when it is truncated. */
export async function* scanTar(
  chunks: AsyncIterable<Uint8Array>,
  scan: TarScan,
  notWhole: () => Error,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    scan.push(chunk);
    yield chunk;
  }
  if (!scan.isWhole) throw notWhole();
}

/** Records end with a newline, and zeros fill the last block. */
function trimPadding(block: Buffer): Buffer {
  let end = block.length;
  while (end > 0 && block[end - 1] === 0) end -= 1;
  return block.subarray(0, end);
}
