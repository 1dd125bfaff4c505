import type { DatabaseSync } from 'node:sqlite';
import type { ManagedVolumeRecord } from './catalog.ts';
import { flag, type Row, text, textRecord } from './row-fields.ts';

const columns = 'name, driver, created_at, labels, options, anonymous';

export function listManagedVolumes(database: DatabaseSync): ManagedVolumeRecord[] {
  return database.prepare(`SELECT ${columns} FROM embedded_volume ORDER BY name`).all().map(recordOf);
}

export function findManagedVolume(database: DatabaseSync, name: string): ManagedVolumeRecord | undefined {
  const row = database.prepare(`SELECT ${columns} FROM embedded_volume WHERE name = ?`).get(name);
  return row === undefined ? undefined : recordOf(row);
}

/** One statement. A volume counts as settled unless the boot of its creation is given. */
export function addManagedVolume(
  database: DatabaseSync,
  record: ManagedVolumeRecord,
  unsettled?: { readonly boot: string; readonly token: string },
): boolean {
  const { changes } = database
    .prepare(
      `INSERT INTO embedded_volume (${columns}, unsettled_boot, unsettled_token)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
    )
    .run(
      record.name,
      record.driver,
      record.createdAt,
      JSON.stringify(record.labels),
      JSON.stringify(record.options),
      Number(record.anonymous),
      unsettled?.boot ?? null,
      unsettled?.token ?? null,
    );
  return Number(changes) === 1;
}

export function removeManagedVolume(database: DatabaseSync, name: string): void {
  database.prepare('DELETE FROM embedded_volume WHERE name = ?').run(name);
}

function recordOf(row: Row): ManagedVolumeRecord {
  return {
    name: text(row, 'name'),
    driver: text(row, 'driver'),
    createdAt: text(row, 'created_at'),
    labels: textRecord(row, 'labels'),
    options: textRecord(row, 'options'),
    anonymous: flag(row, 'anonymous'),
  };
}
