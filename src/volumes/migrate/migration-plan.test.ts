import { describe, expect, test } from 'vitest';
import { decideMigration, type MigrationFacts } from './migration-plan.ts';

const facts: MigrationFacts = {
  name: 'pg',
  from: { driver: 'local', kind: 'local', options: {} },
  to: {
    driver: 'local',
    kind: 'local',
    options: { size: '100' },
    sizeBytes: 100,
    disk: { totalBytes: 1000, usedBytes: 0, freeBytes: 200 },
  },
  way: 'forth',
  backTo: undefined,
  size: { files: 1, bytes: 500, allocatedBytes: 90 },
  stops: [],
  isProtected: false,
  unstoppable: [],
  holds: [],
  writers: [],
  undoUntil: undefined,
};
const refusal = (request: Partial<MigrationFacts>): string | undefined =>
  decideMigration({ ...facts, ...request }).refusal?.message;

describe('a migration', () => {
  test('is planned as what it would do', () => {
    expect(decideMigration({ ...facts, stops: ['db'], holds: ['docker:1:2:abc'] })).toEqual({
      name: 'pg',
      from: facts.from,
      to: { driver: 'local', kind: 'local', options: { size: '100' } },
      way: 'forth',
      backTo: undefined,
      size: facts.size,
      freeBytes: 200,
      stops: ['db'],
      notes: [],
      refusal: undefined,
    });
  });

  test('is refused while containers use the volume that cannot be stopped and started again, naming them', () => {
    expect(
      refusal({ unstoppable: [{ name: 'job', why: 'it was started with --rm', instead: 'paused' }] }),
    ).toBe('Cannot migrate volume "pg": "job" uses it, and cannot be stopped and started again');
    expect(refusal({ holds: ['process:12:34:abcdef'] })).toContain('process 12 uses it');
    expect(refusal({ holds: ['mine'], stops: ['db'] })).toContain('"mine" uses it');
    expect(refusal({ writers: ['vi (12)'] })).toContain('vi (12) has files in it open for writing');
  });

  test('is refused while an engine holds the volume whose containers cannot be seen', () => {
    expect(refusal({ holds: ['docker:1:2:abc'] })).toContain('whose containers are not seen here');
  });

  test('is refused where the data does not fit, not counting holes', () => {
    expect(refusal({ size: { files: 1, bytes: 500, allocatedBytes: 101 } })).toContain(
      'it holds 101 B, which do not fit into 100 B',
    );
    const disk = { totalBytes: 1000, usedBytes: 950, freeBytes: 50 };
    expect(refusal({ to: { ...facts.to, disk } })).toContain('and 50 B are free');
    expect(refusal({ to: { ...facts.to, disk }, size: undefined, way: 'back' })).toBeUndefined();
  });

  test('takes a protected volume along unchanged', () => {
    expect(decideMigration({ ...facts, isProtected: true })).toMatchObject({
      notes: ['It is protected, and stays so.'],
      refusal: undefined,
    });
  });
});
