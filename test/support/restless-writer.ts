import {
  appendFileSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { randomBytes, randomInt } from 'node:crypto';
import { mapFile } from './memory-map.ts';

/**
 * Writes to a folder in all the ways that are hard to notice, for as long as it runs: node restless-writer.ts FOLDER
 * Started again, it leaves the folder as it is, until its mark is removed.
 */
export const ranMark = 'ran';

const [, , folder = ''] = process.argv;
const path = (...names: string[]): string => join(folder, ...names);
const mappedBytes = 4 << 20;
const pagedBytes = 24 << 20;

if (import.meta.main) {
  process.once('SIGTERM', () => process.exit(0));
  if (existsSync(path(ranMark))) setInterval(() => undefined, 1000);
  else writeForEver();
}

function writeForEver(): void {
  writeFileSync(path(ranMark), '');
  makeOnce('mapped', mappedBytes);
  makeOnce('pages', pagedBytes);
  mkdirSync(path('folder/below'), { recursive: true });
  writeFileSync(path('folder/below/file'), randomBytes(2 << 20));
  const map = mapFile(path('mapped'), mappedBytes);
  const pages = openSync(path('pages'), 'r+');
  let turn = 0;
  setInterval(() => {
    for (let i = 0; i < 20; i++) map.bytes[randomInt(mappedBytes)] = randomInt(256);
    writeSync(pages, randomBytes(8192), 0, 8192, randomInt(pagedBytes / 8192) * 8192);
    setBack('pages');
    writeFileSync(path(`same-size-${turn % 7}`), randomBytes(5000));
    setBack(`same-size-${turn % 7}`);
    appendFileSync(path('log'), `${turn}\n`);
    takeTurn(turn++);
  }, 5);
}

function takeTurn(turn: number): void {
  if (turn % 5 === 0) linkAnew('log', `log-${turn % 4}`);
  if (turn % 11 === 0) linkAnew('pages', 'pages-too');
  if (turn % 13 === 0) {
    renameSync(path('folder'), path('folder-new'));
    renameSync(path('folder-new'), path(turn % 2 === 0 ? 'folder' : 'folder-other'));
    if (turn % 2 !== 0) renameSync(path('folder-other'), path('folder'));
  }
  if (turn % 17 === 0) {
    rmSync(path('gone'), { recursive: true, force: true });
    mkdirSync(path('gone/deep/deeper'), { recursive: true });
    writeFileSync(path('gone/deep/deeper/file'), randomBytes(1500));
  }
  if (turn % 23 === 0) {
    const fd = openSync(path('whole'), 'w');
    writeSync(fd, randomBytes(randomInt(1, 1_500_000)));
    closeSync(fd);
    setBack('whole');
  }
}

function makeOnce(name: string, bytes: number): void {
  if (!existsSync(path(name))) writeFileSync(path(name), randomBytes(bytes));
}

function linkAnew(name: string, other: string): void {
  rmSync(path(other), { force: true });
  linkSync(path(name), path(other));
}

/** Sets the same second each time. */
function setBack(name: string): void {
  utimesSync(path(name), 1_000_000, 1_000_000);
}
