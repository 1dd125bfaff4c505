import type { DatabaseSync } from 'node:sqlite';
import type { BenchmarkRecord } from './catalog.ts';
import { text } from './row-fields.ts';

const keptOfVolume = 300;
const keptOfAll = 10_000;

/** Inside a transaction. */
export function recordBenchmark(database: DatabaseSync, benchmark: BenchmarkRecord): void {
  const { volumeIdentity, volumeName, profile, ranAt, result } = benchmark;
  const { lastInsertRowid } = database
    .prepare(
      'INSERT INTO volume_benchmark (volume_identity, volume_name, profile, ran_at, result) VALUES (?, ?, ?, ?, ?)',
    )
    .run(volumeIdentity, volumeName, profile, ranAt, result);
  database
    .prepare(
      `DELETE FROM volume_benchmark WHERE volume_identity = ? AND number NOT IN
         (SELECT number FROM volume_benchmark WHERE volume_identity = ? ORDER BY number DESC LIMIT ?)`,
    )
    .run(volumeIdentity, volumeIdentity, keptOfVolume);
  database.prepare('DELETE FROM volume_benchmark WHERE number <= ?').run(Number(lastInsertRowid) - keptOfAll);
}

export function listBenchmarks(
  database: DatabaseSync,
  filter: { readonly volumeIdentity: string; readonly profile: string; readonly limit: number },
): BenchmarkRecord[] {
  return database
    .prepare(
      'SELECT * FROM volume_benchmark WHERE volume_identity = ? AND profile = ? ORDER BY number DESC LIMIT ?',
    )
    .all(filter.volumeIdentity, filter.profile, filter.limit)
    .map((row) => ({
      volumeIdentity: text(row, 'volume_identity'),
      volumeName: text(row, 'volume_name'),
      profile: text(row, 'profile'),
      ranAt: text(row, 'ran_at'),
      result: text(row, 'result'),
    }));
}
