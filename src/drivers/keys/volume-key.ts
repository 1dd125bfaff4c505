import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scryptSync } from 'node:crypto';
import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory, writeDurably } from '../../lib/durable-file.ts';
import { AppError, errnoOf, errorMessage } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { DriverVolume } from '../driver.ts';
import { answers } from '../mount-answers.ts';
import type { KeyWraps } from './key-wraps.ts';

const keyFile = 'key.json';
const nextFile = 'key-next.json';

/** The content of a key file: the data key, wrapped by a secret that is kept elsewhere. */
interface StoredKey {
  readonly version: 1;
  /** `master`, or a reference (`file:`, `env:`, `exec:`). Never the secret itself. */
  readonly wrappedBy: string;
  readonly box: KeyBox;
}

/** The data keys of volumes: random, and only ever wrapped on disk. */
export interface VolumeKeys {
  /** Creates and durably stores the key of a new volume. Returns an existing one. */
  create(volume: DriverVolume): Promise<string>;
  /**
   * `wrong-password` when the wrapping secret has changed, `integrity` when the key is damaged or missing.
   */
  read(volume: DriverVolume): Promise<string>;
  /**
   * Stores a new key beside the old one, so that a kill in between loses neither: `accept` makes it the only
   * one. Returns both; the caller adds the new one to the storage in between.
   */
  prepareNext(
    volume: DriverVolume,
    wrappedBy: string | undefined,
  ): Promise<{ readonly now: string; readonly next: string }>;
  accept(volume: DriverVolume): Promise<void>;
  /**
   * What of the key is missing or damaged, as a sentence. Only files are looked at: no program is run, and no
   * variable is asked for that another process may have.
   */
  lack(volume: DriverVolume): Promise<string | undefined>;
  /** The next key that a killed rotation has left. */
  readNext(volume: DriverVolume): Promise<string | undefined>;
  /** Overwrites and deletes all keys. */
  destroy(volume: DriverVolume): Promise<void>;
}

export function openVolumeKeys(wraps: KeyWraps): VolumeKeys {
  const store = async (volume: DriverVolume, file: string, wrappedBy: string): Promise<string> => {
    // Text without line ends: programs read it from their standard input verbatim.
    const key = randomBytes(48).toString('base64url');
    const secret = await wraps.secret(wrappedBy, { mayMake: true });
    const box = sealBox(key, { secret, isPassphrase: wrappedBy !== 'master' });
    const stored: StoredKey = { version: 1, wrappedBy, box };
    await writeDurably(join(volume.folder, file), `${JSON.stringify(stored)}\n`);
    return key;
  };
  const load = async (volume: DriverVolume, file: string): Promise<string> => {
    const { wrappedBy, box } = await readStored(volume, file);
    const secret = await wraps.secret(wrappedBy, { mayMake: false });
    const key = openBox(box, { secret, isPassphrase: wrappedBy !== 'master' });
    if (key !== undefined) return key;
    throw new AppError(
      'wrong-password',
      `Cannot open volume ${quote(volume.name)}: what wraps its key does not fit`,
      {
        detail: `It is wrapped by ${quote(wrappedBy)}.`,
        hint: 'Bring back the key, or the passphrase, that it was made with.',
      },
    );
  };
  return {
    async create(volume) {
      if (await exists(volume, keyFile)) return await load(volume, keyFile);
      return await store(volume, keyFile, volume.options['key'] ?? 'master');
    },
    read: (volume) => load(volume, keyFile),
    async prepareNext(volume, wrappedBy) {
      const now = await load(volume, keyFile);
      const { wrappedBy: before } = await readStored(volume, keyFile);
      return { now, next: await store(volume, nextFile, wrappedBy ?? before) };
    },
    async accept(volume) {
      // Atomic: a kill never leaves a partial key, nor the same one under both names.
      await using old = await openThere(join(volume.folder, keyFile));
      await rename(join(volume.folder, nextFile), join(volume.folder, keyFile));
      await syncDirectory(volume.folder);
      if (old !== undefined) await overwriteFile(old);
    },
    async lack(volume) {
      try {
        const { wrappedBy } = await readStored(volume, keyFile);
        if (wrappedBy === 'master' || (wrappedBy.startsWith('file:') && (await mayBeRead(wrappedBy))))
          await wraps.secret(wrappedBy, { mayMake: false });
        return undefined;
      } catch (error) {
        return errorMessage(error);
      }
    },
    readNext: async (volume) => ((await exists(volume, nextFile)) ? await load(volume, nextFile) : undefined),
    async destroy(volume) {
      for (const file of [keyFile, nextFile]) {
        await overwrite(join(volume.folder, file));
        await rm(join(volume.folder, file), { force: true });
      }
      await syncDirectory(volume.folder);
    },
  };
}

