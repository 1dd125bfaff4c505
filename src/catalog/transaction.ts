import type { DatabaseSync } from 'node:sqlite';

/**
 * Runs `action` in one transaction that takes the write lock at once, so that what it reads is still true when it
 * writes. Rolled back when it throws.
 */
export function inTransaction<T>(database: DatabaseSync, action: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = action();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite has rolled back by itself after the gravest errors, a full disk among them.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** What `read` reads is of one moment, whoever writes meanwhile. Waits for no writer but for the end of a commit. */
export function atOneMoment<T>(database: DatabaseSync, read: () => T): T {
  database.exec('BEGIN');
  try {
    return read();
  } finally {
    if (database.isTransaction) database.exec('COMMIT');
  }
}

/** What was read of a database, kept for as long as nobody has written to it: no process, and this one neither. */
export class WhileUnchanged<T> {
  readonly #read: (database: DatabaseSync) => T;
  #kept: { readonly version: string; readonly value: T } | undefined;

  constructor(read: (database: DatabaseSync) => T) {
    this.#read = read;
  }

  of(database: DatabaseSync): T {
    // Before the reading: what is written meanwhile may be in it, and makes it be read again.
    const version = versionOf(database);
    if (this.#kept?.version !== version) this.#kept = { version, value: this.#read(database) };
    return this.#kept.value;
  }
}

/** The first number is another after each commit of another connection, the second after each change of this one. */
function versionOf(database: DatabaseSync): string {
  const row = database.prepare('SELECT data_version, total_changes() AS own FROM pragma_data_version').get();
  return `${Number(row?.['data_version'])}/${Number(row?.['own'])}`;
}
