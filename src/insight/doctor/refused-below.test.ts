import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMounts } from '../../lib/mountinfo.ts';
import { findRefusedBelow } from './refused-below.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'below-'));
  chmodSync(root, 0o777);
});
afterEach(() => rmSync(root, { recursive: true }));

const map = [{ inside: 0, outside: 0, count: 1 << 30 }];
const who = { uid: 1000, gid: 1000, groups: [], overrides: false, readsAll: false, uidMap: map, gidMap: map };

function closedFileIn(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'closed'), '');
  chownSync(join(folder, 'closed'), 4000, 4000);
  chmodSync(join(folder, 'closed'), 0o600);
}

test('a file deep below that the user cannot read is found, and a chain of folders without an end is left', async () => {
  const look = async () => findRefusedBelow(root, who, { isReadOnly: false, mounts: await readMounts() });
  const chain = (depth: number) => join(root, ...Array.from({ length: depth }, () => 'a'));
  closedFileIn(chain(300));
  expect(await look()).toBeUndefined();
  closedFileIn(chain(60));
  expect(await look()).toMatchObject({ first: `${'a/'.repeat(60)}closed`, count: 1 });
});
