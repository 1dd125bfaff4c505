import fc from 'fast-check';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { AnomalyRecord, PolicyCursor, PolicyRun, PolicyRunEnd } from '../model/policy-run.ts';
import type { Catalog, EmbeddedVolumeRecord, RepositoryRecord, RunRecord } from './catalog.ts';

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

const volume: EmbeddedVolumeRecord = {
  name: 'pg',
  driver: 'local',
  createdAt: '2026-01-31T12:00:00Z',
  labels: { tier: 'db' },
  options: {},
  anonymous: false,
};

/** What every catalog must do. `open` gives an empty one. */
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

  test('remembers of each repository what its last check found whole', () => {
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

  test('repositories are listed by name, as they were saved', () => {
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
    catalog.forgetVolumeIdentity('h1', 'pg');
    catalog.forgetVolumeIdentity('h1', 'pg');
    expect(catalog.volumeIdentity('h1', 'pg')).toBeUndefined();
    expect(catalog.volumeIdentity('h2', 'pg')).toBe('i2');
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

  test('embedded volumes are added once, found by their exact name, and listed by it', () => {
    expect(catalog.addEmbeddedVolume(volume)).toBe(true);
    expect(catalog.addEmbeddedVolume({ ...volume, driver: 'btrfs', labels: {} })).toBe(false);
    expect(catalog.addEmbeddedVolume({ ...volume, name: 'Mail', anonymous: true })).toBe(true);
    expect(catalog.findEmbeddedVolume('pg')).toEqual(volume);
    expect(catalog.findEmbeddedVolume('PG')).toBeUndefined();
    expect(catalog.findEmbeddedVolume('p%')).toBeUndefined();
    expect(catalog.listEmbeddedVolumes().map(({ name }) => name)).toEqual(['Mail', 'pg']);
    catalog.removeEmbeddedVolume('pg');
    catalog.removeEmbeddedVolume('pg');
    expect(catalog.listEmbeddedVolumes().map(({ name }) => name)).toEqual(['Mail']);
    expect(catalog.addEmbeddedVolume(volume)).toBe(true);
  });

  test('labels and options of any text come back as they were', () => {
    const texts = fc.string({ unit: 'grapheme' });
    const records = fc.dictionary(
      fc.oneof(texts, fc.constantFrom('__proto__', 'constructor', "'; DROP TABLE run")),
      texts,
    );
    fc.assert(
      fc.property(records, records, (labels, options) => {
        catalog.removeEmbeddedVolume(volume.name);
        catalog.addEmbeddedVolume({ ...volume, labels, options });
        const found = catalog.findEmbeddedVolume(volume.name);
        expect(Object.entries(found?.labels ?? {})).toEqual(Object.entries(labels));
        expect(Object.entries(found?.options ?? {})).toEqual(Object.entries(options));
      }),
      { numRuns: 50 },
    );
  });

  test('the end of the log is remembered, and ends what is counted as unwritten', () => {
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

  const policyRun: PolicyRun = {
    policy: 'nightly',
    action: 'backup',
    repository: '',
    subject: 'v1',
    name: 'pg',
    scheduledAt: '2026-01-31T03:00:00.000Z',
    startedAt: '2026-01-31T03:00:01.000Z',
  };
  const cursor: PolicyCursor = {
    task: 't1',
    schedule: '0 3 * * *',
    handledUntil: '2026-01-30T03:00:00.000Z',
    dueAt: policyRun.scheduledAt,
    attempts: 1,
    retryAt: undefined,
  };
  const end: PolicyRunEnd = {
    endedAt: '2026-01-31T03:01:00.000Z',
    outcome: 'good',
    snapshotId: 's1',
    message: undefined,
  };

  test('a policy run is open from its beginning to its end, and ends once', () => {
    const { policies } = catalog;
    const number = policies.beginRun(policyRun, cursor);
    expect(policies.listRuns({ open: true, limit: 9 })).toEqual([{ ...policyRun, number, end: undefined }]);
    expect(policies.listCursors()).toEqual([cursor]);
    const settled = { ...cursor, handledUntil: policyRun.scheduledAt, dueAt: undefined, attempts: 0 };
    policies.endRun(number, end, settled);
    policies.endRun(number, { ...end, outcome: 'interrupted' }, undefined);
    expect(policies.listRuns({ open: true, limit: 9 })).toEqual([]);
    expect(policies.listRuns({ policy: 'nightly', limit: 9 })).toEqual([{ ...policyRun, number, end }]);
    expect(policies.listRuns({ policy: 'other', limit: 9 })).toEqual([]);
    expect(policies.listCursors()).toEqual([settled]);
  });

  test('an anomaly is open until it is accepted, however often it is found', () => {
    const { policies } = catalog;
    const anomaly: AnomalyRecord = {
      repositoryId: 'r1',
      volumeIdentity: 'v1',
      volumeName: 'pg',
      snapshotId: 's1',
      kind: 'noise',
      message: 'turned to noise',
      foundAt: end.endedAt,
      acceptedAt: undefined,
    };
    policies.recordAnomaly(anomaly);
    policies.acceptAnomalies('v2', end.endedAt);
    expect(policies.listOpenAnomalies()).toEqual([anomaly]);
    policies.acceptAnomalies('v1', end.endedAt);
    policies.recordAnomaly(anomaly);
    expect(policies.listOpenAnomalies()).toEqual([]);
  });

  test('of what was forgotten, the newest of each volume is remembered until the repository is pruned', () => {
    const { policies } = catalog;
    const forgotten = { repositoryId: 'r1', volumeIdentity: 'v1', volumeName: 'pg', newest: end.endedAt };
    policies.noteForgotten(forgotten);
    policies.noteForgotten({ ...forgotten, newest: '2026-01-01T00:00:00.000Z' });
    policies.noteForgotten({ ...forgotten, repositoryId: 'r2' });
    expect(policies.listForgotten('r1')).toEqual([forgotten]);
    policies.clearForgotten([forgotten]);
    expect(policies.listForgotten('r1')).toEqual([]);
    expect(policies.listForgotten('r2')).toHaveLength(1);
    const later = { ...forgotten, newest: '2999-01-01T00:00:00.000Z' };
    policies.noteForgotten(later);
    policies.clearForgotten([forgotten]);
    expect(policies.listForgotten('r1')).toEqual([later]);
  });

  const hold = { volume: 'pg', id: 'c1', boot: 'b1', heldAt: '2026-01-31T12:00:00.000Z' };

  test('those who hold a volume are a set of ids', () => {
    const { volumes } = catalog;
    volumes.hold(hold);
    volumes.hold({ ...hold, heldAt: '2026-01-31T12:00:01.000Z' });
    volumes.hold({ ...hold, id: 'c2' });
    volumes.hold({ ...hold, volume: 'web' });
    expect(volumes.listHolds('pg').map(({ id }) => id)).toEqual(['c2', 'c1']);
    expect(volumes.listHolds()).toHaveLength(3);
    volumes.release('pg', 'c2');
    volumes.release('pg', 'unknown');
    expect(volumes.listHolds('pg').map(({ id }) => id)).toEqual(['c1']);
  });

  test('labels and options of a volume can change, and a volume that is gone stays gone', () => {
    catalog.addEmbeddedVolume(volume);
    const changed = { ...volume, labels: { tier: 'cache' }, options: { size: '2g' } };
    catalog.volumes.update(changed);
    catalog.volumes.update({ ...changed, name: 'gone' });
    expect(catalog.listEmbeddedVolumes()).toEqual([changed]);
  });

  test('a rename takes the record and its protection along, and no name that is taken', () => {
    const { volumes } = catalog;
    catalog.addEmbeddedVolume(volume);
    catalog.addEmbeddedVolume({ ...volume, name: 'web' });
    volumes.setProtected('h1', 'pg', true);
    volumes.setProtected('h2', 'pg', true);
    expect(volumes.beginRename('pg', 'web')).toBe(false);
    expect(volumes.beginRename('pg', 'db')).toBe(true);
    expect(volumes.beginRename('web', 'db')).toBe(false);
    expect(volumes.listRenames()).toEqual([{ from: 'pg', to: 'db' }]);
    volumes.endRename('pg', 'h1');
    volumes.endRename('unknown', 'h1');
    expect(volumes.listRenames()).toEqual([]);
    expect(catalog.listEmbeddedVolumes().map(({ name }) => name)).toEqual(['db', 'web']);
    expect(volumes.listProtected('h1')).toEqual(['db']);
    expect(volumes.isProtected('h1', 'pg')).toBe(false);
    expect(volumes.isProtected('h2', 'pg')).toBe(true);
    volumes.beginRename('web', 'site');
    volumes.cancelRename('web');
    expect(volumes.listRenames()).toEqual([]);
  });

  test('what is made or removed is unsettled until that very making or removal is settled', () => {
    const { unsettled } = catalog;
    expect(unsettled.add(volume, 'b1')).toBe(true);
    expect(unsettled.add(volume, 'b1')).toBe(false);
    const [made] = unsettled.list();
    expect(made).toMatchObject({ name: 'pg', boot: 'b1' });
    expect(unsettled.find('pg')).toEqual(made);
    const removal = { entry: 'pg.1', name: 'pg', folder: '12:34', mark: '{}', boot: 'b2' };
    catalog.volumes.hold(hold);
    expect(unsettled.beginRemoval(removal)).toBe(true);
    expect(unsettled.beginRemoval({ ...removal, entry: 'pg.2' })).toBe(false);
    expect(unsettled.listRemovals()).toEqual([{ ...removal, madeIn: 'b1' }]);
    expect(unsettled.listRemovals('pg')).toEqual(unsettled.listRemovals());
    expect([unsettled.listRemovals('p'), unsettled.listRemovals('pg.1')]).toEqual([[], []]);
    expect(catalog.listEmbeddedVolumes()).toEqual([]);
    expect(catalog.volumes.listHolds('pg')).toEqual([]);
    unsettled.add(volume, 'b2');
    unsettled.settle(made === undefined ? [] : [made]);
    expect(unsettled.list()).toMatchObject([{ name: 'pg', boot: 'b2' }]);
    unsettled.settle(unsettled.list());
    unsettled.endRemovals(['pg.1', 'unknown']);
    expect([unsettled.list(), unsettled.listRemovals()]).toEqual([[], []]);
    expect(catalog.findEmbeddedVolume('pg')).toEqual(volume);
  });

  test('only a record that has settled or is of this run, and is that of no later volume, goes without its folder', () => {
    const { unsettled } = catalog;
    const later = { ...volume, createdAt: '1999-01-01T00:00:00.000Z' };
    unsettled.add(volume, 'b1');
    for (const boot of ['b2', undefined]) unsettled.removeMissing(volume, boot);
    unsettled.removeMissing(later, 'b1');
    expect(catalog.findEmbeddedVolume('pg')).toEqual(volume);
    unsettled.removeMissing(volume, 'b1');
    expect(catalog.findEmbeddedVolume('pg')).toBeUndefined();
    unsettled.add(volume, 'b1');
    unsettled.settle(unsettled.list());
    unsettled.removeMissing(later, undefined);
    expect(catalog.findEmbeddedVolume('pg')).toEqual(volume);
    unsettled.removeMissing(volume, undefined);
    expect(catalog.findEmbeddedVolume('pg')).toBeUndefined();
  });

  test('a removal that is cancelled leaves the volume as settled as it was', () => {
    const { unsettled } = catalog;
    const removal = { name: 'pg', folder: '12:34', mark: '{}', boot: 'b1' };
    unsettled.add(volume, 'b1');
    unsettled.beginRemoval({ ...removal, entry: 'pg.1' });
    unsettled.cancelRemoval('pg.1', volume);
    expect(unsettled.find('pg')).toMatchObject({ boot: 'b1' });
    unsettled.settle(unsettled.list());
    unsettled.beginRemoval({ ...removal, entry: 'pg.2' });
    unsettled.cancelRemoval('pg.2', volume);
    unsettled.cancelRemoval('unknown', { ...volume, name: 'web' });
    expect([unsettled.list(), unsettled.listRemovals()]).toEqual([[], []]);
    expect(catalog.listEmbeddedVolumes()).toEqual([volume]);
    unsettled.sync();
  });
}
