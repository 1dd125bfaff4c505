import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { known, luks, openManaged, saved, stateDir } from '../kept-volumes.ts';

/** Everything here is in use when the power goes, and is examined by the tests after it. */
test('encrypted volumes are made, written to, and left open', async () => {
  const { managed, catalog } = await openManaged();
  for (const name of ['kept', 'erased', 'rotating']) {
    await managed.create({ name, driver: 'luks', labels: {}, options: luks });
    const at = await managed.mount(name, 'container-1');
    await using file = await open(join(at, 'a-telling-name'), 'w');
    await file.write(known);
    await file.sync();
  }
  for (const [index, path] of ['volumes/erased/key.json', 'keys/volumes.key'].entries())
    await copyFile(join(stateDir, path), saved[index] ?? '');
  expect((await managed.list()).map(({ isMounted }) => isMounted)).toEqual([true, true, true]);
  expect(catalog.volumes.listHolds()).toHaveLength(3);
});

test('a rotation is under way', async () => {
  const script = join(import.meta.dirname, '../rotate-forever.ts');
  // Hidden from the search for leftovers of this test: it must still run when the power goes.
  const { HOLDFAST_TEST_FILE: _mark, ...env } = process.env;
  const child = spawn(process.execPath, [script], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  await once(child.stdout, 'data');
  child.stdout.destroy();
  child.unref();
  expect(await readFile(join(stateDir, 'volumes/rotating/key.json'), 'utf8')).toContain('master');
});
