import { hash } from 'node:crypto';
import { hostname } from 'node:os';
import { readUserNames } from '../../lib/user-names.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { type KeyFile, openMasterKey, sealMasterKey, workOf } from '../crypto/key-file.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { Store, StoreOptions } from '../stores/store.ts';

/** A key file with its name in the store. */
export interface StoredKey {
  readonly id: string;
  /** Undefined when the file is damaged. */
  readonly file: KeyFile | undefined;
}

/** A usual key file has some hundred bytes. */
const mostBytes = 64 << 10;

/**
 * All key files. One that another process removes meanwhile is left out; an unreadable one counts as damaged,
 * and does not prevent reading the others.
 */
export async function loadKeys(store: Store, options: StoreOptions = {}): Promise<StoredKey[]> {
  const keys: StoredKey[] = [];
  for (const { name, sizeBytes } of await store.list('keys', options)) {
    const bytes = sizeBytes > mostBytes ? Buffer.alloc(0) : await loadKeyBytes(store, name, options);
    if (bytes)
      keys.push({ id: name, file: hash('sha256', bytes) === name ? parseKeyFile(bytes) : undefined });
  }
  return keys;
}

async function loadKeyBytes(store: Store, name: string, options: StoreOptions): Promise<Buffer | undefined> {
  try {
    return await store.load('keys', name, undefined, options);
  } catch (error) {
    if (isAppError(error, 'not-found')) return undefined;
    // These are faults of one file; an unreachable or refusing store fails for all of them.
    if (isAppError(error, 'failed') || isAppError(error, 'integrity')) return Buffer.alloc(0);
    throw error;
  }
}

function parseKeyFile(bytes: Buffer): KeyFile | undefined {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null && 'kdf' in parsed ? (parsed as KeyFile) : undefined;
  } catch {
    return undefined;
  }
}

interface OpenedKey {
  readonly id: string;
  readonly masterKey: MasterKey;
}

/** Each try takes time; restic tries 20. */
const triedAtMost = 100;

/**
 * The first key that the password opens, cheap ones first: a user who can add files to the store cannot put
 * expensive ones before the real ones. A key with unknown or unreasonable parameters is skipped; it is named
 * in an `unsupported` error when no key opens.
 */
export async function tryKeys(
  keys: readonly StoredKey[],
  password: Uint8Array,
): Promise<OpenedKey | undefined> {
  let unsupported: AppError | undefined;
  const workBy = ({ file }: StoredKey): number => (file && workOf(file)) ?? Infinity;
  const ordered = keys
    .filter(({ file }) => file !== undefined)
    .toSorted((a, b) => compare(workBy(a), workBy(b)));
  for (const { id, file } of ordered.slice(0, triedAtMost)) {
    try {
      const masterKey = file && (await openMasterKey(file, password));
      if (masterKey) return { id, masterKey };
    } catch (error) {
      // Its fields are invalid: no password opens it.
      if (isAppError(error, 'integrity')) continue;
      const reason = isAppError(error, 'unsupported') ? error.message : 'it cannot be tried';
      unsupported ??= new AppError(
        'unsupported',
        `No key opens it, and the key file "${id}" is refused: ${reason}`,
        {
          hint: 'When you did not make that file, remove it from the folder "keys" of the repository.',
          cause: error,
        },
      );
    }
  }
  if (unsupported) throw unsupported;
  if (ordered.length > triedAtMost)
    throw new AppError(
      'unsupported',
      `None of the first ${triedAtMost} of ${ordered.length} key files opens it`,
      {
        hint: 'Remove those from the folder "keys" of the repository that you did not make.',
      },
    );
  return undefined;
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/**
 * Seals the master key with a password and stores it. On return the file is durable, and was read back and
 * opened.
 */
export async function storeKey(
  store: Store,
  { masterKey, password }: { readonly masterKey: MasterKey; readonly password: Uint8Array },
  options: StoreOptions = {},
): Promise<StoredKey> {
  const origin = {
    created: new Date().toISOString(),
    username: readUserNames().user(process.getuid?.() ?? 0),
    hostname: hostname(),
  };
  const bytes = Buffer.from(JSON.stringify(await sealMasterKey(masterKey, password, origin)));
  const id = hash('sha256', bytes);
  await store.save('keys', id, bytes, options);
  const stored = (await loadKeys(store, options)).filter((key) => key.id === id);
  const opened = await tryKeys(stored, password);
  if (!opened || !Buffer.from(opened.masterKey.encrypt).equals(masterKey.encrypt)) {
    throw new AppError('integrity', `The key "${id.slice(0, 8)}" was written and cannot be opened`, {
      hint: 'Look for faults of the disk. The keys that were there are as they were.',
    });
  }
  return { id, file: stored[0]?.file };
}

/**
 * The key that the password opens. `wrong-password` when there is none, `integrity` when no key file is
 * intact.
 */
export async function findKey(
  store: Store,
  password: () => Promise<Uint8Array>,
  options: StoreOptions = {},
): Promise<OpenedKey> {
  const keys = await loadKeys(store, options);
  if (keys.length === 0) {
    throw new AppError('integrity', `Repository "${store.location}" has no key files`, {
      hint: 'Restore the folder "keys" from a copy of the repository. Without a key it cannot be read.',
    });
  }
  const given = await password();
  const opened = await tryKeys(keys, given);
  if (opened) return opened;
  const damaged = keys.filter(({ file }) => !file).map(({ id }) => `"${id.slice(0, 8)}"`);
  if (damaged.length === keys.length) {
    throw new AppError('integrity', `Every key file of repository "${store.location}" is damaged`, {
      hint: 'Restore the folder "keys" from a copy of the repository.',
    });
  }
  throw new AppError('wrong-password', `The password does not open repository "${store.location}"`, {
    detail:
      damaged.length > 0
        ? `${damaged.length} of ${keys.length} key files are damaged: ${damaged.slice(0, 5).join(', ')}${damaged.length > 5 ? ' …' : ''}.`
        : undefined,
    hint: 'Look at --password-file, HOLDFAST_PASSWORD_FILE, HOLDFAST_PASSWORD_COMMAND and HOLDFAST_PASSWORD.',
  });
}
