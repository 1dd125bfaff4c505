import path from 'node:path';
import { writeDurably } from '../../lib/durable-file.ts';
import { namesIn } from '../../lib/folder-names.ts';
import { readTextIfThere } from '../../lib/read-text.ts';
import { AppError } from '../../model/errors.ts';
import { parseJson } from '../../model/parse-json.ts';
import {
  hasJournals,
  type HeldJournal,
  holdLeftJournals,
  holdNewJournal,
  type JournalPlace,
} from '../held-journal.ts';
import { hookKey, type PlannedHook } from './choose-hooks.ts';

/** The hooks that are due however a backup ends, so that the next start can run them. */
export interface HookJournal {
  readonly hostIdentity: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Those of `after` and `on-error`. */
  readonly hooks: readonly PlannedHook[];
  /** When they were last tried, and the outcome; undefined where the backup has not got that far. */
  readonly tried?: HookTries | undefined;
}

export interface HookTries {
  readonly times: number;
  /** The first try and the last, RFC 3339. */
  readonly first: string;
  readonly last: string;
  /** Why they failed the last time, for people. */
  readonly failures: readonly string[];
}

export interface OpenHookJournal extends AsyncDisposable {
  readonly journal: HookJournal;
  /** The path of the journal. */
  readonly file: string;
  /** Records durably what is still due, and releases the journal. */
  keep(journal: HookJournal): Promise<void>;
  /** The hooks have run. */
  remove(): Promise<void>;
}

/** Durable when it returns, and held until it is removed or this process ends. */
export async function openHookJournal(stateDir: string, journal: HookJournal): Promise<OpenHookJournal> {
  const held = await holdNewJournal(placeOf(stateDir));
  try {
    await writeJournal(held, journal);
    return openHeld(held, journal);
  } catch (error) {
    // The user must see why it could not be written.
    await held.remove().catch(() => undefined);
    throw error;
  }
}

/** The journals of processes that have ended. Reports one that cannot be read, and leaves it where it is. */
export async function takeLeftHookJournals(
  stateDir: string,
  onDamaged: (error: AppError) => void,
): Promise<readonly OpenHookJournal[]> {
  const left: OpenHookJournal[] = [];
  for await (const held of holdLeftJournals(placeOf(stateDir))) {
    const journal = await readJournal(held.file('json')).catch(unreadable);
    if (journal === undefined) {
      await held.remove();
    } else if (journal === 'unreadable') {
      await held[Symbol.asyncDispose]();
      onDamaged(damaged(held.file('json')));
    } else left.push(openHeld(held, journal));
  }
  return left;
}

/** The hooks that live processes are going to run. */
export async function hooksUnderWay(
  stateDir: string,
  left: readonly OpenHookJournal[],
): Promise<readonly PlannedHook[]> {
  const own = new Set(left.map(({ file }) => file));
  return (await readAll(stateDir, own)).flatMap(({ hooks }) => hooks);
}

/** True when some hooks have failed after their backups, and have not run since. */
export async function areSomeOverdue(stateDir: string): Promise<boolean> {
  return (await readAll(stateDir)).some(({ tried }) => tried !== undefined);
}

async function readAll(stateDir: string, without: ReadonlySet<string> = new Set()): Promise<HookJournal[]> {
  const { folder } = placeOf(stateDir);
  const files = (await namesIn(folder)).filter((name) => /^[0-9a-f]{32}\.json$/.test(name));
  const found: HookJournal[] = [];
  for (const file of files.map((name) => path.join(folder, name))) {
    if (without.has(file)) continue;
    const journal = await readJournal(file).catch(unreadable);
    if (typeof journal === 'object') found.push(journal);
  }
  return found;
}

/**
 * Drops from earlier journals the hooks that a backup has just run or recorded itself. Returns how often
 * those were tried.
 */
export async function takeDueHooks(
  stateDir: string,
  { hooks, hostIdentity }: Pick<HookJournal, 'hooks' | 'hostIdentity'>,
): Promise<readonly HookTries[]> {
  if (hooks.length === 0 || !(await hasHookJournals(stateDir))) return [];
  const keys = new Set(hooks.map(hookKey));
  const earlier: HookTries[] = [];
  await using held = new AsyncDisposableStack();
  const journals = await takeLeftHookJournals(stateDir, () => undefined);
  for (const left of journals) held.use(left);
  for (const left of journals) {
    const { journal } = left;
    // Another engine may have a container of the same name.
    if (journal.hostIdentity !== hostIdentity) continue;
    const isDue = journal.hooks.map((planned) => !keys.has(hookKey(planned)));
    if (isDue.includes(false) && journal.tried !== undefined) earlier.push(journal.tried);
    if (!isDue.includes(true)) await left.remove();
    else if (isDue.includes(false)) {
      const failures = journal.tried?.failures.filter((_, i) => isDue[i]) ?? [];
      const tried = journal.tried && { ...journal.tried, failures };
      await left.keep({ ...journal, hooks: journal.hooks.filter((_, i) => isDue[i]), tried });
    }
  }
  return earlier;
}

/** True when there may be due hooks: cheap, for every start. */
export async function hasHookJournals(stateDir: string): Promise<boolean> {
  return await hasJournals(placeOf(stateDir));
}

function openHeld(held: HeldJournal, journal: HookJournal): OpenHookJournal {
  return {
    ...held,
    file: held.file('json'),
    journal,
    async keep(due) {
      try {
        await writeJournal(held, due);
      } finally {
        await held[Symbol.asyncDispose]();
      }
    },
  };
}

async function writeJournal(held: HeldJournal, journal: HookJournal): Promise<void> {
  await writeDurably(held.file('json'), JSON.stringify({ version: 1, ...journal }));
}

function unreadable(): 'unreadable' {
  return 'unreadable';
}

function damaged(file: string): AppError {
  return new AppError('integrity', `The journal "${file}" is not one that this version can read`, {
    hint: 'It says which hooks are due after a backup that was interrupted: run them, then remove it.',
  });
}

async function readJournal(file: string): Promise<HookJournal | 'unreadable' | undefined> {
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  const journal = parseJson(text);
  return isJournal(journal) ? journal : 'unreadable';
}

function isJournal(value: unknown): value is HookJournal {
  if (typeof value !== 'object' || value === null) return false;
  const { version, hostIdentity, hooks } = value as Partial<Record<keyof HookJournal | 'version', unknown>>;
  return version === 1 && typeof hostIdentity === 'string' && Array.isArray(hooks);
}

function placeOf(stateDir: string): JournalPlace {
  return { folder: path.join(stateDir, 'journal-hooks'), endings: [] };
}
