import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { expect, onTestFinished, test } from 'vitest';
import { fromText } from '../../model/byte-string.ts';
import { errnoOf } from '../../model/errors.ts';
import { plainEntryAt } from '../../lib/entry-at.ts';
import { OpenDirectories } from '../../lib/open-directories.ts';
import { proveFacts } from './prove-copy.ts';

const libc = koffi.load(null);
const watchOpened = libc.func('int inotify_add_watch(int fd, const char *path, uint32_t mask)');
const nonBlocking = 0x800;
const opened = 0x20;

test('a sparse file is proven without opening it to look for its holes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prove-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'sparse');
  writeFileSync(path, '');
  truncateSync(path, 1 << 20);
  const at = fromText(path);
  const entry = plainEntryAt({ at, path: 'sparse', stat: lstatSync(path, { bigint: true }) });
  using copy = new OpenDirectories(fromText(folder), { isStaged: false });
  const fd: number = libc.func('int inotify_init1(int flags)')(nonBlocking);
  onTestFinished(() => closeSync(fd));
  watchOpened(fd, path, opened);
  proveFacts(copy, entry);
  expect(bytesIn(fd)).toBe(0);
  chmodSync(path, 0o4711);
  expect(() => proveFacts(copy, entry)).toThrow('its mode differs');
  proveFacts(copy, { ...entry, mode: 0o4711, dataRuns: [{ offset: 0, length: 4096 }] });
  readFileSync(path);
  expect(bytesIn(fd)).toBeGreaterThan(0);
});

/** How many bytes of the opened file are reported. */
function bytesIn(fd: number): number {
  try {
    return readSync(fd, Buffer.alloc(4096));
  } catch (error) {
    if (errnoOf(error) === 'EAGAIN') return 0;
    throw error;
  }
}
