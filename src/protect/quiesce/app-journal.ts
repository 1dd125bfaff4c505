import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../../lib/durable-file.ts';
import { type FileLock, tryLockFile } from '../../lib/file-lock.ts';
import { AppError, errnoOf, isAppError } from '../../model/errors.ts';
import type { AppStep } from './plan-still.ts';

/** What ran before it was made still, so that whoever starts next can bring it back. */
export interface AppJournal {
  /** The engine whose containers these are. */
  readonly hostIdentity: string;
  /** For people: `back up "pg"`. */
  readonly reason: string;
  /** The restore that it is for: its data is put right before they run again. */
  readonly restoreId?: string | undefined;
  readonly how: 'pause' | 'stop';
  /** RFC 3339. */
  readonly since: string;
  /** In the order in which they are made still. */
  readonly levels: readonly (readonly AppStep[])[];
}

export interface OpenAppJournal extends AsyncDisposable {
  readonly journal: AppJournal;
  /** Writes down, durably, that a level is about to be touched: others are none of our business. */
  noteLevel(index: number): Promise<void>;
  /** Gives room on the disk back that was held: an engine that starts a container has to write too. */
  freeReserve(): Promise<void>;
  /** Everything is back. */
  remove(): Promise<void>;
}

/** Room that is there for the engine when the disk has filled up meanwhile. */
const reserveBytes = 1 << 20;

/** Writes a journal, durably, and holds it until it is removed or this process ends. Throws when there is no room. */
export async function openAppJournal(stateDir: string, journal: AppJournal): Promise<OpenAppJournal> {
  const folder = journalFolder(stateDir);
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncDirectory(path.dirname(folder));
  const name = randomBytes(16).toString('hex');
  const lock = await tryLockFile(path.join(folder, `${name}.lock`), { owner: String(process.pid) });
  if ('heldBy' in lock) throw new AppError('locked', `The journal "${name}" is taken`);
  const opened = openLocked(folder, { name, lock, journal });
  try {
    await using reserve = await open(path.join(folder, `${name}.reserve`), 'wx', 0o600);
    await reserve.writeFile(Buffer.alloc(reserveBytes));
    await writeNew(path.join(folder, name), JSON.stringify({ version: 1, ...journal }));
    return opened;
  } catch (error) {
    await opened.remove().catch(() => undefined);
    const full = errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT';
    throw new AppError(
      full ? 'full' : 'failed',
      'Cannot write down what runs: nothing is paused or stopped',
      {
        detail: error instanceof Error ? error.message : undefined,
        hint: full ? `Make room in "${stateDir}".` : undefined,
        cause: error,
      },
    );
  }
}

/** Whole and durable, or not there; what a kill leaves of it has the journal's name, and goes with it. */
async function writeNew(journal: string, text: string): Promise<void> {
  {
    await using part = await open(`${journal}.part`, 'wx', 0o600);
    await part.writeFile(text);
    await part.sync();
  }
  await rename(`${journal}.part`, `${journal}.json`);
  await syncDirectory(path.dirname(journal));
}

/** The journals whose processes have ended, held. Those of living processes are left alone, damaged ones are told. */
export async function takeLeftJournals(
  stateDir: string,
  onDamaged: (error: AppError) => void,
): Promise<readonly OpenAppJournal[]> {
  const folder = journalFolder(stateDir);
  const left: OpenAppJournal[] = [];
  for (const name of await journalNames(folder)) {
    const lock = await tryLockFile(path.join(folder, `${name}.lock`), { owner: String(process.pid) });
    if ('heldBy' in lock) continue;
    const opened = openLocked(folder, { name, lock, journal: undefined });
    try {
      const journal = await readAppJournal(path.join(folder, `${name}.json`));
      // Killed before it was written or after it was removed.
      if (journal === undefined) await opened.remove();
      else
        left.push({
          ...opened,
          journal: { ...journal, levels: await touchedLevels(folder, { name, journal }) },
        });
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      if (isAppError(error, 'integrity')) {
        onDamaged(error);
        continue;
      }
      for (const other of left) await other[Symbol.asyncDispose]();
      throw error;
    }
  }
  return left;
}

interface Locked<J> {
  readonly name: string;
  readonly lock: FileLock;
  readonly journal: J;
}

function openLocked<J>(folder: string, { name, lock, journal }: Locked<J>) {
  const file = (ending: string): string => path.join(folder, `${name}.${ending}`);
  return {
    journal,
    async noteLevel(index: number) {
      await using touched = await open(file('touched'), 'a', 0o600);
      await touched.writeFile(`${index}\n`);
      await touched.sync();
      if (index === 0) await syncDirectory(folder);
    },
    freeReserve: () => rm(file('reserve'), { force: true }),
    async remove() {
      await rm(file('json'), { force: true });
      await syncDirectory(folder);
      for (const ending of ['touched', 'part']) await rm(file(ending), { force: true });
      await rm(file('reserve'), { force: true });
      // Names are used once only: whoever waits for this lock finds no journal under it.
      await rm(file('lock'), { force: true });
      await lock[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  };
}

async function journalNames(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  });
  return [
    ...new Set(
      names.flatMap((name) => /^([0-9a-f]{32})\.(?:json|part|lock|reserve|touched)$/.exec(name)?.[1] ?? []),
    ),
  ];
}

async function touchedLevels(
  folder: string,
  { name, journal }: { readonly name: string; readonly journal: AppJournal },
): Promise<AppJournal['levels']> {
  const text = (await readText(path.join(folder, `${name}.touched`))) ?? '';
  const touched = new Set(text.split('\n').slice(0, -1));
  return journal.levels.filter((_, index) => touched.has(String(index)));
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function readAppJournal(file: string): Promise<AppJournal | undefined> {
  const text = await readText(file);
  if (text === undefined) return undefined;
  const journal = parse(text);
  if (isJournal(journal)) return journal;
  throw new AppError('integrity', `The journal "${file}" is not one that this version can read`, {
    hint: 'It says which containers ran before a backup that was interrupted: start them, then remove it.',
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isJournal(value: unknown): value is AppJournal {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Partial<Record<keyof AppJournal | 'version', unknown>>;
  return fields.version === 1 && typeof fields.hostIdentity === 'string' && Array.isArray(fields.levels);
}

function journalFolder(stateDir: string): string {
  return path.join(stateDir, 'journal-apps');
}
