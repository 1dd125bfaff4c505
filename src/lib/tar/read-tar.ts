import { toPrintable, type ByteString } from '../../model/byte-string.ts';
import type { DataRun, Entry, EntryType } from '../../model/entry.ts';
import type { ProblemReporter } from '../tree-problem.ts';
import { ByteSource, truncated } from './byte-source.ts';
import { isZeroBlock, readHeaderBlock, type HeaderBlock } from './header-block.ts';
import { memberPath } from './member-header.ts';
import {
  memberAttributes,
  parsePaxNumber,
  parsePaxRecords,
  parsePaxTime,
  type PaxRecords,
} from './pax-records.ts';
import { checkedRuns, parseSparseRecord, readOldSparseMap, readSparseMap } from './sparse-map.ts';
import { blockSize, damaged, maxMetadataBytes, paddingOf, type TarMember } from './tar-member.ts';

export interface ReadTarOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called for what cannot be carried: a member of an unknown type, an ACL with names only. */
  readonly onProblem?: ProblemReporter | undefined;
}

/**
 * Reads a tar archive in any of its formats (v7, ustar, PAX, GNU), in bounded memory.
 *
 * Throws `integrity` for an archive that is damaged, truncated, continues after its end, or has names that
 * lead outside. The stream is always read to its end, or closed when the caller stops early.
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
  options: ReadTarOptions = {},
): AsyncGenerator<TarMember, void, undefined> {
  await using source = new ByteSource(chunks, options.signal);
  const context: ReadContext = {
    source,
    globals: new Map(),
    globalBytes: 0,
    onProblem: options.onProblem ?? ignore,
  };
  for (;;) {
    const found = await nextHeaders(context);
    if (found === undefined) break;
    const member = await startMember(found, context);
    const body = new MemberBody(source, member.bodyBytes);
    if (member.entry !== undefined) yield { entry: member.entry, body };
    await body.finish();
    await source.skip(member.padding);
  }
  await expectNothingMore(source);
}

interface ReadContext {
  readonly source: ByteSource;
  readonly globals: PaxRecords;
  globalBytes: number;
  readonly onProblem: ProblemReporter;
}

interface FoundHeaders {
  readonly header: HeaderBlock;
  readonly block: Buffer;
  readonly records: PaxRecords;
  readonly longName: ByteString | undefined;
  readonly longLink: ByteString | undefined;
}

interface StartedMember {
  /** Undefined for a member that is not part of a tree, or of an unknown type. */
  readonly entry: Entry | undefined;
  readonly bodyBytes: number;
  readonly padding: number;
}

const noRecords: PaxRecords = new Map();

/**
 * Reads up to the next member's own header, collecting extended headers. Undefined at the end of the archive.
 */
async function nextHeaders(context: ReadContext): Promise<FoundHeaders | undefined> {
  const { source, globals } = context;
  let records: PaxRecords | undefined;
  let longName: ByteString | undefined;
  let longLink: ByteString | undefined;
  let metadataBytes = 0;
  for (;;) {
    const block = source.takeNow(blockSize) ?? (await source.take(blockSize));
    if (block === undefined) throw truncated();
    if (block[0] === 0 && isZeroBlock(block)) {
      if (metadataBytes > 0) throw damaged('An extended header has no member after it.');
      return undefined;
    }
    const header = readHeaderBlock(block);
    if (!'xXgLK'.includes(header.type)) {
      const merged =
        globals.size === 0 ? (records ?? noRecords) : new Map([...globals, ...(records ?? noRecords)]);
      return { header, block, records: merged, longName, longLink };
    }
    metadataBytes += header.size + blockSize;
    const bytes = await readMetadata(source, header.size, metadataBytes);
    if (header.type === 'g') readGlobals(bytes, context);
    else if (header.type === 'L') longName = untilNul(bytes);
    else if (header.type === 'K') longLink = untilNul(bytes);
    else parsePaxRecords(bytes, (records ??= new Map()));
  }
}

async function readMetadata(source: ByteSource, size: number, total: number): Promise<Buffer> {
  if (size < 0 || total > maxMetadataBytes) throw damaged('An extended header is too large.');
  const padded = size + paddingOf(size);
  const bytes = source.takeNow(padded) ?? (await source.take(padded));
  if (bytes === undefined) throw truncated();
  return bytes.subarray(0, size);
}

function readGlobals(bytes: Buffer, context: ReadContext): void {
  context.globalBytes += bytes.length;
  if (context.globalBytes > maxMetadataBytes) throw damaged('The global headers are too large.');
  parsePaxRecords(bytes, context.globals);
}

function untilNul(bytes: Buffer): ByteString {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}

const entryTypes: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'file',
  '2': 'symlink',
  '3': 'chardev',
  '4': 'blockdev',
  '5': 'dir',
  D: 'dir',
  '6': 'fifo',
};

async function startMember(found: FoundHeaders, context: ReadContext): Promise<StartedMember> {
  const { header, records } = found;
  const storedBytes = storedSize(found);
  const name = records.get('GNU.sparse.name') || records.get('path') || found.longName || header.name;
  const type = entryTypes[header.type];
  const whole = { bodyBytes: storedBytes, padding: paddingOf(storedBytes) };
  if (type === undefined) {
    reportUnknown(header.type, name, context);
    return { entry: undefined, ...whole };
  }
  const isDirectory = type === 'dir' || (header.type === '0' && name.endsWith('/'));
  if (!isDirectory && memberPath(name) === '') throw damaged('A member has no name.');
  const base = commonEntry(found, { path: memberPath(name), type: isDirectory ? 'dir' : type, context });
  if (type !== 'file' || isDirectory) return { entry: withTypeFields(base, found), ...whole };
  if (header.type === '1') {
    const target = records.get('linkpath') || found.longLink || header.linkName;
    return { entry: { ...base, hardLinkTo: memberPath(target) }, ...whole };
  }
  const sparse = await sparseLayout(found, storedBytes, context.source);
  if (sparse === undefined) return { entry: { ...base, size: storedBytes }, ...whole };
  const { size, runs, dataBytes } = sparse;
  const isWhole = runs.length === 1 && dataBytes === size;
  const entry = isWhole || size === 0 ? { ...base, size } : { ...base, size, dataRuns: runs };
  return { entry, bodyBytes: dataBytes, padding: paddingOf(storedBytes) };
}

