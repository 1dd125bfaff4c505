import { giveBackFrom } from '../../lib/posix.ts';
import { AppError } from '../../model/errors.ts';
import { isId, JsonFields } from '../format/json-fields.ts';
import { type FileCodec, loadJson, saveText } from '../format/repository-file.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import type { StoreOptions } from '../stores/store.ts';

/**
 * An index file has at most about this many blobs; restic's have twice as many. Writing one takes three times
 * its size in memory.
 */
export const blobsPerIndexFile = 25_000;

/** The content of a pack according to an index file. */
export interface IndexedPack {
  readonly id: string;
  readonly blobs: readonly BlobPlace[];
}

interface BlobJson {
  readonly id: string;
  readonly type: 'data' | 'tree';
  readonly offset: number;
  readonly length: number;
  readonly uncompressed_length?: number;
}

/** A pack's part of an index file, as bytes: an object for each blob would take four times the memory. */
export interface IndexEntry {
  readonly blobCount: number;
  readonly json: Uint8Array;
}

export function encodeIndexEntry({ id, blobs }: IndexedPack): IndexEntry {
  const json: { readonly id: string; readonly blobs: readonly BlobJson[] } = {
    id,
    blobs: blobs.map((blob) => ({
      id: blob.id,
      type: blob.type,
      offset: blob.offset,
      length: blob.length,
      ...(blob.uncompressedLength > 0 && { uncompressed_length: blob.uncompressedLength }),
    })),
  };
  return { blobCount: blobs.length, json: Buffer.from(JSON.stringify(json)) };
}

export async function saveIndexFile(
  codec: FileCodec,
  packs: readonly IndexedPack[],
  options?: StoreOptions,
): Promise<string> {
  return await saveIndexEntries(codec, packs.map(encodeIndexEntry), options);
}

export async function saveIndexEntries(
  codec: FileCodec,
  entries: readonly IndexEntry[],
  options?: StoreOptions,
): Promise<string> {
  giveBackFrom(largeBytes);
  const parts = entries.flatMap(({ json }, i) => (i === 0 ? [json] : [comma, json]));
  return await saveText(codec, 'index', Buffer.concat([opening, ...parts, closing]), options);
}

const opening = Buffer.from('{"packs":[');
const comma = Buffer.from(',');
const closing = Buffer.from(']}');

const largeBytes = 1024 * 1024;

export async function loadIndexFile(
  codec: FileCodec,
  name: string,
  options?: StoreOptions,
): Promise<IndexedPack[]> {
  const what = `File "index/${name}" in "${codec.store.location}"`;
  // A caller reads all index files in a row, and then does something else.
  giveBackFrom(largeBytes);
  const json = await loadJson<unknown>(codec, 'index', name, options);
  return new JsonFields(json, what).list('packs').map((pack) => decodePack(pack, what));
}

function decodePack(json: unknown, what: string): IndexedPack {
  const fields = new JsonFields(json, what);
  const id = fields.id('id');
  if (id === undefined) throw new AppError('integrity', `${what} is damaged: a pack has no id`);
  return { id, blobs: fields.list('blobs').map((blob) => decodeBlob(blob, what)) };
}

/** Decoded by hand instead of with `JsonFields`: there are millions. */
function decodeBlob(json: unknown, what: string): BlobPlace {
  const { id, type, offset, length, uncompressed_length: uncompressedLength = 0 } = (json ?? {}) as BlobJson;
  const isSound =
    isId(id) &&
    (type === 'data' || type === 'tree') &&
    isUint32(offset) &&
    isUint32(length) &&
    isUint32(uncompressedLength);
  if (!isSound) throw new AppError('integrity', `${what} is damaged: a blob in it makes no sense`);
  return { id, type, offset, length, uncompressedLength };
}

function isUint32(value: unknown): value is number {
  return typeof value === 'number' && value >>> 0 === value;
}
