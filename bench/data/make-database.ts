import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { changePage, fillPage, pageBytes } from './database-page.ts';
import { noiseOf, randomOf } from './random.ts';
import { textSourceOf } from './text-source.ts';

const pagesPerBlock = 512;
const tableFile = 'base/16384/16397';
/** Written after the table: see `closeDirectory`. */
const lastFile = 'postmaster.pid';

/** Writes one file like a database's table, and a small one beside it. */
export async function makeDatabase(
  root: string,
  seed: string,
  options: { readonly bytes: number; readonly signal: AbortSignal },
): Promise<void> {
  const pages = Math.max(1, Math.round(options.bytes / pageBytes));
  const noise = noiseOf(`${seed}/database`);
  const random = randomOf(`${seed}/database`);
  const text = textSourceOf(seed);
  const path = join(root, tableFile);
  mkdirSync(dirname(path), { recursive: true });
  const table = openSync(path, 'wx', 0o600);
  try {
    for (let first = 0; first < pages; first += pagesPerBlock) {
      const block = Buffer.alloc(Math.min(pagesPerBlock, pages - first) * pageBytes);
      const words = Buffer.alloc(block.length);
      text.fill(words, random);
      const bytes = noise(block.length);
      for (let start = 0; start < block.length; start += pageBytes) {
        const end = start + pageBytes;
        const material = { noise: bytes.subarray(start, end), text: words.subarray(start, end) };
        fillPage(block.subarray(start, end), first + start / pageBytes, material);
      }
      writeSync(table, block);
      await new Promise((resolve) => setImmediate(resolve));
      options.signal.throwIfAborted();
    }
    fsyncSync(table);
  } finally {
    closeSync(table);
  }
  await closeDirectory(root);
}

/**
 * Changes a share of the pages in place, chosen at random; returns how many. The same seed chooses the same
 * pages.
 */
export async function changeDatabase(root: string, seed: string, share: number): Promise<number> {
  const random = randomOf(`${seed}/changes`);
  const noise = noiseOf(`${seed}/changes`);
  const table = openSync(join(root, tableFile), 'r+');
  let changed = 0;
  try {
    const page = Buffer.alloc(pageBytes);
    for (const number of choosePages(pagesOf(table), share, random.below)) {
      readSync(table, page, 0, pageBytes, number * pageBytes);
      changePage(page, random.below(2 ** 31), noise(256));
      writeSync(table, page, 0, pageBytes, number * pageBytes);
      changed += 1;
    }
    fsyncSync(table);
  } finally {
    closeSync(table);
  }
  await closeDirectory(root);
  return changed;
}

/** Distinct page numbers, ascending; at least one. */
export function choosePages(pages: number, share: number, below: (limit: number) => number): number[] {
  const wanted = Math.min(pages, Math.max(1, Math.round(pages * share)));
  const chosen = new Set<number>();
  while (chosen.size < wanted) chosen.add(below(pages));
  return [...chosen].sort((a, b) => a - b);
}

function pagesOf(table: number): number {
  return Math.floor(fstatSync(table).size / pageBytes);
}

/**
 * Writes a small file later than the others. borg distrusts the times of the latest file of a backup and
 * reads it again the next time: otherwise that would be the table, which in a real database is never the only
 * file.
 */
async function closeDirectory(root: string): Promise<void> {
  await setTimeout(20);
  writeFileSync(join(root, lastFile), '4711\n');
}