/** Links, devices and fifos have no data, whatever their size field says: some archives fill it in. */
function storedSize({ header, records }: FoundHeaders): number {
  if (header.type >= '1' && header.type <= '6') return 0;
  const text = records.get('size');
  const size = text === undefined || text === '' ? header.size : parsePaxNumber(text, 'size');
  if (size < 0) throw damaged('A member has a size below 0.');
  return size;
}

function commonEntry(
  { header, records }: FoundHeaders,
  { path, type, context }: { path: ByteString; type: EntryType; context: ReadContext },
): Entry {
  const uid = records.get('uid');
  const gid = records.get('gid');
  const mtime = records.get('mtime');
  const xattrs = memberAttributes(records, path, context.onProblem);
  return {
    path,
    type,
    mode: header.mode,
    uid: checkedId(uid ? parsePaxNumber(uid, 'owner') : header.uid, 'owner'),
    gid: checkedId(gid ? parsePaxNumber(gid, 'group') : header.gid, 'group'),
    mtimeNs: mtime ? parsePaxTime(mtime) : BigInt(header.mtime) * 1_000_000_000n,
    size: 0,
    ...(xattrs === undefined ? {} : { xattrs }),
  };
}

function withTypeFields(entry: Entry, { header, records, longLink }: FoundHeaders): Entry {
  if (entry.type === 'symlink') {
    const linkTarget = records.get('linkpath') || longLink || header.linkName;
    if (linkTarget === '' || linkTarget.includes('\0')) throw damaged('A symbolic link has no target.');
    return { ...entry, linkTarget };
  }
  if (entry.type !== 'chardev' && entry.type !== 'blockdev') return entry;
  const major = records.get('SCHILY.devmajor');
  const minor = records.get('SCHILY.devminor');
  return {
    ...entry,
    deviceMajor: checkedId(
      major ? parsePaxNumber(major, 'device number') : header.deviceMajor,
      'device number',
    ),
    deviceMinor: checkedId(
      minor ? parsePaxNumber(minor, 'device number') : header.deviceMinor,
      'device number',
    ),
  };
}

function checkedId(value: number, what: string): number {
  if (value < 0 || value > 0xffff_ffff) throw damaged(`A member has an impossible ${what}: ${value}.`);
  return value;
}

interface SparseLayout {
  readonly size: number;
  readonly runs: readonly DataRun[];
  readonly dataBytes: number;
}

async function sparseLayout(
  { header, block, records }: FoundHeaders,
  storedBytes: number,
  source: ByteSource,
): Promise<SparseLayout | undefined> {
  if (header.type === 'S') {
    const { numbers, size } = await readOldSparseMap(block, source);
    return { size, runs: checkedRuns(numbers, size, storedBytes), dataBytes: storedBytes };
  }
  const sizeText = records.get('GNU.sparse.realsize') || records.get('GNU.sparse.size');
  const recordMap = records.get('GNU.sparse.map');
  const isMapInBody = records.get('GNU.sparse.major') === '1';
  if (sizeText === undefined || (recordMap === undefined && !isMapInBody)) return undefined;
  const size = parsePaxNumber(sizeText, 'size');
  if (!isMapInBody) {
    return {
      size,
      runs: checkedRuns(parseSparseRecord(recordMap ?? ''), size, storedBytes),
      dataBytes: storedBytes,
    };
  }
  const { numbers, bytesRead } = await readSparseMap(source);
  const dataBytes = storedBytes - bytesRead;
  return { size, runs: checkedRuns(numbers, size, dataBytes), dataBytes };
}

/** A volume label is not a member; any other unknown type is reported and left out. */
function reportUnknown(type: string, name: ByteString, context: ReadContext): void {
  if (type === 'V') return;
  if (type === 'M') throw damaged('It is the later part of an archive in several volumes.');
  const message = `Left out "${toPrintable(name)}" from the tar archive: it is of the unknown type "${toPrintable(type)}"`;
  context.onProblem({ path: toPrintable(name), reason: 'unsupported', message });
}

class MemberBody implements AsyncIterable<Uint8Array> {
  readonly #source: ByteSource;
  #missing: number;

  constructor(source: ByteSource, bytes: number) {
    this.#source = source;
    this.#missing = bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    while (this.#missing > 0) {
      const piece = await this.#source.takeSome(this.#missing);
      if (piece === undefined) throw truncated();
      this.#missing -= piece.length;
      yield piece;
    }
  }

  /** Skips the unread rest; afterwards the body is empty. */
  async finish(): Promise<void> {
    const missing = this.#missing;
    this.#missing = 0;
    if (missing > 0) await this.#source.skip(missing);
  }
}

/** Only padding may follow the end. Reading it all also lets a decompressor verify its checksum. */
async function expectNothingMore(source: ByteSource): Promise<void> {
  for (
    let piece = await source.takeSome(65_536);
    piece !== undefined;
    piece = await source.takeSome(65_536)
  ) {
    if (!isZeroBlock(piece)) {
      throw damaged('There is something after its end; archives that were joined must be read one by one.');
    }
  }
}

function ignore(): void {}
