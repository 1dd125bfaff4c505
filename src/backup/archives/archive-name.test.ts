import { expect, test } from 'vitest';
import { compileNamePattern, hasArchiveName, readArchiveName, refuseEncrypted } from './archive-name.ts';

function read(name: string, pattern?: string): string | undefined {
  const found = readArchiveName(name, pattern === undefined ? undefined : compileNamePattern(pattern));
  if (found === undefined) return undefined;
  const { year, month, day, hour, minute, second } = found.time;
  return `${found.volume ?? '?'} ${[year, month, day, hour, minute, second].join(' ')}`;
}

test.each([
  ['postgres_data-20250115-143000.tar.gz', 'postgres_data 2025 1 15 14 30 0'],
  ['my-app-data-20250115-143000.tar.zst', 'my-app-data 2025 1 15 14 30 0'],
  ['db_20250115_143000.tgz', 'db 2025 1 15 14 30 0'],
  ['db.2025-01-15T14:30:05.tar', 'db 2025 1 15 14 30 5'],
  ['db-2025-01-15.tar.xz', 'db 2025 1 15 0 0 0'],
  ['backup-2026-01-31T12-00-00.tar.gz', '? 2026 1 31 12 0 0'],
  ['backup-20260131.tar.gz', '? 2026 1 31 0 0 0'],
  ['a-20250101-000000-20250115-143000.tar.gz', 'a-20250101-000000 2025 1 15 14 30 0'],
])('%s says %s', (name, expected) => {
  expect(read(name)).toBe(expected);
});

test.each(['notes.tar.gz', '20250115-143000.tar.gz', 'db-2025011-143000.tar.gz', 'db.tar'])(
  '%s says nothing',
  (name) => {
    expect(read(name)).toBeUndefined();
  },
);

test.each([
  ['{volume}-%Y%m%d-%H%M%S', 'pg-20250115-143000.tar.gz', 'pg 2025 1 15 14 30 0'],
  ['daily.%d.%m.%Y.{volume}.tar.gz', 'daily.15.01.2025.pg.tar.gz', 'pg 2025 1 15 0 0 0'],
  ['host*_{volume}_%F_%T', 'host7_pg_2025-01-15_14:30:00.tar', 'pg 2025 1 15 14 30 0'],
  ['backup-%Y-%m-%d', 'backup-2025-01-15.tar.gz', '? 2025 1 15 0 0 0'],
  ['(a+){volume}[%Y%m%d]', '(a+)pg[20250115].tar', 'pg 2025 1 15 0 0 0'],
])('the pattern %s reads %s', (pattern, name, expected) => {
  expect(read(name, pattern)).toBe(expected);
});

test('a name that does not match the pattern is not guessed', () => {
  expect(read('pg-20250115-143000.tar.gz', '{volume}_%Y%m%d')).toBeUndefined();
});

test.each([
  ['{volume}', 'it needs %Y'],
  ['{volume}-%Y%m%d-%Q', 'there is no sign "%Q"'],
  ['{volume}{volume}%Y%m%d', 'is in it twice'],
  ['%Y%m%d%Y', 'is in it twice'],
])('the pattern %s is refused: %s', (pattern, words) => {
  expect(() => compileNamePattern(pattern)).toThrow(words);
});

test('the longest possible name takes no time', () => {
  // Of the processor: other programs may delay this one.
  const before = process.threadCpuUsage();
  read(`${'a-'.repeat(120)}.tar.gz`, '*{volume}*-%Y%m%d');
  const { user, system } = process.threadCpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(500);
});

test('archives are recognised by name, and encrypted ones are refused with advice', () => {
  expect(hasArchiveName('a.tar.gz')).toBe(true);
  expect(hasArchiveName('a.tar.gz.gpg')).toBe(true);
  expect(hasArchiveName('a.sql')).toBe(false);
  expect(() => refuseEncrypted('a.tar.gz')).not.toThrow();
  expect(() => refuseEncrypted('a.tar.gz.gpg')).toThrow('it is encrypted');
});
