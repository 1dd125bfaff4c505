import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory, writeDurably } from '../../lib/durable-file.ts';
import { tryLockFile } from '../../lib/file-lock.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import type { PlannedHook } from './choose-hooks.ts';

/** The hooks that are due however a backup ends, so that whoever starts next can run them. */
export interface HookJournal {
  readonly hostIdentity: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Those of `after` and `on-error`. */
  readonly hooks: readonly PlannedHook[];
}

export interface OpenHookJournal extends AsyncDisposable {
  readonly journal: HookJournal;
  /** They have run. */
  remove(): Promise<void>;
}

/** Written durably, and held until it is removed or this process ends. */
export async function openHookJournal(stateDir: string, journal: HookJournal): Promise<OpenHookJournal> {
  const folder = folderOf(stateDir);
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncDirectory(path.dirname(folder));
  const name = randomBytes(16).toString('hex');
  const lock = await tryLockFile(path.join(folder, `${name}.lock`), { owner: String(process.pid) });
  if ('heldBy' in lock) throw new AppError('locked', `The journal "${name}" is taken`);
  const opened = openLocked({ folder, name, lock, journal });
  try {
    await writeDurably(path.join(folder, `${name}.json`), JSON.stringify({ version: 1, ...journal }));
    return opened;
  } catch (error) {
    await opened.remove().catch(() => undefined);
    throw error;
  }
}

/** The journals of processes that have ended. One that cannot be read is left where it is. */
export async function takeLeftHookJournals(stateDir: string): Promise<readonly OpenHookJournal[]> {
  const folder = folderOf(stateDir);
  const left: OpenHookJournal[] = [];
  for (const name of await journalNames(folder)) {
    const lock = await tryLockFile(path.join(folder, `${name}.lock`), { owner: String(process.pid) });
    if ('heldBy' in lock) continue;
    const journal = await readJournal(path.join(folder, `${name}.json`));
    if (journal !== undefined && journal !== 'unreadable')
      left.push(openLocked({ folder, name, lock, journal }));
    else if (journal === undefined) await openLocked({ folder, name, lock, journal: undefined }).remove();
    else await lock[Symbol.asyncDispose]();
  }
  return left;
}

/** True when there may be hooks that are due: cheap, for every start. */
export async function hasHookJournals(stateDir: string): Promise<boolean> {
  return (await journalNames(folderOf(stateDir))).length > 0;
}

interface Locked<J> {
  readonly folder: string;
  readonly name: string;
  readonly lock: AsyncDisposable;
  readonly journal: J;
}

function openLocked<J>({ folder, name, lock, journal }: Locked<J>) {
  return {
    journal,
    async remove() {
      await rm(path.join(folder, `${name}.json`), { force: true });
      await syncDirectory(folder);
      // Names are used once only: whoever waits for this lock finds no journal under it.
      await rm(path.join(folder, `${name}.lock`), { force: true });
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
  return [...new Set(names.flatMap((name) => /^([0-9a-f]{32})\.(?:json|lock)$/.exec(name)?.[1] ?? []))];
}

async function readJournal(file: string): Promise<HookJournal | 'unreadable' | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file, 'utf8'));
    const fields = parsed as Partial<Record<keyof HookJournal | 'version', unknown>>;
    const isGood =
      fields.version === 1 && typeof fields.hostIdentity === 'string' && Array.isArray(fields.hooks);
    return isGood ? (parsed as HookJournal) : 'unreadable';
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (error instanceof SyntaxError) return 'unreadable';
    throw error;
  }
}

function folderOf(stateDir: string): string {
  return path.join(stateDir, 'journal-hooks');
}
