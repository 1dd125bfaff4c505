import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { JobOptions } from '../../activity/index.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Host } from '../../hosts/host.ts';
import { type VolumeAccess, volumeIdentity } from '../../leases/index.ts';
import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import { tryLockFile } from '../../lib/file-lock.ts';
import { namesIn } from '../../lib/folder-names.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { makeOwnDirectory, removeOwnDirectory } from '../../lib/own-directory.ts';
import { statAt } from '../../lib/posix-at.ts';
import { readTextIfThere } from '../../lib/read-text.ts';
import { orGone, removeTreeIn } from '../../lib/remove-tree.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { isBenchName, newBenchName } from '../../lib/stage-names.ts';
import { AppError, errorMessage, isAppError } from '../../model/errors.ts';
import { parseJson } from '../../model/parse-json.ts';
import { quote } from '../../model/quote.ts';

/** A hidden folder in a volume, for what a benchmark can only measure by a name. Gone at the disposal. */
export interface BenchFolder extends AsyncDisposable {
  readonly directory: DirectoryHandle;
}

interface BenchJournal {
  readonly hostIdentity: string;
  readonly volume: string;
  /** Of the volume, which keeps it under another name. Earlier versions wrote none. */
  readonly identity?: string | undefined;
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
export async function removeLeftBenchmarks(scope: VolumeAccess, options: JobOptions): Promise<void> {
  const folder = journalFolder(scope.stateDir);
  try {
    const stems = new Set((await namesIn(folder)).map((name) => name.replace(/\.(json|lock)$/, '')));
    if (stems.size === 0) return;
    const host = await scope.host();
    const { identity: hostIdentity } = await host.info({ signal: options.signal });
    const found = { host, hostIdentity, catalog: await scope.catalog() };
    for (const stem of stems) await removeLeft(path.join(folder, `${stem}.json`), found, options);
  } catch (error) {
    options.onNote?.(`What a killed benchmark has left cannot be removed: ${errorMessage(error)}`);
  }
}

interface FoundHost {
  readonly host: Host;
  readonly hostIdentity: string;
  readonly catalog: Catalog;
}

async function removeLeft(file: string, found: FoundHost, { signal, onNote }: JobOptions): Promise<void> {
  const lock = await tryLockFile(lockOf(file), { owner: String(process.pid), isRemoved: true });
  if ('heldBy' in lock) return;
  await using _lock = lock;
  const journal = await readJournal(file);
  if (journal !== undefined && journal.hostIdentity !== found.hostIdentity) return;
  // One that cannot be read was not whole yet, and nothing was made.
  if (journal !== undefined) {
    let { volume } = journal;
    const left = (): string => `What a killed benchmark has left in ${quote(volume)}`;
    try {
      volume = await nameNow(journal, found, signal);
      const outcome = await removeFolder(found.host, { volume, name: journal.name }, signal);
      if (outcome === 'out of reach') return;
      if (outcome === 'removed') onNote?.(`${left()} was removed.`);
    } catch (error) {
      if (!isAppError(error, 'not-found'))
        return onNote?.(`${left()} cannot be removed: ${errorMessage(error)}`);
      // The volume is gone, and the folder with it.
    }
  }
  await rm(file, { force: true });
}

/** The name that the volume has by now; its former one where it is gone. */
async function nameNow(
  { volume, identity }: BenchJournal,
  { host, hostIdentity, catalog }: FoundHost,
  signal: AbortSignal | undefined,
): Promise<string> {
  const isIt = (name: string): boolean => volumeIdentity(catalog, { hostIdentity, name }) === identity;
  if (identity === undefined || isIt(volume)) return volume;
  return (await host.listVolumes({ signal })).find(({ name }) => isIt(name))?.name ?? volume;
}

async function removeFolder(
  host: Host,
  { volume, name }: Pick<BenchJournal, 'volume' | 'name'>,
  signal: AbortSignal | undefined,
): Promise<'removed' | 'gone' | 'out of reach'> {
  await using data = await host.openData(volume, { signal, write: true });
  if (data.way === 'stream') return 'out of reach';
  await requireAnswer(data.root, { name: volume, signal });
  using root = openTrusted(data.root);
  // The volume was made anew.
  if (orGone(() => statAt(root.fd, name)) === undefined) return 'gone';
  await removeTreeIn(root, name, { signal });
  return 'removed';
}

async function readJournal(file: string): Promise<BenchJournal | undefined> {
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  const found = parseJson(text) as Partial<Record<keyof BenchJournal, unknown>> | null | undefined;
  const { hostIdentity, volume, identity, name } = found ?? {};
  if (typeof hostIdentity !== 'string' || typeof volume !== 'string' || typeof name !== 'string')
    return undefined;
  if (!isBenchName(name)) return undefined;
  return { hostIdentity, volume, name, identity: typeof identity === 'string' ? identity : undefined };
}

function journalFolder(stateDir: string): string {
  return path.join(stateDir, 'journal-bench');
}

function lockOf(file: string): string {
  return file.replace(/json$/, 'lock');
}
