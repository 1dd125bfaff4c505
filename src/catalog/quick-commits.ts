import { closeSync, fdatasyncSync, fstatSync, openSync, writeSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { errnoOf } from '../model/errors.ts';
import { inTransaction } from './transaction.ts';

/** As long as SQLite lets the log become before it starts again at its beginning, and a few transactions. */
const reservedBytes = 1064 * 4120;
/** A command that commits once or twice has no use for a longer log. */
const commitsBefore = 8;

/**
 * Transactions that are durable when they return, without a commit of the file system's journal: SQLite waits with
 * `fsync`, which writes the journal down for the log's time alone, and with it whatever else was done to the disk.
 * Here SQLite does not wait, and `fdatasync` of its log follows, which is no more than the log's blocks once the log
 * does not grow. Others may see what was written a moment before it is durable, and never instead of that.
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

  /** One transaction, rolled back when the action throws. When the wait fails, it throws, and what was written stands. */
  run<T>(action: () => T): T {
    return this.#durably(() => inTransaction(this.#database, action));
  }

  /** The same for an action that is one statement, which is a transaction by itself. */
  runOne<T>(action: () => T): T {
    return this.#durably(action);
  }

  /** One transaction that nobody waits for: with the next one that is waited for, it is durable. */
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

  /** What was committed before, by whomever, is on the disk. */
  sync(): void {
    if (this.#hasLog) fdatasyncSync(this.#log());
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** The log lies where it is for as long as a connection is open, unless somebody else removes it. It carries no locks. */
  #log(): number {
    if (this.#fd !== undefined && fstatSync(this.#fd).nlink === 0) this[Symbol.dispose]();
    return (this.#fd ??= openSync(this.#logPath, 'r'));
  }

  /**
   * Makes the log as long as it becomes anyway, with zeros, which are no transactions to SQLite: a file that grows
   * takes a commit of the journal each time. Nobody writes to it meanwhile.
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
        // Full, or not there: commits take longer then, and say themselves what they lack.
        if (!['ENOSPC', 'EDQUOT', 'EFBIG', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
      } finally {
        if (fd !== undefined) closeSync(fd);
      }
    });
  }
}
