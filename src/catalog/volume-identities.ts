import type { DatabaseSync } from 'node:sqlite';
import { text } from './row-fields.ts';

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

export function forgetVolumeIdentity(database: DatabaseSync, { hostIdentity, name }: VolumeKey): void {
  database
    .prepare('DELETE FROM volume_identity WHERE host_identity = ? AND name = ?')
    .run(hostIdentity, name);
}
