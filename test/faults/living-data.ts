import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Dice } from './seeded.ts';

export interface DataShape {
  readonly folders: number;
  readonly filesInEach: number;
  readonly largeBytes: number;
}

/** Some folders of small files and one large file. */
export function makeData(root: string, shape: DataShape, random: Dice): void {
  for (let folder = 0; folder < shape.folders; folder++) {
    mkdirSync(join(root, `folder-${folder}`), { recursive: true });
    for (let file = 0; file < shape.filesInEach; file++)
      writeFileSync(join(root, `folder-${folder}/file-${file}`), someBytes(random));
  }
  writeFileSync(join(root, 'large'), random.bytes(shape.largeBytes));
}

/**
 * Makes small changes everywhere: files change, disappear and appear, and a part of the large file is
 * overwritten.
 */
export function changeData(root: string, changedBytes: number, random: Dice): void {
  const folders = readdirSync(root).filter((name) => name.startsWith('folder-'));
  for (let i = 0; i < 60; i++) {
    const folder = join(root, random.pick(folders));
    const names = readdirSync(folder);
    const name = names.length > 0 ? random.pick(names) : 'first';
    if (i % 6 === 0) rmSync(join(folder, name), { force: true });
    else if (i % 3 === 0) writeFileSync(join(folder, `more-${random.between(0, 1e6)}`), someBytes(random));
    else writeFileSync(join(folder, name), someBytes(random));
  }
  const fd = openSync(join(root, 'large'), 'r+');
  try {
    writeSync(fd, random.bytes(changedBytes), 0, changedBytes, random.between(0, 8) * 1_000_000);
  } finally {
    closeSync(fd);
  }
}

function someBytes(random: Dice): Buffer {
  return random.bytes(200 + Math.floor(random.fraction() ** 4 * 60_000));
}
