import type { DatabaseSync } from 'node:sqlite';
import type { RepositoryFinding, RepositoryState } from './catalog.ts';
import { optionalNumber, optionalText, text } from './row-fields.ts';

/** Those that were noted last; more than are in use at once. */
const keptRepositories = 100;

/** The caller begins and ends the transaction. */
export function noteRepository(
  database: DatabaseSync,
  repositoryId: string,
  { at, sizeBytes, unusedBytes, check }: RepositoryFinding,
): void {
  const when = (isKnown: boolean): string | null => (isKnown ? at : null);
  database
    .prepare(
      `INSERT INTO repository_state (repository_id, noted_at, size, size_at, unused, unused_at, good_check_at, failed_check_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (repository_id) DO UPDATE SET noted_at = excluded.noted_at,
         size = coalesce(excluded.size, size), size_at = coalesce(excluded.size_at, size_at),
         unused = coalesce(excluded.unused, unused), unused_at = coalesce(excluded.unused_at, unused_at),
         good_check_at = coalesce(excluded.good_check_at, good_check_at),
         failed_check_at = coalesce(excluded.failed_check_at, failed_check_at)`,
    )
    .run(
      ...[repositoryId, at, sizeBytes ?? null, when(sizeBytes !== undefined)],
      ...[unusedBytes ?? null, when(unusedBytes !== undefined)],
      ...[when(check === 'good'), when(check === 'failed')],
    );
  database
    .prepare(
      `DELETE FROM repository_state WHERE repository_id <> ?1 AND repository_id NOT IN
         (SELECT repository_id FROM repository_state ORDER BY noted_at DESC LIMIT ?2)`,
    )
    .run(repositoryId, keptRepositories);
}

export function listRepositoryStates(database: DatabaseSync): RepositoryState[] {
  return database
    .prepare('SELECT * FROM repository_state ORDER BY repository_id')
    .all()
    .map((row) => ({
      repositoryId: text(row, 'repository_id'),
      sizeBytes: optionalNumber(row, 'size'),
      sizeAt: optionalText(row, 'size_at'),
      unusedBytes: optionalNumber(row, 'unused'),
      unusedAt: optionalText(row, 'unused_at'),
      goodCheckAt: optionalText(row, 'good_check_at'),
      failedCheckAt: optionalText(row, 'failed_check_at'),
    }));
}
