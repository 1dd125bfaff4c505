import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { deriveLineage } from '../../src/lib/lineage.ts';
import type { Catalog, RepositoryRecord, RunRecord } from '../../src/catalog/catalog.ts';
import { testPolicyMemory } from './policy-memory-suite.ts';
import { testUnsettled } from './unsettled-suite.ts';
import { testUsageMemory } from './usage-memory-suite.ts';
import { testVolumeMemory } from './volume-memory-suite.ts';

const repository: RepositoryRecord = {
  name: 'main',
  location: '/srv/repository',
  repositoryId: 'r1',
  passwordReference: 'file:/var/lib/holdfast/keys/main',
  isDefault: true,
};

const run: RunRecord = {
  volumeIdentity: 'v1',
  volumeName: 'pg',
  repositoryId: 'r1',
  snapshotId: 's1',
  outcome: 'good',
  startedAt: '2026-01-31T12:00:00.000Z',
  finishedAt: '2026-01-31T12:00:05.000Z',
  message: undefined,
};

/** The contract of catalogs. `open` returns an empty one. */
export function testCatalog(open: () => Catalog): void {
  let catalog: Catalog;

  beforeEach(() => {
    catalog = open();
    onTestFinished(() => catalog[Symbol.dispose]());
  });

  test('stateId() is the same each time, and of each catalog its own', () => {
    using other = open();
    expect(catalog.stateId()).toMatch(/^[0-9a-f]{32}$/);
    expect(catalog.stateId()).toBe(catalog.stateId());
    expect(other.stateId()).not.toBe(catalog.stateId());
  });

  test('remembers for each repository which snapshots its last check found intact', () => {
    const verifiedAt = '2026-01-31T12:00:00.000Z';
    catalog.setVerifiedSnapshots('r1', { snapshotIds: ['b', 'a', 'a'], verifiedAt });
    catalog.setVerifiedSnapshots('r2', { snapshotIds: ['c'], verifiedAt });
    expect(catalog.listVerifiedSnapshots('r1')).toEqual(['a', 'b']);
    catalog.renameVerifiedSnapshot('r1', { from: 'a', to: 'd' });
    catalog.renameVerifiedSnapshot('r1', { from: 'unknown', to: 'e' });
    expect(catalog.listVerifiedSnapshots('r1')).toEqual(['b', 'd']);
    catalog.setVerifiedSnapshots('r1', { snapshotIds: ['d'], verifiedAt });
    expect(catalog.listVerifiedSnapshots('r1')).toEqual(['d']);
    catalog.noteVerifiedSnapshots('r1', {
      snapshotIds: ['e', 'f'],
      damagedIds: ['d', 'unknown'],
      verifiedAt,
    });
    catalog.noteVerifiedSnapshots('r1', { snapshotIds: ['e'], damagedIds: [], verifiedAt });
    expect(catalog.listVerifiedSnapshots('r1')).toEqual(['e', 'f']);
    expect(catalog.listVerifiedSnapshots('r2')).toEqual(['c']);
    expect(catalog.listVerifiedSnapshots('r3')).toEqual([]);
  });

  test('repositories are listed by name, with all their fields', () => {
    const second = { ...repository, name: 'far', isDefault: false };
    catalog.saveRepository(repository);
    catalog.saveRepository(second);
    expect(catalog.listRepositories()).toEqual([second, repository]);
  });

  test('the options of a repository are kept, and replaced as a whole', () => {
    const options = { region: 'eu-west-1', 'secret-access-key': 'file:/etc/key' };
    catalog.saveRepository({ ...repository, options });
    expect(catalog.listRepositories()[0]?.options).toEqual(options);
    catalog.saveRepository({ ...repository, options: { region: 'us-east-1' } });
    expect(catalog.listRepositories()[0]?.options).toEqual({ region: 'us-east-1' });
    catalog.saveRepository(repository);
    expect(catalog.listRepositories()).toEqual([repository]);
  });

  test('saveRepository() replaces the record of that name', () => {
    catalog.saveRepository(repository);
    const moved = { ...repository, location: '/mnt/repository', repositoryId: 'r2' };
    catalog.saveRepository(moved);
    expect(catalog.listRepositories()).toEqual([moved]);
  });

  test('one repository at most is the default: the last that asked for it', () => {
    catalog.saveRepository(repository);
    catalog.saveRepository({ ...repository, name: 'far' });
    expect(catalog.listRepositories().filter(({ isDefault }) => isDefault)).toMatchObject([{ name: 'far' }]);
    catalog.saveRepository({ ...repository, name: 'far', isDefault: false });
    expect(catalog.listRepositories().filter(({ isDefault }) => isDefault)).toEqual([]);
  });

  test('saveRepository() refuses a password where a reference to one belongs, and does not repeat it', () => {
    for (const passwordReference of ['hunter2', 'file:', '']) {
      expect(() => catalog.saveRepository({ ...repository, passwordReference })).toThrow(
        expect.objectContaining({ code: 'usage', message: expect.not.stringContaining('hunter2') }),
      );
    }
    expect(catalog.listRepositories()).toEqual([]);
  });

  test('removeRepository() removes that one, and may be repeated', () => {
    catalog.saveRepository(repository);
    catalog.saveRepository({ ...repository, name: 'far', isDefault: false });
    catalog.removeRepository('main');
    catalog.removeRepository('main');
    expect(catalog.listRepositories()).toMatchObject([{ name: 'far' }]);
  });

  test('a volume’s identity belongs to its host and name together', () => {
    expect(catalog.volumeIdentity('h1', 'pg')).toBeUndefined();
    catalog.setVolumeIdentity('h1', 'pg', 'i1');
    catalog.setVolumeIdentity('h2', 'pg', 'i2');
    catalog.setVolumeIdentity('h1', 'pg', 'i3');
    expect(catalog.volumeIdentity('h1', 'pg')).toBe('i3');
    expect(catalog.volumeIdentity('h2', 'pg')).toBe('i2');
    expect(catalog.volumeIdentity('h1', 'p')).toBeUndefined();
  });

  test('a lineage moves to another name, and the next volume of the former name begins another', () => {
    catalog.moveVolumeIdentity('h1', { from: 'pg', to: 'db', next: 'n1' });
    expect(catalog.volumeIdentity('h1', 'db')).toBe(deriveLineage('h1', 'pg'));
    expect(catalog.volumeIdentity('h1', 'pg')).toBe('n1');
    catalog.moveVolumeIdentity('h1', { from: 'pg', to: 'more', next: 'n2' });
    expect(catalog.volumeIdentity('h1', 'more')).toBe('n1');
    expect(catalog.volumeIdentity('h1', 'pg')).toBe('n2');
  });

  test('a lineage of another machine is taken over, or continued by another', () => {
    const origin = { identity: 'theirs', hostName: 'web1' };
    catalog.continueLineage('h1', 'pg', 'ours', origin);
    expect(catalog.volumeIdentity('h1', 'pg')).toBe('ours');
    expect(catalog.continuedLineage('ours')).toEqual(origin);
    expect(catalog.continuedLineage('theirs')).toBeUndefined();
    expect(catalog.listTakenOver()).toEqual([]);
    catalog.takeOverLineage('h1', 'pg', origin);
    catalog.takeOverLineage('h1', 'pg', origin);
    expect(catalog.volumeIdentity('h1', 'pg')).toBe('theirs');
    expect(catalog.listTakenOver()).toEqual(['theirs']);
    expect(catalog.continuedLineage('theirs')).toBeUndefined();
  });

  test('runs are listed newest first, of one volume or of all, and no more than asked for', () => {
    const failed: RunRecord = {
      ...run,
      snapshotId: undefined,
      outcome: 'failed',
      message: 'Disk "x" is full',
    };
    const other: RunRecord = { ...run, volumeIdentity: 'v2', volumeName: 'www', outcome: 'partial' };
    for (const record of [run, other, failed]) catalog.recordRun(record);
    expect(catalog.listRuns({ limit: 10 })).toEqual([failed, other, run]);
    expect(catalog.listRuns({ limit: 2 })).toEqual([failed, other]);
    expect(catalog.listRuns({ volumeIdentity: 'v1', limit: 10 })).toEqual([failed, run]);
    expect(catalog.listRuns({ volumeIdentity: 'v1', limit: 1 })).toEqual([failed]);
    expect(catalog.listRuns({ volumeIdentity: 'v3', limit: 10 })).toEqual([]);
    expect(catalog.listRuns({ limit: 0 })).toEqual([]);
  });

  test('the end of the log is remembered, and resets the count of unwritten entries', () => {
    expect(catalog.logAnchor()).toBeUndefined();
    expect(catalog.unwrittenLog()).toBeUndefined();
    catalog.noteUnwrittenLog({ count: 2, since: '2026-01-01T00:00:00.000Z' });
    catalog.noteUnwrittenLog({ count: 1, since: '2026-01-02T00:00:00.000Z' });
    expect(catalog.unwrittenLog()).toEqual({ count: 3, since: '2026-01-01T00:00:00.000Z' });
    catalog.setLogAnchor({ sequence: 1, mac: 'a', seal: 'b' });
    catalog.setLogAnchor({ sequence: 2, mac: 'c', seal: 'd' });
    expect(catalog.logAnchor()).toEqual({ sequence: 2, mac: 'c', seal: 'd' });
    expect(catalog.unwrittenLog()).toBeUndefined();
  });

  test('a notice is kept under its key until it is removed', () => {
    const at = '2026-01-01T00:00:00.000Z';
    const times = { firstAt: at, lastAt: at, toldAt: at };
    const notice = { key: 'backup pg', fingerprint: 'full', count: 1, toldCount: 1, ...times };
    catalog.saveNotice(notice);
    catalog.saveNotice({ ...notice, count: 2 });
    expect(catalog.findNotice('backup pg')).toEqual({ ...notice, count: 2 });
    expect(catalog.findNotice('backup web')).toBeUndefined();
    catalog.removeNotice('backup pg');
    catalog.removeNotice('backup pg');
    expect(catalog.findNotice('backup pg')).toBeUndefined();
  });

  test('it may be closed twice', () => {
    catalog[Symbol.dispose]();
    expect(() => catalog[Symbol.dispose]()).not.toThrow();
  });

  testPolicyMemory(() => catalog);
  testVolumeMemory(() => catalog);
  testUnsettled(() => catalog);
  testUsageMemory(() => catalog);
}
