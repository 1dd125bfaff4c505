import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { TreeLedger } from '../../src/volumes/mirror/tree-ledger.ts';

test('where a file must have a name at first, it has none afterwards, whatever the folder is called', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ledger-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [cipher, plain] = [join(folder, 'cipher'), join(folder, 'plain')];
  mkdirSync(cipher);
  mkdirSync(plain);
  const gocryptfs = (...args: string[]): void =>
    void execFileSync('gocryptfs', ['-q', '-extpass', 'echo', '-extpass', 'secret', ...args], {
      stdio: 'pipe',
    });
  gocryptfs('-init', '-scryptn', '10', cipher);
  gocryptfs(cipher, plain);
  onTestFinished(() => void execFileSync('umount', [plain]));
  const state = join(plain, 'jürgen');
  mkdirSync(state);
  using ledger = new TreeLedger(state);
  expect(readdirSync(state)).toEqual([]);
  const line = { path: 'a', isDirectory: false, isLink: false, inode: 1n, signature: 's' };
  ledger.add(line);
  expect(ledger.read().takeAt('a')).toEqual(line);
});
