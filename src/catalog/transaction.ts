import type { DatabaseSync } from 'node:sqlite';

/**
 * Runs `action` in one transaction that takes the write lock at once, so that what it reads is still true
 * when it writes. Rolled back when it throws.
 */
export function inTransaction<T>(database: DatabaseSync, action: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = action();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // After the gravest errors, such as a full disk, SQLite has rolled back by itself.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/**
 * Everything that `read` reads is of one moment, despite concurrent writers. Waits at most for the end of a
 * commit.
 */
export function atOneMoment<T>(database: DatabaseSync, read: () => T): T {
  database.exec('BEGIN');
  try {
    return read();
  } finally {
    if (database.isTransaction) database.exec('COMMIT');
  }
}

/** Caches what was read from a database until any process writes to it, this one included. */
export class WhileUnchanged<T> {
  readonly #read: (database: DatabaseSync) => T;
  #kept: { readonly version: string; readonly value: T } | undefined;

  constructor(read: (database: DatabaseSync) => T) {
    this.#read = read;
  }

  of(database: DatabaseSync): T {
    // Taken before the read: a concurrent write may be included, and causes another read.
    const version = versionOf(database);
    if (this.#kept?.version !== version) this.#kept = { version, value: this.#read(database) };
    return this.#kept.value;
  }
}

/**
 * The first number changes with each commit of another connection, the second with each change of this one.
 */
function versionOf(database: DatabaseSync): string {
  const row = database.prepare('SELECT data_version, total_changes() AS own FROM pragma_data_version').get();
  return `${Number(row?.['data_version'])}/${Number(row?.['own'])}`;
}
