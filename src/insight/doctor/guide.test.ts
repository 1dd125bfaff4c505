import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const folder = import.meta.dirname;

test('each diagnosis has its row in the guide, and the guide has no other', () => {
  const sources = globSync('*.ts', { cwd: folder }).filter((name) => !name.endsWith('.test.ts'));
  const used = new Set(
    sources.flatMap((name) => idsIn(readFileSync(join(folder, name), 'utf8'), /'HF-D\d{3}'/g)),
  );
  const guide = readFileSync(join(folder, '../../../docs/guides/doctor.md'), 'utf8');
  const rows = guide.split('\n').filter((line) => line.startsWith('| HF-D'));
  const told = rows.flatMap((line) => idsIn(line.split('|')[1] ?? '', /HF-D\d{3}/g));
  expect(told.toSorted()).toEqual([...used].toSorted());
});

function idsIn(text: string, pattern: RegExp): string[] {
  return (text.match(pattern) ?? []).map((found) => found.replaceAll("'", ''));
}
