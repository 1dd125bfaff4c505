import { describe, expect, test } from 'vitest';
import { findPreset, presetOfDump } from './find-presets.ts';
import { parseImageName } from './image-name.ts';
import type { DiskEvidence } from './preset.ts';

const sqliteHead = Buffer.from('SQLite format 3\0');
const rdbHead = Buffer.from('REDIS0012\xfa\x09', 'latin1');

function diskOf(files: Readonly<Record<string, Uint8Array | string>>): DiskEvidence {
  return new Map(Object.entries(files).map(([path, head]) => [path, Buffer.from(head)]));
}

function find(image: string | undefined, disk?: DiskEvidence) {
  const container = image === undefined ? undefined : { image, environment: {}, command: [] };
  const found = findPreset({ container, mountPath: '/data', disk });
  return found && { name: found.preset.name, by: found.recognition.by, folder: found.recognition.folder };
}

const postgresFiles = { PG_VERSION: '17\n', global: '', base: '', 'base/1': '', 'base/1/PG_VERSION': '17\n' };

describe('an image', () => {
  test.each([
    ['postgres:16', 'postgresql'],
    ['docker.io/library/postgres@sha256:0123', 'postgresql'],
    ['postgis/postgis:16-3.4', 'postgresql'],
    ['timescale/timescaledb-ha:pg16', 'postgresql'],
    ['pgvector/pgvector:pg17', 'postgresql'],
    ['ghcr.io/immich-app/postgres:14-vectorchord0.3.0', 'postgresql'],
    ['images.example.org:5000/bitnami/postgresql:16', 'postgresql'],
    ['supabase/postgres:15', 'postgresql'],
    ['mariadb:11', 'mariadb'],
    ['mysql:8.4', 'mariadb'],
    ['percona/percona-server:8.0', 'mariadb'],
    ['lscr.io/linuxserver/mariadb', 'mariadb'],
    ['mongo:7', 'mongodb'],
    ['percona/percona-server-mongodb:7', 'mongodb'],
    ['redis:7-alpine', 'redis'],
    ['valkey/valkey:8', 'redis'],
    ['eqalpha/keydb', 'redis'],
  ])('%s is %s', (image, name) => {
    expect(find(image)).toEqual({ name, by: 'image', folder: '' });
  });

  test.each([
    'prometheuscommunity/postgres-exporter',
    'prodrigestivill/postgres-backup-local:16',
    'oliver006/redis_exporter',
    'phpmyadmin/phpmyadmin',
    'mongo-express:1',
    'redislabs/redisinsight',
    'nginx',
    '',
  ])('%s is none', (image) => {
    expect(find(image)).toBe(undefined);
  });

  test('of a database says nothing about a volume with other contents', () => {
    expect(find('postgres:16', diskOf({ 'dump.sql.gz': '\x1f\x8b' }))).toBe(undefined);
    expect(find('redis:8', diskOf({}))).toEqual({ name: 'redis', by: 'image', folder: '' });
  });
});

describe('what lies on disk', () => {
  test.each([
    ['PostgreSQL', diskOf(postgresFiles), 'postgresql', ''],
    [
      'PostgreSQL in a folder',
      diskOf({ '18/docker/PG_VERSION': '18', '18/docker/global': '' }),
      'postgresql',
      '18/docker',
    ],
    ['MariaDB', diskOf({ ibdata1: '', mysql: '', 'mysql/db.frm': '' }), 'mariadb', ''],
    ['MySQL', diskOf({ 'mysql.ibd': '', ibdata1: '' }), 'mariadb', ''],
    ['MongoDB', diskOf({ 'db/WiredTiger': 'WiredTiger' }), 'mongodb', 'db'],
    ['Redis', diskOf({ 'dump.rdb': rdbHead }), 'redis', ''],
    ['an append-only file', diskOf({ appendonlydir: '', 'appendonlydir/x.rdb': rdbHead }), 'redis', ''],
    ['SQLite', diskOf({ 'data/app.db': sqliteHead, 'data/app.db-wal': '' }), 'sqlite', ''],
  ])('shows %s', (_, disk, name, folder) => {
    expect(find('some/app', disk)).toEqual({ name, by: 'disk', folder });
  });

  test.each([
    ['a lone PG_VERSION', diskOf({ PG_VERSION: '16' })],
    ['a name only', diskOf({ 'app.db': 'not SQLite here', 'dump.rdb': 'REDI' })],
    ['nothing', diskOf({})],
  ])('shows none by %s', (_, disk) => {
    expect(find('some/app', disk)).toBe(undefined);
  });

  test('and the image together are stronger than either', () => {
    const disk = diskOf({ ...postgresFiles, 'stray.db': sqliteHead });
    expect(find('postgres:17', disk)).toEqual({ name: 'postgresql', by: 'both', folder: '' });
  });

  test('names all SQLite files', () => {
    const disk = diskOf({ 'a.db': sqliteHead, 'b/c.sqlite': sqliteHead, 'd.txt': 'x' });
    const found = findPreset({ container: undefined, mountPath: undefined, disk });
    expect(found?.recognition).toMatchObject({
      files: ['a.db', 'b/c.sqlite'],
      reason: '"a.db" and 1 more in the volume',
    });
  });
});

test.each([
  ['postgres', 'postgres', 'postgres'],
  ['Registry.example.org/Team/App:1.0', 'team/app', 'app'],
  ['localhost/x', 'x', 'x'],
  ['localhost:5000/x/y', 'x/y', 'y'],
  ['library/redis', 'redis', 'redis'],
  ['sha256:abc', 'sha256', 'sha256'],
])('parseImageName(%j) finds %j', (image, path, base) => {
  expect(parseImageName(image)).toEqual({ path, base });
});

test('a dump belongs to the preset that its name begins with', () => {
  expect(presetOfDump('postgresql.database.a%2eb.sql')?.name).toBe('postgresql');
  expect(presetOfDump('mongodb.archive')?.name).toBe('mongodb');
  expect(presetOfDump('other.sql')).toBe(undefined);
});
