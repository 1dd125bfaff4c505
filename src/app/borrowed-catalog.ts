import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Catalog } from '../catalog/catalog.ts';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import { errnoOf } from '../model/errors.ts';
import { readCatalogCopy } from './catalog-copy.ts';

/**
 * A catalog for commands that only read, where the state folder cannot be written to: a temporary copy,
 * removed with its writes when the command ends. Where no file can be made at all, it is in memory and holds
 * what is in `catalog.json`.
 */
export async function openBorrowedCatalog(stateDir: string, opened: AsyncDisposableStack): Promise<Catalog> {
  const file = path.join(stateDir, 'catalog.db');
  for (const place of [os.tmpdir(), '/dev/shm']) {
    // The next place may be writable.
    const folder = await mkdtemp(path.join(place, 'holdfast-catalog-')).catch(() => undefined);
    if (folder === undefined) continue;
    opened.defer(() => rm(folder, { recursive: true, force: true }));
    const copy = path.join(folder, 'catalog.db');
    if (await tryToCopy(file, copy)) return opened.use(openSqliteCatalog(copy));
  }
  const catalog = opened.use(openSqliteCatalog(':memory:'));
  const essentials = await readCatalogCopy(stateDir);
  if (essentials !== undefined) catalog.essentials.restore(essentials);
  return catalog;
}

const tries = 10;

/**
 * Copies the database and its log as of one time, and starts again when another process has written
 * meanwhile. False when that keeps failing, when there is no database, and when there is no room.
 */
async function tryToCopy(from: string, to: string): Promise<boolean> {
  try {
    for (let left = tries; left > 0; left--) {
      const before = await stateOf(from);
      if (before === undefined) return false;
      await copyFile(from, to);
      await copyFile(`${from}-wal`, `${to}-wal`).catch(async (error: unknown) => {
        if (errnoOf(error) !== 'ENOENT') throw error;
        await rm(`${to}-wal`, { force: true });
      });
      if ((await stateOf(from)) === before) return true;
    }
    return false;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

async function stateOf(file: string): Promise<string | undefined> {
  const found = await Promise.all(
    [file, `${file}-wal`].map((one) => stat(one, { bigint: true }).catch(() => undefined)),
  );
  if (found[0] === undefined) return undefined;
  return found.map((one) => `${one?.ino} ${one?.size} ${one?.mtimeNs}`).join(' ');
}
