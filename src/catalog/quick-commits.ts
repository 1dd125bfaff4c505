import { closeSync, fdatasyncSync, fstatSync, openSync, writeSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { errnoOf } from '../model/errors.ts';
import { inTransaction } from './transaction.ts';

/** The size at which SQLite restarts the log at its beginning, and a few transactions. */
const reservedBytes = 1064 * 4120;
/** A command that commits once or twice has no use for a longer log. */
const commitsBefore = 8;

/**
 * Transactions that are durable on return, without a journal commit of the file system: SQLite syncs with
 * `fsync`, which writes the journal just for the log's time stamp, along with all other changes to the disk.
 * Here SQLite does not sync, and `fdatasync` of its log follows, which writes only the log's blocks once the
 * log does not grow. Other connections may see a change a moment before it is durable, never instead of that.
 */
export class QuickCommits implements Disposable {
  readonly #database: DatabaseSync;
  readonly #logPath: string;
  readonly #hasLog: boolean;
  #fd: number | undefined;
  #commits = 0;

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#logPath = `${path}-wal`;
    // It stays so while a connection is open.
    this.#hasLog = database.prepare('PRAGMA journal_mode').get()?.['journal_mode'] === 'wal';
  }

  /**
   * One transaction, rolled back when the action throws. When the sync fails, it throws, and the transaction
   * stands.
   */
  run<T>(action: () => T): T {
    return this.#durably(() => inTransaction(this.#database, action));
  }

  /** The same for an action of one statement, which is a transaction by itself. */
  runOne<T>(action: () => T): T {
    return this.#durably(action);
  }

  /** One transaction without a sync: it becomes durable with the next synced one. */
  runLazily<T>(action: () => T): T {
    return this.#lazily(() => inTransaction(this.#database, action));
  }

  #durably<T>(action: () => T): T {
    if (!this.#hasLog) return action();
    if (++this.#commits === commitsBefore) this.#reserve();
    const result = this.#lazily(action);
    this.sync();
    return result;
  }

  #lazily<T>(action: () => T): T {
    if (!this.#hasLog) return action();
    this.#database.exec('PRAGMA synchronous = NORMAL');
    try {
      return action();
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL');
    }
  }

  /** Makes everything committed before durable, also by other processes. */
  sync(): void {
    if (this.#hasLog) fdatasyncSync(this.#log());
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /**
   * The log stays in its place while a connection is open, unless another program removes it. It carries no
   * locks.
   */
  #log(): number {
    if (this.#fd !== undefined && fstatSync(this.#fd).nlink === 0) this[Symbol.dispose]();
    return (this.#fd ??= openSync(this.#logPath, 'r'));
  }

  /**
   * Extends the log to its later size with zeros, which SQLite does not read as transactions: a growing file
   * takes a journal commit each time. No connection writes to it meanwhile.
   */
  #reserve(): void {
    inTransaction(this.#database, () => {
      let fd: number | undefined;
      try {
        fd = openSync(this.#logPath, 'r+');
        const zeros = Buffer.alloc(256 * 1024);
        for (let at = fstatSync(fd).size; at < reservedBytes;)
          at += writeSync(fd, zeros, 0, Math.min(zeros.length, reservedBytes - at), at);
      } catch (error) {
        // The disk is full or the log is missing: commits then take longer, and report their own errors.
        if (!['ENOSPC', 'EDQUOT', 'EFBIG', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
      } finally {
        if (fd !== undefined) closeSync(fd);
      }
    });
  }
}
