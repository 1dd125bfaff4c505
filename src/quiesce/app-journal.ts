import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../lib/durable-file.ts';
import { readTextIfThere } from '../lib/read-text.ts';
import { AppError, errnoOf, isAppError } from '../model/errors.ts';
import { parseJson } from '../model/parse-json.ts';
import {
  type HeldJournal,
  holdLeftJournal,
  holdLeftJournals,
  holdNewJournal,
  type JournalPlace,
} from './held-journal.ts';
import type { AppStep } from './plan-containers.ts';
import type { StartRefusal } from './start-refusal.ts';

/** What ran before it was made still, so that the next process can bring it back. */
export interface AppJournal {
  /** The engine whose containers these are. */
  readonly hostIdentity: string;
  /** For people: `back up "pg"`. */
  readonly reason: string;
  /** The restore that it is for: its data is settled before they run again. */
  readonly restoreId?: string | undefined;
  readonly how: 'pause' | 'stop';
  /** RFC 3339. */
  readonly since: string;
  /** In the order in which they are made still. */
  readonly levels: readonly (readonly AppStep[])[];
}

/** By their names: those that were brought back, and those that stay as others have changed them. */
export interface PutBackNames {
  readonly changed: readonly string[];
  readonly left: readonly string[];
}

export interface OpenAppJournal extends AsyncDisposable {
  /** Of its file, without an ending. */
  readonly name: string;
  readonly journal: AppJournal;
  /**
   * Records durably that a level is about to be touched, and when, in milliseconds since 1970. Other levels
   * are not brought back.
   */
  noteLevel(index: number, atMs: number): Promise<void>;
  /** Records durably which steps, of those in the journal, are not brought back as they were not touched. */
  leaveOut(steps: ReadonlySet<AppStep>): Promise<void>;
  /** Frees reserved disk space: an engine has to write too when it starts a container. */
  freeReserve(): Promise<void>;
  /** Records that an engine refused to start what has to run. */
  readonly refusal: StartRefusal;
  /**
   * Records durably what is to be done by hand, where starting the same containers again would do harm; with undefined,
   * that it would not.
   */
  noteByHand(what: string | undefined): Promise<void>;
  readByHand(): Promise<string | undefined>;
  /** All is back, and the next recovery has only to tell of the job, with what was done for it. */
  noteBack(done: PutBackNames): Promise<void>;
  /** What an earlier recovery has done for it; undefined where none has brought it all back. */
  readBack(): Promise<PutBackNames | undefined>;
  /** Everything is back. */
  remove(): Promise<void>;
}

/** Disk space reserved for the engine, should the disk fill up meanwhile. */
const reserveBytes = 1 << 20;

/** Holds a name for a journal that is still to be written: a guardian gets it before it is known what to write. */
export async function holdAppJournal(stateDir: string): Promise<HeldJournal> {
  return await holdNewJournal(placeOf(stateDir));
}

/** Durable, and held until it is removed or this process ends. Throws when the disk is full; the name stays held then. */
export async function writeAppJournal(held: HeldJournal, journal: AppJournal): Promise<OpenAppJournal> {
  try {
    {
      await using reserve = await open(held.file('reserve'), 'wx', 0o600);
      await reserve.writeFile(Buffer.alloc(reserveBytes));
    }
    await writeNew(held, 'json', JSON.stringify({ version: 1, ...journal }));
    return openHeld(held, journal);
  } catch (error) {
    const full = isFull(error);
    throw new AppError(
      full ? 'full' : 'failed',
      'Cannot write down what runs: nothing is paused or stopped',
      {
        detail: error instanceof Error ? error.message : undefined,
        hint: full ? `Make room in "${path.dirname(path.dirname(held.file('json')))}".` : undefined,
        cause: error,
      },
    );
  }
}

function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');
}

/** Whole and durable, or absent; what a kill leaves of it has the journal's name, and is removed with it. */
async function writeNew(held: HeldJournal, ending: string, text: string): Promise<void> {
  {
    await using part = await open(held.file('part'), 'w', 0o600);
    await part.writeFile(text);
    await part.sync();
  }
  await rename(held.file('part'), held.file(ending));
  await syncDirectory(path.dirname(held.file(ending)));
}

export interface TakeLeftOptions {
  /** How long to wait for another process that recovers from one. */
  readonly patienceMs?: number | undefined;
  /** Called for a journal that is damaged. */
  readonly onRefused: (error: AppError) => void;
  /** Called for a journal that another process still recovers from after that time. */
  readonly onBusy?: ((journal: AppJournal) => void) | undefined;
}

