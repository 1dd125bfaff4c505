import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeDurably } from '../../lib/durable-file.ts';
import { errnoOf } from '../../model/errors.ts';
import { parseJson } from '../../model/parse-json.ts';
import {
  hasJournals,
  type HeldJournal,
  holdLeftJournals,
  holdNewJournal,
  type JournalPlace,
} from '../held-journal.ts';
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
  const held = await holdNewJournal(placeOf(stateDir));
  try {
    await writeDurably(held.file('json'), JSON.stringify({ version: 1, ...journal }));
    return { ...held, journal };
  } catch (error) {
    await held.remove().catch(() => undefined);
    throw error;
  }
}

/** The journals of processes that have ended. One that cannot be read is left where it is. */
export async function takeLeftHookJournals(stateDir: string): Promise<readonly OpenHookJournal[]> {
  const left: OpenHookJournal[] = [];
  for await (const held of holdLeftJournals(placeOf(stateDir))) {
    const journal = await readJournal(held);
    if (journal === undefined) await held.remove();
    else if (journal === 'unreadable') await held[Symbol.asyncDispose]();
    else left.push({ ...held, journal });
  }
  return left;
}

/** True when there may be hooks that are due: cheap, for every start. */
export async function hasHookJournals(stateDir: string): Promise<boolean> {
  return await hasJournals(placeOf(stateDir));
}

async function readJournal(held: HeldJournal): Promise<HookJournal | 'unreadable' | undefined> {
  let text: string;
  try {
    text = await readFile(held.file('json'), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
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
