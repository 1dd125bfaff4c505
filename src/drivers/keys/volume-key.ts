import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory, writeDurably } from '../../lib/durable-file.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { DriverVolume } from '../driver.ts';
import { isBox, type KeyBox, openBox, sealBox } from './key-box.ts';
import type { KeyWraps } from './key-wraps.ts';

const keyFile = 'key.json';
const nextFile = 'key-next.json';

/** What is in a key's file: the key of the data, wrapped by something that is kept elsewhere. */
interface StoredKey {
  readonly version: 1;
  /** `master`, or a reference (`file:`, `env:`, `exec:`). Never the secret itself. */
  readonly wrappedBy: string;
  readonly box: KeyBox;
}

/** The keys of the data of volumes: random, and only ever on disk wrapped. */
export interface VolumeKeys {
  /** The key of a new volume, made and stored durably. One that is there already is given back. */
  create(volume: DriverVolume): Promise<string>;
  /** `wrong-password` when what wraps it has changed, `integrity` when it is damaged or gone. */
  read(volume: DriverVolume): Promise<string>;
  /**
   * A new key beside the old one, so that a kill between the two loses neither: `accept` makes it the only one. Both are
   * given back; the storage is told of the new one in between.
   */
  prepareNext(
    volume: DriverVolume,
    wrappedBy: string | undefined,
  ): Promise<{ readonly now: string; readonly next: string }>;
  accept(volume: DriverVolume): Promise<void>;
  /** The next key that a killed rotation has left. */
  readNext(volume: DriverVolume): Promise<string | undefined>;
  /** Overwrites and deletes all keys. */
  destroy(volume: DriverVolume): Promise<void>;
}

export function openVolumeKeys(wraps: KeyWraps): VolumeKeys {
  const store = async (volume: DriverVolume, file: string, wrappedBy: string): Promise<string> => {
    // Text without line ends: programs read it from their standard input as it is.
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
      // In one step: a kill never leaves a key that is half written, nor the same one under both names.
      await using old = await openThere(join(volume.folder, keyFile));
      await rename(join(volume.folder, nextFile), join(volume.folder, keyFile));
      await syncDirectory(volume.folder);
      if (old !== undefined) await overwriteFile(old);
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

async function exists(volume: DriverVolume, file: string): Promise<boolean> {
  return (await stat(join(volume.folder, file)).catch(() => undefined)) !== undefined;
}

async function readStored(volume: DriverVolume, file: string): Promise<StoredKey> {
  const path = join(volume.folder, file);
  const damaged = (words: string, cause?: unknown): AppError =>
    new AppError('integrity', `Cannot open volume ${quote(volume.name)}: its key ${words}`, {
      detail: path,
      hint: 'Put back a copy of the file; without it nobody can read the data.',
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

/** What the disk does with old blocks is its own affair; this is what can be done from here. */
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