/** Holds the journals of processes that have ended, not those of live ones. */
export async function takeLeftJournals(
  stateDir: string,
  { patienceMs, onRefused, onBusy }: TakeLeftOptions,
): Promise<readonly OpenAppJournal[]> {
  await using left = new AsyncDisposableStack();
  const place = placeOf(stateDir);
  const journals: OpenAppJournal[] = [];
  const busy: string[] = [];
  for await (const held of holdLeftJournals(place, { patienceMs, onBusy: (name) => busy.push(name) })) {
    try {
      const opened = await openLeft(held);
      if (opened !== undefined) journals.push(left.use(opened));
    } catch (error) {
      await held[Symbol.asyncDispose]();
      if (!isAppError(error, 'integrity')) throw error;
      onRefused(error);
    }
  }
  for (const name of busy) {
    // Gone where the other process is done by now.
    const journal = await readAppJournal(path.join(place.folder, `${name}.json`)).catch(() => undefined);
    if (journal !== undefined) onBusy?.(journal);
  }
  left.move();
  return journals;
}

/** Holds one journal when its process has ended; undefined when it is gone, or another process is faster. */
export async function takeLeftJournal(
  stateDir: string,
  name: string,
  { patienceMs }: { readonly patienceMs: number },
): Promise<OpenAppJournal | undefined> {
  const deadline = performance.now() + patienceMs;
  const held = await holdLeftJournal(placeOf(stateDir), name, { deadline, waitsForJob: true });
  return 'heldBy' in held ? undefined : await openLeft(held);
}

/** Undefined, and removed, when its process was killed before it was written or after it was removed. */
async function openLeft(held: HeldJournal): Promise<OpenAppJournal | undefined> {
  const journal = await readAppJournal(held.file('json'));
  if (journal !== undefined)
    return openHeld(held, { ...journal, levels: await touchedLevels(held, journal) });
  await held.remove();
  return undefined;
}

function openHeld(held: HeldJournal, journal: AppJournal): OpenAppJournal {
  const freeReserve = (): Promise<void> => rm(held.file('reserve'), { force: true });
  return {
    ...held,
    journal,
    refusal: { file: held.file('refused') },
    async noteLevel(index, atMs) {
      await using touched = await open(held.file('touched'), 'a', 0o600);
      await touched.writeFile(`${index} ${Math.round(atMs)}\n`);
      await touched.sync();
      if (index === 0) await syncDirectory(path.dirname(held.file('touched')));
    },
    async leaveOut(steps) {
      // Levels keep their numbers.
      const levels = journal.levels.map((level) => level.filter((step) => !steps.has(step)));
      await writeNew(held, 'json', JSON.stringify({ version: 1, ...journal, levels }));
    },
    freeReserve,
    async noteByHand(what) {
      if (what !== undefined)
        return await writeNew(held, 'byhand', what).catch(async (error: unknown) => {
          if (!isFull(error)) throw error;
          // The caller has stopped an app for what it is about to do.
          await freeReserve();
          await writeNew(held, 'byhand', what);
        });
      await rm(held.file('byhand'), { force: true });
      await syncDirectory(path.dirname(held.file('byhand')));
    },
    readByHand: () => readTextIfThere(held.file('byhand')),
    async noteBack({ changed, left }) {
      // Only for what is told. On a full disk it must not keep the next recovery from leaving all as it is.
      await writeNew(held, 'back', JSON.stringify({ changed, left })).catch(() => undefined);
      await rm(held.file('touched'), { force: true });
      await syncDirectory(path.dirname(held.file('touched')));
    },
    async readBack() {
      const text = await readTextIfThere(held.file('back'));
      return text === undefined ? undefined : namesIn(parseJson(text));
    },
  };
}

function namesIn(value: unknown): PutBackNames {
  const { changed, left } = (value ?? {}) as Partial<Record<keyof PutBackNames, unknown>>;
  const texts = (list: unknown): string[] => (Array.isArray(list) ? list.map(String) : []);
  return { changed: texts(changed), left: texts(left) };
}

async function touchedLevels(held: HeldJournal, journal: AppJournal): Promise<AppJournal['levels']> {
  const text = (await readTextIfThere(held.file('touched'))) ?? '';
  // Earlier versions wrote no time.
  const touched = new Map(
    text
      .split('\n')
      .slice(0, -1)
      .map((line): [string, number | undefined] => {
        const [index = '', atMs] = line.split(' ');
        return [index, atMs === undefined ? undefined : Number(atMs)];
      }),
  );
  return journal.levels.flatMap((level, index) => {
    if (!touched.has(String(index))) return [];
    const touchedAtMs = touched.get(String(index));
    return [level.map((step) => ({ ...step, touchedAtMs }))];
  });
}

async function readAppJournal(file: string): Promise<AppJournal | undefined> {
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  const journal = parseJson(text);
  if (isJournal(journal)) return journal;
  throw new AppError('integrity', `The journal "${file}" is not one that this version can read`, {
    hint: 'It says which containers ran before a backup that was interrupted: start them, then remove it.',
  });
}

function isJournal(value: unknown): value is AppJournal {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Partial<Record<keyof AppJournal | 'version', unknown>>;
  return fields.version === 1 && typeof fields.hostIdentity === 'string' && Array.isArray(fields.levels);
}

function placeOf(stateDir: string): JournalPlace {
  return {
    folder: path.join(stateDir, 'journal-apps'),
    endings: ['touched', 'byhand', 'back', 'part', 'reserve', 'refused'],
  };
}
