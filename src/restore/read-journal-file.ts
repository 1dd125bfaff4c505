import { readFile } from 'node:fs/promises';
import { AppError, errnoOf } from '../model/errors.ts';
import { parseJson } from '../model/parse-json.ts';

export interface JournalKind<T> {
  readonly isJournal: (value: unknown) => value is T;
  /** What to do about one that cannot be read. */
  readonly hint: string;
}

/** The journal of a restore. Undefined when it is gone. */
export async function readJournalFile<T>(
  file: string,
  { isJournal, hint }: JournalKind<T>,
): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const journal = parseJson(text);
  if (isJournal(journal)) return journal;
  throw new AppError(
    'integrity',
    `The journal of a restore, "${file}", is not one that this version can read`,
    { hint },
  );
}