/**
 * Not what gives its content only once. Throws for storage that does not answer: to read there would hold a
 * thread of this process for good, and volumes are looked at again and again.
 */
async function mayBeRead(reference: string): Promise<boolean> {
  const path = reference.slice('file:'.length);
  if ((await answers(path)).status === 'unreachable')
    throw new AppError('unavailable', `What holds the key ${quote(reference)} does not answer`);
  const found = await stat(path).catch(() => undefined);
  return found === undefined || found.isFile();
}

async function exists(volume: DriverVolume, file: string): Promise<boolean> {
  return (await stat(join(volume.folder, file)).catch(() => undefined)) !== undefined;
}

async function readStored(volume: DriverVolume, file: string): Promise<StoredKey> {
  const path = join(volume.folder, file);
  const damaged = (words: string, cause?: unknown): AppError =>
    new AppError('integrity', `Cannot open volume ${quote(volume.name)}: its key ${words}`, {
      detail: path,
      hint: 'Put back a copy of the file; without it the data cannot be read.',
      cause,
    });
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw damaged(errnoOf(error) === 'ENOENT' ? 'is gone' : 'cannot be read', error);
  }
  let value: Partial<StoredKey> | null;
  try {
    value = JSON.parse(text) as Partial<StoredKey> | null;
  } catch (error) {
    throw damaged('is cut short, or damaged', error);
  }
  if (value?.version !== 1 || typeof value.wrappedBy !== 'string' || !isBox(value.box))
    throw damaged('is damaged');
  return { version: 1, wrappedBy: value.wrappedBy, box: value.box };
}

/** The disk may keep old blocks; this is all that can be done from here. */
async function overwrite(path: string): Promise<void> {
  await using file = await openThere(path);
  if (file !== undefined) await overwriteFile(file);
}

async function openThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function overwriteFile(file: FileHandle): Promise<void> {
  const { size } = await file.stat();
  await file.write(randomBytes(size), 0, size, 0);
  await file.sync();
}

/** A text sealed by a secret: AES-256-GCM with a key derived from the secret. */
interface KeyBox {
  readonly salt: string;
  readonly nonce: string;
  readonly sealed: string;
}

/** 128 MiB and about a third of a second: guessing a passphrase is expensive. */
const cost = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };
const tagBytes = 16;

interface BoxSecret {
  readonly secret: Uint8Array;
  /** Chosen by a person: stretched by scrypt, which a random key does not need. */
  readonly isPassphrase: boolean;
}

function sealBox(text: string, secret: BoxSecret): KeyBox {
  const [salt, nonce] = [randomBytes(32), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', keyFrom(secret, salt), nonce);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return {
    salt: salt.toString('base64'),
    nonce: nonce.toString('base64'),
    sealed: sealed.toString('base64'),
  };
}

/** Undefined when the secret is wrong, or the box was altered. */
function openBox(box: KeyBox, secret: BoxSecret): string | undefined {
  const sealed = Buffer.from(box.sealed, 'base64');
  const [body, tag] = [sealed.subarray(0, -tagBytes), sealed.subarray(-tagBytes)];
  try {
    const key = keyFrom(secret, Buffer.from(box.salt, 'base64'));
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(box.nonce, 'base64'));
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

function isBox(value: unknown): value is KeyBox {
  if (typeof value !== 'object' || value === null) return false;
  const { salt, nonce, sealed } = value as Partial<KeyBox>;
  return [salt, nonce, sealed].every((text) => typeof text === 'string');
}

function keyFrom({ secret, isPassphrase }: BoxSecret, salt: Buffer): Buffer {
  const stretched = isPassphrase ? scryptSync(secret, salt, 32, cost) : secret;
  const context = `holdfast volume key, wrapped by ${isPassphrase ? 'a passphrase' : 'the master key'}`;
  return Buffer.from(hkdfSync('sha256', stretched, salt, context, 32));
}
