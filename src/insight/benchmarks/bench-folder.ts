import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { JobOptions } from '../../activity/index.ts';
import type { Host, HostScope } from '../../hosts/host.ts';
import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import { tryLockFile } from '../../lib/file-lock.ts';
import { namesIn } from '../../lib/folder-names.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { makeOwnDirectory, removeOwnDirectory } from '../../lib/own-directory.ts';
import { removeTreeIn } from '../../lib/remove-tree.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { isBenchName, newBenchName } from '../../lib/stage-names.ts';
import { AppError, errnoOf, errorMessage, isAppError } from '../../model/errors.ts';
import { parseJson } from '../../model/parse-json.ts';
import { quote } from '../../model/quote.ts';

/** A hidden folder in a volume, for what a benchmark can only measure by a name. Gone at the disposal. */
export interface BenchFolder extends AsyncDisposable {
  readonly directory: DirectoryHandle;
}

interface BenchJournal {
  readonly hostIdentity: string;
  readonly volume: string;
  /** The folder's name. */
  readonly name: string;
}

/** Makes it after a journal says so: a recovery removes what a kill leaves. */
export async function makeBenchFolder(
  root: DirectoryHandle,
  { stateDir, ...place }: Omit<BenchJournal, 'name'> & { readonly stateDir: string },
): Promise<BenchFolder> {
  const name = newBenchName();
  const file = path.join(journalFolder(stateDir), `${name.slice(1)}.json`);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const lock = await tryLockFile(lockOf(file), { owner: String(process.pid), isRemoved: true });
  if ('heldBy' in lock) throw new AppError('locked', `The benchmark ${quote(name)} is taken`);
  try {
    const journal: BenchJournal = { ...place, name };
    await writeFile(file, JSON.stringify(journal), { mode: 0o600, flush: true });
    const directory = makeOwnDirectory(root, name);
    return {
      directory,
      async [Symbol.asyncDispose]() {
        await using _lock = lock;
        using made = directory;
        await removeOwnDirectory(root, { name, made });
        await rm(file, { force: true });
      },
    };
  } catch (error) {
    await rm(file, { force: true });
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Removes the folders that killed benchmarks of this host's volumes have left. Never touches those under way.
 * What cannot be removed now is told, and tried again by the next recovery. Never throws.
 */
export async function removeLeftBenchmarks(scope: HostScope, options: JobOptions): Promise<void> {
  const folder = journalFolder(scope.stateDir);
  try {
    const stems = new Set((await namesIn(folder)).map((name) => name.replace(/\.(json|lock)$/, '')));
    if (stems.size === 0) return;
    const host = await scope.host();
    const { identity } = await host.info({ signal: options.signal });
    for (const stem of stems)
      await removeLeft(path.join(folder, `${stem}.json`), { host, identity }, options);
  } catch (error) {
    options.onNote?.(`What a killed benchmark has left cannot be removed: ${errorMessage(error)}`);
  }
}

async function removeLeft(
  file: string,
  { host, identity }: { readonly host: Host; readonly identity: string },
  { signal, onNote }: JobOptions,
): Promise<void> {
  const lock = await tryLockFile(lockOf(file), { owner: String(process.pid), isRemoved: true });
  if ('heldBy' in lock) return;
  await using _lock = lock;
  const journal = await readJournal(file);
  if (journal !== undefined && journal.hostIdentity !== identity) return;
  // One that cannot be read was not whole yet, and nothing was made.
  if (journal !== undefined) {
    try {
      if (!(await removeFolder(host, journal, signal))) return;
      onNote?.(`What a killed benchmark has left in ${quote(journal.volume)} was removed.`);
    } catch (error) {
      if (!isAppError(error, 'not-found')) {
        const left = `What a killed benchmark has left in ${quote(journal.volume)}`;
        onNote?.(`${left} cannot be removed: ${errorMessage(error)}`);
        return;
      }
      // The volume is gone, and the folder with it.
    }
  }
  await rm(file, { force: true });
}

/** False where the volume is out of reach from here. */
async function removeFolder(
  host: Host,
  { volume, name }: BenchJournal,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  await using data = await host.openData(volume, { signal, write: true });
  if (data.way === 'stream') return false;
  await requireAnswer(data.root, { name: volume, signal });
  using root = openTrusted(data.root);
  await removeTreeIn(root, name, { signal });
  return true;
}

async function readJournal(file: string): Promise<BenchJournal | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const found = parseJson(text) as Partial<Record<keyof BenchJournal, unknown>> | null | undefined;
  const { hostIdentity, volume, name } = found ?? {};
  if (typeof hostIdentity !== 'string' || typeof volume !== 'string' || typeof name !== 'string')
    return undefined;
  return isBenchName(name) ? { hostIdentity, volume, name } : undefined;
}

function journalFolder(stateDir: string): string {
  return path.join(stateDir, 'journal-bench');
}

function lockOf(file: string): string {
  return file.replace(/json$/, 'lock');
}
