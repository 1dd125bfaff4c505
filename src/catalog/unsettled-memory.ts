import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { ManagedVolumeRecord, UnsettledMemory, UnsettledVolume, VolumeRemoval } from './catalog.ts';
import { addManagedVolume, removeManagedVolume } from './managed-volumes.ts';
import type { QuickCommits } from './quick-commits.ts';
import { optionalText, type Row, text } from './row-fields.ts';

type Run = <T>(operation: (database: DatabaseSync) => T) => T;

/** `run` turns SQLite's errors into the user's. */
export function sqliteUnsettledMemory(run: Run, quick: QuickCommits): UnsettledMemory {
  const durably: Run = (operation) => run((database) => quick.run(() => operation(database)));
  const lazily: Run = (operation) => run((database) => quick.runLazily(() => operation(database)));
  return {
    add: (record, boot) => run((database) => quick.runOne(() => addUnsettled(database, record, boot))),
    list: () => run((database) => database.prepare(`${columns} ORDER BY name`).all().map(unsettledOf)),
    find: (name) =>
      run((database) => {
        const row = database.prepare(`${columns} AND name = ?`).get(name);
        return row === undefined ? undefined : unsettledOf(row);
      }),
    settle: (volumes) => lazily((database) => settle(database, volumes)),
    removeMissing: ({ name, createdAt }, boot) =>
      run((database) => {
        const sql =
          'DELETE FROM embedded_volume WHERE name = ? AND created_at = ? AND (unsettled_boot IS NULL OR unsettled_boot = ?)';
        database.prepare(sql).run(name, createdAt, boot ?? '');
      }),
    sync: () => run(() => quick.sync()),
    beginRemoval: (removal) => durably((database) => beginRemoval(database, removal)),
    cancelRemoval: (entry, record) => durably((database) => cancelRemoval(database, entry, record)),
    listRemovals: (name) =>
      run((database) => {
        const all = 'SELECT * FROM volume_removal';
        if (name === undefined) return database.prepare(`${all} ORDER BY entry`).all().map(removalOf);
        // Uses the key: there may be thousands, and each is queried.
        const ofName = `${all} WHERE entry >= ? AND entry < ? AND name = ? ORDER BY entry`;
        return database.prepare(ofName).all(`${name}.`, `${name}/`, name).map(removalOf);
      }),
    endRemovals: (entries) =>
      lazily((database) => {
        const remove = database.prepare('DELETE FROM volume_removal WHERE entry = ?');
        for (const entry of entries) remove.run(entry);
      }),
  };
}

const columns =
  'SELECT name, unsettled_boot, unsettled_token FROM embedded_volume WHERE unsettled_boot IS NOT NULL';

function addUnsettled(database: DatabaseSync, record: ManagedVolumeRecord, boot: string): boolean {
  return addManagedVolume(database, record, { boot, token: randomBytes(8).toString('hex') });
}

function settle(database: DatabaseSync, volumes: readonly UnsettledVolume[]): void {
  const change = database.prepare(
    'UPDATE embedded_volume SET unsettled_boot = NULL, unsettled_token = NULL WHERE name = ? AND unsettled_token = ?',
  );
  for (const { name, token } of volumes) change.run(name, token);
}

function beginRemoval(database: DatabaseSync, { entry, name, folder, mark, boot }: VolumeRemoval): boolean {
  const { changes } = database
    .prepare(
      `INSERT INTO volume_removal (entry, name, folder, mark, boot, made_in)
       SELECT ?, name, ?, ?, ?, unsettled_boot FROM embedded_volume WHERE name = ?`,
    )
    .run(entry, folder, mark, boot, name);
  if (Number(changes) === 0) return false;
  removeManagedVolume(database, name);
  database.prepare('DELETE FROM volume_hold WHERE volume = ?').run(name);
  return true;
}

function cancelRemoval(database: DatabaseSync, entry: string, record: ManagedVolumeRecord): void {
  const row = database.prepare('SELECT made_in FROM volume_removal WHERE entry = ?').get(entry);
  if (row === undefined) return;
  const madeIn = optionalText(row, 'made_in');
  database.prepare('DELETE FROM volume_removal WHERE entry = ?').run(entry);
  if (madeIn === undefined) addManagedVolume(database, record);
  else addUnsettled(database, record, madeIn);
}

function unsettledOf(row: Row): UnsettledVolume {
  return {
    name: text(row, 'name'),
    boot: text(row, 'unsettled_boot'),
    token: text(row, 'unsettled_token'),
  };
}

function removalOf(row: Row): ReturnType<UnsettledMemory['listRemovals']>[number] {
  return {
    entry: text(row, 'entry'),
    name: text(row, 'name'),
    folder: text(row, 'folder'),
    mark: text(row, 'mark'),
    boot: text(row, 'boot'),
    madeIn: optionalText(row, 'made_in'),
  };
}
