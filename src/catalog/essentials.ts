import type { DatabaseSync } from 'node:sqlite';
import { addManagedVolume, listManagedVolumes } from './managed-volumes.ts';
import { listAllForgotten, listOpenAnomalies, noteForgotten, recordAnomaly } from './sqlite-policy-memory.ts';
import type { CatalogEssentials } from './catalog.ts';
import { listRepositories, saveRepository } from './repositories.ts';
import { number, text } from './row-fields.ts';
import { inTransaction } from './transaction.ts';
import { listOrigins, setOrigin } from './volume-identities.ts';

export function readEssentials(database: DatabaseSync): CatalogEssentials {
  return {
    stateId: stateIdOf(database),
    repositories: listRepositories(database),
    identities: database
      .prepare('SELECT host_identity, name, identity FROM volume_identity ORDER BY host_identity, name')
      .all()
      .map((row) => ({
        hostIdentity: text(row, 'host_identity'),
        name: text(row, 'name'),
        identity: text(row, 'identity'),
      })),
    origins: listOrigins(database),
    protectedVolumes: database
      .prepare('SELECT host_identity, name FROM volume_protection ORDER BY host_identity, name')
      .all()
      .map((row) => ({ hostIdentity: text(row, 'host_identity'), name: text(row, 'name') })),
    volumes: listManagedVolumes(database),
    anomalies: listOpenAnomalies(database),
    forgotten: listAllForgotten(database),
  };
}

/** One transaction. False, without a write, for a catalog with content. */
export function restoreEssentials(database: DatabaseSync, essentials: CatalogEssentials): boolean {
  return inTransaction(database, () => {
    if (!isFresh(database)) return false;
    database.prepare('UPDATE state SET id = ?').run(essentials.stateId);
    for (const { hostIdentity, name, identity } of essentials.identities) {
      database
        .prepare('INSERT INTO volume_identity (host_identity, name, identity) VALUES (?, ?, ?)')
        .run(hostIdentity, name, identity);
    }
    for (const origin of essentials.origins) setOrigin(database, origin);
    for (const { hostIdentity, name } of essentials.protectedVolumes) {
      database
        .prepare('INSERT INTO volume_protection (host_identity, name) VALUES (?, ?)')
        .run(hostIdentity, name);
    }
    for (const record of essentials.repositories) saveRepository(database, record, inOneGo);
    for (const record of essentials.volumes) addManagedVolume(database, record);
    for (const anomaly of essentials.anomalies) recordAnomaly(database, anomaly);
    for (const forgotten of essentials.forgotten) noteForgotten(database, forgotten);
    return true;
  });
}

/** True while it holds nothing but its own id. */
export function isFresh(database: DatabaseSync): boolean {
  const row = database
    .prepare(
      `SELECT (SELECT count(*) FROM repository) + (SELECT count(*) FROM embedded_volume) + (SELECT count(*) FROM run)
         + (SELECT count(*) FROM policy_run) + (SELECT count(*) FROM volume_identity)
         + (SELECT count(*) FROM lineage_origin) + (SELECT count(*) FROM volume_removal)
         + (SELECT count(*) FROM volume_protection) AS entries`,
    )
    .get();
  return row !== undefined && number(row, 'entries') === 0;
}

/** True when this connection has written something. */
export function hasWritten(database: DatabaseSync): boolean {
  const row = database.prepare('SELECT total_changes() AS changes').get();
  return row !== undefined && number(row, 'changes') > 0;
}

function stateIdOf(database: DatabaseSync): string {
  return text(database.prepare('SELECT id FROM state').get() ?? {}, 'id');
}

function inOneGo(_database: DatabaseSync, action: () => void): void {
  action();
}
