import type { UsageMemory } from './catalog.ts';
import { openDatabase } from './open-database.ts';
import { sqliteUsageMemory } from './usage-memory.ts';

/**
 * Opens the catalog in the file `path` for what is known of sizes alone, which loads less code. As
 * `openSqliteCatalog()`, it makes and migrates the file; it waits for no other process, and throws SQLite's
 * own errors.
 */
export function openUsage(path: string): UsageMemory & Disposable {
  const database = openDatabase(path, { busyTimeoutMs: 0 });
  return {
    ...sqliteUsageMemory((operation) => operation(database)),
    [Symbol.dispose]: () => database.close(),
  };
}
