import { hash, randomBytes } from 'node:crypto';
import { type Stats, closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CacheTuning } from '../address.ts';
import { filePath, isFileName } from '../layout.ts';
import type { ByteRange } from '../store.ts';

/** The cached types: their files are named by the hash of their content, so each can be verified. */
export type CachedType = 'index' | 'snapshots' | 'data';

const usedAgainMs = 60 * 60_000;
/** Trimming is due whenever this share of the cache was written. */
const trimShare = 1 / 16;
const oldTemporaryMs = 60 * 60_000;

/**
 * Copies of a repository's files in a local folder, shared by several processes: a file appears complete or
 * not at all, and may disappear at any time. Nothing here ever fails: a missing copy is fetched again.
 */
export class CacheFolder {
  readonly #tuning: CacheTuning;
  /** Packs whose content was verified, with the fingerprint of the file that was read. */
  readonly #proven = new Map<string, string>();
  #filledBytes: number;
  #trimming: Promise<void> | undefined;

  constructor(tuning: CacheTuning) {
    this.#tuning = tuning;
    // So that the first file put there trims what other processes have left.
    this.#filledBytes = tuning.maxBytes;
  }

  /** The whole file, when a copy exists and its content matches its name. */
  async read(type: CachedType, name: string): Promise<Buffer | undefined> {
    const file = this.#path(type, name);
    try {
      const bytes = await readFile(file);
      if (hash('sha256', bytes) === name) {
        await this.#markUsed(file);
        return bytes;
      }
      await this.remove(type, name);
    } catch {
      // Missing or unreadable: no copy.
    }
    return undefined;
  }

  /** A range of a verified copy, read synchronously: handing so little to another thread takes longer. */
  readRange(type: CachedType, name: string, { offset, length }: ByteRange): Buffer | undefined {
    const proof = this.#proven.get(`${type}/${name}`);
    if (proof === undefined) return undefined;
    try {
      const fd = openSync(this.#path(type, name), 'r');
      try {
        const stats = fstatSync(fd);
        if (fingerprint(stats) !== proof || stats.size < offset + length) return undefined;
        const buffer = Buffer.allocUnsafe(length);
        for (let done = 0; done < length;) {
          const count = readSync(fd, buffer, done, length - done, offset + done);
          if (count === 0) return undefined;
          done += count;
        }
        return buffer;
      } finally {
        closeSync(fd);
      }
    } catch {
      return undefined;
    }
  }

  /** Reads a whole copy once, so that ranges of it can be read from then on. */
  async prove(type: CachedType, name: string): Promise<boolean> {
    try {
      const before = fingerprint(await stat(this.#path(type, name)));
      if ((await this.read(type, name)) === undefined) return false;
      const after = fingerprint(await stat(this.#path(type, name)));
      // Reading it changed its time.
      if (before.split(' ')[0] !== after.split(' ')[0]) return false;
      this.#proven.set(`${type}/${name}`, after);
      return true;
    } catch {
      return false;
    }
  }

  /** Keeps a copy, if the content matches the name. */
  async put(type: CachedType, name: string, content: Uint8Array): Promise<void> {
    if (content.length > this.#tuning.maxBytes / 4 || hash('sha256', content) !== name) return;
    const file = this.#path(type, name);
    const temporary = `${file}.tmp-${process.pid}-${randomBytes(6).toString('hex')}`;
    try {
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      await writeFile(temporary, content, { mode: 0o600, flag: 'wx' });
      await rename(temporary, file);
      this.#proven.set(`${type}/${name}`, fingerprint(await stat(file)));
    } catch {
      // The cache may lack anything, and its leftovers go when they are old.
      await rm(temporary, { force: true }).catch(() => undefined);
      return;
    }
    this.#filledBytes += content.length;
    if (this.#filledBytes < this.#tuning.maxBytes * trimShare) return;
    this.#filledBytes = 0;
    await (this.#trimming ??= this.#trim().finally(() => (this.#trimming = undefined)));
  }

  async remove(type: CachedType, name: string): Promise<void> {
    this.#proven.delete(`${type}/${name}`);
    // A file that stays is never asked for again.
    await rm(this.#path(type, name), { force: true }).catch(() => undefined);
  }

  /** Removes the copies of a type that the repository no longer has. */
  async keepOnly(type: 'index' | 'snapshots', names: ReadonlySet<string>): Promise<void> {
    const found = await readdir(path.join(this.#tuning.directory, type)).catch(() => []);
    const gone = found.filter((name) => isFileName(name) && !names.has(name));
    await Promise.all(gone.map((name) => this.remove(type, name)));
  }

  /** Removes the least recently used files first. */
  async #trim(): Promise<void> {
    const files = await this.#files();
    let bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const file of files.toSorted((a, b) => a.usedMs - b.usedMs)) {
      if (bytes <= this.#tuning.maxBytes) return;
      // The next sweep tries again.
      await rm(file.path, { force: true }).catch(() => undefined);
      bytes -= file.sizeBytes;
    }
  }

  async #files(): Promise<{ path: string; sizeBytes: number; usedMs: number }[]> {
    const { directory } = this.#tuning;
    const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
    const found: { path: string; sizeBytes: number; usedMs: number }[] = [];
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath, entry.name);
      const stats = await stat(file).catch(() => undefined);
      if (stats === undefined) continue;
      if (entry.name.includes('.tmp-')) await removeIfOld(file, stats);
      else if (isFileName(entry.name))
        found.push({ path: file, sizeBytes: stats.size, usedMs: stats.mtimeMs });
    }
    return found;
  }

  async #markUsed(file: string): Promise<void> {
    const now = new Date();
    const { mtimeMs } = await stat(file);
    if (now.getTime() - mtimeMs > usedAgainMs) await utimes(file, now, now);
  }

  #path(type: CachedType, name: string): string {
    return path.join(this.#tuning.directory, filePath(type, name));
  }
}

async function removeIfOld(file: string, stats: Stats): Promise<void> {
  // The next sweep tries again.
  if (Date.now() - stats.mtimeMs > oldTemporaryMs) await rm(file, { force: true }).catch(() => undefined);
}

/** Changes when a file is replaced or written to. */
function fingerprint(stats: Stats): string {
  return `${stats.dev}:${stats.ino}:${stats.size} ${stats.mtimeMs}`;
}
