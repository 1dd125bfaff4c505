import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { syncDirectory } from '../lib/durable-file.ts';
import { tryLockFile } from '../lib/file-lock.ts';
import { namesIn } from '../lib/folder-names.ts';
import { AppError } from '../model/errors.ts';

/** A journal and its files, held until it is released or this process ends. */
export interface HeldJournal extends AsyncDisposable {
  readonly name: string;
  /** The path of its file with that ending; `json` is the journal. */
  file(ending: string): string;
  /** Removes the journal first, durably, then the rest. Releases it. */
  remove(): Promise<void>;
}

/** Where journals of one kind lie. */
export interface JournalPlace {
  readonly folder: string;
  /** The endings of files besides `json` and `lock`, in the order of their removal. */
  readonly endings: readonly string[];
}

/** Holds a name for a new journal. Makes the folder durably. */
export async function holdNewJournal(place: JournalPlace): Promise<HeldJournal> {
  const { folder } = place;
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncDirectory(path.dirname(folder));
  const name = randomBytes(16).toString('hex');
  const held = await holdJournal(place, name, String(process.pid));
  if ('heldBy' in held) throw new AppError('locked', `The journal "${name}" is taken`);
  return held;
}

export interface LeftJournalOptions {
  /** How long to wait for another process that recovers from a journal. */
  readonly patienceMs?: number | undefined;
  /** Called with the name of a journal that another process still recovers from after that time. */
  readonly onBusy?: ((name: string) => void) | undefined;
}

/**
 * Holds one after the other the journals whose processes have ended; leaves alone those of living processes.
 */
export async function* holdLeftJournals(
  place: JournalPlace,
  { patienceMs = 0, onBusy }: LeftJournalOptions = {},
): AsyncGenerator<HeldJournal, void, undefined> {
  const deadline = performance.now() + patienceMs;
  for (const name of await journalNames(place)) {
    const held = await holdLeftJournal(place, name, { deadline });
    if (!('heldBy' in held)) yield held;
    else if (isRecovery(held.heldBy)) onBusy?.(name);
  }
}

/**
 * Holds the journal of a process that has ended, or returns its holder. Waits until the deadline, by
 * `performance.now()`, for another process that recovers from it, and for a job that is under way only with `waitsForJob`.
 */
export async function holdLeftJournal(
  place: JournalPlace,
  name: string,
  { deadline, waitsForJob = false }: { readonly deadline: number; readonly waitsForJob?: boolean },
): Promise<HeldJournal | { readonly heldBy: string }> {
  for (let tries = 1; ; tries++) {
    const held = await holdJournal(place, name, `${recovery}${process.pid}`);
    if (!('heldBy' in held)) return held;
    // A holder is named in the lock a moment after it has taken it.
    const isAwaited = waitsForJob || isRecovery(held.heldBy) || tries === 1;
    if (!isAwaited || performance.now() > deadline) return held;
    await sleep(20);
  }
}

/** Before the number of a process that recovers from a journal, in its lock. */
const recovery = 'recovery ';

function isRecovery(heldBy: string): boolean {
  return heldBy.startsWith(recovery);
}

/** True when there may be journals: cheap, for every start. */
export async function hasJournals(place: JournalPlace): Promise<boolean> {
  return (await journalNames(place)).length > 0;
}

async function holdJournal(
  { folder, endings }: JournalPlace,
  name: string,
  owner: string,
): Promise<HeldJournal | { readonly heldBy: string }> {
  const file = (ending: string): string => path.join(folder, `${name}.${ending}`);
  const lock = await tryLockFile(file('lock'), { owner });
  if ('heldBy' in lock) return lock;
  return {
    name,
    file,
    async remove() {
      await rm(file('json'), { force: true });
      await syncDirectory(folder);
      // Names are used only once: a process that waits for this lock finds no journal under it.
      for (const ending of [...endings, 'lock']) await rm(file(ending), { force: true });
      await lock[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  };
}

async function journalNames({ folder, endings }: JournalPlace): Promise<string[]> {
  const known = new Set(['json', 'lock', ...endings]);
  const names = (await namesIn(folder)).flatMap((file) => {
    const [, name, ending = ''] = /^([0-9a-f]{32})\.([a-z]+)$/.exec(file) ?? [];
    return name !== undefined && known.has(ending) ? [name] : [];
  });
  return [...new Set(names)];
}
