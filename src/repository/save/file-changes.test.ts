import { expect, test } from 'vitest';
import { FileChanges } from './file-changes.ts';

test('half a million changed files still count as changed in a later pass that finds them unchanged', () => {
  const changes = new FileChanges(true);
  const count = 500_000;
  for (let i = 0; i < count; i++) changes.since(`some/folder/file-${i}`, i % 2 === 0 ? 'changed' : 'new');
  const told = { new: 0, changed: 0, unmodified: 0 };
  for (let i = 0; i < count; i++) told[changes.since(`some/folder/file-${i}`, 'unmodified')]++;
  expect(told).toEqual({ new: count / 2, changed: count / 2, unmodified: 0 });
});

test('a file that no pass has seen changed is unmodified', () => {
  const changes = new FileChanges(true);
  for (let i = 0; i < 1000; i++) changes.since(`changed-${i}`, 'changed');
  for (let i = 0; i < 1000; i++) expect(changes.since(`quiet-${i}`, 'unmodified')).toBe('unmodified');
});

test('a new file stays new when it changes in a later pass', () => {
  const changes = new FileChanges(true);
  changes.since('fresh', 'new');
  expect(changes.since('fresh', 'changed')).toBe('new');
  expect(changes.since('fresh', 'unmodified')).toBe('new');
});

test('without a snapshot before, all files are new', () => {
  const changes = new FileChanges(false);
  expect(changes.since('a', 'changed')).toBe('new');
  expect(changes.since('b', 'unmodified')).toBe('new');
});
