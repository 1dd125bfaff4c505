import { AppError } from '../../model/errors.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { lockForReading, lockRepository } from '../lock.ts';
import type { RemoveKeyOptions, RepositoryKey, WorkOptions } from '../types.ts';
import { loadKeys, type StoredKey, storeKey, tryKeys } from './key-store.ts';

export interface KeyContext {
  readonly codec: FileCodec;
  readonly masterKey: MasterKey;
  /** The key that opened the repository. Undefined when it was opened with the master key itself. */
  readonly keyId: string | undefined;
}

/** All keys, oldest first. */
export async function listKeys(context: KeyContext, options: WorkOptions): Promise<RepositoryKey[]> {
  await using _lock = await lockForReading(context.codec, options);
  const keys = (await loadKeys(context.codec.store, options)).map((key) => describeKey(key, context.keyId));
  return keys.sort((a, b) => Date.parse(a.created) - Date.parse(b.created) || (a.id < b.id ? -1 : 1));
}

/** Undefined when the password opens no key. */
export async function keyOf(
  { codec }: KeyContext,
  password: Uint8Array,
  options: WorkOptions,
): Promise<string | undefined> {
  return (await tryKeys(await loadKeys(codec.store, options), password))?.id;
}

export async function addKey(
  { codec, masterKey, keyId }: KeyContext,
  password: Uint8Array,
  options: WorkOptions,
): Promise<RepositoryKey> {
  await using _lock = await lockRepository(codec, { exclusive: false, signal: options.signal });
  return describeKey(await storeKey(codec.store, { masterKey, password }, options), keyId);
}

/** Removes a key, and returns the id of the current key from then on. */
export async function removeKey(
  { codec, keyId }: KeyContext,
  id: string,
  { instead, signal }: RemoveKeyOptions,
): Promise<string | undefined> {
  // Two processes that each remove one of two keys would leave none.
  await using lock = await lockRepository(codec, { exclusive: true, signal });
  const keys = await loadKeys(codec.store, { signal });
  if (!keys.some((key) => key.id === id))
    throw new AppError('not-found', `There is no key "${id.slice(0, 8)}" in "${codec.store.location}"`);
  const others = keys.filter((key) => key.id !== id);
  const remaining = instead
    ? (await tryKeys(others, instead))?.id
    : others.find((key) => key.id === keyId && key.file)?.id;
  if (remaining === undefined) throw refusal(id, { isCurrent: id === keyId, others });
  await lock.assertHeld();
  await codec.store.remove('keys', id, { signal });
  return remaining;
}

function refusal(
  id: string,
  { isCurrent, others }: { readonly isCurrent: boolean; readonly others: readonly StoredKey[] },
): AppError {
  const name = `"${id.slice(0, 8)}"`;
  if (!others.some(({ file }) => file)) {
    return new AppError('conflict', `Cannot remove the key ${name}: it is the last one`, {
      hint: 'Without a key the repository cannot be read. To replace it: holdfast key change.',
    });
  }
  if (isCurrent) {
    return new AppError('in-use', `Cannot remove the key ${name}: it is the one in use`, {
      hint: 'Open the repository with the other key (--password-file), or replace this one: holdfast key change.',
    });
  }
  return new AppError('conflict', `Cannot remove the key ${name}: no other key is proven to open`, {
    hint: 'Run "holdfast key list", and look which keys are there.',
  });
}

function describeKey({ id, file }: StoredKey, keyId: string | undefined): RepositoryKey {
  return {
    id,
    isCurrent: id === keyId,
    isDamaged: file === undefined,
    username: textOr(file?.username),
    hostname: textOr(file?.hostname),
    created: textOr(file?.created),
  };
}

/** Anyone who can write to the store may have written it. */
function textOr(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
