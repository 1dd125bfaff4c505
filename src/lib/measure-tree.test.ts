import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromText } from '../model/byte-string.ts';
import { measureTree, TreeUsage } from './measure-tree.ts';
import { walkTree } from './tree-walk.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'measure-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('everything is counted once, as by a walk: links, holes, pipes and names of any bytes', async () => {
  mkdirSync(join(root, 'a/b'), { recursive: true });
  writeFileSync(join(root, 'a/one'), 'x'.repeat(5000));
  linkSync(join(root, 'a/one'), join(root, 'a/b/another name'));
  writeFileSync(join(root, 'hole'), '');
  truncateSync(join(root, 'hole'), 5 * 2 ** 32 + 1);
  symlinkSync('/etc', join(root, 'link'));
  writeFileSync(Buffer.concat([Buffer.from(`${root}/a/`), Buffer.from([0x62, 0xff, 0x0a])]), '12');
  execFileSync('mkfifo', [join(root, 'a/pipe')]);
  const usage = await measureTree(fromText(root));
  expect(usage).toEqual(await walked(root));
  expect(usage).toMatchObject({ bytes: 5000 + 5 * 2 ** 32 + 1 + 2, files: 3, directories: 3, others: 2 });
  expect(usage.targetBytes).toBe('/etc'.length);
  expect(usage.allocatedBytes).toBeLessThan(1_000_000);
});

test('more names than are read at once are all counted, and again when nothing has changed', async () => {
  for (let number = 0; number < 5000; number++) writeFileSync(join(root, `file-${number}`), 'x');
  expect(await measureTree(fromText(root))).toMatchObject({ bytes: 5000, files: 5000 });
  // Grows in place, which changes no directory.
  writeFileSync(join(root, 'file-4711'), 'xyz');
  expect(await measureTree(fromText(root))).toMatchObject({ bytes: 5002, files: 5000 });
});

test('a tree that is deeper than directories are kept open is measured to its end', async () => {
  const deep = Array.from({ length: 150 }, (_, level) => `d${level}`);
  mkdirSync(join(root, ...deep), { recursive: true });
  writeFileSync(join(root, ...deep, 'end'), 'end');
  writeFileSync(join(root, 'top'), 'top');
  linkSync(join(root, 'top'), join(root, ...deep, 'linked'));
  expect(await measureTree(fromText(root))).toMatchObject({ bytes: 6, files: 2, directories: 151 });
});

test('a missing path, a file or a cancel throws as in a walk', async () => {
  writeFileSync(join(root, 'file'), '');
  await expect(measureTree(fromText(join(root, 'nothing')))).rejects.toMatchObject({ code: 'not-found' });
  await expect(measureTree(fromText(join(root, 'file')))).rejects.toMatchObject({ code: 'usage' });
  const signal = AbortSignal.abort();
  await expect(measureTree(fromText(root), { signal })).rejects.toMatchObject({ code: 'cancelled' });
});

async function walked(path: string): Promise<TreeUsage> {
  const usage = new TreeUsage();
  for await (const { entry, allocatedBytes } of walkTree(fromText(path), { statOnly: true })) {
    if (entry.hardLinkTo !== undefined) continue;
    const kind = entry.type === 'file' || entry.type === 'dir' ? entry.type : 'other';
    const targetBytes = entry.linkTarget?.length;
    usage.add({ kind, bytes: entry.size, targetBytes, allocatedBytes }, entry.path.split('/', 1)[0] ?? '');
  }
  return usage;
}
