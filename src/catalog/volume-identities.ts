import type { DatabaseSync } from 'node:sqlite';
import { deriveLineage } from '../lib/lineage.ts';
import type { CatalogEssentials, LineageOrigin } from './catalog.ts';
import { optionalText, text } from './row-fields.ts';

export interface VolumeKey {
  readonly hostIdentity: string;
  readonly name: string;
}

export function findVolumeIdentity(
  database: DatabaseSync,
  { hostIdentity, name }: VolumeKey,
): string | undefined {
  const row = database
    .prepare('SELECT identity FROM volume_identity WHERE host_identity = ? AND name = ?')
    .get(hostIdentity, name);
  return row === undefined ? undefined : text(row, 'identity');
}

export function setVolumeIdentity(
  database: DatabaseSync,
  { hostIdentity, name, identity }: VolumeKey & { readonly identity: string },
): void {
  database
    .prepare(
      `INSERT INTO volume_identity (host_identity, name, identity) VALUES (?, ?, ?)
       ON CONFLICT (host_identity, name) DO UPDATE SET identity = excluded.identity`,
    )
    .run(hostIdentity, name, identity);
}

export interface LineageMove {
  readonly hostIdentity: string;
  readonly from: string;
  readonly to: string;
  /** The lineage of the next volume with the former name. */
  readonly next: string;
}

/** Call in a transaction. */
export function moveVolumeIdentity(
  database: DatabaseSync,
  { hostIdentity, from, to, next }: LineageMove,
): void {
  const identity =
    findVolumeIdentity(database, { hostIdentity, name: from }) ?? deriveLineage(hostIdentity, from);
  setVolumeIdentity(database, { hostIdentity, name: to, identity });
  setVolumeIdentity(database, { hostIdentity, name: from, identity: next });
}

/** Call in a transaction. */
export function takeOverLineage(
  database: DatabaseSync,
  { origin, ...volume }: VolumeKey & { readonly origin: LineageOrigin },
): void {
  setVolumeIdentity(database, { ...volume, identity: origin.identity });
  setOrigin(database, { identity: origin.identity, continues: null, hostName: origin.hostName });
}

export function listTakenOver(database: DatabaseSync): string[] {
  return database
    .prepare('SELECT identity FROM lineage_origin WHERE continues IS NULL ORDER BY identity')
    .all()
    .map((row) => text(row, 'identity'));
}

/** Call in a transaction. */
export function continueLineage(
  database: DatabaseSync,
  { own, origin, ...volume }: VolumeKey & { readonly own: string; readonly origin: LineageOrigin },
): void {
  setVolumeIdentity(database, { ...volume, identity: own });
  setOrigin(database, { identity: own, continues: origin.identity, hostName: origin.hostName });
}

export function findContinued(database: DatabaseSync, identity: string): LineageOrigin | undefined {
  const row = database
    .prepare('SELECT continues, host_name FROM lineage_origin WHERE identity = ? AND continues IS NOT NULL')
    .get(identity);
  return row && { identity: text(row, 'continues'), hostName: text(row, 'host_name') };
}

type OriginRow = CatalogEssentials['origins'][number];

export function listOrigins(database: DatabaseSync): OriginRow[] {
  return database
    .prepare('SELECT identity, continues, host_name FROM lineage_origin ORDER BY identity')
    .all()
    .map((row) => ({
      identity: text(row, 'identity'),
      continues: optionalText(row, 'continues') ?? null,
      hostName: text(row, 'host_name'),
    }));
}

export function setOrigin(database: DatabaseSync, { identity, continues, hostName }: OriginRow): void {
  database
    .prepare('INSERT OR REPLACE INTO lineage_origin (identity, continues, host_name) VALUES (?, ?, ?)')
    .run(identity, continues, hostName);
}
