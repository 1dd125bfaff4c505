import { DatabaseSync, type StatementSync } from 'node:sqlite';

const most = 200;

/** Prepares each statement once: compiling it takes longer than running it. */
export class PreparedDatabase extends DatabaseSync {
  readonly #statements = new Map<string, StatementSync>();

  /** The same statement for the same text: a row is read to its end before the next run. */
  override prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = super.prepare(sql);
    if (this.#statements.size >= most) this.#statements.clear();
    this.#statements.set(sql, statement);
    return statement;
  }
}
