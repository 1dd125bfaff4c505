import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolders } from './make-folders.ts';

export interface DurableFileOptions {
  /** Default 0o600. */
  readonly mode?: number;
  /** Where the temporary file is made; the folder of the file unless it is given. Must be on the same file system. */
  readonly temporaryDir?: string;
  /** False for a file that need not outlive the machine's running: whole or not there, but not waited for. */
  readonly sync?: boolean;
}

/**
 * Writes a whole file so that it is there completely and durably when this returns, and not at all (or as it was
 * before) when it throws or the process is killed: temporary file, fsync, rename, fsync of the folder.
 */
export async function writeDurably(
  path: string,
  content: Uint8Array | string,
  options: DurableFileOptions = {},
): Promise<void> {
  const folder = dirname(path);
  const temporary = temporaryIn(options.temporaryDir ?? folder);
  try {
    await writeNew(temporary, content, options);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (options.sync !== false) await syncDirectory(folder);
}

/** What a kill leaves behind is known by this name, and by the process that it says. */
export function temporaryIn(folder: string): string {
  return `${folder}/tmp-${process.pid}-${randomBytes(8).toString('hex')}`;
}

async function writeNew(
  path: string,
  content: Uint8Array | string,
  { mode = 0o600, sync = true }: DurableFileOptions,
): Promise<void> {
  await using file = await open(path, 'wx', mode);
  await file.writeFile(content);
  if (sync) await file.sync();
}

/** Makes the names in a folder durable. */
export async function syncDirectory(path: string): Promise<void> {
  await using folder: FileHandle = await open(path, 'r');
  await folder.sync();
}

/** Makes a directory and those above it; when it returns, a power cut does not take them away again. */
export async function makeDurably(directory: string): Promise<void> {
  const first = await makeFolders(directory, { mode: 0o700 });
  if (first === undefined) return;
  const above = dirname(first);
  for (let made = directory; made !== above && made !== dirname(made); made = dirname(made))
    await syncDirectory(dirname(made));
}
