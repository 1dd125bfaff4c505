import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../../src/model/byte-string.ts';
import { setTimes, setXattr } from '../../src/lib/posix.ts';

/** What the tree has besides ordinary files, for the text of the demo. */
export interface SiteTree {
  /** False where this user or file system cannot have them. */
  readonly hasXattrs: boolean;
  readonly hasOwners: boolean;
}

const pageCount = 2400;
const uploadCount = 240;
const pageBytes = 8192;
const databasePages = 1500;

/**
 * Creates the files of a small web application in a new folder: pages, uploads, a database, and files that
 * are hard to copy.
 */
export function makeSiteTree(root: string): SiteTree {
  mkdirSync(root);
  makePages(join(root, 'pages'));
  makeUploads(join(root, 'uploads'));
  makeDatabase(join(root, 'database'));
  makeOddNames(join(root, 'odd names'));
  makeLinks(root);
  makeSparseFile(join(root, 'reserved.img'));
  return { hasXattrs: addXattrs(root), hasOwners: addOwners(root) };
}

function makePages(folder: string): void {
  for (let index = 0; index < pageCount; index += 1) {
    const section = join(folder, `section-${index % 48}`);
    if (index < 48) mkdirSync(section, { recursive: true });
    const path = join(section, `page-${index}.html`);
    const paragraphs = Array.from(
      { length: 4 + (index % 30) },
      (_, line) => `<p>${sentence(index * 31 + line)}</p>\n`,
    );
    writeFileSync(path, `<h1>Page ${index}</h1>\n${paragraphs.join('')}`);
    // Times to the nanosecond, spread over some years.
    setTimes(fromText(path), 1_600_000_000_000_000_000n + BigInt(index) * 39_614_081_257_132_168n);
  }
}

function makeUploads(folder: string): void {
  mkdirSync(folder);
  for (let index = 0; index < uploadCount; index += 1) {
    const path = join(folder, `photo-${index}.jpg`);
    writeFileSync(path, incompressible(`upload ${index}`, 20_000 + (index % 17) * 9_000));
    chmodSync(path, index % 5 === 0 ? 0o600 : 0o644);
  }
}

function makeDatabase(folder: string): void {
  mkdirSync(folder, { mode: 0o700 });
  const file = openSync(join(folder, 'main.db'), 'w', 0o600);
  for (let page = 0; page < databasePages; page += 1) {
    const bytes = Buffer.alloc(pageBytes);
    bytes.writeUInt32BE(page);
    incompressible(`page ${page}`, 3000).copy(bytes, 64);
    writeSync(file, bytes);
  }
  closeSync(file);
}

/** File names are bytes: any but zero and the slash. */
function makeOddNames(folder: string): void {
  mkdirSync(folder);
  const names = [
    ' leading and trailing ',
    '-rf',
    '*',
    '.hidden',
    'new\nline',
    'tab\there',
    'quote\'s "and" `ticks` $HOME',
    'back\\slash',
    'grüße, 世界 🌍',
    'n'.repeat(255),
  ];
  for (const name of names) writeFileSync(join(folder, name), `the file "${name}"\n`);
  const broken = Buffer.concat([Buffer.from(`${folder}/not utf-8 `), Buffer.from([0xff, 0xfe, 0x80])]);
  writeFileSync(broken, 'its name is no text at all\n');
  mkdirSync(join(folder, 'empty folder'));
  writeFileSync(join(folder, 'empty file'), '');
}

function makeLinks(root: string): void {
  linkSync(join(root, 'uploads/photo-0.jpg'), join(root, 'uploads/the same photo.jpg'));
  symlinkSync('uploads/photo-1.jpg', join(root, 'latest.jpg'));
  symlinkSync('/nowhere/at all', join(root, 'dangling'));
}

/** 64 MB long, with data at two places only. */
function makeSparseFile(path: string): void {
  const file = openSync(path, 'w');
  writeSync(file, Buffer.from('start'), 0, 5, 0);
  writeSync(file, Buffer.from('middle'), 0, 6, 32 * 1024 * 1024);
  ftruncateSync(file, 64 * 1024 * 1024);
  closeSync(file);
}

function addXattrs(root: string): boolean {
  try {
    for (const name of ['uploads/photo-2.jpg', 'uploads', 'database/main.db']) {
      setXattr(fromText(join(root, name)), { name: 'user.checked', value: Buffer.from([1, 0, 255]) });
    }
    return true;
  } catch {
    return false;
  }
}

function addOwners(root: string): boolean {
  if (process.getuid?.() !== 0) return false;
  for (let index = 0; index < uploadCount; index += 3)
    chownSync(join(root, `uploads/photo-${index}.jpg`), 33, 33);
  chownSync(join(root, 'database/main.db'), 999, 999);
  chmodSync(join(root, 'uploads'), 0o2775);
  return true;
}

const words =
  'volume holds data that nobody wants to lose because it took years and a lot of care to make'.split(' ');

function sentence(seed: number): string {
  return Array.from(
    { length: 12 },
    (_, index) => words[(seed * 7 + index * (seed % 11)) % words.length],
  ).join(' ');
}

function incompressible(seed: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(seed).digest();
}
