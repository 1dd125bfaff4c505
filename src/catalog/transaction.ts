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
