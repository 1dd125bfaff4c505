export const pageBytes = 8192;

const headerBytes = 24;
/** The size of a page and the layout's version, as PostgreSQL writes them. */
const sizeAndVersion = pageBytes | 4;
const itemBytes = 4;
const tupleBytes = 136;
const tuplesPerPage = 56;
/**
 * This much of each tuple is noise and the rest text or zeros, so that about half of a page can be
 * compressed.
 */
const noiseInTuple = 56;
const changedTuples = 2;

/** The content of pages: as much noise and text as a page has bytes. */
export interface PageMaterial {
  readonly noise: Buffer;
  readonly text: Buffer;
}

/**
 * Fills a page in the layout of PostgreSQL's heap pages: a header, pointers to items, free space, items from
 * the end.
 */
export function fillPage(page: Buffer, number: number, { noise, text }: PageMaterial): void {
  page.fill(0);
  const upper = pageBytes - tuplesPerPage * tupleBytes;
  writeHeader(page, { logPosition: number + 1, checksum: noise.readUInt16LE(0) });
  page.writeUInt16LE(headerBytes + tuplesPerPage * itemBytes, 12);
  page.writeUInt16LE(upper, 14);
  page.writeUInt16LE(pageBytes, 16);
  page.writeUInt16LE(sizeAndVersion, 18);
  for (let index = 0; index < tuplesPerPage; index += 1) {
    const start = pageBytes - (index + 1) * tupleBytes;
    page.writeUInt32LE((start | (1 << 15) | (tupleBytes << 17)) >>> 0, headerBytes + index * itemBytes);
    noise.copy(page, start, start, start + noiseInTuple);
    text.copy(page, start + noiseInTuple, start, start + tupleBytes - noiseInTuple);
  }
}

/** Changes a page like an update of a few rows: its log position, its checksum, and those rows. */
export function changePage(page: Buffer, logPosition: number, noise: Buffer): void {
  writeHeader(page, { logPosition, checksum: noise.readUInt16LE(0) });
  for (let index = 0; index < changedTuples; index += 1) {
    const start = pageBytes - (1 + (noise.readUInt8(2 + index) % tuplesPerPage)) * tupleBytes;
    noise.copy(page, start, 4 + index * noiseInTuple, 4 + (index + 1) * noiseInTuple);
  }
}

function writeHeader(page: Buffer, header: { logPosition: number; checksum: number }): void {
  page.writeUInt32LE(0, 0);
  page.writeUInt32LE(header.logPosition >>> 0, 4);
  page.writeUInt16LE(header.checksum, 8);
}
