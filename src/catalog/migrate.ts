import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { migrations } from './migrations.ts';
import { atOneMoment, inTransaction } from './transaction.ts';

/** In the file's header, so that `file` and SQLite can tell a catalog from other databases: "HOLD". */
const applicationId = 0x484f_4c44;

export interface MigrateOptions {
  /** For messages. */
  readonly path: string;
  /** Called once the database is known to be this program's, before anything is written. */
  readonly prepare: () => void;
  readonly steps?: readonly string[];
}

/**
 * Migrates the catalog to this program's version, each step once, even if several processes start at once.
 * Refuses a catalog of a newer program and another program's database, without writing to it.
 */
export function migrate(database: DatabaseSync, { path, prepare, steps = migrations }: MigrateOptions): void {
  const found = atOneMoment(database, () => checkVersion(database, { path, latest: steps.length }));
  prepare();
  if (found === steps.length) return;
  inTransaction(database, () => {
    // Another process may have been faster.
    const version = checkVersion(database, { path, latest: steps.length });
    for (const step of steps.slice(version)) database.exec(step);
    database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${steps.length}`);
  });
}

/** Whether `migrate()` would change nothing. Only reads. */
export function isOfThisVersion(database: DatabaseSync): boolean {
  return (
    pragma(database, 'application_id') === applicationId &&
    pragma(database, 'user_version') === migrations.length
  );
}

function checkVersion(database: DatabaseSync, { path, latest }: { path: string; latest: number }): number {
  const version = pragma(database, 'user_version');
  const isCatalog = pragma(database, 'application_id') === applicationId;
  if (!isCatalog && !isEmpty(database)) {
    throw new AppError(
      'integrity',
      `${quote(path)} is a database of another program, not a catalog of Holdfast`,
      {
        hint: 'Choose another state folder with --state-dir, or move that file aside.',
      },
    );
  }
  if (version > latest) {
    throw new AppError(
      'unsupported',
      `The catalog ${quote(path)} has version ${version}, and this Holdfast knows none after ${latest}`,
      {
        hint: 'A newer Holdfast has used it. Install that one, or choose another state folder with --state-dir.',
      },
    );
  }
  return version;
}

function pragma(database: DatabaseSync, name: 'user_version' | 'application_id'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function isEmpty(database: DatabaseSync): boolean {
  return (
    database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined &&
    pragma(database, 'user_version') === 0
  );
}
