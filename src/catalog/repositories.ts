import type { DatabaseSync } from 'node:sqlite';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { RepositoryRecord } from './catalog.ts';
import { flag, text, textRecord } from './row-fields.ts';
import { inTransaction } from './transaction.ts';

export function listRepositories(database: DatabaseSync): RepositoryRecord[] {
  const rows = database
    .prepare(
      'SELECT name, location, repository_id, password_reference, is_default, options FROM repository ORDER BY name',
    )
    .all();
  return rows.map((row) => {
    const options = textRecord(row, 'options');
    return {
      name: text(row, 'name'),
      location: text(row, 'location'),
      repositoryId: text(row, 'repository_id'),
      passwordReference: text(row, 'password_reference'),
      isDefault: flag(row, 'is_default'),
      ...(Object.keys(options).length > 0 && { options }),
    };
  });
}

/** Runs the action within the caller's transaction, if there is one. */
export function saveRepository(
  database: DatabaseSync,
  record: RepositoryRecord,
  transaction: (database: DatabaseSync, action: () => void) => void = inTransaction,
): void {
  // A password passed by mistake must reach neither the disk nor a message.
  if (!/^(?:file|env|exec):./s.test(record.passwordReference)) {
    throw new AppError(
      'usage',
      `The password of repository ${quote(record.name)} must be a reference: "file:…", "env:…" or "exec:…"`,
    );
  }
  transaction(database, () => {
    if (record.isDefault) {
      database
        .prepare('UPDATE repository SET is_default = 0 WHERE is_default = 1 AND name <> ?')
        .run(record.name);
    }
    database
      .prepare(
        `INSERT INTO repository (name, location, repository_id, password_reference, is_default, options)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET
           location = excluded.location,
           repository_id = excluded.repository_id,
           password_reference = excluded.password_reference,
           is_default = excluded.is_default,
           options = excluded.options`,
      )
      .run(
        record.name,
        record.location,
        record.repositoryId,
        record.passwordReference,
        Number(record.isDefault),
        JSON.stringify(record.options ?? {}),
      );
  });
}

export function removeRepository(database: DatabaseSync, name: string): void {
  database.prepare('DELETE FROM repository WHERE name = ?').run(name);
}
