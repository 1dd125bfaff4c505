import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeStateFolder } from './make-state-folder.ts';

let folder: string;
let stateDir: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'state-'));
  stateDir = join(folder, 'state');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const modeOf = (path: string): number => statSync(path).mode & 0o7777;

test('a state folder is made for its owner alone', async () => {
  await makeStateFolder(stateDir);
  expect(modeOf(stateDir)).toBe(0o700);
});

test.each([
  [0o711, 0o710],
  [0o755, 0o710],
  [0o777, 0o710],
  [0o701, 0o700],
  [0o710, 0o710],
])('one that is there with mode %o gets %o', async (before, after) => {
  mkdirSync(stateDir);
  writeFileSync(join(stateDir, 'catalog.db'), '');
  chmodSync(stateDir, before);
  await makeStateFolder(stateDir);
  expect(modeOf(stateDir)).toBe(after);
});

test('a folder that holds something else, and no catalog, keeps its mode', async () => {
  mkdirSync(join(stateDir, 'etc'), { recursive: true });
  chmodSync(stateDir, 0o755);
  await makeStateFolder(stateDir);
  expect(modeOf(stateDir)).toBe(0o755);
});
