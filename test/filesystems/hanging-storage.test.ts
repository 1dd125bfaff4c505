import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import type { Host } from '../../src/hosts/host.ts';
import { SizeWatch } from '../../src/insight/usage/look.ts';
import { holdfastCommand } from '../support/holdfast-command.ts';
import { mountSilent, type SilentMount, unmountOnceFree } from '../support/silent-mount.ts';

let folder: string;
let mount: string;
let storage: SilentMount;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hanging-'));
  mount = join(folder, 'mount');
  storage = mountSilent(join(folder, 'cipher'), mount);
  mkdirSync(join(folder, 'good'));
  writeFileSync(join(folder, 'good/file'), 'content');
  writeFileSync(join(mount, 'file'), 'content');
});
afterEach(async () => {
  await storage[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('storage that does not respond is reported after a while, and other targets are saved', async () => {
  const holdfast = holdfastCommand(join(folder, 'state'));
  await holdfast.run('init');
  storage.stop();
  const result = await holdfast.attempt('backup', mount, join(folder, 'good'));
  expect(result.output).toContain(`Cannot read "${mount}": its storage did not answer within 10 seconds`);
  expect(result.exitCode).toBe(3);
  expect(await holdfast.run('ls', join(folder, 'good'), '-q')).toBe('file\n');
});

test('a local disk that does not answer stops neither the looks at sizes nor what runs beside them', async () => {
  const image = join(folder, 'image');
  const disk = join(folder, 'disk');
  const content = join(folder, 'content');
  for (let index = 0; index < 20; index++) mkdirSync(join(content, `folder-${index}`), { recursive: true });
  mkdirSync(disk);
  writeFileSync(join(content, 'folder-0/rows'), 'seven b');
  execFileSync('mkfs.ext4', ['-q', '-F', '-d', content, image, '16M']);
  copyFileSync(image, join(mount, 'image'));
  execFileSync('mount', ['-o', 'loop', join(mount, 'image'), disk]);
  const host = hostWith({ dead: disk, good: join(folder, 'good') });
  using catalog = openSqliteCatalog(':memory:');
  const { signal } = new AbortController();
  const placed = (): object =>
    Object.fromEntries(
      catalog.usage.listPlaces('h').map(({ name, bytes, problem }) => [name, { bytes, problem }]),
    );
  let beats = 0;
  const beating = setInterval(() => (beats += 1), 100);
  try {
    {
      await using watch = new SizeWatch({ patienceMs: 5000 });
      storage.stop();
      await watch.look({ host, catalog, signal });
      expect(placed()).toMatchObject({
        dead: { bytes: undefined, problem: 'its disk does not answer' },
        good: { bytes: 7, problem: undefined },
      });
      // This thread went on all the while.
      expect(beats).toBeGreaterThan(10);
      const before = performance.now();
      await watch.look({ host, catalog, signal });
      expect(performance.now() - before, 'it is not asked at each look').toBeLessThan(5000);
    }
    storage.goOn();
    await using watch = new SizeWatch();
    await watch.look({ host, catalog, signal });
    expect(placed()).toMatchObject({ dead: { bytes: 7, problem: undefined } });
  } finally {
    clearInterval(beating);
    storage.goOn();
    await unmountOnceFree(disk);
  }
});

/** Volumes by their names and folders. */
function hostWith(folders: Readonly<Record<string, string>>): Host {
  const plain = {
    driver: 'local',
    options: {},
    labels: {},
    consumers: [],
    anonymous: false,
    stack: undefined,
  };
  return {
    kind: 'embedded',
    info: async () => ({ identity: 'h', kind: 'embedded', isRemote: false }),
    listVolumes: async () =>
      Object.entries(folders).map(([name, mountpoint]) => ({ ...plain, name, mountpoint })),
  } as unknown as Host;
}
