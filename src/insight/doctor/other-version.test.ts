import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { diagnoseVersions } from './other-version.ts';
import { choosePatients } from './patients.ts';

test('data of another major version of PostgreSQL than the image has is told of, wherever the image looks for it', () => {
  const source = mkdtempSync(join(tmpdir(), 'version-'));
  const find = (environment: Readonly<Record<string, string>>, destination = '/var/lib/postgresql/data') => {
    const mount = { type: 'bind', source, destination, readOnly: false } as const;
    const db = memoryContainers().add({ name: 'db', pid: undefined, environment, mounts: [mount] });
    const { mounts } = choosePatients({ host: undefined, containers: [db], volumes: [] }, undefined);
    return diagnoseVersions(mounts, Date.now()).findings.map(({ message }) => message);
  };
  try {
    expect(find({ PG_MAJOR: '16' })).toEqual([]);
    writeFileSync(join(source, 'PG_VERSION'), '14\n');
    expect(find({ PG_MAJOR: '16' })).toEqual([
      '"db" is PostgreSQL 16, and its data at "/var/lib/postgresql/data" is of PostgreSQL 14',
    ]);
    expect(find({ PG_MAJOR: '14' })).toEqual([]);
    expect(find({})).toEqual([]);
    expect(find({ PG_MAJOR: '16' }, '/backup')).toEqual([]);
    mkdirSync(join(source, '18/docker'), { recursive: true });
    writeFileSync(join(source, '18/docker/PG_VERSION'), '17\n');
    const moved = { PG_MAJOR: '18', PGDATA: '/var/lib/postgresql/18/docker' };
    expect(find(moved, '/var/lib/postgresql')[0]).toContain('is of PostgreSQL 17');
    // A link that the container has put there leads nowhere.
    rmSync(join(source, 'PG_VERSION'));
    symlinkSync(join(source, '18/docker/PG_VERSION'), join(source, 'PG_VERSION'));
    expect(find({ PG_MAJOR: '16' })).toEqual([]);
  } finally {
    rmSync(source, { recursive: true });
  }
});

test('what another mount hides, and what a container does with the data that runs for long, is no other version', () => {
  const source = mkdtempSync(join(tmpdir(), 'version-'));
  const nowMs = Date.parse('2026-01-31T12:00:00Z');
  const find = (destinations: readonly string[], startedAt: string) => {
    const mounts = destinations.map(
      (destination, index) =>
        ({ type: 'bind', source: join(source, String(index)), destination, readOnly: false }) as const,
    );
    const environment = { PG_MAJOR: '16' };
    const db = memoryContainers().add({ name: 'db', pid: 4242, environment, mounts, startedAt });
    const patients = choosePatients({ host: undefined, containers: [db], volumes: [] }, undefined);
    return diagnoseVersions(patients.mounts, nowMs).findings;
  };
  try {
    for (const place of ['0', '0/data', '1']) {
      mkdirSync(join(source, place));
      writeFileSync(join(source, place, 'PG_VERSION'), place === '1' ? '16\n' : '14\n');
    }
    const [outer, data, now] = ['/var/lib/postgresql', '/var/lib/postgresql/data', '2026-01-31T11:59:59Z'];
    expect(find([data], now)).toHaveLength(1);
    expect(find([outer], now)).toHaveLength(1);
    expect(find([outer, data], now)).toEqual([]);
    expect(find([data], '2026-01-31T11:00:00Z')).toEqual([]);
  } finally {
    rmSync(source, { recursive: true });
  }
});
