import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { VolumeHold, VolumeMemory } from './catalog.ts';
import { text } from './row-fields.ts';
import { inTransaction } from './transaction.ts';
import { moveVolumeIdentity } from './volume-identities.ts';

/** `run` turns SQLite's errors into the user's. */
export function sqliteVolumeMemory(run: <T>(operation: (database: DatabaseSync) => T) => T): VolumeMemory {
  const change = (sql: string, ...values: string[]): void =>
    run((database) => void database.prepare(sql).run(...values));
  return {
    update: ({ name, driver, labels, options }) =>
      change(
        'UPDATE embedded_volume SET driver = ?, labels = ?, options = ? WHERE name = ?',
        driver,
        JSON.stringify(labels),
        JSON.stringify(options),
        name,
      ),
    listHolds: (volume) => run((database) => listHolds(database, volume)),
    hold: ({ volume, id, boot, heldAt }) =>
      change(
        'INSERT OR REPLACE INTO volume_hold (volume, id, boot, held_at) VALUES (?, ?, ?, ?)',
        volume,
        id,
        boot,
        heldAt,
      ),
    release: (volume, id) => change('DELETE FROM volume_hold WHERE volume = ? AND id = ?', volume, id),
    isProtected: (hostIdentity, name) =>
      run(
        (database) =>
          database
            .prepare('SELECT 1 FROM volume_protection WHERE host_identity = ? AND name = ?')
            .get(hostIdentity, name) !== undefined,
      ),
    listProtected: (hostIdentity) =>
      run((database) =>
        database
          .prepare('SELECT name FROM volume_protection WHERE host_identity = ? ORDER BY name')
          .all(hostIdentity)
          .map((row) => text(row, 'name')),
      ),
    setProtected: (hostIdentity, name, isProtected) =>
      change(
        isProtected
          ? 'INSERT OR IGNORE INTO volume_protection (host_identity, name) VALUES (?, ?)'
          : 'DELETE FROM volume_protection WHERE host_identity = ? AND name = ?',
        hostIdentity,
        name,
      ),
    beginRename: (from, to) =>
      run((database) => inTransaction(database, () => beginRename(database, { from, to }))),
    endRename: (from, hostIdentity) =>
      run((database) => inTransaction(database, () => endRename(database, { from, hostIdentity }))),
    cancelRename: (from) => change('DELETE FROM volume_rename WHERE old_name = ?', from),
    listRenames: () =>
      run((database) =>
        database
          .prepare('SELECT old_name, new_name FROM volume_rename ORDER BY old_name')
          .all()
          .map((row) => ({ from: text(row, 'old_name'), to: text(row, 'new_name') })),
      ),
  };
}

function listHolds(database: DatabaseSync, volume: string | undefined): VolumeHold[] {
  const columns = 'SELECT volume, id, boot, held_at FROM volume_hold';
  const rows =
    volume === undefined
      ? database.prepare(`${columns} ORDER BY volume, held_at, id`).all()
      : database.prepare(`${columns} WHERE volume = ? ORDER BY held_at, id`).all(volume);
  return rows.map((row) => ({
    volume: text(row, 'volume'),
    id: text(row, 'id'),
    boot: text(row, 'boot'),
    heldAt: text(row, 'held_at'),
  }));
}

interface Rename {
  readonly from: string;
  readonly to: string;
}

function beginRename(database: DatabaseSync, { from, to }: Rename): boolean {
  const isTaken =
    database.prepare('SELECT 1 FROM embedded_volume WHERE name = ?').get(to) !== undefined ||
    database.prepare('SELECT 1 FROM volume_rename WHERE new_name = ?').get(to) !== undefined;
  if (isTaken) return false;
  database.prepare('INSERT OR REPLACE INTO volume_rename (old_name, new_name) VALUES (?, ?)').run(from, to);
  return true;
}

function endRename(
  database: DatabaseSync,
  { from, hostIdentity }: { readonly from: string; readonly hostIdentity: string },
): void {
  const row = database.prepare('SELECT new_name FROM volume_rename WHERE old_name = ?').get(from);
  if (row === undefined) return;
  const to = text(row, 'new_name');
  const { changes } = database.prepare('UPDATE embedded_volume SET name = ? WHERE name = ?').run(to, from);
  if (changes > 0)
    moveVolumeIdentity(database, { hostIdentity, from, to, next: randomBytes(16).toString('hex') });
  database
    .prepare('UPDATE OR REPLACE volume_protection SET name = ? WHERE host_identity = ? AND name = ?')
    .run(to, hostIdentity, from);
  database.prepare('DELETE FROM volume_rename WHERE old_name = ?').run(from);
}
