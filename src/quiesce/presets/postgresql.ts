import { checkPostgres } from './postgresql-check.ts';
import { connectPostgres } from './postgresql-client.ts';
import { postgresDumps, restorePostgresDump } from './postgresql-dump.ts';
import type { DiskEvidence, Made, Preset, PresetServer } from './preset.ts';
import { type FoundOnDisk, below, folderWith, recogniseBy } from './recognise.ts';

const images = [
  'postgres',
  'postgresql',
  'postgis',
  'timescaledb',
  'timescaledb-ha',
  'pgvector',
  'pgvecto-rs',
  'vchord-postgres',
  'citus',
  'paradedb',
  'spilo',
  'edb-postgres-advanced',
  'percona-distribution-postgresql',
  'crunchy-postgres',
  'crunchy-postgres-gis',
  'postgresql-repmgr',
];

/**
 * PostgreSQL. Files of one instant are all that it needs: it recovers from them as from a power cut, with
 * every committed row. `CHECKPOINT` before makes that recovery short. Its backup mode (`pg_backup_start`)
 * would add nothing to files of one instant, and needs a label file that a restore must not forget, so it is
 * not used.
 */
export const postgresql: Preset = {
  name: 'postgresql',
  title: 'PostgreSQL',
  recognises: (subject) => recogniseBy(subject, { images, findOnDisk }),
  before: checkpoint,
  dumps: async (server) => await postgresDumps(await connectPostgres(server)),
  restoreDump: async (server, dump) => await restorePostgresDump(await connectPostgres(server), dump),
  check: checkPostgres,
};

function findOnDisk(disk: DiskEvidence): FoundOnDisk | undefined {
  const folder = folderWith(disk, ['PG_VERSION', 'global']);
  return folder === undefined ? undefined : { folder, sign: below(folder, 'PG_VERSION') };
}

async function checkpoint(server: PresetServer): Promise<Made> {
  const client = await connectPostgres(server);
  await client.sql('template1', 'CHECKPOINT;', { withinMs: 10 * 60_000 });
  const elsewhere = await client.sql(
    'template1',
    `SELECT spcname FROM pg_tablespace WHERE pg_tablespace_location(oid) <> '';`,
  );
  return {
    evidence: `checkpoint in "${server.container.name}"`,
    grade: 'crash',
    ...(elsewhere.length > 0 && {
      warning: `PostgreSQL in "${server.container.name}" has tablespaces elsewhere (${elsewhere.join(', ')}): a backup of this volume alone cannot be started. Dump it too: label "holdfast.dump=true".`,
    }),
  };
}
