import { accessSync, chmodSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { migrate } from './migrate.ts';
import { isBusy, isWithoutRoom } from './sqlite-errors.ts';

export interface OpenDatabaseOptions {
  /**
   * How long to wait for another process's transaction, in milliseconds; 10 s by default, while they last
   * milliseconds.
   */
  readonly busyTimeoutMs?: number;
  /** On a full disk, allows opening exclusively, until closed. */
  readonly mayBeAlone?: boolean;
}

/** Opens the database at `path`, creates it when it is missing, and migrates it to this program's version. */
export function openDatabase(
  path: string,
  { busyTimeoutMs = 10_000, mayBeAlone = false }: OpenDatabaseOptions = {},
): DatabaseSync {
  if (path !== ':memory:') makePrivateFile(path);
  try {
    return openOnce(path, busyTimeoutMs);
  } catch (error) {
    if (!mayBeAlone || !isWithoutRoom(error)) throw error;
    return openAlone(path, error);
  }
}

/**
 * A full disk has no room for the shared memory file of connections, and that is when users look for things
 * to delete, or restore to another disk. An exclusive connection needs no such file; writes may still fail.
 */
function openAlone(path: string, first: unknown): DatabaseSync {
  try {
    return openOnce(path, 0, 'PRAGMA locking_mode = EXCLUSIVE');
  } catch {
    throw first;
  }
}

function openOnce(path: string, busyTimeoutMs: number, setUp?: string): DatabaseSync {
  const database = new PreparedDatabase(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
  try {
    if (setUp !== undefined) database.exec(setUp);
    migrate(database, { path, prepare: () => useWriteAheadLog(database, busyTimeoutMs) });
    // A commit is durable when it returns.
    database.exec('PRAGMA synchronous = FULL');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Never opens an existing file: closing it would drop the locks of another connection of this process, by
 * POSIX.
 */
function makePrivateFile(path: string): void {
  makeFolder(dirname(path));
  try {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    closeSync(openSync(path, flags, 0o600));
    return;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  const found = statSync(path);
  if (!found.isFile()) throw new AppError('usage', `Cannot use the catalog ${quote(path)}: it is no file`);
  // SQLite gives its -wal and -shm files the mode of the database. Checked here, because SQLite only says
  // that it "can't open" a file without write permission.
  accessSync(path, constants.R_OK | constants.W_OK);
  accessSync(dirname(path), constants.W_OK | constants.X_OK);
  if ((found.mode & 0o077) !== 0 && found.uid === process.getuid?.()) chmodSync(path, 0o600);
}

/** Node's own recursive mkdir reports ENOENT on a read-only file system. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && dirname(path) !== path) {
      makeFolder(dirname(path));
      makeFolder(path);
    } else if (errnoOf(error) !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
}

/**
 * Readers alongside one writer. Keeps the rollback journal where the file system has no shared memory. SQLite
 * does not wait for others when it changes the mode, so this function does.
 */
function useWriteAheadLog(database: DatabaseSync, busyTimeoutMs: number): void {
  let deadline: number | undefined;
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    try {
      if (database.prepare('PRAGMA journal_mode').get()?.['journal_mode'] === 'wal') return;
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      // Not before: the first look at this clock loads all of Node.js's measuring, which takes a millisecond.
      deadline ??= performance.now() + busyTimeoutMs;
      if (!isBusy(error) || performance.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
    }
  }
}

const most = 200;

/** Prepares each statement once: compiling it takes longer than running it. */
export class PreparedDatabase extends DatabaseSync {
  readonly #statements = new Map<string, StatementSync>();

  /** Returns the same statement for the same text: rows are read to the end before the next run. */
  override prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = super.prepare(sql);
    if (this.#statements.size >= most) this.#statements.clear();
    this.#statements.set(sql, statement);
    return statement;
  }
}
