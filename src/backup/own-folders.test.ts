import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSqliteCatalog } from '../catalog/sqlite-catalog.ts';
import { AppError } from '../model/errors.ts';
import { ownFoldersBelow } from './own-folders.ts';

test('a repository on a server that does not answer is not visited: the backup of all else would hang', async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'own-')));
  using catalog = openSqliteCatalog(':memory:');
  try {
    const home = join(folder, 'home');
    for (const name of ['home', 'disk', 'share']) mkdirSync(join(folder, name));
    // If visited, it would lie elsewhere.
    symlinkSync('../share', join(home, 'away'));
    mkdirSync(join(home, 'here'));
    for (const name of ['away', 'here', 'none'])
      catalog.saveRepository({
        ...{ name, location: join(home, name), repositoryId: name, passwordReference: 'env:X' },
        isDefault: false,
      });
    const ask = async (place: string): Promise<void> => {
      if (place === join(home, 'away')) throw new AppError('unavailable', 'It is away');
    };
    const parts = { stateDir: join(folder, 'disk'), catalog };
    const found = await ownFoldersBelow(parts, home, ask);
    expect(found.map((one) => one.folder)).toEqual([join(home, 'away'), join(home, 'here')]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
