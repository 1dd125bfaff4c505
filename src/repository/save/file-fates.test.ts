import { expect, test } from 'vitest';
import { FileFates } from './file-fates.ts';

test('of half a million files that changed, each is told as changed in a later pass that finds it as it was', () => {
  const fates = new FileFates(true);
  const count = 500_000;
  for (let i = 0; i < count; i++) fates.since(`some/folder/file-${i}`, i % 2 === 0 ? 'changed' : 'new');
  const told = { new: 0, changed: 0, unmodified: 0 };
  for (let i = 0; i < count; i++) told[fates.since(`some/folder/file-${i}`, 'unmodified')]++;
  expect(told).toEqual({ new: count / 2, changed: count / 2, unmodified: 0 });
});

test('a file that no pass has seen changed is unmodified', () => {
  const fates = new FileFates(true);
  for (let i = 0; i < 1000; i++) fates.since(`changed-${i}`, 'changed');
  for (let i = 0; i < 1000; i++) expect(fates.since(`quiet-${i}`, 'unmodified')).toBe('unmodified');
});

test('what was new in an earlier pass is new, though it changed since', () => {
  const fates = new FileFates(true);
  fates.since('fresh', 'new');
  expect(fates.since('fresh', 'changed')).toBe('new');
  expect(fates.since('fresh', 'unmodified')).toBe('new');
});

test('without a snapshot before, all files are new', () => {
  const fates = new FileFates(false);
  expect(fates.since('a', 'changed')).toBe('new');
  expect(fates.since('b', 'unmodified')).toBe('new');
});
