import { hash } from 'node:crypto';
import type { Compressor } from '../crypto/compression.ts';
import { type Sealer, sealOverhead } from '../crypto/seal.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import type { FileType, Store, StoreOptions } from '../stores/store.ts';

/** The formats and tools to read and write a repository's small files. */
export interface FileCodec {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly compressor: Compressor;
}

type JsonFileType = Exclude<FileType, 'data' | 'keys' | 'config'>;

/** In version 2, files other than the config and the keys start with this byte when they are compressed. */
const compressedMark = 2;
const maxPlainBytes = 1 << 30;

/** Stores a JSON document and returns its name, the SHA-256 of the stored bytes. */
export async function saveJson(
  codec: FileCodec,
  type: JsonFileType,
  value: unknown,
  options?: StoreOptions,
): Promise<string> {
  return await saveText(codec, type, Buffer.from(JSON.stringify(value)), options);
}

/** The same for a document that is JSON text already. */
export async function saveText(
  codec: FileCodec,
  type: JsonFileType,
  plain: Buffer,
  options?: StoreOptions,
): Promise<string> {
  const { name, content } = sealText(codec, plain);
  await codec.store.save(type, name, content, options);
  return name;
}

/** A sealed file with its name. */
export interface SealedFile {
  readonly name: string;
  readonly content: Buffer;
}

/** For a caller that needs the name before the file is stored. */
export function sealJson(codec: FileCodec, value: unknown): SealedFile {
  return sealText(codec, Buffer.from(JSON.stringify(value)));
}

function sealText(codec: FileCodec, plain: Buffer): SealedFile {
  const room = Buffer.allocUnsafe(plain.length + 1024 + sealOverhead);
  const text = room.subarray(sealOverhead / 2, -sealOverhead / 2);
  const length = codec.compressor.compress(plain, text.subarray(1));
  if (length > 0) text[0] = compressedMark;
  else plain.copy(text);
  const content = room.subarray(0, codec.sealer.sealInPlace(room, 0, length > 0 ? length + 1 : plain.length));
  return { name: hash('sha256', content), content };
}

/** The text of a JSON document, after verifying the stored bytes against the name. */
export async function loadText(
  codec: FileCodec,
  type: JsonFileType,
  name: string,
  options?: StoreOptions,
): Promise<Buffer> {
  const sealed = await codec.store.load(type, name, undefined, options);
  const where = `File "${type}/${name}" in "${codec.store.location}"`;
  if (hash('sha256', sealed) !== name) throw damaged(where);
  const plain = openOrThrow(codec.sealer, sealed, where);
  const first = plain[0];
  if (first === 0x7b || first === 0x5b) return plain;
  if (first !== compressedMark) {
    throw new AppError('unsupported', `${where} has an unknown encoding (${first ?? 'empty'})`);
  }
  try {
    return codec.compressor.decompress(plain.subarray(1), maxPlainBytes);
  } catch (error) {
    throw isAppError(error, 'integrity') ? damaged(where, error) : error;
  }
}

export async function loadJson<T>(
  codec: FileCodec,
  type: JsonFileType,
  name: string,
  options?: StoreOptions,
): Promise<T> {
  const text = await loadText(codec, type, name, options);
  try {
    return JSON.parse(text.toString('utf8')) as T;
  } catch (error) {
    throw new AppError('integrity', `File "${type}/${name}" in "${codec.store.location}" is no JSON`, {
      cause: error,
    });
  }
}

function openOrThrow(sealer: Sealer, sealed: Buffer, where: string): Buffer {
  try {
    return sealer.openInPlace(sealed);
  } catch (error) {
    throw damaged(where, error);
  }
}

function damaged(where: string, cause?: unknown): AppError {
  return new AppError('integrity', `${where} is damaged`, {
    hint: 'Run "holdfast check --read-data" to learn what else is damaged.',
    cause,
  });
}
