import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { listXattrs, setXattr } from '../../../lib/posix.ts';
import { fromText } from '../../../model/byte-string.ts';
import { changeLine, rehearseChange } from './change-line.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'line-'));
  file = path.join(folder, 'compose.yaml');
  await writeFile(file, 'a\nb\n', { mode: 0o640 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** Its owner may write, one more user may read, and others may not. */
function aclFor(user: number): Uint8Array {
  const none = 0xff_ff_ff_ff;
  const [read, write] = [4, 6];
  const entries = [
    [0x01, write, none],
    [0x02, read, user],
    [0x04, 0, none],
    [0x10, read, none],
    [0x20, 0, none],
  ] as const;
  const value = Buffer.alloc(4 + entries.length * 8);
  value.writeUInt32LE(2);
  for (const [index, [tag, rights, id]] of entries.entries()) {
    value.writeUInt16LE(tag, 4 + index * 8);
    value.writeUInt16LE(rights, 6 + index * 8);
    value.writeUInt32LE(id, 8 + index * 8);
  }
  return new Uint8Array(value);
}

const access = 'system.posix_acl_access';

test('a changed file has the ACL and the attributes that it had, and none of its folder', async () => {
  setXattr(fromText(folder), { name: 'system.posix_acl_default', value: aclFor(2000) });
  const edit = { file, line: 2, before: 'b', after: 'c' };
  await rehearseChange(edit);
  expect(listXattrs(fromText(file))).toEqual([]);
  const given = [
    { name: access, value: aclFor(1000) },
    { name: 'user.note', value: new Uint8Array(Buffer.from('mine')) },
  ];
  for (const attribute of given) setXattr(fromText(file), attribute);
  await rehearseChange(edit);
  const undo = await changeLine(edit);
  expect(await readFile(file, 'utf8')).toBe('a\nc\n');
  await undo();
  expect(await readFile(file, 'utf8')).toBe('a\nb\n');
  expect(listXattrs(fromText(file)).toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(given);
  expect((await stat(file)).mode & 0o777).toBe(0o640);
});

test('a file of another user is not taken from its owner', async () => {
  vi.spyOn(process, 'geteuid').mockReturnValue(4321);
  const before = await stat(file);
  await expect(rehearseChange({ file, line: 2, before: 'b', after: 'c' })).rejects.toMatchObject({
    code: 'denied',
    message: expect.stringContaining('it belongs to another user') as string,
  });
  expect((await stat(file)).ino).toBe(before.ino);
});
