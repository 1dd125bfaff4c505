import { DatabaseSync } from 'node:sqlite';
import type { UsageMemory } from './catalog.ts';
import { isOfThisVersion } from './migrate.ts';
import { sqliteUsageMemory } from './usage-memory.ts';

/**
 * Opens the catalog in the file `path` to read what is known of sizes, which loads less code than opening all
 * of it. Undefined where that would migrate it first. Waits for no other process, and throws SQLite's own
 * errors.
 */
export function openUsage(path: string): (UsageMemory & Disposable) | undefined {
  using opened = new DisposableStack();
  const database = opened.use(new DatabaseSync(path, { readOnly: true, timeout: 0 }));
  if (!isOfThisVersion(database)) return undefined;
  opened.move();
  return {
    ...sqliteUsageMemory((operation) => operation(database)),
    [Symbol.dispose]: () => database.close(),
  };
}
